"""The content of a `file://` source as one hash, with a cache of file digests.

As in git's index: a file with the same size, times and inode is not read again, unless it changed so recently that a
later change could have the same time.
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

_RACY = 2_000_000_000  # nanoseconds; more than the time resolution of any common file system
_SKIP = (".git", "__pycache__")

# name -> values of lstat, and the digest of file type and bytes
_Entries = dict[str, tuple[list[int], str]]


def fingerprint(root: Path, cache: Path | None = None, skip: Collection[str] = (), *, writes_cache: bool = True) -> str:
    """40 hex digits over the names, modes and bytes of a tree, without `.git`, `__pycache__`, `*.pyc` and folders in `skip`.

    As in git, only the executable bit of a mode counts, and a link counts as its target, so the result is the same on every
    machine. `cache` is a file with digests of earlier runs; it is updated if `writes_cache`. Without it, all files are read.
    """
    before = _read_cache(cache)
    after: _Entries = {}
    now = time.time_ns()
    changed = False
    total = hashlib.sha1(usedforsecurity=False)
    for name, entry in walk(root, skip):
        status = entry.stat(follow_symlinks=False)
        mark = [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_mode]
        cached = before.get(name)
        if cached is not None and cached[0] == mark:
            digest = cached[1]
        else:
            digest = _digest(entry, status)
            changed = True
        if now - max(status.st_mtime_ns, status.st_ctime_ns) > _RACY:
            after[name] = (mark, digest)
        total.update(f"{name}\0{digest}\n".encode(errors="surrogateescape"))
    if cache is not None and writes_cache and (changed or len(after) != len(before)):
        files.write(cache, json.dumps(after, separators=(",", ":")).encode(), derived=True)
    return total.hexdigest()


def _read_cache(cache: Path | None) -> _Entries:
    text = files.read(cache) if cache else None
    try:
        data = json.loads(text) if text else {}
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}


def _digest(entry: os.DirEntry[str], status: os.stat_result) -> str:
    if stat.S_ISLNK(status.st_mode):
        kind, data = "l", os.fsencode(os.readlink(entry.path))  # noqa: PTH115 - undecoded bytes
    elif stat.S_ISREG(status.st_mode):
        kind, data = ("x" if status.st_mode & 0o100 else "f"), Path(entry.path).read_bytes()
    else:
        kind, data = "s", b""  # a socket or a pipe has no content
    return kind + hashlib.sha1(data, usedforsecurity=False).hexdigest()


def walk(root: Path, skip: Collection[str] = ()) -> list[tuple[str, os.DirEntry[str]]]:
    """All files and links below `root` with their `/`-separated relative names, sorted by name."""
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
