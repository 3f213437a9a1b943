"""The shared cache: which projects use it, which parts of it are unused, and how these are removed safely.

Each project is registered by a file below `projects/` since its first run. It uses every commit that its lock and its
`odpm.json` name, and every object that its checkouts need. In doubt a part counts as used.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Literal

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import alternates
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.core.config.paths import LOCK_FILE, MANIFEST_FILE, ProjectPaths
from odpm_tasks.core.locking.lockfile import read_lock
from odpm_tasks.errors import LockError, MachineError

_IDS = re.compile(rb"\b[0-9a-f]{40}\b")
_FILE_URL = re.compile(r'"file://([^"\s]+)"')
_LEFTOVER = re.compile(r"\.(?P<name>.+\.git(?:\.\w+)?|[0-9a-f]{40})\.\d+(?:\.index)?")
_WAIT = 600.0
_FOLDERS = ("git", "facts", "projects", "fingerprints", "trees")


@dataclass(frozen=True)
class CacheUser:
    """A project that uses the cache: the commits that it names, its checkouts, the folders that it links to."""

    root: Path
    commits: frozenset[str]
    checkouts: tuple[Path, ...]
    folders: frozenset[str]


@dataclass(frozen=True)
class UnusedPart:
    """An unused part of the cache.

    `store`: a whole store; `commits`: commits of a store that is kept; `history`: commits fetched for a lock difference;
    `files`: the files of a commit for an image; `facts`: facts of a commit or a folder; `leftover`: files of killed runs;
    `project`: the entry of a project that no longer exists. `unsure`: a store whose needed objects git cannot determine.
    """

    kind: Literal["store", "commits", "history", "files", "facts", "leftover", "project", "unsure"]
    path: Path
    size: int
    commits: frozenset[str] = frozenset()
    keep: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True)
class CacheUsage:
    """The projects that use the cache, its unused parts, and the stores whose needed objects git cannot determine."""

    users: tuple[CacheUser, ...]
    unused: tuple[UnusedPart, ...]
    unsure: tuple[Path, ...]


def register(paths: ProjectPaths) -> None:
    """Register a project as a user of the cache; waits while another process prunes.

    A registered project can use a cache that it cannot write, as long as it has everything. Errors: MachineError.
    """
    require_access(paths, write=False)
    entry = paths.projects / files.sha256(os.fsencode(paths.root))[:32]
    data = os.fsencode(paths.root) + b"\n"
    if files.read(entry) != data:
        require_access(paths, write=True)
        with _registry(paths):
            files.write(entry, data)


def require_access(paths: ProjectPaths, *, write: bool) -> None:
    """Errors: MachineError if this user cannot read the cache, or with `write`, cannot write it.

    The folders of the first level are tested: nothing is written before.
    """
    mode = os.R_OK | os.X_OK | (os.W_OK if write else 0)
    for folder in (paths.cache, *(paths.cache / name for name in _FOLDERS)):
        if os.path.lexists(folder) and not os.access(
            folder, mode, effective_ids=os.access in os.supports_effective_ids
        ):
            me, owner, tree = files.user_name(os.geteuid()), files.owner_of(folder), quote(str(paths.cache))
            command = f"chmod -R u+rwX {tree}" if owner == me else f"sudo chown -R {me} {tree}"
            raise MachineError(
                f"the cache cannot be {'written' if write else 'read'}"
                + ("" if owner == me else f": it belongs to {owner}"),
                where=str(folder),
                todo=f"{command}; or choose another cache: ODPM_CACHE_DIR=FOLDER in .env",
            )


def _registry(paths: ProjectPaths) -> contextlib.AbstractContextManager[None]:
    return files.exclusive(paths.projects / ".lock", "the list of projects", wait=_WAIT)


def _entries(paths: ProjectPaths) -> Iterator[tuple[Path, Path]]:
    for entry in sorted(paths.projects.glob("[0-9a-f]*")):
        yield entry, Path(os.fsdecode((files.read(entry) or b"").rstrip(b"\n")))


def roots(paths: ProjectPaths) -> tuple[Path, ...]:
    """The folders of all registered projects, whether they exist or not."""
    return tuple(root for _, root in _entries(paths))


def count(paths: ProjectPaths) -> int:
    """The number of registered projects that exist."""
    return sum(_user(root) is not None for _, root in _entries(paths))


def usage(paths: ProjectPaths) -> CacheUsage:
    """Determine what is used and what is not. Errors: MachineError for a project that cannot be read."""
    users, unused = [], []
    for entry, root in _entries(paths):
        if (user := _user(root)) is not None:
            users.append(user)
        else:
            unused.append(UnusedPart("project", entry, 0))
    commits = frozenset[str]().union(*(user.commits for user in users))
    folders = frozenset[str]().union(*(user.folders for user in users))
    borrowers = _borrowers(users)
    for store in stores.repositories(paths.cache / "git"):
        if store.suffix != ".git":
            unused.append(UnusedPart("history", store, stores.size(store)))
        elif (found := _store(store, commits, borrowers.get(store.resolve(), ()))) is not None:
            unused.append(found)
    unused += _derived(paths, commits, folders)
    unused += [UnusedPart("leftover", path, stores.size(path)) for path in _leftovers(paths)]
    unsure = tuple(item.path for item in unused if item.kind == "unsure")
    return CacheUsage(tuple(users), tuple(item for item in unused if item.kind != "unsure"), unsure)


def _borrowers(users: Sequence[CacheUser]) -> dict[Path, list[Path]]:
    """Store -> the checkouts that borrow objects from it."""
    found: dict[Path, list[Path]] = {}
    for path in (path for user in users for path in user.checkouts):
        for store in alternates.alternates_of(path):
            found.setdefault(store.resolve(), []).append(path)
    return found


def _user(root: Path) -> CacheUser | None:
    """The project in a folder; None where there is none any more."""
    try:
        if not ((root / MANIFEST_FILE).is_file() or (root / ".odpm").is_dir()):
            return None
        texts = [files.read(root / name) or b"" for name in (LOCK_FILE, MANIFEST_FILE)]
        sources = sorted((root / ".odpm/src").iterdir()) if (root / ".odpm/src").is_dir() else []
        links = {str(path.readlink()) for path in sources if path.is_symlink()}
        links |= {path for text in texts for path in _FILE_URL.findall(text.decode(errors="replace"))}
        checkouts = tuple(path for path in sources if not path.is_symlink() and alternates.alternates_of(path))
    except PermissionError as error:
        raise MachineError(
            "a project that uses the cache cannot be read, so its needs are not known",
            where=str(error.filename or root),
            todo="run the same command as a user who can read it",
        ) from None
    commits = frozenset(word.decode() for text in texts for word in _IDS.findall(text)) | _merge_commits(texts[0])
    return CacheUser(root, commits, checkouts, frozenset(links))


def _merge_commits(lock: bytes) -> frozenset[str]:
    """The merge commits of a lock, which does not name them; the next run makes those of a damaged lock again."""
    try:
        return frozenset(pin.content for pin in read_lock(lock.decode()).pins.values())
    except (LockError, ValueError):
        return frozenset()


def _store(store: Path, commits: frozenset[str], borrowers: Sequence[Path]) -> UnusedPart | None:
    """The unused part of a store; None where all of it is used. `commits`: those that projects name."""
    held = stores.commits(store)
    used = held & commits
    if not borrowers and not used:
        return UnusedPart("store", store, stores.size(store), frozenset(held))
    if held == used and stores.shallow_commits(store) <= held:
        return None
    needed: set[str] = set()
    for path in borrowers:
        needs = alternates.needed_objects(path)
        if needs is None:
            return UnusedPart("unsure", store, 0)
        needed |= needs
    dropped = held - used - needed
    keep = frozenset(stores.kept_objects(store, held - dropped, needed))
    size = stores.reclaimable_size(store, keep)  # without commits: leftovers of a killed prune
    return UnusedPart("commits", store, size, frozenset(dropped), keep) if dropped or size else None


def _derived(paths: ProjectPaths, commits: frozenset[str], folders: frozenset[str]) -> Iterator[UnusedPart]:
    """Facts and files of commits that no project names, and fingerprints of folders that no project links to."""
    for path in sorted((paths.cache / "facts").rglob("*.json")):
        if path.stem.removesuffix(".platform") not in commits:
            yield UnusedPart("facts", path, stores.size(path))
    known = {files.sha256(folder.encode(errors="surrogateescape"))[:32] for folder in folders if Path(folder).is_dir()}
    for path in sorted((paths.cache / "fingerprints").glob("*.json")):
        if path.stem not in known:
            yield UnusedPart("facts", path, stores.size(path))
    for path in _trees(paths.cache / "trees"):
        if path.name not in commits:
            yield UnusedPart("files", path, stores.size(path))


def _trees(folder: Path) -> Iterator[Path]:
    for paths, folders, _ in os.walk(folder):
        trees = [name for name in folders if re.fullmatch(r"[0-9a-f]{40}", name)]
        yield from (Path(paths) / name for name in sorted(trees))
        folders[:] = [name for name in folders if name not in trees and not name.startswith(".")]


def _leftovers(paths: ProjectPaths) -> Iterator[Path]:
    """Leftovers of killed runs: unfinished stores and trees, unfinished packs of a fetch, damaged packs."""
    for name in ("git", "trees"):
        for folder, folders, names in os.walk(paths.cache / name):
            leftovers = [entry for entry in (*folders, *names) if _LEFTOVER.fullmatch(entry)]
            yield from (Path(folder) / entry for entry in sorted(leftovers))
            if Path(folder).name == "pack" and Path(folder).parent.name == "objects":
                unused = [entry for entry in names if entry.startswith("tmp_") or entry.endswith(stores.DAMAGED)]
                yield from (Path(folder) / entry for entry in sorted(unused))
            trees = [entry for entry in folders if re.fullmatch(r"[0-9a-f]{40}", entry)]
            folders[:] = [entry for entry in folders if entry not in leftovers and entry not in trees]


# --- removing ----------------------------------------------------------------------------------------------------------


def prune(paths: ProjectPaths, items: Sequence[UnusedPart]) -> int:
    """Remove the listed parts that are still unused; the number of bytes freed.

    Holds the locks of all registered projects and of the list of projects. Errors: BusyError naming a running project.
    """
    listed = {item.path: item for item in items}
    with contextlib.ExitStack() as held:
        held.enter_context(_registry(paths))
        for _, root in _entries(paths):
            if (root / ".odpm").is_dir():
                held.enter_context(files.exclusive(root / ".odpm/run.lock", f"the project {root}"))
        now = usage(paths)
        borrowers = _borrowers(now.users)
        total = 0
        for item in now.unused:
            known = listed.get(item.path)
            if known is not None and item.kind == known.kind and item.commits <= known.commits:
                _remove(item, borrowers.get(item.path.resolve(), ()))
                total += item.size
    return total


def _remove(item: UnusedPart, borrowers: Sequence[Path]) -> None:
    with contextlib.ExitStack() as held, files.disk_errors(item.path):
        if (lock := _lock(item.path)) is not None:
            held.enter_context(files.exclusive(lock, f"the cache of {item.path.name}", wait=_WAIT))
        if item.kind == "commits":
            stores.remove_commits(item.path, item.commits, item.keep)
            for path in borrowers:
                alternates.remove_shallow_commits(path, item.commits)
        elif item.path.is_dir():
            aside = item.path.with_name(f".{item.path.name.lstrip('.')}.{os.getpid()}")
            item.path.rename(aside)  # atomic: no process finds a part of it
            shutil.rmtree(aside)
        else:
            item.path.unlink(missing_ok=True)


def _lock(path: Path) -> Path | None:
    """The lock file of a part of the cache: `NAME.lock` beside NAME, also for an unfinished `.NAME.PID`."""
    folder = path.parents[2] if path.parent.name == "pack" else path
    if folder.suffix == ".json" or folder.parent.name == "projects":
        return None
    left = _LEFTOVER.fullmatch(folder.name)
    return folder.with_name(f"{left['name'] if left else folder.name}.lock")
