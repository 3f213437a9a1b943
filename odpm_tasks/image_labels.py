"""What an image says of itself: where it comes from, of which time, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from odpm_tasks import engine, running
from odpm_tasks.adapters import files, git
from odpm_tasks.core.link import canonical
from odpm_tasks.core.place import Place
from odpm_tasks.core.render import Stack
from odpm_tasks.epoch import EPOCH

SCENARIO = "odpm.scenario"


@dataclass(frozen=True)
class Origin:
    """The developing project: its canonical URL (empty where it has none, or one on this disk) and its commit."""

    url: str
    revision: str


def own(place: Place) -> Origin:
    """Where the developing project's add-ons come from; the URL holds no user and no password."""
    url = canonical(git.origin(place.root) or "")
    return Origin(url if url.startswith("https://") else "", git.ask(place.root, "rev-parse", "HEAD"))


def epoch(place: Place, whole: Stack) -> int:
    """The time that an image bears: of the platform's locked commit, so that it is the same for everybody.

    An image for mounted sources holds no platform and has the oldest time, and so has one with a platform of files.
    """
    platform = whole.resolution.platform
    if whole.scenario.mounts or platform.link.is_file:
        return EPOCH
    return int(git.ask(place.store(platform.key), "show", "--no-patch", "--format=%ct", platform.commit))


def labels(place: Place, whole: Stack) -> dict[str, str]:
    """Labels by the OCI image specification ("Annotations"), and ours for what it has no name for."""
    origin, manifest = own(place), whole.manifest
    base, _, digest = whole.image.base_image.partition("@")
    told = {
        "org.opencontainers.image.title": whole.name,
        "org.opencontainers.image.source": origin.url,
        "org.opencontainers.image.revision": origin.revision,
        "org.opencontainers.image.created": datetime.fromtimestamp(epoch(place, whole), UTC).isoformat(),
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.base.digest": digest,
        "odpm.lock": files.sha256(files.read(place.lock) or b""),
        "odpm.odoo": manifest.odoo_version,
        "odpm.python": manifest.python,
        "odpm.version": whole.tool_version,
        SCENARIO: whole.scenario.name,
        engine.INPUTS: running.baked_digest(place, whole),
    }
    return {name: value for name, value in told.items() if value}
