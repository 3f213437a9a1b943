"""Tasks that compare: parity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, split_list, task

if TYPE_CHECKING:
    from pathlib import Path

    from odpm_tasks.stack.parity import Side


@task(
    help={
        "image": "Compare these images instead (repeat or comma separate), without a scenario that explains anything.",
        "format": "text or json.",
        "verbose": "Also show the differences that the scenario explains, with the reasons.",
    },
    iterable=["image"],
)
def parity(c: Context, image: list[str] | None = None, format: str = "text", verbose: bool = False) -> None:
    """Compare what the images of the scenarios really contain; exit 2 on what the scenario does not explain."""
    import sys

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.audit import parity_text
    from odpm_tasks.core.config.scenario import SCENARIOS
    from odpm_tasks.errors import DriftError, UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.stack import parity as comparing

    if format not in {"text", "json"}:
        raise UsageError(f"unknown format {format!r}", todo="--format text or --format json")
    named = tuple(dict.fromkeys(split_list(image)))
    if len(named) == 1:
        raise UsageError("one image is compared with nothing", todo=f"inv parity --image {named[0]} --image ANOTHER")
    notes: tuple[str, ...] = ()
    if named:
        compared = comparing.of_images(named)
    else:
        compared, notes = comparing.of_scenarios([_side(Project.find().root, name) for name in SCENARIOS])
    for note in notes:
        terminal.message(note)
    if format == "json":
        terminal.output(parity_text.as_json(compared))
    else:
        terminal.output(
            parity_text.as_text(compared, lambda text, style: terminal.paint(text, style, sys.stdout), verbose=verbose)
        )
    if failing := len(compared.failing):
        raise DriftError(
            f"the images differ: {failing} difference{'s' if failing > 1 else ''} that no scenario explains",
            todo="build them anew from the same lock, or change what differs; then inv parity",
        )


@task(help={"force": "Build even when the image is there, and show the whole log."})
def build(c: Context, force: bool = False) -> None:
    """Build the environment image (Python packages and system libraries), where its inputs changed."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.image import build as building
    from odpm_tasks.project import ORDER, PREPARING, Project

    project = Project.find()
    with project.exclusive():
        if force:
            order = building.BuildRequest(show_log=True)
            tag = building.build_image(
                project.paths, require_rendered(project.converge(PREPARING).observed), order
            ).names[0]
        else:
            tag = require_rendered(project.converge(ORDER[: ORDER.index("image.build") + 1]).observed).image
    terminal.output(tag)


@task(
    name="build-image",
    help={
        "tag": "Name of the image (repeat or comma separate for several).",
        "push": "Push it to its registry.",
        "output": "Write it to this archive (.tar).",
        "platform": "Build for these platforms, for example linux/amd64,linux/arm64.",
        "cache_from": "Where earlier layers may come from, as buildx has it (repeat for several).",
        "cache_to": "Where layers are left for the next build, as buildx has it (repeat for several).",
        "sbom": "List what is in it (CycloneDX) in .odpm/build/sbom.cdx.json, and name licences that contradict.",
        "check_licenses": "Fail where licences of add-ons contradict.",
        "no_cache": "Take no step from the build cache.",
        "no_smoke_test": "Give it its name without trying it.",
        "show_log": "Show the whole log of the build.",
        "format": "text or json.",
    },
    iterable=["tag", "cache_from", "cache_to"],
)
def build_image(
    c: Context,
    tag: list[str] | None = None,
    push: bool = False,
    output: str = "",
    platform: str = "",
    cache_from: list[str] | None = None,
    cache_to: list[str] | None = None,
    sbom: bool = False,
    check_licenses: bool = False,
    no_cache: bool = False,
    no_smoke_test: bool = False,
    show_log: bool = False,
    format: str = "text",
) -> None:
    """Build the image that carries everything: sources, Python environment, configuration. Only in the scenario ci."""
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.errors import UsageError
    from odpm_tasks.image import build as building
    from odpm_tasks.project import PREPARING, Project

    project = Project.find()
    scenario = project.scenario
    tags = split_list(tag)
    if format not in {"text", "json"}:
        raise UsageError(f"unknown format {format!r}", todo="--format text or --format json")
    if scenario.mounts:
        raise UsageError(
            f"build-image bakes the sources into the image; in {scenario.name} they are mounted from disk",
            where=project.paths.settings.where("ODPM_SCENARIO"),
            todo="ODPM_SCENARIO=ci inv build-image; for the environment alone: inv build",
        )
    if push and not tags:
        raise UsageError(
            "--push needs to know where to", todo="inv build-image --tag registry.example/team/odoo:1.0 --push"
        )
    order = building.BuildRequest(
        tags, push, split_list(platform), cache_from or (), cache_to or (), sbom, check_licenses,
        Path(output) if output else None, not no_smoke_test, no_cache, show_log,
    )  # fmt: skip
    with project.exclusive():
        built = building.build_image(project.paths, require_rendered(project.converge(PREPARING).observed), order)
    if format == "json":
        terminal.output(built.json)
        return
    for name in built.names:
        terminal.output(f"{name}@{built.pushed.get(name) or built.digest}")


def _side(root: Path, scenario: str) -> Side:
    """What a scenario of the project would run. Errors: LockError where the lock does not tell."""
    from dataclasses import replace

    from odpm_tasks.core.config.paths import LOCK_FILE
    from odpm_tasks.core.planning.observed import RenderedState
    from odpm_tasks.core.planning.steps import PREPARING
    from odpm_tasks.errors import LockError
    from odpm_tasks.project import Project
    from odpm_tasks.stack.parity import Side

    project = Project.at(root, ODPM_SCENARIO=scenario)
    project = replace(project, paths=replace(project.paths, writes_cache=False))
    observed = project.observe(PREPARING)
    if not isinstance(observed, RenderedState):
        raise LockError(
            "the lock does not say what the images are to hold", where=LOCK_FILE, todo="inv lock, then build them"
        )
    return Side(project.paths, observed.stack, observed.image)
