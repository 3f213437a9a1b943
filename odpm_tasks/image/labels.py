"""The labels and the timestamp of an image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.graph import Source
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.errors import EPOCH
from odpm_tasks.image import inputs

SYSTEM = "odpm.system"  # the label with the locked state of the Debian archive


@dataclass(frozen=True)
class Origin:
    """The developing project: its canonical URL (empty without `developing.git`, or if that is a local one) and its commit."""

    url: str
    revision: str


def origin(paths: ProjectPaths, stack: Stack) -> Origin:
    """The origin of the developing project's add-ons.

    The remotes of the checkout do not count: those of a fork or of a clone without `origin` are others.
    """
    developing = stack.manifest.developing
    url = developing.canonical if developing else ""
    return Origin(url if url.startswith("https://") else "", git.query(paths.root, "rev-parse", "HEAD"))


def epoch(paths: ProjectPaths, stack: Stack) -> int:
    """The timestamp of an image in seconds: the commit time of the platform's pin, so it is the same on every machine.

    `EPOCH` if sources are mounted, or if the platform is a `file://` source.
    """
    platform = stack.resolution.platform
    if stack.scenario.mounts or platform.link.is_file:
        return EPOCH
    return int(git.query(paths.store(platform.key), "show", "--no-patch", "--format=%ct", platform.base))


def merges_label(sources: Sequence[Source]) -> str:
    """`NAME COMMIT + REF COMMIT, …; …`: the repositories with merges, their pins and what is merged onto them."""
    found = (f"{source.name} {source.base} + {', '.join(source.merges)}" for source in sources if source.merges)
    return "; ".join(sorted(found))


def image_labels(paths: ProjectPaths, stack: Stack) -> dict[str, str]:
    """Labels of the OCI image specification ("Annotations"), and `odpm.*` labels for everything else.

    Name and URL of the project are those of `developing.git`.
    """
    manifest = stack.manifest
    base, _, digest = stack.image.base_image.partition("@")
    own = origin(paths, stack)
    labels = {
        "org.opencontainers.image.title": manifest.developing.name if manifest.developing else "",
        "org.opencontainers.image.source": own.url,
        "org.opencontainers.image.revision": own.revision,
        "org.opencontainers.image.created": datetime.fromtimestamp(epoch(paths, stack), UTC).isoformat(),
        "org.opencontainers.image.base.name": base,
        "org.opencontainers.image.base.digest": digest,
        "odpm.merges": "" if stack.scenario.mounts else merges_label(stack.resolution.sources),
        "odpm.lock": files.sha256(files.read(paths.lock) or b""),
        SYSTEM: str(stack.image.archive or ""),
        "odpm.odoo": manifest.odoo_version,
        "odpm.python": manifest.python,
        "odpm.version": stack.tool_version,
        "odpm.scenario": stack.scenario.name,
        inputs.INPUTS: inputs.content_digest(paths, stack),
    }
    return {name: value for name, value in labels.items() if value}
