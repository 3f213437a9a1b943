"""What the project's folder contains and no task reads: add-ons in deep folders, submodules, lists of dependencies."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from packaging.utils import canonicalize_name

from odpm_tasks.adapters import files
from odpm_tasks.adapters.command import redact
from odpm_tasks.core.locking.python_requirements import requirement_lines
from odpm_tasks.core.odoo.addon_checks import names_text
from odpm_tasks.core.odoo.addons import DEPTH, MANIFESTS, Facts

_DEEPEST = 5  # folders between the root and the manifest of an add-on
_MOST_FOLDERS = 3000
_TOOLS = {"odpm-tasks", "invoke"}  # packages of tasks.py
_SUBMODULE = re.compile(r"^\s*(path|url)\s*=\s*(.+?)\s*$", re.MULTILINE)
_PACKAGE = re.compile(r"([A-Za-z0-9][\w.-]*)(?!\S*://)")


def deep_addons(root: Path) -> tuple[str, ...]:
    """The folders of add-ons below the depth that facts contain. Hidden folders, links, submodules and add-ons are not entered."""
    return tuple(sorted(_deep_addons(root)))


def _deep_addons(root: Path) -> Iterator[str]:
    pending, entered = [(os.fspath(root), "")], 0
    while pending and entered < _MOST_FOLDERS:
        folder, prefix = pending.pop()
        entered += 1
        try:
            with os.scandir(folder) as entries:
                found = list(entries)
        except OSError:
            continue
        depth = prefix.count("/")
        if depth and any(entry.name == ".git" and entry.is_file() for entry in found):
            continue  # a submodule
        if any(entry.name in MANIFESTS for entry in found) and depth:
            if depth > DEPTH:
                yield prefix.rstrip("/")
        elif depth < _DEEPEST:
            pending += [
                (entry.path, f"{prefix}{entry.name}/")
                for entry in found
                if entry.is_dir(follow_symlinks=False) and entry.name[0] != "." and entry.name != "node_modules"
            ]


def unread_warnings(root: Path, own: Facts, required: Collection[str], sources: Collection[str] = ()) -> Iterator[str]:
    """Submodules and lists of dependencies of the project that no task reads.

    `required`: names of the Python packages that are locked. A `requirements.txt` that names these only is complete.
    `sources`: URLs of the stack's repositories; a submodule whose repository has the name of one is not reported.
    """
    names = {_repository_name(url) for url in sources}
    if submodules := [path for path, url in _submodules(root) if _repository_name(url) not in names]:
        yield (
            f"git submodules of the project are not sources of the stack: {names_text(submodules)}; "
            "name their repositories in the dependencies of odpm.json"
        )
    known = {canonicalize_name(name) for name in required} | _TOOLS
    lines = [line.line for line in requirement_lines(own.requirements or "", "")]
    packages = {canonicalize_name(found[1]) for line in lines if (found := _PACKAGE.match(line))}
    options = sorted({line for line in lines if not line[0].isalnum() or re.match(r"[a-z+]+://", line)})
    if left := [*sorted(packages - known), *map(redact, options)]:
        yield (
            f"requirements.txt of the project is not read: {names_text(left)}; "
            "name these packages in the requirements of odpm.json"
        )
    if own.oca_dependencies and own.oca_dependencies.strip():
        yield (
            "oca_dependencies.txt of the project is not read; name its repositories in the dependencies of odpm.json"
        )


def _submodules(root: Path) -> Iterator[tuple[str, str]]:
    """Path and address of each submodule."""
    for section in (files.read_text(root / ".gitmodules") or "").split("[submodule ")[1:]:
        values = dict(_SUBMODULE.findall(section))
        if "path" in values:
            yield values["path"], values.get("url", "")


def _repository_name(url: str) -> str:
    return re.split(r"[/:]", url.rstrip("/").removesuffix(".git"))[-1].lower()
