"""Which add-ons a command of doodba means."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from odpm_tasks.core.addons.graph import AddonGraph

ENTERPRISE = "enterprise"  # the name of that repository


def of_kinds(graph: AddonGraph, kinds: Collection[str]) -> tuple[str, ...]:
    """The installable add-ons of `core` (the platform), `extra` (dependencies), `private` (the project), `enterprise`."""
    names = {"platform": "core", "developing": "private", "dependency": "extra"}
    return tuple(
        name
        for name, addon in graph.addons.items()
        if addon.module.installable
        and (ENTERPRISE if addon.place.name == ENTERPRISE else names[addon.place.kind]) in kinds
    )


def addon_above(path: Path, root: Path, is_addon: Callable[[Path], bool]) -> str:
    """The name of the add-on that contains a file or folder of the project; empty where none does."""
    for folder in (path, *path.parents):
        if is_addon(folder):
            return folder.name
        if folder == root or root not in folder.parents:
            return ""
    return ""
