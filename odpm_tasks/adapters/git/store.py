"""Stores on disk: list them, lock one, read which commits it holds, remove commits from it."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.remote import Remote

_LOCK_TIMEOUT = 600.0  # seconds to wait for another run that writes the same store
_UNFINISHED = re.compile(r"\..+\.\d+")  # a repository that an interrupted run did not finish
_COMMITS = "refs/odpm/commits"
DAMAGED = ".damaged"  # suffix of the files of a pack that `repair` has moved aside


def lock(store: Path, source: Remote | None = None) -> AbstractContextManager[None]:
    """The write lock of a store: the file `NAME.lock` beside it. Errors: BusyError."""
    return files.exclusive(
        store.with_name(store.name + ".lock"),
        f"the cache of {source.url if source else store.name}",
        wait=_LOCK_TIMEOUT,
    )


def repositories(folder: Path) -> Iterator[Path]:
    """Every bare repository below a folder of the cache: stores (`NAME.git`) and their history stores."""
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _UNFINISHED.fullmatch(name))
        if "HEAD" in names and "objects" in folders:
            folders.clear()
            yield Path(parent)


def commits(store: Path) -> set[str]:
    """The commits that a store holds with all their trees and files."""
    found = {path.name for path in (store / _COMMITS).glob("*") if git.COMMIT.fullmatch(path.name)}
    packed = (files.read_text(store / "packed-refs") or "").splitlines()
    return found | {line.rsplit("/", 1)[-1] for line in packed if f" {_COMMITS}/" in line}


def complete_commits(store: Path) -> set[str]:
    """The commits of a store of which git finds all trees and files."""
    words = ["rev-list", "--objects", "--no-walk", "--quiet"]
    return {commit for commit in commits(store) if git.run(store, *words, commit, check=False).ok}


def remove_incomplete_commits(store: Path) -> set[str]:
    """Remove the refs of incomplete commits; returns the complete ones."""
    complete = complete_commits(store)
    for commit in commits(store) - complete:
        (store / _COMMITS / commit).unlink(missing_ok=True)  # git does not remove a ref that it cannot parse
        git.run(store, "update-ref", "-d", f"{_COMMITS}/{commit}", check=False)
    return complete


def shallow_commits(store: Path) -> set[str]:
    """The shallow boundary of a store. A commit in it that is not in `commits` was removed incompletely."""
    return set((files.read_text(store / "shallow") or "").split())


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    total = 0
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(parent) / name).lstat().st_size
            except FileNotFoundError:  # a temporary file of another process
                continue
    return total


def kept_objects(store: Path, kept: Collection[str], needed: Collection[str]) -> set[str]:
    """The objects of a store that the commits `kept` contain or that are in `needed`."""
    stdin = "".join(f"{name}\n" for name in sorted(kept)).encode()
    words = ["rev-list", "--objects", "--no-object-names", "--stdin"]
    contained = set(git.run(store, *words, stdin=stdin).text.split()) if kept else set()
    return contained | (set(_sizes(store)).intersection(needed))


def reclaimable_size(store: Path, keep: Collection[str]) -> int:
    """The approximate number of bytes that are freed if a store keeps only these objects."""
    return sum(bytes_ for name, bytes_ in _sizes(store).items() if name not in keep)


def _sizes(store: Path) -> dict[str, int]:
    """Object id -> bytes on disk."""
    words = ["cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objectsize:disk)"]
    rows = git.run(store, *words).text.splitlines()
    return {name: int(bytes_) for name, bytes_ in (row.split() for row in rows)}


def remove_commits(store: Path, dropped: Collection[str], keep: Collection[str]) -> None:
    """Remove commits and every object except `keep`. The caller has locked the store.

    The refs are removed first, then the new pack is written completely, then the old packs are deleted; the shallow file is
    written last. After an interruption the store holds more objects than it needs, never fewer.
    """
    for commit in dropped:
        git.run(store, "update-ref", "-d", f"{_COMMITS}/{commit}")
    packs = store / "objects/pack"
    before = [path for path in packs.glob("*") if path.suffix != ".keep"]
    stdin = "".join(f"{name}\n" for name in sorted(keep)).encode()
    new = f"pack-{git.run(store, 'pack-objects', '--quiet', str(packs / 'pack'), stdin=stdin).text.strip()}"
    for path in sorted(before, key=lambda path: path.suffix != ".idx"):
        if path.stem != new:
            path.unlink(missing_ok=True)
    for folder in (store / "objects").glob("[0-9a-f][0-9a-f]"):
        shutil.rmtree(folder, ignore_errors=True)
    boundary = sorted(shallow_commits(store) & set(keep))
    files.write(store / "shallow", "".join(f"{commit}\n" for commit in boundary).encode())
