"""What a plan rests on and what it is made of, as values: the observed world, steps, the plan itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.locking.lockfile import DevelopingState, Lock, PythonLocks
from odpm_tasks.core.locking.resolve import Resolution, SourceQuery
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.planning.costs import Cost
from odpm_tasks.core.stack.dependency_services import Fragments
from odpm_tasks.core.stack.render import Rendered, Stack


@dataclass(frozen=True)
class Checkout:
    """What lies in the place of a source: nothing, ours at `commit`, or something of the user's on top of `base`.

    `moving`: a run of ours was ended while it moved the checkout. `changes` of tracked files are looked for in strict
    scenarios only, which run nothing that the lock does not name. `gone`: commits that it rests on and nobody holds any more.
    """

    kind: Literal["absent", "ours", "moving", "branch", "commit", "foreign", "link"]
    commit: str | None = None
    branch: str | None = None
    base: str | None = None
    changes: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()


@dataclass(frozen=True)
class Running:
    """What Docker says: is the image there, do the services run as the last `up` left them, is the database ready?

    `image` None: Docker does not answer; `problem` says how. `building` and `bringing`: what it would cost.
    """

    image: bool | None = None
    services: Literal["absent", "changed", "running"] = "absent"
    detail: str = ""
    database: Literal["unknown", "absent", "unfinished", "ready"] = "unknown"
    problem: str = ""
    build_cost: Cost = field(default_factory=Cost)
    start_cost: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class ObservedState:
    """All that a plan rests on. What could not be observed yet is None.

    `touch_git` false (`--no-git-update`): `resolution` is what the checkouts hold; a strict scenario reads the lock all
    the same (`reads_lock`) and compares. `leftovers`: files that an earlier run generated and this one does not, and whether
    their bytes are still ours. `fragments`: what dependencies bring beside code; `manifest` is without it.
    """

    scenario: Scenario
    manifest: Manifest
    lock: Lock | None
    touch_git: bool = True
    reads_lock: bool = True
    own: DevelopingState | None = None
    resolution: Resolution | None = None
    unresolved: tuple[SourceQuery, ...] = ()
    uncached: tuple[str, ...] = ()
    checkouts: Mapping[str, Checkout] = field(default_factory=dict)
    python: PythonLocks | None = None
    rendered: Rendered | None = None
    current: Mapping[str, bytes | None] = field(default_factory=dict)
    edited: frozenset[str] = frozenset()
    obsolete_files: Mapping[str, bool] = field(default_factory=dict)
    fragments: Fragments = field(default_factory=Fragments)
    overrides: Mapping[str, str] = field(default_factory=dict)
    last_scenario: str | None = None
    validated: bool = False
    image: str = ""
    running: Running | None = None
    database: str = ""
    modules: tuple[str, ...] = ()
    install: tuple[str, ...] = ()
    update: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    checking: bool = False  # nobody wants to follow the lock, only to know whether it could be followed


@dataclass(frozen=True)
class Observation:
    """A world, and the stack its files were rendered from (None while something is still unresolved)."""

    observed: ObservedState
    stack: Stack | None = None
    state: dict[str, Any] = field(default_factory=dict)
