"""Tasks for images: build, build-image, parity."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from odpm_tasks.core.audit.parity_text import Comparison
    from odpm_tasks.stack.parity import Side


@task(
    help={
        "image": "Compare these images instead of the scenarios' (repeat or comma separate); no difference is explained.",
        "platform": "Compare these platforms of the image of ci, or of --image (repeat or comma separate).",
        "format": "text or json.",
        "verbose": "Also show the differences that the scenarios or the platforms explain, with the reasons.",
    },
    lists=["image", "platform"],
)
def parity(
    c: Context,
    image: Sequence[str] = (),
    platform: Sequence[str] = (),
    format: str = "text",
    verbose: bool = False,
) -> None:
    """Compare the content of the scenarios' images, or the platforms of one image.

    Exit 2 if they differ in more than scenarios or platforms explain.
    """

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.audit import parity_text
    from odpm_tasks.core.config.scenario import SCENARIOS
    from odpm_tasks.errors import DriftError, UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.stack.parity import of_images, of_scenarios

    check_format(format)
    named = tuple(dict.fromkeys(image))
    platforms = _platforms(platform)
    if platforms and (len(named) > 1 or len(platforms) == 1):
        raise UsageError(
            "parity --platform compares two platforms or more of one image",
            todo="inv parity --platform linux/amd64,linux/arm64 --image IMAGE",
        )
    if len(named) == 1 and not platforms:
        raise UsageError("parity needs at least two images", todo=f"inv parity --image {named[0]} --image ANOTHER")
    notes: tuple[str, ...] = ()
    if platforms:
        compared = _of_platforms(named, platforms)
    elif named:
        compared, notes = of_images(named)
    else:
        compared, notes = of_scenarios([_side(Project.find().root, name) for name in SCENARIOS])
    for note in notes:
        terminal.message(note)
    write_report(
        format,
        lambda: parity_text.as_json(compared),
        lambda paint: parity_text.as_text(compared, paint, verbose=verbose),
    )
    if failing := len(compared.failing):
        what, by = ("platforms", "platform") if platforms else ("images", "scenario")
        raise DriftError(
            f"the {what} differ: {failing} difference{'s' if failing > 1 else ''} that no {by} explains",
            todo=f"build the {what} from the same lock, or remove the differences; then inv parity",
        )


@task(help={"force": "Build even if the image exists, and show the whole log."})
def build(c: Context, force: bool = False) -> None:
    """Build the image with Python packages and libraries if its inputs changed."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.image.build import BuildRequest, build_image
    from odpm_tasks.project import ORDER, PREPARING, Project

    project = Project.find()
    with project.exclusive():
        if force:
            observed = require_rendered(project.converge(PREPARING).observed)
            tag = build_image(project.paths, observed, BuildRequest(show_log=True)).names[0]
        else:
            tag = require_rendered(project.converge(ORDER[: ORDER.index("image.build") + 1]).observed).image
    terminal.output(tag)


@task(
    name="build-image",
    help={
        "tag": "Name of the image (repeat or comma separate for several).",
        "push": "Push it to its registry.",
        "output": "Write it to this archive (.tar).",
        "platform": "Build for these platforms, for example linux/amd64,linux/arm64 (repeat or comma separate).",
        "cache_from": "Import the build cache from here, as for docker buildx build (repeat for several).",
        "cache_to": "Export the build cache to here, as for docker buildx build (repeat for several).",
        "sbom": "Write an SBOM (CycloneDX) to .odpm/build/sbom.cdx.json and warn of licence conflicts.",
        "check_licenses": "Fail if licences of add-ons conflict.",
        "no_cache": "Do not use the build cache.",
        "verify": "Build again without cache and compare the digests; exit 2 if they differ.",
        "no_smoke_test": "Tag the image without a smoke test.",
        "show_log": "Show the whole log of the build.",
        "format": "text or json.",
    },
    lists=["tag", "platform"],
    repeated=["cache_from", "cache_to"],
)
def build_image(
    c: Context,
    tag: Sequence[str] = (),
    push: bool = False,
    output: str = "",
    platform: Sequence[str] = (),
    cache_from: Sequence[str] = (),
    cache_to: Sequence[str] = (),
    sbom: bool = False,
    check_licenses: bool = False,
    no_cache: bool = False,
    verify: bool = False,
    no_smoke_test: bool = False,
    show_log: bool = False,
    format: str = "text",
) -> None:
    """Build the image with sources, environment and configuration (ci)."""
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.errors import UsageError
    from odpm_tasks.image.build import BuildRequest, build_image
    from odpm_tasks.project import PREPARING, Project

    project = Project.find()
    scenario = project.scenario
    tags = tuple(tag)
    check_format(format)
    if scenario.mounts:
        raise UsageError(
            f"build-image copies the sources into the image; in {scenario.name} they are mounted from disk",
            where=project.paths.settings.where("ODPM_SCENARIO"),
            todo="ODPM_SCENARIO=ci inv build-image; for the environment alone: inv build",
        )
    if push and not tags:
        raise UsageError("--push needs --tag", todo="inv build-image --tag registry.example/team/odoo:1.0 --push")
    request = BuildRequest(
        tags=tags,
        push=push,
        platforms=_platforms(platform),
        cache_from=tuple(cache_from),
        cache_to=tuple(cache_to),
        sbom=sbom,
        check_licenses=check_licenses,
        output=Path(output) if output else None,
        smoke_test=not no_smoke_test,
        no_cache=no_cache,
        verify=verify,
        show_log=show_log,
    )
    with project.exclusive():
        observed = require_rendered(project.converge(PREPARING).observed)
        result = build_image(project.paths, observed, request)
    if format == "json":
        terminal.output(result.json)
        return
    for name in result.names:
        terminal.output(f"{name}@{result.pushed.get(name) or result.digest}")


def _platforms(values: Sequence[str]) -> tuple[str, ...]:
    """The platforms of an option, each once. Errors: UsageError for other names than `linux/arm64`."""
    from odpm_tasks.errors import UsageError

    for value in values:
        if not re.fullmatch(r"linux/[a-z0-9]+(/v\d+)?", value):
            raise UsageError(f"{value!r} is not a platform of images", todo="--platform linux/amd64,linux/arm64")
    return tuple(dict.fromkeys(values))


def _of_platforms(named: Sequence[str], platforms: Sequence[str]) -> Comparison:
    """The comparison of platforms of the named image, else of the project's image of ci, whose lock is known."""
    from odpm_tasks.core.locking.diff_packages import read_python_lock
    from odpm_tasks.project import Project
    from odpm_tasks.stack.parity import of_platforms

    if named:
        return of_platforms(named[0], platforms, {})
    side = _side(Project.find().root, "ci")
    return of_platforms(side.image, platforms, read_python_lock(side.stack.locks[0].decode(errors="replace")))


def _side(root: Path, scenario: str) -> Side:
    """What a scenario of the project would run. Errors: LockError if the lock is missing or incomplete."""
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
        raise LockError("the lock is missing or incomplete", where=LOCK_FILE, todo="inv lock, then build the images")
    return Side(project.paths, observed.stack, observed.image)
