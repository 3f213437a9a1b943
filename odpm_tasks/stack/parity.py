"""Compare the contents of images: those of a project's scenarios, or any others."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import run_image
from odpm_tasks.core.audit.census import Census
from odpm_tasks.core.audit.parity import differences, explanations, package_notes
from odpm_tasks.core.audit.parity_text import Comparison
from odpm_tasks.core.audit.platform_parity import platform_explanations
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.image.dockerfile import CONFIGURATION
from odpm_tasks.core.locking.diff_packages import Locked
from odpm_tasks.core.stack.render import Stack, render
from odpm_tasks.errors import MachineError
from odpm_tasks.image import archive_builds, inputs
from odpm_tasks.image.census import read_census
from odpm_tasks.image.labels import SYSTEM
from odpm_tasks.parallel import parallel_map
from odpm_tasks.stack import compose


@dataclass(frozen=True)
class Side:
    """The image and sources that a scenario of a project runs."""

    paths: ProjectPaths
    stack: Stack
    image: str

    @property
    def scenario(self) -> Scenario:
        return self.stack.scenario


def of_scenarios(sides: Sequence[Side]) -> tuple[Comparison, tuple[str, ...]]:
    """Compare the images of a project's scenarios that exist on this machine. Returns the comparison and notes on it.

    Sources and configuration are mounted as in the compose file; nothing is written into the project.
    Errors: MachineError where there are fewer than two images.
    """
    docker.require()
    missing = {side.scenario.name: command for side in sides if (command := _missing(side))}
    available = [side for side in sides if side.scenario.name not in missing]
    if len(available) < 2:
        raise MachineError("two images are needed for a comparison", details=[f"{k}: {v}" for k, v in missing.items()])
    notes = [
        f"{name} is skipped, its image is not built on this machine: {command}" for name, command in missing.items()
    ]
    notes += [
        f"{side.scenario.name}: {side.image} is out of date: {_command(side.scenario)}"
        for side in available
        if not inputs.image_is_current(side.paths, side.stack, side.image, inputs.image_made_from(side.image))
    ]
    with terminal.activity() as show:
        for side in available:
            show.note(side.scenario.name, f"reading {side.image}")
        contents = parallel_map(available[0].paths, _contents, available)
    labelled = {side.scenario.name: held for side, held in zip(available, contents, strict=True)}
    known = explanations({side.scenario.name: side.stack for side in available})
    names = {side.scenario.name: side.image for side in available}
    found = Comparison(names, labelled, differences(labelled, known))
    states = {
        name: str(state) for name, state in archive_builds.built_states(available[0].paths).items() if name in names
    }
    return found, (*notes, *package_notes(found.failing, states))


def of_images(names: Sequence[str]) -> tuple[Comparison, tuple[str, ...]]:
    """Compare images as they are, without differences that scenarios explain. Returns the comparison and notes on it."""
    docker.require()
    contents = {name: read_census(name) for name in names}
    found = Comparison({name: name for name in names}, contents, differences(contents))
    states = {name: docker.image_label(name, SYSTEM) or "" for name in names}
    return found, package_notes(found.failing, states)


def of_platforms(image: str, platforms: Sequence[str], locked: Mapping[str, Sequence[Locked]]) -> Comparison:
    """Compare platforms of one image. `locked`: the packages of its Python lock, where it is known.

    Errors: UsageError for a platform that the engine does not have, MachineError without an emulator for it.
    """
    docker.require()
    with terminal.activity() as show:
        contents = {}
        for platform in platforms:  # one after the other: an emulator takes a whole processor
            show.note(platform, f"reading {image}")
            contents[platform] = read_census(image, platform=platform)
    known = platform_explanations(contents, locked)
    names = dict.fromkeys(contents, image)
    return Comparison(names, contents, differences(contents, known, platforms=True), platforms=True)


def _command(scenario: Scenario) -> str:
    return f"ODPM_SCENARIO={scenario.name} inv {'build' if scenario.mounts else 'build-image'}"


def _missing(side: Side) -> str:
    """The command that creates the missing image or checkouts of a scenario; empty where nothing is missing."""
    absent = side.scenario.mounts and [m for m in side.stack.mounts if not (side.paths.root / m.host).exists()]
    return "" if run_image.environment(side.image) is not None and not absent else _command(side.scenario)


def _contents(side: Side) -> Census:
    if not side.scenario.mounts:
        return read_census(side.image)
    root, env = side.paths.root, compose.compose_env(side.paths)
    with contextlib.ExitStack() as cleanup:
        conf = files.temporary_folder(cleanup, "odpm-conf-") / "odoo.conf"
        files.write(conf, render(side.stack).files[f".odpm/{CONFIGURATION}"])
        mounts = [(conf, "/etc/odoo/odoo.conf")]
        mounts += [((root / mount.host).resolve(), mount.inside) for mount in side.stack.mounts]
        return read_census(side.image, mounts=mounts, user=f"{env['ODPM_UID']}:{env['ODPM_GID']}")
