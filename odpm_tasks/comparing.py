"""Comparing what images really contain: those that a project's scenarios would run, or any two."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from odpm_tasks import engine, observe, running
from odpm_tasks.adapters import docker, files, images, terminal
from odpm_tasks.census import census
from odpm_tasks.core.contents import Contents
from odpm_tasks.core.image import CONFIGURATION
from odpm_tasks.core.order import LOCK_FILE, PREPARING
from odpm_tasks.core.parity import differences, reasons
from odpm_tasks.core.parity_text import Comparison
from odpm_tasks.core.place import Place
from odpm_tasks.core.render import Stack, render
from odpm_tasks.core.scenario import SCENARIOS, Scenario
from odpm_tasks.errors import LockError, MachineError
from odpm_tasks.parallel import together
from odpm_tasks.project import Project


@dataclass(frozen=True)
class Side:
    """What a scenario of a project would run."""

    place: Place
    stack: Stack
    image: str

    @property
    def scenario(self) -> Scenario:
        return self.stack.scenario


def of_scenarios(root: Path) -> tuple[Comparison, tuple[str, ...]]:
    """Compare what the scenarios of a project run, as far as it is on this machine; and what to know about it.

    Sources and configuration are mounted as the compose file mounts them; nothing is written into the project.
    Errors: MachineError where there are fewer than two.
    """
    docker.demand()
    sides = [_side(root, name) for name in SCENARIOS]
    lacking = {side.scenario.name: lack for side in sides if (lack := _lacking(side))}
    there = [side for side in sides if side.scenario.name not in lacking]
    if len(there) < 2:
        raise MachineError("two images are needed for a comparison", details=[f"{k}: {v}" for k, v in lacking.items()])
    notes = [f"{name} is left out, it is not built here: {lack}" for name, lack in lacking.items()]
    notes += [
        f"{side.scenario.name}: {side.image} was made of something else than what is here now: {_command(side.scenario)}"
        for side in there
        if not running.image_is_current(side.place, side.stack, engine.image_made_from(side.image))
    ]
    with terminal.activity() as show:
        for side in there:
            show.note(side.scenario.name, f"looking into {side.image}")
        contents = together(there[0].place, _contents, there)
    labelled = {side.scenario.name: held for side, held in zip(there, contents, strict=True)}
    known = reasons({side.scenario.name: side.stack for side in there})
    names = {side.scenario.name: side.image for side in there}
    return Comparison(names, labelled, differences(labelled, known)), tuple(notes)


def of_images(names: Sequence[str]) -> Comparison:
    """Compare images as they are; no scenario explains anything."""
    docker.demand()
    contents = {name: census(name) for name in names}
    return Comparison({name: name for name in names}, contents, differences(contents))


def _side(root: Path, scenario: str) -> Side:
    place = replace(Project.at(root, ODPM_SCENARIO=scenario).place, learns=False)
    sight = observe.sight(place, PREPARING)
    if sight.stack is None:
        raise LockError(
            "the lock does not say what the images are to hold", where=LOCK_FILE, todo="inv lock, then build them"
        )
    return Side(place, sight.stack, sight.world.image)


def _command(scenario: Scenario) -> str:
    return f"ODPM_SCENARIO={scenario.name} inv {'build' if scenario.mounts else 'build-image'}"


def _lacking(side: Side) -> str:
    """The command that makes what a scenario lacks for being looked at; empty where it lacks nothing."""
    absent = side.scenario.mounts and [m for m in side.stack.mounts if not (side.place.root / m.host).exists()]
    return "" if images.environment(side.image) is not None and not absent else _command(side.scenario)


def _contents(side: Side) -> Contents:
    if not side.scenario.mounts:
        return census(side.image)
    root, env = side.place.root, running.compose_env(side.place)
    with contextlib.ExitStack() as cleanup:
        conf = files.scratch(cleanup, "odpm-conf-") / "odoo.conf"
        files.write(conf, render(side.stack).files[f".odpm/{CONFIGURATION}"])
        mounts = [(conf, "/etc/odoo/odoo.conf")]
        mounts += [((root / mount.host).resolve(), mount.inside) for mount in side.stack.mounts]
        return census(side.image, mounts=mounts, user=f"{env['ODPM_UID']}:{env['ODPM_GID']}")
