"""Integrity of stores: whether a crash, a full disk or another program has cut short, emptied or removed their files.

A few bytes of each file are read, no content: the index of a pack ends with the checksum that its pack ends with, before
its own (source: gitformat-pack(5)). Damage inside a pack is found by git when it reads an object; see `repair.explained`.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from odpm_tasks.adapters import files

# The files and folders of a store: the result of `git init --bare` (source: gitrepository-layout(5)).
FILES = {
    "config": "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n",
    "HEAD": "ref: refs/heads/none\n",
}
FOLDERS = ("objects/info", "objects/pack", "refs/heads")
_ID = re.compile(rb"[0-9a-f]{40}")
_INDEX, _PACK = b"\xfftOc", b"PACK"
_CHECKSUM = 20  # bytes


_intact: set[Path] = set()


def is_intact(store: Path) -> bool:
    """Whether git can use a store that holds commits: its own files can be parsed, and every pack is complete.

    An intact store is read once in a process.
    """
    if store not in _intact and not broken_files(store) and not broken_packs(store):
        _intact.add(store)
    return store in _intact


def forget() -> None:
    """Read every store again when it is asked for."""
    _intact.clear()


def broken_files(store: Path) -> list[str]:
    """The files and folders of a store that git could not parse or that are missing; `objects` also if it is empty."""
    head, config, shallow = (files.read(store / name) or b"" for name in ("HEAD", "config", "shallow"))
    broken = [] if head.startswith(b"ref: ") else ["HEAD"]
    broken += [] if config.startswith(b"[core]\n") and b"bare = true" in config else ["config"]
    broken += [] if all(map(_ID.fullmatch, shallow.split())) else ["shallow"]
    return broken if _has_objects(store) else [*broken, "objects"]


def _has_objects(store: Path) -> bool:
    return any(name.endswith(".idx") for name in _names(store / "objects/pack")) or any(
        len(name) == 2 for name in _names(store / "objects")
    )


def broken_packs(store: Path) -> list[str]:
    """The names, without suffix, of packs that do not fit their index. A pack without index is still being received."""
    folder = store / "objects/pack"
    return sorted(name[:-4] for name in _names(folder) if name.endswith(".idx") and not _fits(folder / name))


def _names(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries]
    except (FileNotFoundError, NotADirectoryError):
        return []


def _fits(index: Path) -> bool:
    start, end = _ends(index, 2 * _CHECKSUM)
    pack_start, pack_end = _ends(index.with_suffix(".pack"), _CHECKSUM)
    return start == _INDEX and pack_start == _PACK and end[:_CHECKSUM] == pack_end


def _ends(path: Path, size: int) -> tuple[bytes, bytes]:
    """The first 4 and the last `size` bytes of a file; nothing if it is shorter or does not exist."""
    try:
        with path.open("rb", buffering=0) as file:
            start = file.read(4)
            file.seek(-size, os.SEEK_END)
            return start, file.read(size)
    except PermissionError:
        raise
    except OSError:
        return b"", b""
