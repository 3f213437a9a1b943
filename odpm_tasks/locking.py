"""Writing the lock of a graph, and seeing that it holds."""

from __future__ import annotations

from dataclasses import replace

from odpm_tasks import observe
from odpm_tasks.adapters import files
from odpm_tasks.core import plan as plans
from odpm_tasks.core.json_text import with_value
from odpm_tasks.core.lock import Lock, disagreements, write_lock
from odpm_tasks.core.lock_changes import lock_changes, name_of
from odpm_tasks.core.order import LOCK_FILE, LOCKING, PREPARING
from odpm_tasks.core.place import Place
from odpm_tasks.core.resolve import Resolution
from odpm_tasks.core.scenario import SCENARIOS
from odpm_tasks.core.wished import Wishes
from odpm_tasks.errors import DescriptionError, LockError
from odpm_tasks.folders import remotes


def write(place: Place, wishes: Wishes, resolved: Resolution, *, fresh_python: bool = False) -> tuple[str, ...]:
    """What `Project.write_lock` does; the caller holds the project."""
    before = observe.lock(place)
    new = _with_own(place, resolved.lock(before))
    if before is None or write_lock(new) != write_lock(before):
        files.write(place.lock, write_lock(new).encode())
    sight = observe.sight(place, LOCKING, wishes)
    stale = any(step.id == "python.lock" and step.acts for step in plans.plan(sight.world, LOCKING).steps)
    if stale or fresh_python:
        from odpm_tasks import apply

        apply.lock_python(place, sight, fresh=fresh_python)
    return lock_changes(before, new)


def _with_own(place: Place, new: Lock) -> Lock:
    """The lock with the developing checkout recorded, where `developing.git` names it and its content has changed.

    What odpm 4.x recorded for a description that names no developing project nobody needs: it is dropped.
    """
    manifest, _ = observe.description(place)
    if manifest.developing is None:
        return replace(new, developing=None)
    own, recorded = observe.own(place, manifest, remotes(place)), new.developing
    if own is None or (recorded is not None and recorded.tree == own.pin.tree and recorded.fits_branch(own.pin)):
        return new
    return replace(new, developing=replace(own.pin, extra=recorded.extra if recorded else {}))


def check(place: Place, wishes: Wishes) -> None:
    """What `Project.check_lock` does. Errors: LockError, as server and ci have it."""
    seen = observe.sight(place, PREPARING, wishes)
    if seen.world.resolution is None and seen.world.lock is not None:
        from odpm_tasks import resolving

        resolving.resolve_online(place, seen)
        seen = observe.sight(place, PREPARING, wishes)
    world = seen.world
    if world.own and not place.settings.scenario.strict:  # a commit hook asks before anything is committed
        world = replace(world, own=replace(world.own, changes=()))
    strict = replace(world, scenario=SCENARIOS["ci"], checking=not place.settings.scenario.strict)
    plans.plan(strict, PREPARING)
    if differing := disagreements(world.lock, world.manifest.locks_git):
        raise LockError(
            "odpm.json (locks.git) and the lock pin different commits",
            where=LOCK_FILE,
            details=[f"{name_of(key)}: odpm.json {ours[:8]}, lock {theirs[:8]}" for key, ours, theirs in differing[:3]],
            todo="inv lock follows odpm.json; inv lock --update --sync-manifest-locks moves both",
        )


def sync_manifest(place: Place) -> bool:
    """What `Project.sync_manifest_locks` does. Errors: DescriptionError for the flat format, which has no such block."""
    lock, text = observe.lock(place), files.read_text(place.manifest) or ""
    if observe.description(place)[0].format != 2:
        raise DescriptionError("the flat format has no locks", where="odpm.json", todo="inv migrate --write")
    assert lock is not None
    pins = {key: pin.commit for key, pin in sorted(lock.pins.items()) if not pin.file and pin.tree is None}
    new = with_value(text, "odpm.json", "locks", {"git": pins, **({"venv": lock.venv} if lock.venv else {})})
    if new != text:
        files.write(place.manifest, new.encode())
    return new != text
