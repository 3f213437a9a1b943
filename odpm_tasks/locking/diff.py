"""What lies between the lock at a commit of the project and the lock on disk: asked of git, put together by `core.lockdiff`.

Nothing is written in the project. The shared cache may gain commits that a side names, and the history between them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks import project_files
from odpm_tasks.adapters import command, files, terminal
from odpm_tasks.adapters.git import fetch, log, remote
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import LOCK_FILE, PYTHON_LOCKS, ProjectPaths
from odpm_tasks.core.locking import diff
from odpm_tasks.core.locking.diff import Commit, CommitAddon, History, LockDiff, PairDetails, PinPair
from odpm_tasks.core.locking.diff_python import PythonSide
from odpm_tasks.core.locking.lockfile import Lock, Pin, read_lock
from odpm_tasks.core.locking.resolve import Resolution
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.errors import CommitMissingError, LockError, OdpmError, UsageError
from odpm_tasks.parallel import parallel_map
from odpm_tasks.sources import graph
from odpm_tasks.sources import remote as sources_remote
from odpm_tasks.sources.folders import developing_url, folder_facts, remotes

COMMITS = 250  # so many are read of one repository; counted are all


@dataclass(frozen=True)
class _Look:
    """What every question about a pair needs: how repositories are spelled, and whether one is the checkout itself."""

    paths: ProjectPaths
    spelled: Mapping[str, str]
    own: str | None
    branch: str  # of what names none
    show: terminal.Activity


def between(paths: ProjectPaths, ref: str = "HEAD") -> LockDiff:
    """The difference between the lock at `ref` of the project's git and the lock on disk.

    No lock at `ref`: everything is new. What the old side held and no server gives any more is a note of its repository.
    Errors: UsageError where there is no such commit; LockError where a lock is missing on disk or cannot be read;
    ProgramError where a commit of the lock on disk cannot be fetched.
    """
    commit = log.commit_of(paths.root, ref)
    if commit is None:
        raise UsageError(
            f"the project's git has no commit {ref!r}",
            where=str(paths.root),
            todo="see what there is: git log --oneline --all",
        )
    new = project_files.lock(paths)
    if new is None:
        raise LockError("there is no lock to compare", where=LOCK_FILE, todo="write one: inv lock")
    before = _texts_at(paths.root, commit)
    old = read_lock(before[LOCK_FILE], f"{ref}:{LOCK_FILE}") if LOCK_FILE in before else None
    manifest, _ = project_files.description(paths)
    pairs = diff.pairs(old, new)
    own = developing_url(remotes(paths), manifest.developing)
    spelled = _spelled(paths, manifest, new, own, before.get("odpm.json", ""))
    with terminal.activity() as show:
        look = _Look(paths, spelled, own, manifest.odoo_version, show)
        seen = parallel_map(paths, lambda pair: _see(look, pair), pairs)
    return diff.compare(
        (f"{ref} ({commit[:8]})" if ref != commit else commit[:8], "now"),
        manifest.odoo_version,
        list(zip(pairs, seen, strict=True)),
        (_python(before), _python(_texts_now(paths.root))),
        (old.images if old else {}, new.images),
    )


def _texts_at(root: Path, commit: str) -> dict[str, str]:
    names = (LOCK_FILE, *PYTHON_LOCKS, "odpm.json")
    found = git.blobs(
        root, commit, [f"./{name}" for name in names]
    )  # "./": the project may be a folder of its repository
    return {name.removeprefix("./"): data.decode(errors="replace") for name, data in found.items()}


def _texts_now(root: Path) -> dict[str, str]:
    return {name: text for name in PYTHON_LOCKS if (text := files.read_text(root / name)) is not None}


def _python(texts: Mapping[str, str]) -> PythonSide:
    return PythonSide(*(texts.get(name, "") for name in PYTHON_LOCKS))


def _spelled(
    paths: ProjectPaths, manifest: Manifest, new: Lock, own: str | None, manifest_before: str
) -> dict[str, str]:
    """Canonical URL -> the address to fetch from, as far as the description (of now, else of then) and the cache tell."""
    links = [manifest.platform, *manifest.dependencies, *([manifest.developing] if manifest.developing else [])]
    try:
        resolved = graph.resolution(paths, manifest, new, own)
        links = [*(source.link for source in resolved.sources), *links] if isinstance(resolved, Resolution) else links
    except OdpmError:
        pass  # a contradiction in the graph is for `inv lock` to tell
    try:
        then = read_manifest(manifest_before, paths.settings.get).manifest
        links += [then.platform, *then.dependencies]
    except OdpmError:
        pass  # not there, or of a format that it no longer has
    return {link.canonical: link.url for link in reversed(links)}


def _see(look: _Look, pair: PinPair) -> PairDetails:
    """Everything that is to be known about one repository."""
    try:
        seen = _see_files(look, pair) if pair.pin.file else _see_commits(look, pair)
    finally:
        look.show.done(pair.name)
    return seen


def _see_files(look: _Look, pair: PinPair) -> PairDetails:
    """A `file://` source is used in place: what it held before is nowhere to be found."""
    del look
    if pair.new is None or not (root := Path(pair.new.url.removeprefix("file://"))).is_dir():
        return PairDetails()
    held = _as_held(folder_facts(root))
    note = "a file:// source keeps no history: which of its add-ons changed is not known"
    return PairDetails(new=held, notes=(note,) if pair.moved else ())


def _as_held(facts: Facts) -> dict[str, CommitAddon]:
    return {module.name: CommitAddon(module.path, "", module.version) for module in facts.modules if module.installable}


def _see_commits(look: _Look, pair: PinPair) -> PairDetails:
    notes: list[str] = []
    sides: list[tuple[Path, dict[str, CommitAddon]] | None] = []
    gone = False
    for pin in (pair.old, pair.new):
        if pin is None or pin.file:
            sides.append(None)
            continue
        try:
            repository = _obtain(look, pair, pin)
        except OdpmError as error:
            if pin is pair.new:
                raise
            repository = None
            gone = isinstance(error, CommitMissingError)
            what = "the server no longer has it" if gone else error.what
            notes.append(f"{pin.commit[:8]} cannot be compared with: {what}")
        else:
            if repository is None:
                notes.append(f"this clone does not hold {pin.commit[:8]}")
        sides.append((repository, _surveyed(repository, pin, pair)) if repository else None)
    held = _read(sides, (pair.old, pair.new))
    history = History((), None, rewritten=True) if gone else _history(look, pair, notes) if pair.moved else None
    return PairDetails(*held, history, tuple(notes))


def _obtain(look: _Look, pair: PinPair, pin: Pin) -> Path | None:
    """A repository that holds the pin's commit; None where only the user's own clone could, and does not."""
    if _is_own(look, pair):
        return look.paths.root if git.has_commit(look.paths.root, pin.commit) else None
    store = look.paths.store(pin.key)
    if not git.store_has(store, pin.commit):
        look.show.note(pair.name, f"fetch {pin.commit[:12]}")
        watch = sources_remote.progress_watch(look.show, pair.name)
        fetch.fetch(store, _remote(look, pin), pin.commit, watch, branch=pin.branch or look.branch)
    return store


def _is_own(look: _Look, pair: PinPair) -> bool:
    return pair.role == "developing" and pair.pin.key == look.own


def _remote(look: _Look, pin: Pin) -> remote.Remote:
    return sources_remote.project_remote(look.paths, look.spelled.get(pin.key, pin.url))


def _surveyed(repository: Path, pin: Pin, pair: PinPair) -> dict[str, CommitAddon]:
    return diff.addons_at(log.entries(repository, pin.commit), pair.role)


def _read(
    sides: list[tuple[Path, dict[str, CommitAddon]] | None], pins: tuple[Pin | None, Pin | None]
) -> tuple[dict[str, CommitAddon] | None, dict[str, CommitAddon] | None]:
    """The add-ons of both sides; the manifests of those that differ are read."""
    surveys = [side[1] if side else None for side in sides]
    result: list[dict[str, CommitAddon] | None] = []
    for number, side in enumerate(sides):
        pin = pins[number]
        if side is None or pin is None:
            result.append(None)
            continue
        asked = diff.unread(side[1], surveys[1 - number])
        contents = git.blobs(side[0], pin.commit, [path for paths in asked.values() for path in paths]) if asked else {}
        result.append(diff.with_manifests(side[1], asked, contents))
    return result[0], result[1]


def _history(look: _Look, pair: PinPair, notes: list[str]) -> History | None:
    """The commits between; what is in the way of knowing them is noted."""
    assert pair.old is not None
    assert pair.new is not None
    look.show.note(pair.name, "fetch history")
    try:
        if _is_own(look, pair):
            found = log.local_log(look.paths.root, pair.old.commit, pair.new.commit, COMMITS)
        elif pair.old.key != pair.new.key or not git.store_has(look.paths.store(pair.new.key), pair.old.commit):
            found = None
        else:
            store, watch = look.paths.store(pair.new.key), sources_remote.progress_watch(look.show, pair.name)
            found = log.log(store, _remote(look, pair.new), pair.old.commit, pair.new.commit, COMMITS, watch)
    except OdpmError as error:
        notes.append(f"the commits between are not known: {command.redact(error.what)}")
        return None
    if found is None:
        return None
    return History(tuple(Commit(name, subject) for name, subject in found.commits), found.count, found.rewritten)
