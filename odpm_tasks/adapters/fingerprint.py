"""What a `file://` source holds, as one hash, and what is known of its files, so that the next look is quick.

As git's index does it: a file whose size, times and inode are as before is not read again, unless it changed so
recently that the clock could not tell (then it is read every time until it is old enough).
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Collection
from pathlib import Path

from odpm_tasks.adapters import files

_RACY = 2_000_000_000  # nanoseconds; coarser than any file system's clock in use
_SKIP = (".git", "__pycache__")

# name -> what lstat said, and the digest of kind and bytes
Known = dict[str, tuple[list[int], str]]


def fingerprint(
    root: Path, memory: Path | None = None, skip: Collection[str] = (), *, writes_cache: bool = True
) -> str:
    """40 hex digits over a tree's names, modes and bytes; `.git`, `__pycache__` and `*.pyc` left out, and folders in `skip`.

    Only the executable bit of a mode counts and a link counts as its target, as in git, so that two machines agree.
    `memory` is a file that keeps what is known between runs; without it every byte is read. It is written where it `learns`.
    """
    before = _recall(memory)
    after: Known = {}
    now = time.time_ns()
    changed = False
    whole = hashlib.sha1(usedforsecurity=False)
    for name, entry in walk(root, skip):
        seen = entry.stat(follow_symlinks=False)
        mark = [seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_ino, seen.st_mode]
        known = before.get(name)
        if known is not None and known[0] == mark:
            digest = known[1]
        else:
            digest = _digest(entry, seen)
            changed = True
        if now - max(seen.st_mtime_ns, seen.st_ctime_ns) > _RACY:
            after[name] = (mark, digest)
        whole.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    if memory is not None and writes_cache and (changed or len(after) != len(before)):
        files.write(memory, json.dumps(after, separators=(",", ":")).encode(), derived=True)
    return whole.hexdigest()


def _recall(memory: Path | None) -> Known:
    text = files.read(memory) if memory else None
    try:
        data = json.loads(text) if text else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _digest(entry: os.DirEntry[str], seen: os.stat_result) -> str:
    if stat.S_ISLNK(seen.st_mode):
        kind, data = "l", os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - bytes as they are
    elif stat.S_ISREG(seen.st_mode):
        kind, data = ("x" if seen.st_mode & 0o100 else "f"), Path(entry.path).read_bytes()
    else:
        kind, data = "s", b""  # a socket or a pipe has no content
    return kind + hashlib.sha1(data, usedforsecurity=False).hexdigest()


def walk(root: Path, skip: Collection[str] = ()) -> list[tuple[str, os.DirEntry[str]]]:
    """Every file and link below `root` with its `/`-separated relative name, sorted by name."""
    found: list[tuple[str, os.DirEntry[str]]] = []
    pending = [""]
    while pending:
        prefix = pending.pop()
        with os.scandir(root / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.name not in _SKIP and entry.name not in skip:
                        pending.append(f"{prefix}{entry.name}/")
                elif not entry.name.endswith(".pyc"):
                    found.append((prefix + entry.name, entry))
    return sorted(found, key=lambda pair: pair[0])
