"""What a plan rests on and what it is made of, as values: the observed world, steps, the plan itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from odpm_tasks.core.costs import Cost
from odpm_tasks.core.fragments import Fragments
from odpm_tasks.core.lock import Lock, Pin
from odpm_tasks.core.manifest import Manifest
from odpm_tasks.core.resolve import Ask, Resolution
from odpm_tasks.core.scenario import Scenario

Action = Literal["create", "update", "keep", "run", "skip", "later"]


@dataclass(frozen=True)
class Step:
    """One thing to do, or not to: `target` is what it is done to, `detail` old -> new or the reason.

    `later`: what it will be is known only after the step that `detail` names. `cost` is no part of what a step is.
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
class Own:
    """The developing checkout, where `developing.git` names it: a pin of what it holds now, and local changes."""

    pin: Pin
    changes: tuple[str, ...] = ()


@dataclass(frozen=True)
class PythonLocks:
    """The Python locks: the hash of what asks, the one the files say they were made from, and the files' own hash."""

    wanted: str
    made_from: str | None
    digest: str | None


@dataclass(frozen=True)
class Rendered:
    """Everything generated from description and lock: bytes by path, each with the step that writes it."""

    files: Mapping[str, bytes]
    steps: Mapping[str, str]
    image: str


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
    building: Cost = field(default_factory=Cost)
    bringing: Cost = field(default_factory=Cost)


@dataclass(frozen=True)
class World:
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
    own: Own | None = None
    resolution: Resolution | None = None
    unanswered: tuple[Ask, ...] = ()
    unstored: tuple[str, ...] = ()
    checkouts: Mapping[str, Checkout] = field(default_factory=dict)
    python: PythonLocks | None = None
    rendered: Rendered | None = None
    current: Mapping[str, bytes | None] = field(default_factory=dict)
    edited: frozenset[str] = frozenset()
    leftovers: Mapping[str, bool] = field(default_factory=dict)
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
class Plan:
    """Steps in the order of the contract, with the world they were decided from."""

    world: World
    steps: tuple[Step, ...]

    @property
    def pending(self) -> tuple[Step, ...]:
        """What can be done now: everything that acts, up to the first step that is not known yet."""
        known: list[Step] = []
        for step in self.steps:
            if step.action == "later":
                break
            if step.acts:
                known.append(step)
        return tuple(known)

    @property
    def complete(self) -> bool:
        return all(step.action != "later" for step in self.steps)

    @property
    def drift(self) -> tuple[Step, ...]:
        """What exists and differs from the description; another scenario's leftovers are no drift."""
        switched = self.world.last_scenario not in {None, self.world.scenario.name}
        files = {*(self.world.rendered.files if self.world.rendered else ()), *self.world.leftovers}
        return tuple(
            step
            for step in self.steps
            if step.action == "update" and not (switched and (step.target in files or step.id == "compose.up"))
        )
