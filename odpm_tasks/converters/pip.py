"""Read the requirements of a project, and look up the repositories of its add-ons."""

from __future__ import annotations

import posixpath
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from odpm_tasks.converters import folders, reading
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.init import pip_project
from odpm_tasks.core.init.conversion import Conversion
from odpm_tasks.core.init.pip_project import PipRequirements
from odpm_tasks.core.init.remarks import Remark
from odpm_tasks.core.init.requirements import PYPROJECT, pyproject_lines
from odpm_tasks.errors import DescriptionError
from odpm_tasks.sources import addon_repositories

_MOST_FILES = 50

Repositories = Callable[[str, Sequence[str]], Mapping[str, str]]
"""Series and names of add-ons -> the URL of the repository of each that is known."""


def names(root: Path) -> list[str]:
    """The files with requirements that exist, in the order in which they are read."""
    return [name for name in (*pip_project.FILES, PYPROJECT) if (root / name).is_file()]


def read(root: Path, first: list[str]) -> PipRequirements:
    """Read these files, and those that they include with `-r`. Errors: DescriptionError if one cannot be read."""
    texts: dict[str, list[str]] = {}
    remarks: list[Remark] = []
    pending = list(first)
    while pending and len(texts) < _MOST_FILES:
        name = pending.pop(0)
        if name in texts:
            continue
        text = reading.text(root, name)
        if text is None:
            remarks.append(Remark(f"{name}: is included with -r and does not exist"))
        elif name.endswith(".toml"):
            texts[name] = pyproject_lines(text, name)
        else:
            texts[name] = text.splitlines()
            for other in pip_project.referenced(text):
                path = posixpath.normpath(posixpath.join(posixpath.dirname(name), other))
                if "://" in other or path.startswith(("../", "/")):
                    remarks.append(Remark(f"{name}: -r {other}: is outside of the project; add its packages"))
                else:
                    pending.append(path)
    found = pip_project.read(texts)
    found.remarks += remarks
    return found


def is_odoo_project(root: Path) -> bool:
    """Whether the requirements name Odoo or add-ons, or cannot be read, which the conversion reports."""
    try:
        return read(root, names(root)).names_odoo
    except DescriptionError:
        return True


def convert(root: Path, first: list[str], odoo: str, repositories: Repositories) -> Conversion:
    """Convert the requirements of these files."""
    found = read(root, first)
    own = folders.scan(root)
    texts = (reading.text(root, f"{folder}/__manifest__.py") for folder in own.addons[:200])
    manifests = [text for text in texts if text]
    series = odoo or pip_project.version(found, manifests)
    known = repositories(series, list(found.addons)) if series and found.addons else {}
    return pip_project.convert(found, known, odoo, manifests=manifests, addons=own.addons)


def none_known(series: str, addons: Sequence[str]) -> Mapping[str, str]:
    """No repository is known."""
    return {}


def index_of(paths: ProjectPaths, *, ask_index: bool) -> Repositories:
    """The repositories that the package index stated earlier; with `ask_index` it is queried for the others."""

    def repositories(series: str, addons: Sequence[str]) -> Mapping[str, str]:
        if ask_index:
            addon_repositories.query(paths, series, addons)
        known = {name: addon_repositories.known(paths, series, name) for name in addons}
        return {name: url for name, url in known.items() if url}

    return repositories
