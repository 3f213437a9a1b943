"""The four phases of a run, by which a plan is read: each step belongs to one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from odpm_tasks.core.order import ORDER
from odpm_tasks.core.world import Step

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
