"""The difference between the lock at a commit of the project and the lock on disk, read from git.

`core.locking.diff` compares both sides. Nothing is written in the project. Commits of both sides, and the history between
them, may be fetched into the shared cache.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks import project_files
from odpm_tasks.adapters import command, files, terminal
from odpm_tasks.adapters.git import fetch, log
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.core.config.paths import LOCK_FILE, PYTHON_LOCKS, ProjectPaths
from odpm_tasks.core.image import wkhtmltopdf
from odpm_tasks.core.locking import diff
from odpm_tasks.core.locking.diff_model import CommitAddon, LockDiff, PairDetails, PinPair
from odpm_tasks.core.locking.diff_packages import PythonSide
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import Lock, Pin, read_lock
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.sources.commits import CommitRange
from odpm_tasks.core.sources.link import Link
from odpm_tasks.errors import CommitMissingError, LockError, OdpmError, UsageError
from odpm_tasks.locking import diff_packages
from odpm_tasks.parallel import parallel_map
from odpm_tasks.sources import graph, merging
from odpm_tasks.sources.commits import commit_range
from odpm_tasks.sources.facts import folder_facts
from odpm_tasks.sources.folders import developing_url
from odpm_tasks.sources.project_names import remotes
from odpm_tasks.sources.remote import progress_callback, project_remote

_LIMIT = 250  # commits listed of one repository; all are counted


@dataclass(frozen=True)
class _Comparison:
    """What is the same for all pairs: addresses to fetch from, by canonical URL, and the URL of the developing checkout."""

    paths: ProjectPaths
    addresses: Mapping[str, str]
    developing: str | None
    branch: str  # of a pin without a branch
    show: terminal.Activity


@dataclass(frozen=True)
class _Side:
    """One side of a pair: a repository that holds the commit of the pin, and the add-ons at that commit."""

    repository: Path
    pin: Pin
    addons: dict[str, CommitAddon]


def diff_against(paths: ProjectPaths, ref: str = "HEAD") -> LockDiff:
    """The difference between the lock at `ref` of the project's git and the lock on disk.

    Without a lock at `ref` everything is added. An old commit that no server has any more becomes a note of its repository.
    Errors: UsageError where `ref` is not a commit; LockError where the lock on disk is missing or a lock cannot be read;
    ProgramError where a commit of the lock on disk cannot be fetched.
    """
    commit = log.commit_of(paths.root, ref)
    if commit is None:
        raise UsageError(
            f"the git repository of the project has no commit {ref!r}",
            where=str(paths.root),
            todo="list the commits: git log --oneline --all",
        )
    before = _texts_at(paths.root, commit)
    old = read_lock(before[LOCK_FILE], f"{ref}:{LOCK_FILE}") if LOCK_FILE in before else None
    return _diff(paths, old, before, f"{ref} ({commit[:8]})" if ref != commit else commit[:8])


def diff_against_lock(paths: ProjectPaths, old: Lock, label: str) -> LockDiff:
    """The difference between another lock and the one on disk; the Python locks are not compared. Errors as above."""
    return _diff(paths, old, _texts_now(paths.root), label)


def _diff(paths: ProjectPaths, old: Lock | None, before: Mapping[str, str], label: str) -> LockDiff:
    new = project_files.lock(paths)
    if new is None:
        raise LockError("there is no lock to compare", where=LOCK_FILE, todo="write one: inv lock")
    manifest, _ = project_files.description(paths)
    pairs = diff.pairs(old, new)
    own = developing_url(remotes(paths), manifest.developing)
    addresses = _addresses(paths, manifest, new, own, before.get("odpm.json", ""))
    with terminal.activity() as show:
        comparison = _Comparison(paths, addresses, own, manifest.odoo_version, show)
        details = parallel_map(paths, lambda pair: _details(comparison, pair), pairs)
    return diff.compare(
        (label, "now"),
        manifest.odoo_version,
        list(zip(pairs, details, strict=True)),
        (_python_side(before, old), _python_side(_texts_now(paths.root), new)),
        (old.images if old else {}, new.images),
        (_tools(old), _tools(new)),
        diff_packages.system_change(paths, old.system if old else None, new.system),
    )


def _tools(lock: Lock | None) -> dict[str, str]:
    version = wkhtmltopdf.version(lock.renderer if lock else None)
    return {wkhtmltopdf.NAME: version} if version else {}


def _texts_at(root: Path, commit: str) -> dict[str, str]:
    names = (LOCK_FILE, *PYTHON_LOCKS, "odpm.json")
    paths = [f"./{name}" for name in names]  # "./": the project may be a folder of its repository
    return {
        name.removeprefix("./"): data.decode(errors="replace") for name, data in git.blobs(root, commit, paths).items()
    }


def _texts_now(root: Path) -> dict[str, str]:
    return {name: text for name in PYTHON_LOCKS if (text := files.read_text(root / name)) is not None}


def _python_side(texts: Mapping[str, str], lock: Lock | None) -> PythonSide:
    main, developer = (texts.get(name, "") for name in PYTHON_LOCKS)
    return PythonSide(main, developer, lock.python if lock else ())


def _addresses(
    paths: ProjectPaths, manifest: Manifest, new: Lock, own: str | None, old_manifest: str
) -> dict[str, str]:
    """Canonical URL -> the address to fetch from, as written in the description now, else in the old one.

    The addresses of dependencies of dependencies come from the cache, where it holds them.
    """
    links = [
        merge.link for source in (manifest.platform, *manifest.dependencies) for merge in source.merges if merge.link
    ]
    links += [manifest.platform, *manifest.dependencies, *([manifest.developing] if manifest.developing else [])]
    try:
        resolved = graph.resolution(paths, manifest, new, own)
        links = [*(source.link for source in resolved.sources), *links] if isinstance(resolved, Resolution) else links
    except OdpmError:
        pass  # `inv lock` reports a contradiction in the graph
    try:
        old = read_manifest(old_manifest, paths.settings.get).manifest
        links += [old.platform, *old.dependencies]
    except OdpmError:
        pass  # missing, or of a format that is no longer supported
    return {link.canonical: link.url for link in reversed(links)}


def _details(comparison: _Comparison, pair: PinPair) -> PairDetails:
    try:
        return _folder_details(pair) if pair.pin.file else _git_details(comparison, pair)
    finally:
        comparison.show.done(pair.name)


def _folder_details(pair: PinPair) -> PairDetails:
    """A `file://` source is used in place: its old content does not exist any more."""
    if pair.new is None or not (root := Path(pair.new.url.removeprefix("file://"))).is_dir():
        return PairDetails()
    facts = folder_facts(root).in_folder(root.name)
    note = "a file:// source keeps no history: which of its add-ons changed is not known"
    return PairDetails(new=_folder_addons(facts), notes=(note,) if pair.moved else ())


def _folder_addons(facts: Facts) -> dict[str, CommitAddon]:
    return {module.name: CommitAddon(module.path, "", module.version) for module in facts.modules if module.installable}


def _git_details(comparison: _Comparison, pair: PinPair) -> PairDetails:
    notes: list[str] = []
    old, removed = _old_side(comparison, pair, notes)
    new = _side(comparison, pair, pair.new, notes)
    history: CommitRange | None = None
    if removed:
        history = CommitRange(rewritten=True, complete=False)
    elif pair.old and pair.new and pair.moved:
        history = _history(comparison, pair, pair.old, pair.new, notes)
    return PairDetails(_with_manifests(old, new), _with_manifests(new, old), history, tuple(notes))


def _old_side(comparison: _Comparison, pair: PinPair, notes: list[str]) -> tuple[_Side | None, bool]:
    """The old side, and whether the server no longer has its commit. Errors become notes."""
    try:
        return _side(comparison, pair, pair.old, notes), False
    except OdpmError as error:
        removed = isinstance(error, CommitMissingError)
        reason = "the server no longer has it" if removed else error.what
        commit = pair.old.commit[:8] if pair.old else ""
        notes.append(f"{commit} cannot be compared: {reason}")
        return None, removed


def _side(comparison: _Comparison, pair: PinPair, pin: Pin | None, notes: list[str]) -> _Side | None:
    """A pin with the add-ons at its commit, fetched where the cache lacks it; None where the commit cannot be read."""
    if pin is None or pin.file:
        return None
    if _is_developing(comparison, pair):
        if not git.has_commit(comparison.paths.root, pin.commit):
            notes.append(f"this clone does not hold {pin.commit[:8]}")
            return None
        repository = comparison.paths.root
    else:
        repository = _fetched(comparison, pair, pin)
    name = "" if pair.role == "platform" or _is_developing(comparison, pair) else Link(pin.key).name
    return _Side(repository, pin, diff.addons_at(log.entries(repository, pin.content), pair.role, name))


def _fetched(comparison: _Comparison, pair: PinPair, pin: Pin) -> Path:
    """The store that holds the commit of a pin, or its merge commit."""
    store = comparison.paths.store(pin.key)
    if pin.merged:
        link = Link(comparison.addresses.get(pin.key, pin.url))
        on_progress = progress_callback(comparison.show, pair.name)
        branch = pin.branch or comparison.branch
        merging.restore(comparison.paths, link, pin.merged, branch, on_progress, comparison.addresses)
    elif not git.store_has(store, pin.commit):
        comparison.show.note(pair.name, f"fetch {pin.commit[:12]}")
        on_progress = progress_callback(comparison.show, pair.name)
        fetch.fetch(store, _remote(comparison, pin), pin.commit, on_progress, branch=pin.branch or comparison.branch)
    return store


def _is_developing(comparison: _Comparison, pair: PinPair) -> bool:
    return pair.role == "developing" and pair.pin.key == comparison.developing


def _remote(comparison: _Comparison, pin: Pin) -> Remote:
    return project_remote(comparison.paths, comparison.addresses.get(pin.key, pin.url))


def _with_manifests(side: _Side | None, other: _Side | None) -> dict[str, CommitAddon] | None:
    """The add-ons of one side; the manifests of those that differ on the other side are read."""
    if side is None:
        return None
    unread = diff.unread_manifests(side.addons, other.addons if other else None)
    paths = [path for candidates in unread.values() for path in candidates]
    contents = git.blobs(side.repository, side.pin.content, paths) if paths else {}
    return diff.with_manifests(side.addons, unread, contents)


def _history(comparison: _Comparison, pair: PinPair, old: Pin, new: Pin, notes: list[str]) -> CommitRange | None:
    """The commits between both pins. An error becomes a note."""
    comparison.show.note(pair.name, "fetch history")
    paths = comparison.paths
    try:
        if old.key == new.key and old.commit == new.commit:
            return None  # the merges differ
        if _is_developing(comparison, pair):
            found = log.read_log(paths.root, old.commit, new.commit)
        elif old.key != new.key or not git.store_has(paths.store(new.key), old.commit):
            found = None
        else:
            on_progress = progress_callback(comparison.show, pair.name)
            found = log.fetch_log(paths.store(new.key), _remote(comparison, new), old.commit, new.commit, on_progress)
    except OdpmError as error:
        notes.append(f"the commits between both pins are not known: {command.redact(error.what)}")
        return None
    return commit_range(found, _LIMIT) if found else None
