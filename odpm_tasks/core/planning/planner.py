"""The planner: an ordered list of steps, decided from the observed state alone.

`plan` prints it, `render` and `up` perform it. A step that depends on the outcome of an earlier step is `pending` and names
that step; after that step, the run observes and plans again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from odpm_tasks.core.config.paths import COMPOSE_FILE, release_folder
from odpm_tasks.core.planning.costs import Cost, containers_text, image_text, odoo_stopped
from odpm_tasks.core.planning.editors import editor_steps
from odpm_tasks.core.planning.hooks import fragment_steps, hook_steps
from odpm_tasks.core.planning.observed import (
    ObservedState,
    RenderedState,
    ResolvedState,
    Running,
    RunningState,
    ServicesState,
)
from odpm_tasks.core.planning.obsolete_files import obsolete_file_steps
from odpm_tasks.core.planning.source_steps import (
    checkout_steps,
    lock_load_steps,
    materialize_steps,
    python_steps,
    resolve_steps,
    verify_steps,
)
from odpm_tasks.core.planning.steps import ORDER, Action, Plan, Step


def plan(observed: ObservedState, until: Iterable[str] = ORDER) -> Plan:
    """Decide every step of `until`. Errors: LockError where a strict scenario needs a complete and current lock."""
    asked = set(until)
    steps: list[Step] = []
    for step_id in ORDER:
        if step_id not in asked:
            continue
        pending = next((step for step in steps if step.action == "pending"), None)
        if blocker := _blocker(step_id, observed, steps):
            steps.append(Step(step_id, "pending", "", f"known after {blocker}"))
        elif pending and not (step_id == "compose.up" and _odoo_is_absent(observed, steps)):
            steps.append(Step(step_id, "pending", "", pending.detail))
        else:
            steps += _decide(step_id, observed)
            if step_id == "compose.up" and any(step.id == "db.update" and step.acts for step in steps):
                steps[-1] = _after_update(steps[-1])
    return Plan(observed, tuple(steps))


def _blocker(step_id: str, observed: ObservedState, steps: list[Step]) -> str | None:
    """The earlier step whose outcome this step depends on; None where it can be decided now."""
    if step_id not in _OBSERVED and not isinstance(observed, ResolvedState):
        return "git.materialize" if any(s.id == "git.materialize" and s.acts for s in steps) else "git.resolve"
    if step_id in _RENDERED.keys() | _RUNNING.keys() and not isinstance(observed, RenderedState):
        return "python.lock"
    if step_id in _RUNNING and not isinstance(observed, RunningState):
        acting = [step.id for step in steps if step.action in {"create", "update"}]
        return acting[-1] if acting else "compose.validate"
    if step_id in _DATABASE and any(s.id == "compose.database" and s.acts for s in steps):
        return "compose.database"
    if step_id == "db.update" and any(s.id == "db.snapshot" and s.action == "update" for s in steps):
        return "db.snapshot"
    return None


_DATABASE = ("db.create", "db.snapshot", "db.update")


def _odoo_is_absent(observed: ObservedState, steps: list[Step]) -> bool:
    """Whether `compose.up` is known although only the steps of the database are pending: they stop no running Odoo."""
    if {step.id for step in steps if step.action == "pending"} - {*_DATABASE}:
        return False
    blocked = any(step.id == "compose.database" and step.action == "blocked" for step in steps)
    return isinstance(observed, RunningState) and observed.running.services == "absent" and not blocked


def _after_update(step: Step) -> Step:
    """`compose.up` after a `db.update` that stops a running Odoo: it starts Odoo again."""
    if step.action in {"create", "blocked"}:
        return step
    cost = odoo_stopped(step.cost or Cost())
    return Step(step.id, "update", "", containers_text(cost) if cost.containers else "start odoo", cost)


def _decide(step_id: str, observed: ObservedState) -> list[Step]:
    """Decide a step that nothing blocks, by the table of its phase."""
    if step_id in _OBSERVED:
        return _OBSERVED[step_id](step_id, observed)
    if step_id in _RESOLVED and isinstance(observed, ResolvedState):
        return _RESOLVED[step_id](step_id, observed)
    if step_id in _RENDERED and isinstance(observed, RenderedState):
        return _RENDERED[step_id](step_id, observed)
    if step_id in _RUNNING and isinstance(observed, RunningState):
        return _RUNNING[step_id](step_id, observed)
    raise KeyError(step_id)


def _files(step_id: str, observed: RenderedState) -> list[Step]:
    steps = obsolete_file_steps(step_id, observed)
    for path, data in observed.rendered.files.items():
        if observed.rendered.steps[path] != step_id:
            continue
        now = observed.current.get(path)
        note = f"from your {observed.overrides[path]}" if path in observed.overrides else ""
        kept = f"your edits are kept as {path}.orig" if path in observed.edited and now != data else ""
        action: Action = "keep" if now == data else "create" if now is None else "update"
        steps.append(Step(step_id, action, path, "; ".join(filter(None, (kept, note)))))
    if step_id == "compose.generate" and (release := observed.rendered.release):
        steps.insert(0, Step(step_id, "keep" if observed.release_exported else "create", release_folder(release)))
    return steps


def _validate(step_id: str, observed: RenderedState) -> list[Step]:
    return [Step(step_id, "keep" if observed.validated else "run", COMPOSE_FILE)]


def _image(step_id: str, observed: RunningState) -> list[Step]:
    if observed.running.image is None:
        return [Step(step_id, "pending", "", f"known when Docker answers: {observed.running.problem}")]
    if observed.running.image:
        return [Step(step_id, "keep", observed.image)]
    if "@sha256:" in observed.image:
        return [Step(step_id, "create", observed.image, "pull")]
    return [
        Step(step_id, "create", observed.image, image_text(observed.running.build_cost), observed.running.build_cost)
    ]


_SERVICES_ACTION: dict[ServicesState, Action] = {"absent": "create", "changed": "update", "running": "keep"}


def _compose_database(step_id: str, observed: RunningState) -> list[Step]:
    running = observed.running
    if running.postgres != "running" and running.refusals:
        return [_blocked(step_id, running)]
    action = _SERVICES_ACTION[running.postgres]
    return [Step(step_id, action, "db", running.postgres_detail, None if action == "keep" else running.postgres_cost)]


def _compose_up(step_id: str, observed: RunningState) -> list[Step]:
    if observed.running.refusals:
        return [_blocked(step_id, observed.running)]
    action = _SERVICES_ACTION[observed.running.services]
    return [
        Step(step_id, action, "", observed.running.detail, None if action == "keep" else observed.running.start_cost)
    ]


def _blocked(step_id: str, running: Running) -> Step:
    texts = (
        f"{error.what} ({', '.join(filter(None, (error.where, *error.details)))})".removesuffix(" ()")
        for error in running.refusals
    )
    return Step(step_id, "blocked", "", "; ".join(texts))


def _database(step_id: str, observed: RunningState) -> list[Step]:
    if observed.running.database == "absent":
        return [
            Step(
                step_id,
                "create",
                observed.database,
                f"install {', '.join(observed.install or observed.modules) or 'base'}",
            )
        ]
    if observed.running.database == "unfinished":
        return [Step(step_id, "update", observed.database, "finish the interrupted creation")]
    return [Step(step_id, "keep", observed.database)]


def _update(step_id: str, observed: RunningState) -> list[Step]:
    return [*_update_own(step_id, observed), *_update_others(step_id, observed)]


def _update_others(step_id: str, observed: RunningState) -> list[Step]:
    """The other databases of the stack that are updated."""
    found = []
    for other in observed.running.others:
        versions = {addon.name: str(addon) for addon in other.addons.raised}
        for one in observed.updates:
            if one.name == other.name:
                names = ", ".join(versions.get(name, name) for name in one.update)
                found.append(Step(step_id, "update", other.name, f"update {names}"))
    return found


def _update_own(step_id: str, observed: RunningState) -> list[Step]:
    if observed.running.database in {"absent", "unfinished"}:
        return [Step(step_id, "skip", "", "new database")]
    raised = observed.running.addons.raised
    versions = {addon.name: str(addon) for addon in raised}
    options = [("install", observed.install), ("update", [versions.get(name, name) for name in observed.to_update])]
    detail = "; ".join(f"{option} {', '.join(names)}" for option, names in options if names)
    if not detail and raised and observed.scenario.strict:
        return [Step(step_id, "skip", observed.database, f"not updated: {', '.join(map(str, raised))}")]
    return [Step(step_id, "update" if detail else "keep", observed.database, detail)]


def _snapshot(step_id: str, observed: RunningState) -> list[Step]:
    """Before an update of existing databases; or the way back from an update that was interrupted."""
    begun = observed.running.journal
    if begun and begun.phase == "updating" and begun.restorable:
        detail = "return to the state before the interrupted update"
        return [Step(step_id, "update", name, detail) for name in begun.restorable]
    names = [one.name for one in observed.updates]
    if not names:
        return [Step(step_id, "keep", observed.database)]
    if not observed.takes_snapshot:
        return [Step(step_id, "skip", name, "--no-snapshot") for name in names]
    return [Step(step_id, "create", name, "before the update") for name in names]


# Steps by the state that they need.
_OBSERVED: dict[str, Callable[[str, ObservedState], list[Step]]] = {
    "git.lock_load": lock_load_steps,
    "git.resolve": resolve_steps,
    "git.materialize": materialize_steps,
}
_RESOLVED: dict[str, Callable[[str, ResolvedState], list[Step]]] = {
    "hooks.post_clone": hook_steps,
    "git.checkout": checkout_steps,
    "git.lock_verify": verify_steps,
    "python.lock": python_steps,
}
_RENDERED: dict[str, Callable[[str, RenderedState], list[Step]]] = {
    "template.dockerfile": _files,
    "template.odoo_conf": _files,
    "compose.fragments": fragment_steps,
    "compose.generate": _files,
    "compose.validate": _validate,
    "ide.files": editor_steps,
    "hooks.post_prepare": hook_steps,
}
_RUNNING: dict[str, Callable[[str, RunningState], list[Step]]] = {
    "image.build": _image,
    "hooks.pre_up": hook_steps,
    "compose.database": _compose_database,
    "db.create": _database,
    "db.snapshot": _snapshot,
    "db.update": _update,
    "compose.up": _compose_up,
    "hooks.post_up": hook_steps,
}
