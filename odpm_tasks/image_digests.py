"""The digests of base images: which ones the lock needs, and asking the registries for those it lacks."""

from __future__ import annotations

from collections.abc import Callable

from odpm_tasks.core.compose import lockable_images
from odpm_tasks.core.image import base_image
from odpm_tasks.core.lock import Lock
from odpm_tasks.core.manifest import Manifest
from odpm_tasks.core.place import Place
from odpm_tasks.core.scenario import SCENARIOS

PATIENCE = 2.0  # seconds that all registries together may cost


def begin(place: Place, manifest: Manifest, known: Lock | None, *, fresh: bool) -> Callable[[], dict[str, str]]:
    """Ask for the digests of every image that any scenario starts from; call the result to have all that is known.

    Digests of the lock stay unless `fresh`, and also then where a registry does not answer. `manifest` is the whole one.
    """
    from odpm_tasks.adapters import registry

    wanted = images(manifest)
    locked = {name: known.images[name] for name in wanted if known and name in known.images}
    mirror = place.settings.get("ODPM_IMAGE_MIRROR") or ""
    asked = {
        name: (mirror if mirrored else "") + name for name, mirrored in wanted.items() if fresh or name not in locked
    }
    told = registry.digests(asked, PATIENCE)
    return lambda: locked | told()


def images(manifest: Manifest) -> dict[str, bool]:
    """Every image that a scenario starts from, by its own name, and whether it is had from the image mirror."""
    found = {base_image(manifest.python, manifest.codename): True}
    for name, scenario in SCENARIOS.items():
        found |= lockable_images(manifest.for_scenario(name), scenario)
    return found
