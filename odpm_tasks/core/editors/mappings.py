"""The folders of a stack as an editor needs them: what is where in the container, and where modules are found."""

from __future__ import annotations

from dataclasses import dataclass

from odpm_tasks.core.config.paths import source_folder
from odpm_tasks.core.stack.render import Stack


@dataclass(frozen=True)
class SourceFolders:
    """Folders relative to the project's root, "" is the root itself.

    `mappings`: folder -> the same in the container, a deeper one before the one around it. `addons`: the folders of add-ons
    without those of the platform. `platform`: the checkout of Odoo. `search`: folders in which Python modules are found.
    """

    mappings: tuple[tuple[str, str], ...]
    addons: tuple[str, ...]
    platform: str
    search: tuple[str, ...]


def source_folders(stack: Stack) -> SourceFolders:
    """The folders of the project's add-ons, of each dependency, and of the platform."""
    mappings = sorted(((mount.host, mount.inside) for mount in stack.mounts), key=lambda pair: -_depth(pair[0]))
    addons = list(stack.own.addons)
    for source in stack.resolution.ordered:
        if source.kind != "platform":
            addons += source.facts.addons_below(source_folder(source.name))
    platform = stack.resolution.platform
    root = source_folder(platform.name)
    inside = [f"{root}/{folder}" for folder in platform.facts.addons if folder]
    addons = list(dict.fromkeys(addons))
    return SourceFolders(tuple(mappings), tuple(addons), root, (root, *addons, *inside))


def _depth(folder: str) -> int:
    return folder.count("/") + 1 if folder else 0
