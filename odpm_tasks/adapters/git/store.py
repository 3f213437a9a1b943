"""The shared stores on disk: which there are, what they hold, how one gives up commits."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import repository as git

_BEGINNING = re.compile(r"\..+\.\d+")  # of a run that was killed while it made the repository
_KEPT = "refs/odpm/commits"


def repositories(folder: Path) -> Iterator[Path]:
    """Every bare repository below a folder of the cache: stores (`NAME.git`) and what stands beside them."""
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _BEGINNING.fullmatch(name))
        if "HEAD" in names and "objects" in folders:
            folders.clear()
            yield Path(place)


def commits(store: Path) -> set[str]:
    """The commits that a store holds whole."""
    found = {path.name for path in (store / _KEPT).glob("*") if git.COMMIT.fullmatch(path.name)}
    packed = (files.read_text(store / "packed-refs") or "").splitlines()
    return found | {line.rsplit("/", 1)[-1] for line in packed if f" {_KEPT}/" in line}


def shallow_commits(store: Path) -> set[str]:
    """The commits at which the history that a store holds ends; of more than those that it keeps, something is left over."""
    return set((files.read_text(store / "shallow") or "").split())


def size(path: Path) -> int:
    """Bytes of a file, or of all files below a folder."""
    if not path.is_dir():
        return path.lstat().st_size if path.exists() else 0
    total = 0
    for place, _, names in os.walk(path):
        for name in names:
            try:
                total += (Path(place) / name).lstat().st_size
            except FileNotFoundError:  # somebody else's temporary file
                continue
    return total


def kept_objects(store: Path, kept: Collection[str], needed: Collection[str]) -> set[str]:
    """What a store holds of some commits, and of objects that others need."""
    stdin = "".join(f"{name}\n" for name in sorted(kept)).encode()
    words = ["rev-list", "--objects", "--no-object-names", "--stdin"]
    whole = (
        set(command.run(["git", *git.CONFIG, "-C", str(store), *words], stdin=stdin).text.split()) if kept else set()
    )
    return whole | (set(_sizes(store)).intersection(needed))


def reclaimable_size(store: Path, keep: Collection[str]) -> int:
    """About how many bytes a store gives up when it keeps only these objects."""
    return sum(bytes_ for name, bytes_ in _sizes(store).items() if name not in keep)


def _sizes(store: Path) -> dict[str, int]:
    words = ["cat-file", "--batch-all-objects", "--unordered", "--batch-check=%(objectname) %(objectsize:disk)"]
    rows = command.run(["git", *git.CONFIG, "-C", str(store), *words]).text.splitlines()
    return {name: int(bytes_) for name, bytes_ in (row.split() for row in rows)}


def remove_commits(store: Path, dropped: Collection[str], keep: Collection[str]) -> None:
    """Drop commits and every object but these. The caller holds the store.

    First nobody may think that the store holds them; then the new pack is written, whole, before the old ones go; the list
    of commits without history comes last. Ended in between, it holds more than it needs and never less.
    """
    for commit in dropped:
        command.run(["git", *git.CONFIG, "-C", str(store), "update-ref", "-d", f"{_KEPT}/{commit}"])
    packs = store / "objects/pack"
    before = [path for path in packs.glob("*") if path.suffix != ".keep"]
    stdin = "".join(f"{name}\n" for name in sorted(keep)).encode()
    words = ["pack-objects", "--quiet", str(packs / "pack")]
    new = f"pack-{command.run(['git', *git.CONFIG, '-C', str(store), *words], stdin=stdin).text.strip()}"
    for path in sorted(before, key=lambda path: path.suffix != ".idx"):
        if path.stem != new:
            path.unlink(missing_ok=True)
    for folder in (store / "objects").glob("[0-9a-f][0-9a-f]"):
        shutil.rmtree(folder, ignore_errors=True)
    files.write(
        store / "shallow", "".join(f"{commit}\n" for commit in sorted(shallow_commits(store) & set(keep))).encode()
    )
