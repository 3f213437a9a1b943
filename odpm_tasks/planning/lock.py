"""Write and check the locks of a project."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

from odpm_tasks import project_files
from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import LOCK_FILE, ProjectPaths
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.locking.changes import lock_changes, lock_warnings, short_name
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import Lock, write_lock
from odpm_tasks.core.locking.pins import conflicting_pins
from odpm_tasks.core.manifest.json_document import with_value
from odpm_tasks.core.planning import planner
from odpm_tasks.core.planning.observed import ResolvedState
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.steps import LOCKING, PREPARING
from odpm_tasks.errors import DescriptionError, LockError
from odpm_tasks.locking import python
from odpm_tasks.planning import observe
from odpm_tasks.sources import folders
from odpm_tasks.sources.project_names import remotes


@dataclass(frozen=True)
class WrittenLock:
    """The result of writing a lock: what changed, a line each, and what the user should know about the stack."""

    changes: tuple[str, ...]
    warnings: tuple[str, ...]


def write(
    paths: ProjectPaths,
    options: RunOptions,
    resolved: Resolution,
    *,
    fresh_python: bool = False,
    packages: Collection[str] = (),
) -> WrittenLock:
    """See `Project.write_lock`; the caller holds the project's lock."""
    before = project_files.lock(paths)
    new = _with_own(paths, resolved.lock(before))
    if before is None or write_lock(new) != write_lock(before):
        files.write(paths.lock, write_lock(new).encode())
    observed = observe.observe(paths, LOCKING, options)
    stale = any(step.id == "python.lock" and step.acts for step in planner.plan(observed, LOCKING).steps)
    if isinstance(observed, ResolvedState) and (stale or fresh_python or packages):
        python.lock_python(paths, observed, fresh=fresh_python, only=packages)
        new = _in_order_of(new, project_files.lock(paths) or new)
    # the task reports pins of the manifest itself, after it has written them
    pins = lock_warnings(observed.lock, observed.manifest.locks_git, observed.manifest.locks_venv)
    return WrittenLock(
        lock_changes(before, new), tuple(text for text in (*observed.warnings, *observed.notes) if text not in pins)
    )


def _in_order_of(resolved: Lock, read: Lock) -> Lock:
    """A lock that was read from its file, which sorts the dependencies, in the order of the graph again."""
    order = {pin.key: number for number, pin in enumerate(resolved.dependencies)}
    return replace(read, dependencies=tuple(sorted(read.dependencies, key=lambda pin: order.get(pin.key, len(order)))))


def _with_own(paths: ProjectPaths, new: Lock) -> Lock:
    """The lock with the developing checkout recorded, where `developing.git` names it and its content has changed.

    An entry that odpm 4.x wrote for a description without developing project is dropped.
    """
    manifest, _ = project_files.description(paths)
    if manifest.developing is None:
        return replace(new, developing=None)
    own, recorded = folders.developing_state(paths, manifest, remotes(paths)), new.developing
    if own is None or (recorded is not None and recorded.tree == own.pin.tree and recorded.fits_branch(own.pin)):
        return new
    return replace(new, developing=replace(own.pin, extra=recorded.extra if recorded else {}))


def check(paths: ProjectPaths, options: RunOptions) -> None:
    """See `Project.check_lock`. Errors: LockError, as in server and ci."""
    observed = observe.observe(paths, PREPARING, options)
    if not isinstance(observed, ResolvedState) and observed.lock is not None:
        from odpm_tasks.locking import resolve

        resolve.resolve_online(paths, observed)
        observed = observe.observe(paths, PREPARING, options)
    if observed.own and not paths.settings.scenario.strict:  # a commit hook runs before the changes are committed
        observed = replace(observed, own=replace(observed.own, changes=()))
    strict = replace(observed, scenario=SCENARIOS["ci"], checking=not paths.settings.scenario.strict)
    planner.plan(strict, PREPARING)
    if differing := conflicting_pins(observed.lock, observed.manifest.locks_git):
        raise LockError(
            "odpm.json (locks.git) and the lock pin different commits",
            where=LOCK_FILE,
            details=[
                f"{short_name(key)}: odpm.json {ours[:8]}, lock {theirs[:8]}" for key, ours, theirs in differing[:3]
            ],
            todo="inv lock follows odpm.json; inv lock --update --sync-manifest-locks moves both",
        )


def sync_manifest(paths: ProjectPaths) -> bool:
    """See `Project.sync_manifest_locks`. Errors: DescriptionError for the flat format, LockError where there is no lock."""
    lock, text = project_files.lock(paths), files.read_text(paths.manifest) or ""
    if project_files.description(paths)[0].format != 2:
        raise DescriptionError("the flat format has no locks", where="odpm.json", todo="inv migrate --write")
    if lock is None:
        raise LockError("there is no lock", where=LOCK_FILE, todo="inv lock")
    pins = {key: pin.commit for key, pin in sorted(lock.pins.items()) if not pin.file and pin.tree is None}
    new = with_value(text, "odpm.json", "locks", {"git": pins, **({"venv": lock.venv} if lock.venv else {})})
    if new != text:
        files.write(paths.manifest, new.encode())
    return new != text
