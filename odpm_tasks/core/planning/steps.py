"""The steps of a run: their ids in the order in which they are performed, a step, a plan.

This module imports nothing of what is observed: tasks that only need the ids of steps start without it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from odpm_tasks.core.planning.costs import Cost
    from odpm_tasks.core.planning.observed import ObservedState

ORDER = (
    "git.lock_load", "git.resolve", "git.materialize", "hooks.post_clone", "git.checkout", "git.lock_verify",
    "python.lock", "template.dockerfile", "template.odoo_conf", "compose.fragments", "compose.generate",
    "compose.validate", "ide.files", "hooks.post_prepare",
    "image.build", "hooks.pre_up", "compose.database", "db.create", "db.snapshot", "db.update",
    "compose.up", "hooks.post_up",
)  # fmt: skip
LOCKING = ORDER[: ORDER.index("template.dockerfile")]
PREPARING = ORDER[: ORDER.index("image.build")]
STARTING = frozenset({"compose.database", "compose.up"})


Action = Literal["create", "update", "keep", "run", "skip", "pending", "blocked"]


@dataclass(frozen=True)
class Step:
    """One entry of a plan. `target`: what the action applies to. `detail`: old -> new, or the reason.

    `pending`: the action is known only after the step that `detail` names. `blocked`: a run attempts the step and ends with the
    error that `detail` announces. `cost` does not count when steps are compared.
    """

    id: str
    action: Action
    target: str = ""
    detail: str = ""
    cost: Cost | None = field(default=None, compare=False)

    @property
    def acts(self) -> bool:
        return self.action in {"create", "update", "run", "blocked"}

    @property
    def refused(self) -> bool:
        """Whether the project denies something that a dependency asks for; a plan always shows such a step."""
        return self.action == "skip" and bool(self.target) and self.id.startswith(("hooks.", "compose.fragments"))


@dataclass(frozen=True)
class Plan:
    """Steps in the order of `ORDER`, with the observed state that they were decided from."""

    observed: ObservedState
    steps: tuple[Step, ...]

    @property
    def ready(self) -> tuple[Step, ...]:
        """The steps that can be performed now: those that act, up to the first pending step."""
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
        """The steps that change something that exists, or are blocked by work of the user.

        No drift: files and services of another scenario's last run, what the machine lacks to start the services, and files of
        editors that no run has written yet or that stay.
        """
        from odpm_tasks.core.planning.observed import RenderedState

        switched = self.observed.last_scenario not in {None, self.observed.scenario.name}
        files: set[str] = set()
        not_ours: set[str] = set()
        if isinstance(self.observed, RenderedState):
            files = {*self.observed.rendered.files, *self.observed.obsolete_files}
            not_ours = {file.path for file in self.observed.editor_files if file.recorded is None}
            not_ours |= {*self.observed.editor_leftovers}
        return tuple(
            step
            for step in self.steps
            if (step.action == "blocked" and step.id not in STARTING)
            or (
                step.action == "update"
                and not (switched and (step.target in files or step.id in STARTING))
                and not (step.id == "ide.files" and step.target in not_ours)
            )
        )


Phase = Literal["sources", "python", "files", "run"]


_LAST: tuple[tuple[Phase, str], ...] = (
    ("sources", "git.lock_verify"), ("python", "python.lock"), ("files", "hooks.post_prepare"), ("run", ORDER[-1]),
)  # fmt: skip


def phase(step_id: str) -> Phase:
    """The phase that a step belongs to."""
    position = ORDER.index(step_id)
    return next(name for name, last in _LAST if position <= ORDER.index(last))


def by_phase(steps: Iterable[Step]) -> dict[Phase, list[Step]]:
    """The steps of each phase, in the order of the run; phases without a step are omitted."""
    found: dict[Phase, list[Step]] = {}
    for step in steps:
        found.setdefault(phase(step.id), []).append(step)
    return found
