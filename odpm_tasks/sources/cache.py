"""The shared cache: who uses it, what nobody uses, and how that is removed without harm to anyone.

A project is known by a file below `projects/` from its first run on. What it uses is every commit that its lock and its
`odpm.json` name, and everything that one of its checkouts leads to. In doubt something is used.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import alternates
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.errors import MachineError

_IDS = re.compile(rb"\b[0-9a-f]{40}\b")
_FILE_URL = re.compile(r'"file://([^"\s]+)"')
_LEFT = re.compile(r"\.(?P<name>.+\.git(?:\.\w+)?|[0-9a-f]{40})\.\d+(?:\.index)?")
_WAIT = 600.0


@dataclass(frozen=True)
class User:
    """A project that uses the cache, as far as that is to be seen: commits it names, checkouts, folders it links to."""

    root: Path
    names: frozenset[str]
    checkouts: tuple[Path, ...]
    folders: frozenset[str]


@dataclass(frozen=True)
class Unused:
    """Something in the cache that nobody uses.

    `store`: all of it; `commits`: some of a store that goes on living; `history`: what was fetched for one question;
    `files`: a commit as an image took it; `facts`: what is known of a commit or a folder; `leftover`: of killed runs;
    `project`: one that is no more. `unsure`: a store of which git cannot tell what its borrowers need.
    """

    kind: Literal["store", "commits", "history", "files", "facts", "leftover", "project", "unsure"]
    path: Path
    size: int
    commits: frozenset[str] = frozenset()
    keep: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class CacheUsage:
    """What there is: projects that use the cache, what nobody uses, and stores of which git could not tell."""

    users: tuple[User, ...]
    unused: tuple[Unused, ...]
    unsure: tuple[Path, ...]


def register(paths: ProjectPaths) -> None:
    """Make a project known to the cache; waits while somebody prunes."""
    entry = paths.projects / files.sha256(os.fsencode(paths.root))[:32]
    data = os.fsencode(paths.root) + b"\n"
    if files.read(entry) != data:
        with _registry(paths):
            files.write(entry, data)


def _registry(paths: ProjectPaths) -> contextlib.AbstractContextManager[None]:
    return files.exclusive(paths.projects / ".lock", "the list of projects", wait=_WAIT)


def _entries(paths: ProjectPaths) -> Iterator[tuple[Path, Path]]:
    for entry in sorted(paths.projects.glob("[0-9a-f]*")):
        yield entry, Path(os.fsdecode((files.read(entry) or b"").rstrip(b"\n")))


def roots(paths: ProjectPaths) -> tuple[Path, ...]:
    """Where the projects are, or were."""
    return tuple(root for _, root in _entries(paths))


def count(paths: ProjectPaths) -> int:
    """How many projects use the cache."""
    return sum(_user(root) is not None for _, root in _entries(paths))


def usage(paths: ProjectPaths) -> CacheUsage:
    """Look at everything. Errors: MachineError for a project that we may not look into."""
    users, unused = [], []
    for entry, root in _entries(paths):
        if (user := _user(root)) is not None:
            users.append(user)
        else:
            unused.append(Unused("project", entry, 0))
    names = frozenset[str]().union(*(user.names for user in users))
    folders = frozenset[str]().union(*(user.folders for user in users))
    borrowers = _borrowers(users)
    for store in stores.repositories(paths.cache / "git"):
        if store.suffix != ".git":
            unused.append(Unused("history", store, stores.size(store)))
        elif (found := _store(store, names, borrowers.get(store.resolve(), ()))) is not None:
            unused.append(found)
    unused += _derived(paths, names, folders)
    unused += [Unused("leftover", path, stores.size(path)) for path in _leftovers(paths)]
    unsure = tuple(item.path for item in unused if item.kind == "unsure")
    return CacheUsage(tuple(users), tuple(item for item in unused if item.kind != "unsure"), unsure)


def _borrowers(users: Sequence[User]) -> dict[Path, list[Path]]:
    """Store -> checkouts that borrow from it."""
    found: dict[Path, list[Path]] = {}
    for path in (path for user in users for path in user.checkouts):
        for store in alternates.alternates_of(path):
            found.setdefault(store.resolve(), []).append(path)
    return found


def _user(root: Path) -> User | None:
    """A project as it is now; None where it is no more."""
    try:
        if not ((root / "odpm.json").is_file() or (root / ".odpm").is_dir()):
            return None
        texts = [files.read(root / name) or b"" for name in (".odpm/deps.lock.json", "odpm.json")]
        places = sorted((root / ".odpm/src").iterdir()) if (root / ".odpm/src").is_dir() else []
        links = {str(path.readlink()) for path in places if path.is_symlink()}
        links |= {path for text in texts for path in _FILE_URL.findall(text.decode(errors="replace"))}
        checkouts = tuple(path for path in places if not path.is_symlink() and alternates.alternates_of(path))
    except PermissionError as error:
        raise MachineError(
            "a project that uses the cache cannot be looked into, so nobody knows what is unused",
            where=str(error.filename or root),
            todo="run it as a user who may read it",
        ) from None
    names = frozenset(word.decode() for text in texts for word in _IDS.findall(text))
    return User(root, names, checkouts, frozenset(links))


def _store(store: Path, names: frozenset[str], borrowers: Sequence[Path]) -> Unused | None:
    """What nobody uses of a store, None where everything is used."""
    held = stores.commits(store)
    used = held & names
    if not borrowers and not used:
        return Unused("store", store, stores.size(store), frozenset(held))
    if held == used and stores.shallow_commits(store) <= held:
        return None
    needed: set[str] = set()
    for path in borrowers:
        needs = alternates.needed_objects(path)
        if needs is None:
            return Unused("unsure", store, 0)
        needed |= needs
    dropped = held - used - needed
    keep = frozenset(stores.kept_objects(store, held - dropped, needed))
    size = stores.reclaimable_size(store, keep)  # without any commit: what a prune that was killed has left
    return Unused("commits", store, size, frozenset(dropped), keep) if dropped or size else None


def _derived(paths: ProjectPaths, names: frozenset[str], folders: frozenset[str]) -> Iterator[Unused]:
    """Facts and files of commits that nobody names, and what is remembered of folders that nobody links to."""
    for path in sorted((paths.cache / "facts").rglob("*.json")):
        if path.stem not in names:
            yield Unused("facts", path, stores.size(path))
    known = {files.sha256(folder.encode(errors="surrogateescape"))[:32] for folder in folders if Path(folder).is_dir()}
    for path in sorted((paths.cache / "fingerprints").glob("*.json")):
        if path.stem not in known:
            yield Unused("facts", path, stores.size(path))
    for path in _trees(paths.cache / "trees"):
        if path.name not in names:
            yield Unused("files", path, stores.size(path))


def _trees(folder: Path) -> Iterator[Path]:
    for paths, folders, _ in os.walk(folder):
        trees = [name for name in folders if re.fullmatch(r"[0-9a-f]{40}", name)]
        yield from (Path(paths) / name for name in sorted(trees))
        folders[:] = [name for name in folders if name not in trees and not name.startswith(".")]


def _leftovers(paths: ProjectPaths) -> Iterator[Path]:
    """What killed runs have left: beginnings of stores and trees, and packs that a fetch did not finish."""
    for name in ("git", "trees"):
        for folder, folders, names in os.walk(paths.cache / name):
            left = [entry for entry in (*folders, *names) if _LEFT.fullmatch(entry)]
            yield from (Path(folder) / entry for entry in sorted(left))
            if Path(folder).name == "pack" and Path(folder).parent.name == "objects":
                yield from (Path(folder) / entry for entry in sorted(names) if entry.startswith("tmp_"))
            trees = [entry for entry in folders if re.fullmatch(r"[0-9a-f]{40}", entry)]
            folders[:] = [entry for entry in folders if entry not in left and entry not in trees]


# --- removing ----------------------------------------------------------------------------------------------------------


def prune(paths: ProjectPaths, shown: Sequence[Unused]) -> int:
    """Remove what was shown, as far as nobody uses it now either; the bytes that this frees.

    No known project may run meanwhile, and no new one comes to be known. Errors: BusyError naming who runs.
    """
    asked = {item.path: item for item in shown}
    with contextlib.ExitStack() as held:
        held.enter_context(_registry(paths))
        for _, root in _entries(paths):
            if (root / ".odpm").is_dir():
                held.enter_context(files.exclusive(root / ".odpm/run.lock", f"the project {root}"))
        now = usage(paths)
        borrowers = _borrowers(now.users)
        total = 0
        for item in now.unused:
            known = asked.get(item.path)
            if known is not None and item.kind == known.kind and item.commits <= known.commits:
                _remove(item, borrowers.get(item.path.resolve(), ()))
                total += item.size
    return total


def _remove(item: Unused, borrowers: Sequence[Path]) -> None:
    with contextlib.ExitStack() as held, files.disk_errors(item.path):
        if (lock := _lock(item.path)) is not None:
            held.enter_context(files.exclusive(lock, f"the cache of {item.path.name}", wait=_WAIT))
        if item.kind == "commits":
            stores.remove_commits(item.path, item.commits, item.keep)
            for path in borrowers:
                alternates.remove_shallow_commits(path, item.commits)
        elif item.path.is_dir():
            aside = item.path.with_name(f".{item.path.name.lstrip('.')}.{os.getpid()}")
            item.path.rename(aside)  # at once: nobody meets half of it
            shutil.rmtree(aside)
        else:
            item.path.unlink(missing_ok=True)


def _lock(path: Path) -> Path | None:
    """The file lock of what writes here: `NAME.lock` beside NAME, also for a beginning, `.NAME.PID`."""
    folder = path.parents[2] if path.name.startswith("tmp_") else path
    if folder.suffix == ".json" or folder.parent.name == "projects":
        return None
    left = _LEFT.fullmatch(folder.name)
    return folder.with_name(f"{left['name'] if left else folder.name}.lock")
