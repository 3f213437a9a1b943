"""A plan in a file, to be performed later exactly as it is or not at all: its steps, its options, what it depends on.

The file contains short hashes of files and of settings of this library that are no secrets; of every other variable only
whether it is set. A step that was `pending` may become any action of its id.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from packaging.version import InvalidVersion, Version
from pydantic import BaseModel, ConfigDict, ValidationError

from odpm_tasks.core.config.paths import LOCK_FILE, source_folder
from odpm_tasks.core.locking.pins import display_names
from odpm_tasks.core.planning.observed import Checkout, ObservedState, RenderedState, ResolvedState, RunningState
from odpm_tasks.core.planning.options import UNSAVED, RunOptions
from odpm_tasks.core.planning.steps import Action, Plan, Step
from odpm_tasks.errors import DriftError, UsageError

FORMAT = 1
ABSENT, EXISTS, SET, UNSET, UNKNOWN = "absent", "exists", "set", "not set", "not known"
_HASH = "sha256:"
_NAMED = 3  # so many changes are named, the rest is counted


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectIdentity(_Model):
    """The project of a plan: the name of its folder and its name by the description."""

    folder: str
    name: str


class SavedStep(_Model):
    id: str
    action: Action
    target: str
    detail: str


class SavedPlan(_Model):
    """The file. `depends_on`: name of a thing -> a short hash of it, or its state."""

    odpm_plan: Literal[1]
    odpm: str
    project: ProjectIdentity
    scenario: str
    options: RunOptions
    depends_on: dict[str, str]
    steps: tuple[SavedStep, ...]


@dataclass(frozen=True)
class ExternalInputs:
    """What a plan depends on in addition to the observed state: bytes of files by path (None: absent), values of settings
    that are no secrets, and for each variable that the description names whether it is set."""

    files: Mapping[str, bytes | None]
    settings: Mapping[str, str | None] = field(default_factory=dict)
    variables: Mapping[str, bool] = field(default_factory=dict)


def dependencies(observed: ObservedState, inputs: ExternalInputs) -> dict[str, str]:
    """Everything that a plan of this state depends on, as far as it is known; causes before consequences."""
    found = {path: _short(data) for path, data in inputs.files.items()}
    found |= {name: UNSET if value is None else _hash(value.encode()) for name, value in inputs.settings.items()}
    found |= {name: SET if there else UNSET for name, there in inputs.variables.items()}
    pins = observed.lock.pins if observed.lock else {}
    called = display_names(pins)
    found |= {
        f"{LOCK_FILE}: {called[key]}": f"{pin.content[:12]} {pin.branch or ''}".strip() for key, pin in pins.items()
    }
    if isinstance(observed, ResolvedState):
        contents = {s.name: s.commit for s in observed.resolution.sources if s.link.is_file}
        for name, now in observed.checkouts.items():
            found[source_folder(name)] = _checkout_state(now, contents.get(name))
    if observed.own:
        edited = " with local changes" if observed.own.changes else ""
        found["the project's committed files"] = f"{str(observed.own.pin.tree)[:12]}{edited}"
    if isinstance(observed, ResolvedState):
        found["the Python requirements"] = _HASH + observed.python.inputs[:12]
    if isinstance(observed, RenderedState):
        found["the project's add-ons"] = _hash("\n".join(observed.modules).encode())
        found |= {path: _short(observed.current.get(path)) for path in observed.rendered.files}
        found |= {f"{path} as rendered": _short(data) for path, data in observed.rendered.files.items()}
        found |= {file.path: _short(file.current) for file in observed.editor_files}
        found |= {f"{file.path} as merged": _short(file.merged) for file in observed.editor_files}
    if isinstance(observed, RunningState) and (running := observed.running).image is not None:
        found["the image"] = EXISTS if running.image else ABSENT
        found["the services"] = f"{running.services} ({running.detail})" if running.detail else running.services
        found["the service db"] = running.postgres
        if running.database != "unknown":
            found[f"the database {observed.database}"] = running.database
    return found


def _checkout_state(now: Checkout, content: str | None) -> str:
    words = [now.kind, (now.commit or content or "")[:12], f"on {now.branch}" if now.branch else ""]
    words += ["with local changes" if now.changes else "", "without its objects" if now.gone else ""]
    return " ".join(word for word in words if word)


def _short(data: bytes | None) -> str:
    return ABSENT if data is None else _hash(data)


def _hash(data: bytes) -> str:
    return _HASH + hashlib.sha256(data).hexdigest()[:12]


# --- write and read the file -----------------------------------------------------------------------------------------------


def saved(plan: Plan, identity: ProjectIdentity, options: RunOptions, basis: Mapping[str, str], odpm: str) -> SavedPlan:
    """A plan in the form of the file; `odpm` is the version that made it."""
    steps = tuple(SavedStep(id=s.id, action=s.action, target=s.target, detail=s.detail) for s in plan.steps)
    return SavedPlan(
        odpm_plan=FORMAT,
        odpm=odpm,
        project=identity,
        scenario=plan.observed.scenario.name,
        options=options,
        depends_on=dict(basis),
        steps=steps,
    )


def dump(plan: SavedPlan) -> str:
    return (
        json.dumps(plan.model_dump(mode="json", exclude={"options": set(UNSAVED)}), indent=2, ensure_ascii=False) + "\n"
    )


def load(text: str, where: str, odpm: str) -> SavedPlan:
    """Read a saved plan. Errors: UsageError for any other file, and for a plan of a newer odpm."""
    todo = "make one: inv plan --out FILE"
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise UsageError("this file is not a saved plan", where=where, todo=todo) from None
    if not isinstance(data, dict) or "odpm_plan" not in data:
        raise UsageError("this file is not a saved plan", where=where, todo=todo)
    if data["odpm_plan"] != FORMAT or _newer(str(data.get("odpm", "")), odpm):
        raise UsageError(
            f"this plan was made by odpm {data.get('odpm', '?')}, this is {odpm}",
            where=where,
            todo="use that odpm, or save a new plan with this one: inv plan --out FILE",
        )
    try:
        return SavedPlan.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        field_path = ".".join(map(str, first["loc"]))
        raise UsageError(f"this saved plan is broken: {field_path}: {first['msg']}", where=where, todo=todo) from None


def _newer(theirs: str, ours: str) -> bool:
    try:
        return Version(theirs) > Version(ours)
    except InvalidVersion:
        return False


def check_fits(plan: SavedPlan, identity: ProjectIdentity, scenario: str, where: str) -> None:
    """Check that a plan belongs to this project and scenario. Errors: UsageError."""
    if plan.project != identity:
        theirs = " in the folder ".join(dict.fromkeys((plan.project.name, plan.project.folder)))
        raise UsageError(
            f"this plan belongs to another project: {theirs}", where=where, todo="save one here: inv plan --out FILE"
        )
    if plan.scenario != scenario:
        raise UsageError(
            f"this plan is for the scenario {plan.scenario}; the current scenario is {scenario}",
            where=where,
            todo=f"ODPM_SCENARIO={plan.scenario} inv up --plan {where}",
        )


# --- check that it still applies -------------------------------------------------------------------------------------------


def differences(before: Mapping[str, str], now: Mapping[str, str]) -> dict[str, str]:
    """What a plan depends on and has changed: name -> how.

    A file is omitted where one of its entries is listed. Names that were not known when the plan was saved are ignored.
    """
    different = {name: (was, now.get(name, UNKNOWN)) for name, was in before.items() if now.get(name) != was}
    entries = {name.partition(": ")[0] for name in different if ": " in name}
    return {name: _change(was, is_) for name, (was, is_) in different.items() if name not in entries}


def _change(was: str, is_: str) -> str:
    if is_ == UNKNOWN:
        return "is no longer known"
    if is_ == ABSENT:
        return "no longer exists"
    if was == ABSENT:
        return "exists now" if is_.startswith(_HASH) or is_ == EXISTS else f"is {is_} now"
    return "has changed" if was.startswith(_HASH) and is_.startswith(_HASH) else f"was {was}, is {is_}"


def check_unchanged(before: Mapping[str, str], now: Mapping[str, str], where: str) -> None:
    """Check that nothing has changed. Errors: DriftError naming what has."""
    changes = differences(before, now)
    if not changes:
        return
    first = list(changes)[:_NAMED]
    more = f" and {len(changes) - len(first)} more" if len(changes) > len(first) else ""
    raise DriftError(
        f"the observed state changed since this plan was made: {', '.join(first)}{more}",
        where=where,
        details=[f"{name} {what}" for name, what in changes.items()][:2],
        todo=f"see the current plan: inv plan --out {where}",
    )


def check_announced(plan: SavedPlan, todo: Sequence[Step], where: str, *, begun: bool) -> None:
    """Check that each step of `todo` is in the plan, or has an id that was `pending` in it. Errors: DriftError.

    `begun`: earlier steps of the plan are done already.
    """
    known = {(step.id, step.action, step.target, step.detail) for step in plan.steps}
    open_ = {step.id for step in plan.steps if step.action == "pending"}
    unplanned = [s for s in todo if s.id not in open_ and (s.id, s.action, s.target, s.detail) not in known]
    if unplanned:
        words = [" ".join(filter(None, (s.action, s.id, s.target, s.detail))) for s in unplanned]
        raise DriftError(
            "this run would do something that the plan does not contain"
            + ("; earlier steps are done" if begun else ""),
            where=where,
            details=words[:2],
            todo=f"see the current plan: inv plan --out {where}",
        )
