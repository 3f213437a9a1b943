"""What an image says of itself: where it comes from, of which time, and what it was made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.errors import EPOCH
from odpm_tasks.image import inputs

SCENARIO = "odpm.scenario"


@dataclass(frozen=True)
class Origin:
    """The developing project: its canonical URL (empty where it has none, or one on this disk) and its commit."""

    url: str
    revision: str


def own(paths: ProjectPaths) -> Origin:
    """Where the developing project's add-ons come from; the URL holds no user and no password."""
    url = canonical(git.origin(paths.root) or "")
    return Origin(url if url.startswith("https://") else "", git.query(paths.root, "rev-parse", "HEAD"))


def epoch(paths: ProjectPaths, whole: Stack) -> int:
    """The time that an image bears: of the platform's locked commit, so that it is the same for everybody.

    An image for mounted sources holds no platform and has the oldest time, and so has one with a platform of files.
    """
    platform = whole.resolution.platform
    if whole.scenario.mounts or platform.link.is_file:
        return EPOCH
    return int(git.query(paths.store(platform.key), "show", "--no-patch", "--format=%ct", platform.commit))


def labels(paths: ProjectPaths, whole: Stack) -> dict[str, str]:
    """Labels by the OCI image specification ("Annotations"), and ours for what it has no name for."""
    origin, manifest = own(paths), whole.manifest
    base, _, digest = whole.image.base_image.partition("@")
    told = {
        "org.opencontainers.image.title": whole.name,
        "org.opencontainers.image.source": origin.url,
        "org.opencontainers.image.revision": origin.revision,
        "org.opencontainers.image.created": datetime.fromtimestamp(epoch(paths, whole), UTC).isoformat(),
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.base.digest": digest,
        "odpm.lock": files.sha256(files.read(paths.lock) or b""),
        "odpm.odoo": manifest.odoo_version,
        "odpm.python": manifest.python,
        "odpm.version": whole.tool_version,
        SCENARIO: whole.scenario.name,
        inputs.INPUTS: inputs.baked_digest(paths, whole),
    }
    return {name: value for name, value in told.items() if value}
