"""Read a project with a Compose file, an `odoo.conf`, and folders or git clones with add-ons."""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field
from pathlib import Path

from odpm_tasks.adapters.git import repository as git
from odpm_tasks.converters import folders, reading
from odpm_tasks.core.init import base_image, compose_file
from odpm_tasks.core.init.compose_project import Clone, ForeignCompose
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_files import env_file


def is_odoo_project(root: Path) -> str:
    """The name of the Compose file that runs Odoo; empty if there is none. One that cannot be read counts, too."""
    name = next((name for name in compose_file.FILES if (root / name).is_file()), "")
    try:
        return name if name and compose_file.read(reading.text(root, name) or "", name, env_file(root / ".env")) else ""
    except DescriptionError as error:
        return "" if "has no service" in error.what else name


def read(root: Path, name: str) -> ForeignCompose:
    """Read the Compose file and the files that it names. Errors: DescriptionError if one cannot be read."""
    file = compose_file.read(reading.text(root, name) or "", name, env_file(root / ".env"))
    found = ((path, _text(root, path)) for path in compose_file.configurations(file))
    conf = next(((path, text) for path, text in found if text is not None), ("", ""))
    docker = posixpath.normpath(posixpath.join(file.context, file.dockerfile)) if file.context else ""
    dockerfile = (docker, _text(root, docker) or "") if docker else ("", "")
    image = base_image.read(dockerfile[1], docker, {})
    needed = {
        path: text
        for wanted in image.files
        for path in [posixpath.normpath(posixpath.join(file.context, posixpath.basename(wanted)))]
        if (text := _text(root, path)) is not None
    }
    own = folders.scan(root, without=git.gitlinks(root))
    sources = _addon_folders(root, compose_file.addon_folders(file, conf[1]), own.clones)
    others = (*compose_file.FILES, *compose_file.OVERRIDES)
    return ForeignCompose(
        file,
        conf,
        dockerfile,
        needed,
        list(sources.clones.values()),
        sources.outside,
        sources.empty,
        own.addons,
        [other for other in others if other != name and (root / other).is_file()],
    )


def _text(root: Path, path: str) -> str | None:
    """The text of a file inside the project; None for a path outside."""
    if path.startswith(("/", "../", "~")) or path == "..":
        return None
    return reading.text(root, path)


@dataclass
class _AddonFolders:
    """The sources of Odoo's add-ons: see `ForeignCompose`."""

    clones: dict[str, Clone] = field(default_factory=dict)
    outside: list[str] = field(default_factory=list)
    empty: list[str] = field(default_factory=list)


def _addon_folders(root: Path, used: list[str], own: list[str]) -> _AddonFolders:
    """The git clones in the folders that Odoo gets add-ons from, in their order, and folders outside of the project.

    Outside of the project, a folder and the folders directly in it are searched, no more.
    """
    found = _AddonFolders()
    for folder in used:
        if not folder.startswith(("/", "../", "~")) and folder != "..":
            names = [
                name for name in own if name == folder or name.startswith(f"{folder}/") or folder.startswith(f"{name}/")
            ]
            for name in names:
                found.clones.setdefault(name, _clone(root / name, name))
            continue
        path = (root / Path(folder).expanduser()).resolve()
        clones = (
            {folder: path}
            if (path / ".git").exists()
            else {f"{folder}/{child.parent.name}": child.parent for child in sorted(path.glob("*/.git"))}
        )
        for name, clone in clones.items():
            found.clones.setdefault(name, _clone(clone, name))
        if not clones:
            (found.outside if folders.has_addons(path) else found.empty).append(str(path))
    return found


def _clone(path: Path, shown: str) -> Clone:
    head = git.head(path)
    commit = (head.commit if head else "") or ""
    pinned = commit if commit and git.is_on_remote(path, commit) else ""
    return Clone(shown, git.origin(path) or "", git.current_branch(path), pinned)
