"""The digests of base images: which ones the lock needs, and asking the registries for those it lacks."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.image.dockerfile import base_image
from odpm_tasks.core.locking.lockfile import Lock
from odpm_tasks.core.locking.resolve import Resolution
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.stack.compose_file import lockable_images
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.errors import DescriptionError

PATIENCE = 2.0  # seconds that all registries together may cost


def start(
    paths: ProjectPaths, wanted: Mapping[str, bool], known: Lock | None, *, fresh: bool
) -> Callable[[], dict[str, str]]:
    """Ask for the digests of images as `images` has them; call the result to have all that is known.

    Digests of the lock stay unless `fresh`, and also then where a registry does not answer.
    """
    from odpm_tasks.adapters.docker import registry

    locked = {name: known.images[name] for name in wanted if known and name in known.images}
    mirror = paths.settings.get("ODPM_IMAGE_MIRROR") or ""
    asked = {
        name: (mirror if mirrored else "") + name for name, mirrored in wanted.items() if fresh or name not in locked
    }
    told = registry.digests(asked, PATIENCE)
    return lambda: locked | told()


def base_images(manifest: Manifest, resolved: Resolution | None = None) -> dict[str, bool]:
    """Every image that any scenario starts from, by its own name, and whether it is had from the image mirror.

    `manifest` is the whole one. With the graph those count as well that dependencies bring.
    """
    found = {base_image(manifest.python, manifest.codename): True}
    for name, scenario in SCENARIOS.items():
        theirs = manifest.for_scenario(name)
        if resolved is not None:
            with contextlib.suppress(DescriptionError):  # of no matter to a lock; what renders it says so
                theirs = fragments(theirs, resolved, scenario).merge_into(theirs)
        found |= lockable_images(theirs, scenario)
    return found
