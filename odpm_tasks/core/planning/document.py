"""A plan as data, for `inv plan --format json`: one typed document. Its JSON Schema is `docs/schema/plan.v1.json`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from odpm_tasks.core.planning.commits import Move, Moves
from odpm_tasks.core.planning.costs import ContainerAction, Cost
from odpm_tasks.core.planning.steps import Action, Phase, Plan, Step, phase
from odpm_tasks.core.planning.text import file_diff
from odpm_tasks.core.sources.commits import Commit, CommitRange
from odpm_tasks.core.text import printable_json

VERSION = 1
CommitId = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CommitData(_Model):
    """A commit. `date` (YYYY-MM-DD, UTC) and `subject` are null where this machine does not hold the commit."""

    commit: CommitId
    date: str | None
    subject: str | None


class CommitRangeData(_Model):
    """The commits that are reachable from the new commit and not from the old one, newest first, at most 100.

    `count` is the number of all of them. `rewritten`: the old commit is not an ancestor of the new one.
    """

    count: int = Field(ge=0)
    rewritten: bool
    commits: tuple[CommitData, ...]


class MoveData(_Model):
    """A repository that is moved to another commit. `old` is null where nothing is checked out; `between` is null where this
    machine does not hold the history."""

    repository: str
    old: CommitData | None
    new: CommitData
    between: CommitRangeData | None


class ContainerData(_Model):
    """What `up` does to a service's container; `reasons`: the parts of the service that have changed."""

    service: str
    action: ContainerAction
    reasons: tuple[str, ...]


class CostData(_Model):
    """What a step costs, as far as it is known. `reasons`: the inputs of an image that have changed. `seconds`: how long the
    same took last time. `odoo_down`: Odoo runs and is down meanwhile; then `seconds` is the length of the last downtime."""

    reasons: tuple[str, ...]
    seconds: float | None
    containers: tuple[ContainerData, ...]
    odoo_down: bool


class StepData(_Model):
    """One step. `pending`: its action is known only after the step that `detail` names.

    `drift`: it changes something that exists and differs from the description. `diff`: with `--diff`, the unified diff of a
    generated file, line by line.
    """

    id: str
    phase: Phase
    action: Action
    target: str
    detail: str
    drift: bool
    move: MoveData | None
    diff: tuple[str, ...] | None
    cost: CostData | None


class PlanDocument(_Model):
    """What `inv up` would do, in the order of execution. `complete`: no step is `pending`."""

    schema_version: Literal[1]
    odpm: str
    scenario: Literal["developer", "server", "ci"]
    drift: bool
    complete: bool
    steps: tuple[StepData, ...]


def document(plan: Plan, moves: Moves, odpm: str, *, diff: bool = False) -> PlanDocument:
    """A plan as a document, with the commits of its moving repositories; `odpm` is the version that made it."""
    drift = set(plan.drift)
    return PlanDocument(
        schema_version=VERSION,
        odpm=odpm,
        scenario=plan.observed.scenario.name,
        drift=bool(drift),
        complete=plan.complete,
        steps=tuple(_step(plan, step, step in drift, moves, diff) for step in plan.steps),
    )


def _step(plan: Plan, step: Step, drift: bool, moves: Moves, diff: bool) -> StepData:
    lines = tuple(file_diff(plan, step)) if diff and step.acts else ()
    move = moves.get(step)
    return StepData(
        id=step.id, phase=phase(step.id), action=step.action, target=step.target, detail=step.detail, drift=drift,
        move=_move(move) if move else None, diff=lines or None, cost=_cost(step.cost) if step.cost else None,
    )  # fmt: skip


def _cost(cost: Cost) -> CostData:
    found = tuple(ContainerData(service=c.service, action=c.action, reasons=c.reasons) for c in cost.containers)
    return CostData(reasons=cost.reasons, seconds=cost.seconds, containers=found, odoo_down=cost.odoo_down)


def _move(move: Move) -> MoveData:
    return MoveData(
        repository=move.repository,
        old=_commit(move.old) if move.old else None,
        new=_commit(move.new),
        between=_commit_range(move.between) if move.between else None,
    )


def _commit_range(between: CommitRange) -> CommitRangeData:
    return CommitRangeData(
        count=between.count, rewritten=between.rewritten, commits=tuple(map(_commit, between.commits))
    )


def _commit(commit: Commit) -> CommitData:
    known = bool(commit.date)
    return CommitData(commit=commit.id, date=commit.date or None, subject=commit.subject if known else None)


def as_json(document: PlanDocument) -> str:
    return printable_json(document.model_dump_json(indent=2))


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    found = PlanDocument.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
