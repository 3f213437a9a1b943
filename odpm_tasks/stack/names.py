"""The names that can be typed on a command line, read as fast as a shell needs them: no lock, no description, no plan."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.core.candidates import Kind
from odpm_tasks.core.config.paths import COMPOSE_FILE, MANIFEST_FILE
from odpm_tasks.core.databases.snapshots import recorded
from odpm_tasks.core.databases.sql import VISIBLE, hidden_databases
from odpm_tasks.errors import OdpmError

_SOURCES = ".odpm/src"
_PLATFORM = "odoo-bin"  # a file that only the checkout of the platform has
_ADDON = ("__manifest__.py", "__openerp__.py")
_DEPTH = 3  # folders between a checkout and an add-on: odoo/addons/NAME
_ENGINE_TIMEOUT = 2.0
_LABEL = "label=com.docker.compose"


def project_folder(start: Path) -> Path | None:
    """The project that a folder is in, or that contains it as a checkout of a source; None without one."""
    for folder in (start, *start.parents):
        if (folder / MANIFEST_FILE).exists() and folder.parent.parent.name != ".odpm":
            return folder
    return None


def names(root: Path, kind: Kind, typed: str) -> Iterator[str]:
    """The names of a kind in a project; none where they cannot be read.

    `typed`: the beginning of the name. Without it, these are the add-ons of the project; where it has none, of its dependencies:
    the platform has hundreds.
    """
    try:
        yield from _first_addons(root) if kind == "add-ons" and not typed else _READERS[kind](root)
    except (OSError, UnicodeDecodeError, OdpmError):
        return


def _addons(root: Path) -> Iterator[str]:
    yield from _addons_below(root, _DEPTH)
    for source in _sources(root):
        yield from _addons_below(root / _SOURCES / source, _DEPTH)


def _first_addons(root: Path) -> list[str]:
    own = [*_addons_below(root, _DEPTH)]
    dependencies = (root / _SOURCES / name for name in _sources(root))
    return own or [
        name for path in dependencies if not (path / _PLATFORM).exists() for name in _addons_below(path, _DEPTH)
    ]


def _addons_below(folder: Path | str, depth: int) -> Iterator[str]:
    with os.scandir(folder) as entries:
        folders = [one for one in entries if not one.name.startswith(".") and one.is_dir()]
    for one in folders:
        if any(os.path.exists(f"{one.path}/{name}") for name in _ADDON):  # noqa: PTH110 - hundreds of them
            yield one.name
        elif depth > 1:
            yield from _addons_below(one.path, depth - 1)


def _services(root: Path) -> Iterator[str]:
    """From the generated compose file, without a parser of YAML, whose import takes long."""
    text = (root / COMPOSE_FILE).read_text(encoding="utf-8")
    section = re.search(r"^services:\n((?:(?: .*)?\n)*)", text, re.MULTILINE)
    yield from re.findall(r"^  ([^\s:#]+):", section[1] if section else "", re.MULTILINE)


def _sources(root: Path) -> Iterator[str]:
    with os.scandir(root / _SOURCES) as entries:
        yield from (one.name for one in entries if one.is_dir())


def _databases(root: Path) -> Iterator[str]:
    yield from _asked(root, VISIBLE)


def _snapshots(root: Path) -> Iterator[str]:
    """Of every database."""
    rows = json.loads("".join(_asked(root, hidden_databases())) or "[]")
    yield from (one.name for row in rows if (one := recorded(row["name"], row["comment"])))


def _asked(root: Path, query: str) -> Iterator[str]:
    """The lines of the answer of the running PostgreSQL."""
    project = ("--filter", f"{_LABEL}.project.working_dir={root}", "--filter", f"{_LABEL}.service=db")
    found = _docker("ps", "--quiet", *project, "--filter", f"{_LABEL}.oneoff=False").split()
    if found:
        yield from _docker("exec", found[0], "psql", "-U", "postgres", "-Atc", query).splitlines()


def _docker(*words: str) -> str:
    return command.run(["docker", *words], check=False, timeout=_ENGINE_TIMEOUT).text


_READERS: Mapping[Kind, Callable[[Path], Iterator[str]]] = {
    "add-ons": _addons,
    "databases": _databases,
    "services": _services,
    "snapshots": _snapshots,
    "sources": _sources,
}
