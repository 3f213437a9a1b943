"""The steps of a run by their ids, in the order in which they are done, and the files that locks are in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from odpm_tasks.core.planning.costs import Cost
from odpm_tasks.core.planning.observed import ObservedState, RenderedState

ORDER = (
    "git.lock_load", "git.resolve", "git.materialize", "hooks.post_clone", "git.checkout", "git.lock_verify",
    "python.lock", "template.dockerfile", "template.odoo_conf", "compose.fragments", "compose.generate",
    "compose.validate", "ide.files", "hooks.post_prepare",
    "image.build", "hooks.pre_up", "compose.up", "db.create", "hooks.post_up",
)  # fmt: skip
LOCKING = ORDER[: ORDER.index("template.dockerfile")]
PREPARING = ORDER[: ORDER.index("image.build")]


Action = Literal["create", "update", "keep", "run", "skip", "pending"]


@dataclass(frozen=True)
class Step:
    """One thing to do, or not to: `target` is what it is done to, `detail` old -> new or the reason.

    `pending`: what it will be is known only after the step that `detail` names. `cost` is no part of what a step is.
    """

    id: str
    action: Action
    target: str = ""
    detail: str = ""
    cost: Cost | None = field(default=None, compare=False)

    @property
    def acts(self) -> bool:
        return self.action in {"create", "update", "run"}

    @property
    def refused(self) -> bool:
        """Whether a dependency wishes for something that the project does not grant: a plan never folds that away."""
        return self.action == "skip" and bool(self.target) and self.id.startswith(("hooks.", "compose.fragments"))


@dataclass(frozen=True)
class Plan:
    """Steps in the order of the contract, with the world they were decided from."""

    observed: ObservedState
    steps: tuple[Step, ...]

    @property
    def ready(self) -> tuple[Step, ...]:
        """What can be done now: everything that acts, up to the first step that is not known yet."""
        known: list[Step] = []
        for step in self.steps:
            if step.action == "pending":
                break
            if step.acts:
                known.append(step)
        return tuple(known)

    @property
    def complete(self) -> bool:
        return all(step.action != "pending" for step in self.steps)

    @property
    def drift(self) -> tuple[Step, ...]:
        """What exists and differs from the description; another scenario's leftovers are no drift."""
        switched = self.observed.last_scenario not in {None, self.observed.scenario.name}
        files: set[str] = set()
        if isinstance(self.observed, RenderedState):
            files = {*self.observed.rendered.files, *self.observed.obsolete_files}
        return tuple(
            step
            for step in self.steps
            if step.action == "update" and not (switched and (step.target in files or step.id == "compose.up"))
        )


Phase = Literal["sources", "python", "files", "run"]


_LAST: tuple[tuple[Phase, str], ...] = (
    ("sources", "git.lock_verify"), ("python", "python.lock"), ("files", "hooks.post_prepare"), ("run", ORDER[-1]),
)  # fmt: skip


def phase(step_id: str) -> Phase:
    """The phase of a step: the first one whose last step does not come before it."""
    place = ORDER.index(step_id)
    return next(name for name, last in _LAST if place <= ORDER.index(last))


def by_phase(steps: Iterable[Step]) -> dict[Phase, list[Step]]:
    """Steps under their phases, in the order of the run; a phase without a step is not there."""
    found: dict[Phase, list[Step]] = {}
    for step in steps:
        found.setdefault(phase(step.id), []).append(step)
    return found
