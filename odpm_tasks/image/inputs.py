"""The inputs of an image as digests, and whether an existing image was built from the current ones.

What renders files is imported where it is used: queries of Docker start before that.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import COMPOSE_FILE, ProjectPaths

if TYPE_CHECKING:
    from odpm_tasks.core.stack.render import Stack

INPUTS = "odpm.inputs"  # the image label with the digest of its inputs


def input_digests(paths: ProjectPaths, stack: Stack) -> dict[str, str]:
    """The inputs of the image, a digest each; recorded at the build, they give the reason for the next build."""
    from odpm_tasks.core.stack.image_inputs import image_inputs

    own = "" if stack.scenario.mounts else " ".join(git.tree_id(paths.root, folder) for folder in stack.own.addons)
    return image_inputs(stack, own)


def content_digest(paths: ProjectPaths, stack: Stack) -> str:
    """One digest of all inputs of an image with sources; empty with mounted sources, where the image's name contains it.

    Inputs are the generated files, the Python locks, the pins and the committed add-ons of the developing project.
    """
    if stack.scenario.mounts:
        return ""
    from odpm_tasks.core.stack.render import render

    rendered = render(stack)
    parts = [data for path, data in sorted(rendered.files.items()) if path != COMPOSE_FILE]
    parts += [*stack.locks, *(f"{s.name} {s.commit}".encode() for s in stack.resolution.sources)]
    parts += [git.tree_id(paths.root, folder).encode() for folder in stack.own.addons]
    return files.sha256(b"\0".join(parts))[:32]


def is_pulled(image: str) -> bool:
    """Whether an image is pulled and never built: its name has a digest."""
    return "@sha256:" in image


def image_is_current(paths: ProjectPaths, stack: Stack, image: str, made_from: str | None) -> bool:
    """Whether the image exists and, if it contains sources and is built here, was built from the current inputs.

    `made_from` is the result of `image_made_from`.
    """
    return made_from is not None and (
        stack.scenario.mounts or is_pulled(image) or made_from == content_digest(paths, stack)
    )


def image_made_from(tag: str) -> str | None:
    """The digest of an image's inputs from its label ("": no label); None if the image does not exist.

    Errors: MachineError if the engine does not answer.
    """
    return docker.image_label(tag, INPUTS)
