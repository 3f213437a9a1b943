"""The digests of base images: the images of a stack, and the queries to their registries."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.image.image_spec import base_image
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.locking.lockfile import Lock
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.stack.compose_file import lockable_images
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.core.stack.reserved import Reserved
from odpm_tasks.errors import DescriptionError

TIMEOUT = 2.0  # seconds for all registries together


def start(
    paths: ProjectPaths, images: Mapping[str, bool], known: Lock | None, *, fresh: bool
) -> Callable[[], dict[str, str]]:
    """Start to query the digests of `base_images`. The returned function waits and returns all known digests.

    Digests of the lock are kept; with `fresh` only those whose registry does not answer.
    """
    from odpm_tasks.adapters.docker import registry

    locked = {name: known.images[name] for name in images if known and name in known.images}
    mirror = paths.settings.get("ODPM_IMAGE_MIRROR") or ""
    references = {
        name: (mirror if mirrored else "") + name for name, mirrored in images.items() if fresh or name not in locked
    }
    found = registry.digests(references, TIMEOUT)
    return lambda: locked | found()


def base_images(
    manifest: Manifest, resolved: Resolution | None = None, reserved: Reserved | None = None
) -> dict[str, bool]:
    """Name -> whether the image mirror applies, for each base image of any scenario.

    `manifest` is that of all scenarios. With a resolved graph the images of dependencies are included,
    except those of services that use `reserved` names.
    """
    found = {base_image(manifest.python, manifest.codename): True}
    for name, scenario in SCENARIOS.items():
        described = manifest.for_scenario(name)
        if resolved is not None:
            with contextlib.suppress(DescriptionError):  # a lock does not need it; `render` reports it
                described = fragments(described, resolved, scenario, reserved).merge_into(described)
        found |= lockable_images(described, scenario)
    return found
