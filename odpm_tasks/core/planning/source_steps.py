"""The steps of sources and locks: which are loaded, resolved, fetched, checked out, and whether the locks are current."""

from __future__ import annotations

from odpm_tasks.core.config.paths import LOCK_FILE, PYTHON_LOCKS, source_folder
from odpm_tasks.core.locking.changes import (
    PYTHON_LOCKS_DIFFER,
    PYTHON_LOCKS_TODO,
    complete_lock,
    lock_changes,
    python_locks_differ,
    require_branches,
    short_name,
)
from odpm_tasks.core.locking.graph import Source, SourceQuery
from odpm_tasks.core.locking.lockfile import write_lock
from odpm_tasks.core.locking.pins import conflicting_pins
from odpm_tasks.core.odoo.addon_checks import require_addons
from odpm_tasks.core.planning.blocked import blocked_checkout, keeps_work
from odpm_tasks.core.planning.hooks import late_hook_steps
from odpm_tasks.core.planning.observed import (
    Checkout,
    ObservedState,
    ResolvedState,
)
from odpm_tasks.core.planning.steps import Action, Step
from odpm_tasks.core.sources.merges import Merged
from odpm_tasks.errors import LockError


def lock_load_steps(step_id: str, observed: ObservedState) -> list[Step]:
    if not observed.reads_lock:
        return _untouched(step_id, observed)
    if observed.lock is None:
        _require_lock(observed, "there is no lock")
        return [Step(step_id, "skip", LOCK_FILE, "does not exist yet")]
    count = 1 + len(observed.lock.dependencies)
    return [Step(step_id, "keep", LOCK_FILE, f"{count} repositories" if count > 1 else "the platform only")]


def _require_lock(observed: ObservedState, problem: str, *details: str, todo: str = "") -> None:
    """Report a missing, incomplete or outdated lock: an error in strict scenarios and checks; developer writes the lock."""
    if observed.checking:
        raise LockError(problem, where=LOCK_FILE, details=details, todo=todo or "inv lock")
    if observed.scenario.strict:
        raise LockError(
            f"{problem}; the scenario {observed.scenario.name} never writes the lock",
            where=LOCK_FILE,
            details=details,
            todo=todo or "write it in the developer scenario and commit it: ODPM_SCENARIO=developer inv lock",
        )


def resolve_steps(step_id: str, observed: ObservedState) -> list[Step]:
    return _resolution(step_id, observed) if observed.touch_git else _untouched(step_id, observed)


def _resolution(step_id: str, observed: ObservedState) -> list[Step]:
    require_branches(observed.lock, observed.manifest, observed.manifest.links)
    moved = _changed_links(observed)
    if moved:
        _require_lock(observed, "the lock is out of date", *moved[:3])
        return [Step(step_id, "update", LOCK_FILE, "; ".join(moved))]
    known = observed.lock is not None
    free = [ask for ask in observed.unresolved if not (ask.link.is_file or (ask.content and known))]
    if free:
        _require_lock(
            observed,
            "the lock is incomplete",
            f"not pinned: {', '.join(f'{ask.link.canonical} {_open(ask, known=known)}' for ask in free)}",
        )
        action: Action = "update" if known else "create"
        return [
            Step(
                step_id,
                action,
                LOCK_FILE,
                "pin " + ", ".join(f"{ask.link.name} {_open(ask, known=known)}" for ask in free),
            )
        ]
    if not isinstance(observed, ResolvedState):
        return [Step(step_id, "keep", LOCK_FILE)]
    require_branches(observed.lock, observed.manifest, (source.link for source in observed.resolution.sources))
    new = observed.resolution.lock(observed.lock)
    strict = observed.scenario.strict
    own = None if strict else observed.own
    new = complete_lock(new, observed.lock, observed.manifest.locks_git, own, follow_files=strict)
    if observed.lock is None or write_lock(new) != write_lock(observed.lock):
        changes = lock_changes(observed.lock, new)
        _require_lock(observed, "the lock is out of date", *changes[:3])
        return [Step(step_id, "update" if observed.lock else "create", LOCK_FILE, "; ".join(changes) or "rewrite")]
    return [Step(step_id, "keep", LOCK_FILE)]


def _open(ask: SourceQuery, *, known: bool) -> str:
    """What of a repository the lock does not pin: its branch, or its merges where only these are open."""
    pairs = zip(ask.link.merges, ask.pinned, strict=True)
    merges = [str(merge) for merge, pin in pairs if pin is None or not (ask.commit and known)]
    if ask.commit and known:
        return f"with {', '.join(merges)}" if merges else f"merged with {', '.join(map(str, ask.link.merges))}"
    return " + ".join([ask.branch, *merges])


def _changed_links(observed: ObservedState) -> list[str]:
    """Changes of links whose commit differs from the lock; no query is needed to know them."""
    pins = observed.lock.pins if observed.lock else {}
    pinned = ((ask.link.canonical, ask.link.commit) for ask in observed.unresolved if ask.link.commit and observed.lock)
    return [
        f"{short_name(key)} {pins[key].commit[:8] if key in pins else 'not locked'} -> {commit[:8]}"
        for key, commit in pinned
        if commit and (key not in pins or pins[key].commit != commit)
    ]


def materialize_steps(step_id: str, observed: ObservedState) -> list[Step]:
    if not observed.touch_git:
        return _untouched(step_id, observed)
    if not isinstance(observed, ResolvedState):
        pins = observed.lock.pins if observed.lock else {}
        details = {key: _fetch_detail(pins[key].content, pins[key].merged) for key in observed.uncached if key in pins}
        for ask in observed.unresolved:
            if ask.content is not None:
                details[ask.link.canonical] = _fetch_detail(ask.content, ask.merged)
        steps = [Step(step_id, "create", short_name(key), detail) for key, detail in details.items()]
        return steps or [Step(step_id, "pending", "", "known after git.resolve")]
    steps = [
        Step(step_id, "create", source.name, _fetch_detail(source.commit, source.merged))
        for source in observed.resolution.sources
        if source.key in observed.uncached
    ]
    steps += [
        Step(step_id, "create", package.name, f"fetch {package.commit[:8]}, a Python package")
        for package in observed.python.packages
        if package.name in observed.python.uncached
    ]
    return steps or [Step(step_id, "keep", "", f"{len(observed.resolution.sources)} repositories in the cache")]


def _fetch_detail(commit: str, merged: Merged | None) -> str:
    return f"merge {merged}" if merged else f"fetch {commit[:8]}"


def checkout_steps(step_id: str, observed: ResolvedState) -> list[Step]:
    if not observed.touch_git:
        return _checkout_as_found(step_id, observed)
    if not observed.scenario.mounts:
        return [Step(step_id, "skip", "", "ci builds the locked commits into the image")]
    strict, sources = observed.scenario.strict, observed.resolution.sources
    steps = [_checkout_one(step_id, source, observed.checkouts[source.name], strict) for source in sources]
    return [*steps, *late_hook_steps(observed)]


def _checkout_one(step_id: str, source: Source, now: Checkout, strict: bool) -> Step:
    target = source_folder(source.name)
    if reason := blocked_checkout(source, now, strict=strict):
        return Step(step_id, "blocked", target, reason)
    if source.link.is_file:
        return Step(step_id, "keep" if now.kind == "link" else "create", target, f"link to {source.link.path}")
    if now.kind == "absent":
        return Step(step_id, "create", target, f"{source.link.branch or ''} {source.revision}".strip())
    if now.gone:
        return Step(step_id, "update", target, f"restore missing commits: {', '.join(c[:8] for c in now.gone)}")
    if now.commit == source.commit and now.kind != "moving":
        return Step(step_id, "keep", target, source.commit[:8])
    if keeps_work(source, now, strict=strict):
        work = f"your branch {now.branch}" if now.branch else f"your commit {str(now.commit)[:8]}"
        return Step(step_id, "keep", target, f"{source.commit[:8]} with {work} on top")
    return Step(step_id, "update", target, f"{(now.commit or now.kind)[:8]} -> {source.revision}")


def verify_steps(step_id: str, observed: ResolvedState) -> list[Step]:
    if observed.scenario.strict and not observed.checking:
        require_addons(observed.addons)
    return _verify_lock(step_id, observed) if observed.touch_git else _verify_as_found(step_id, observed)


def _verify_lock(step_id: str, observed: ResolvedState) -> list[Step]:
    if observed.own is not None:
        recorded = observed.lock.developing if observed.lock else None
        if recorded is None or recorded.tree is None:
            _require_lock(observed, "the lock does not record the developing project")
        elif recorded.tree != observed.own.pin.tree:
            _require_lock(observed, "the developing project differs from the lock")
        elif observed.own.changes:
            _require_lock(
                observed,
                "the developing project has local changes",
                *observed.own.changes[:3],
                todo="commit them, or stash them: git stash",
            )
    if python_locks_differ(observed.lock, observed.manifest.locks_venv):
        _require_lock(observed, PYTHON_LOCKS_DIFFER, todo=PYTHON_LOCKS_TODO)
    differing = conflicting_pins(observed.lock, observed.manifest.locks_git)
    if differing:
        pins = "; ".join(f"{short_name(key)} manifest {ours[:8]}, file {theirs[:8]}" for key, ours, theirs in differing)
        return [Step(step_id, "keep", LOCK_FILE, f"odpm.json overrides the lock: {pins}")]
    return [Step(step_id, "keep", LOCK_FILE)]


def python_steps(step_id: str, observed: ResolvedState) -> list[Step]:
    locks = observed.python
    recorded = observed.lock.venv if observed.lock else None
    if locks.recorded_inputs == locks.inputs and (locks.digest == recorded or not observed.reads_lock):
        return [Step(step_id, "keep", PYTHON_LOCKS[0])]
    recorded_only = locks.recorded_inputs == locks.inputs and recorded is None
    reason = (
        "there is no Python lock"
        if locks.recorded_inputs is None
        else "the Python lock is out of date: requirements changed"
        if locks.recorded_inputs != locks.inputs
        else "the Python lock is not the one that the lock records"
    )
    _require_lock(observed, reason)
    new = locks.recorded_inputs is None or recorded_only
    return [Step(step_id, "create" if new else "update", PYTHON_LOCKS[0], reason)]


def _untouched(step_id: str, observed: ObservedState) -> list[Step]:
    return [Step(step_id, "skip", "", "--no-git-update")]


def _checkout_as_found(step_id: str, observed: ResolvedState) -> list[Step]:
    """With --no-git-update checkouts stay as they are; links to `file://` sources are still created."""
    links = [source for source in observed.resolution.sources if source.link.is_file]
    steps = [
        _checkout_one(step_id, source, observed.checkouts[source.name], observed.scenario.strict) for source in links
    ]
    return [*_untouched(step_id, observed), *steps]


def _verify_as_found(step_id: str, observed: ResolvedState) -> list[Step]:
    """With --no-git-update a strict scenario requires that the checkouts are what the lock records."""
    if not observed.scenario.strict:
        return _untouched(step_id, observed)
    _resolution(step_id, observed)
    edited = [name for name, checkout in observed.checkouts.items() if checkout.changes]
    if edited:
        _require_lock(observed, "checkouts have local changes", *edited[:3])
    return _verify_lock(step_id, observed)
