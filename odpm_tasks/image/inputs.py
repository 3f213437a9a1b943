"""New."""

from __future__ import annotations

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.stack.image_inputs import image_inputs
from odpm_tasks.core.stack.render import Stack, render


def inputs(paths: ProjectPaths, whole: Stack) -> dict[str, str]:
    """What the image is made from, as digests: recorded, it tells why the next one is built."""
    mounted = whole.scenario.mounts
    own = "" if mounted else " ".join(git.tree_id(paths.root, folder) for folder in whole.own.addons)
    return image_inputs(whole, own)


def baked_digest(paths: ProjectPaths, whole: Stack) -> str:
    """What an image with sources is made from: every generated file, the Python locks, every commit, our own content."""
    rendered = render(whole)
    parts = [data for path, data in sorted(rendered.files.items()) if path != "docker-compose.yml"]
    parts += [*whole.locks, *(f"{s.name} {s.commit}".encode() for s in whole.resolution.sources)]
    parts += [git.tree_id(paths.root, folder).encode() for folder in whole.own.addons]
    return files.sha256(b"\0".join(parts))[:32]


def image_is_current(paths: ProjectPaths, whole: Stack, made_from: str | None) -> bool:
    """Whether the image is there, by its label; a baked one must have been made from the inputs of now."""
    return made_from is not None and (paths.settings.scenario.mounts or made_from == baked_digest(paths, whole))


def baked(paths: ProjectPaths, whole: Stack) -> str:
    """What an image is made from whose name does not tell; empty where it does."""
    return "" if whole.scenario.mounts else baked_digest(paths, whole)


INPUTS = "odpm.inputs"  # the label of an image that tells what it was made from


def image_made_from(tag: str) -> str | None:
    """What an image says it was made from, "" where it does not say; None where there is no such image.

    Errors: MachineError where the engine does not answer.
    """
    return docker.image_label(tag, INPUTS)
