"""Repositories that a plan moves: from which commit to which, and what is known of these commits without a server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from odpm_tasks.core.locking.changes import short_name
from odpm_tasks.core.locking.lockfile import display_names, effective_pins
from odpm_tasks.core.planning.observed import ObservedState, ResolvedState
from odpm_tasks.core.planning.steps import Plan, Step


@dataclass(frozen=True)
class Moving:
    """A step that brings a repository to another commit. `folder` is its place below `.odpm/src`, `key` its canonical URL.

    `old` None: nothing is there yet, or nobody has looked.
    """

    step: Step
    folder: str
    key: str
    old: str | None
    new: str


@dataclass(frozen=True)
class Commit:
    """A commit: 40 hex digits, its date (ISO, UTC) and subject; these empty where this machine does not hold it."""

    id: str
    date: str = ""
    subject: str = ""


@dataclass(frozen=True)
class Between:
    """Commits that the new one has and the old one lacks, newest first, maybe cut; `count` is of all of them.

    `rewritten`: the old commit is no ancestor of the new one.
    """

    commits: tuple[Commit, ...]
    count: int
    rewritten: bool


@dataclass(frozen=True)
class Move:
    """What is known of one moving repository. `between` None: this machine does not hold the history."""

    repository: str
    old: Commit | None
    new: Commit
    between: Between | None = None


Moves = Mapping[Step, Move]


def moving(plan: Plan) -> tuple[Moving, ...]:
    """The steps that put a repository on a commit on which it does not stand, as far as the plan knows them."""
    observed = plan.observed
    acting = {(step.id, step.target): step for step in plan.steps if step.acts}
    if not isinstance(observed, ResolvedState):
        return tuple(
            Moving(step, folder, key, None, commit)
            for key, folder, commit in _asked(observed)
            if (step := acting.get(("git.materialize", short_name(key))))
        )
    found = []
    for source in observed.resolution.sources:
        step = acting.get(("git.checkout", f".odpm/src/{source.name}"))
        old = observed.checkouts[source.name].commit if source.name in observed.checkouts else None
        if step and not source.link.is_file and old != source.commit:
            found.append(Moving(step, source.name, source.key, old, source.commit))
    return tuple(found)


def _asked(observed: ObservedState) -> list[tuple[str, str, str]]:
    """What is pinned and not in the cache: canonical URL, folder, commit."""
    pins = effective_pins(observed.lock, observed.manifest.locks_git, observed.manifest.odoo_version)
    commits = {key: pin.commit for key, pin in pins.items() if not pin.file}
    commits |= {ask.link.canonical: ask.commit for ask in observed.unresolved if ask.commit}
    folders = display_names(commits)
    return [(key, folders[key], commit) for key, commit in commits.items()]
