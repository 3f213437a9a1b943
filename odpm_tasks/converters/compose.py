"""Read a project with a Compose file, an `odoo.conf`, and folders or git clones with add-ons."""

from __future__ import annotations

import posixpath
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
    submodules = git.gitlinks(root)
    own = folders.scan(root, without=submodules)
    clones, outside = _addon_folders(root, compose_file.addon_folders(file, conf[1]), own.clones, submodules)
    others = (*compose_file.FILES, *compose_file.OVERRIDES)
    return ForeignCompose(
        file,
        conf,
        dockerfile,
        needed,
        clones,
        outside,
        own.addons,
        [other for other in others if other != name and (root / other).is_file()],
    )


def _text(root: Path, path: str) -> str | None:
    """The text of a file inside the project; None for a path outside."""
    if path.startswith(("/", "../", "~")) or path == "..":
        return None
    return reading.text(root, path)


def _addon_folders(
    root: Path, used: list[str], own: list[str], submodules: dict[str, str]
) -> tuple[list[Clone], list[str]]:
    """The git clones in the folders that Odoo gets add-ons from, in their order, and folders outside of the project."""
    clones: dict[str, Clone] = {}
    outside: list[str] = []
    for folder in used:
        inside = not folder.startswith(("/", "../", "~")) and folder != ".."
        if inside:
            names = [
                name for name in own if name == folder or name.startswith(f"{folder}/") or folder.startswith(f"{name}/")
            ]
            for name in names:
                clones.setdefault(name, _clone(root, name))
            continue
        path = (root / Path(folder).expanduser()).resolve()
        found = folders.scan(path).clones if path.is_dir() else []
        if (path / ".git").exists():
            clones.setdefault(folder, _clone(root, str(path), folder))
        elif found:
            for name in found:
                clones.setdefault(f"{folder}/{name}", _clone(root, str(path / name), f"{folder}/{name}"))
        else:
            outside.append(str(path))
    return list(clones.values()), outside


def _clone(root: Path, name: str, shown: str = "") -> Clone:
    path = root / name
    head = git.head(path)
    commit = (head.commit if head else "") or ""
    return Clone(
        shown or name,
        git.origin(path) or "",
        git.current_branch(path),
        commit if commit and git.is_on_remote(path, commit) else "",
    )
