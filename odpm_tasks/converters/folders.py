"""The add-ons and clones below the folder of a project."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from odpm_tasks.core.odoo.addons import MANIFESTS

_DEEPEST = 5  # folders between the project and the manifest of an add-on
_MOST_FOLDERS = 3000


@dataclass
class ProjectFolders:
    """What was found, relative to the project. `addons`: folders of add-ons outside of clones; `clones`: other repositories."""

    addons: list[str] = field(default_factory=list)
    clones: list[str] = field(default_factory=list)


def scan(root: Path, without: Collection[str] = ()) -> ProjectFolders:
    """Search a project. Hidden folders, links, the folders `without`, and what is inside of clones and add-ons are not entered."""
    found = ProjectFolders()
    pending, entered = [(os.fspath(root), "")], 0
    while pending and entered < _MOST_FOLDERS:
        folder, name = pending.pop()
        entered += 1
        try:
            with os.scandir(folder) as entries:
                content = {entry.name: entry for entry in entries}
        except OSError:
            continue
        if name and ".git" in content:
            found.clones.append(name)
        elif name and any(manifest in content for manifest in MANIFESTS):
            found.addons.append(name)
        elif name.count("/") < _DEEPEST:
            prefix = f"{name}/" if name else ""
            pending += [
                (entry.path, f"{prefix}{entry.name}")
                for entry in content.values()
                if entry.name[0] != "."
                and entry.name != "node_modules"
                and f"{prefix}{entry.name}" not in without
                and entry.is_dir(follow_symlinks=False)
            ]
    found.addons.sort()
    found.clones.sort()
    return found


def is_addon(folder: Path) -> bool:
    """Whether a repository is itself an add-on."""
    return any((folder / name).is_file() for name in MANIFESTS)


def has_addons(folder: Path) -> bool:
    """Whether a repository has add-ons in its root or one folder below."""
    return any(True for depth in ("*", "*/*") for name in MANIFESTS for _ in folder.glob(f"{depth}/{name}"))
