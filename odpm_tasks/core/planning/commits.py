"""The repositories that a plan moves: from which commit to which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from odpm_tasks.core.locking.changes import short_name
from odpm_tasks.core.locking.pins import display_names, effective_pins
from odpm_tasks.core.planning.observed import ObservedState, ResolvedState
from odpm_tasks.core.planning.steps import Plan, Step
from odpm_tasks.core.sources.commits import Commit, CommitRange


@dataclass(frozen=True)
class PlannedMove:
    """A step that moves a checkout to another commit. `folder` is its name below `.odpm/src`, `key` the canonical URL.

    `old` None: nothing is checked out there, or the checkout was not observed.
    """

    step: Step
    folder: str
    key: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Move:
    """A planned move with its commits. `between` None: no local repository holds the history between both."""

    repository: str
    old: Commit | None
    new: Commit
    between: CommitRange | None = None


Moves = Mapping[Step, Move]


def planned_moves(plan: Plan) -> tuple[PlannedMove, ...]:
    """The steps of a plan that move a repository to a commit that is not checked out."""
    observed = plan.observed
    acting = {(step.id, step.target): step for step in plan.steps if step.acts}
    if not isinstance(observed, ResolvedState):
        return tuple(
            PlannedMove(step, folder, key, None, commit)
            for key, folder, commit in _uncached_pins(observed)
            if (step := acting.get(("git.materialize", short_name(key))))
        )
    found = []
    for source in observed.resolution.sources:
        step = acting.get(("git.checkout", f".odpm/src/{source.name}"))
        old = observed.checkouts[source.name].commit if source.name in observed.checkouts else None
        if step and not source.link.is_file and old != source.commit:
            found.append(PlannedMove(step, source.name, source.key, old, source.commit))
    return tuple(found)


def _uncached_pins(observed: ObservedState) -> list[tuple[str, str, str]]:
    """The pinned commits that the cache lacks: canonical URL, folder, commit."""
    pins = effective_pins(observed.lock, observed.manifest.locks_git, observed.manifest.odoo_version)
    commits = {key: pin.content for key, pin in pins.items() if not pin.file}
    commits |= {query.link.canonical: query.content for query in observed.unresolved if query.content}
    folders = display_names(commits)
    return [(key, folders[key], commit) for key, commit in commits.items()]
