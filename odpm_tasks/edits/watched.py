"""What `inv watch` watches: the folders of the stack, the add-ons in them, and the bytes of their files before an edit."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.core.config.paths import ProjectPaths, source_folder
from odpm_tasks.core.edits.rules import is_ignored
from odpm_tasks.core.edits.values import EditContext, WatchedAddon
from odpm_tasks.core.odoo.addons import MANIFESTS, Facts, Module
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.sources.facts import folder_facts
from odpm_tasks.stack import addon_hashes
from odpm_tasks.stack.databases.psql import sql

_STATE = """
SELECT json_build_object(
    'addons', (SELECT json_object_agg(name, coalesce(demo, false)) FROM ir_module_module
               WHERE state IN ('installed', 'to upgrade')),
    'languages', (SELECT json_agg(code) FROM res_lang WHERE active AND code <> 'en_US'))
"""
_BEFORE = (".py", ".xml", ".po")  # the files whose bytes before an edit decide about it
_LARGEST = 1_000_000  # bytes of such a file


@dataclass(frozen=True)
class WatchedFolders:
    """Folders that exist. `recursive`: real path -> path in the project; with everything below. `flat`: the files in them only."""

    recursive: Mapping[Path, str]
    flat: Mapping[Path, str]

    def name_of(self, path: Path) -> str:
        """The path of a file in the project; empty for one that is not watched."""
        if path.parent in self.flat:
            return f"{self.flat[path.parent]}/{path.name}".lstrip("/")
        for folder in path.parents:
            if folder in self.recursive:
                return f"{self.recursive[folder]}/{path.relative_to(folder).as_posix()}"
        return ""


def edit_context(
    paths: ProjectPaths, observed: RenderedState, server: str, database: str, dev: Collection[str], *, debug: bool
) -> EditContext:
    """What decides about edits: the add-ons as they are on disk now, and their state in the database. Errors: those of `sql`."""
    stack = observed.stack
    found = json.loads(sql(server, _STATE, database))
    installed: dict[str, bool] = found["addons"] or {}
    own = folder_facts(paths.root)
    folders = {
        name: folder for name, folder in addon_hashes.addon_folders(stack).items() if folder.startswith(".odpm/")
    }
    folders |= {module.name: path for module, path in _own(own)}
    major, minor = (int(part) for part in observed.manifest.python.split(".")[:2])
    return EditContext(
        addons={
            folder: WatchedAddon(name, folder, name in installed, installed.get(name, False))
            for name, folder in folders.items()
        },
        dev=frozenset(dev),
        debug=debug,
        languages=frozenset(found["languages"] or ()),
        python=(major, minor),
        release=series(observed.manifest.odoo_version).release,
        platform=stack.resolution.platform.name,
        known=frozenset(folders),
    )


def _own(facts: Facts) -> Iterator[tuple[Module, str]]:
    for module in facts.visible:
        yield module, facts.path_in_repository(module)


def watched_folders(paths: ProjectPaths, observed: RenderedState, context: EditContext) -> WatchedFolders:
    """The add-ons folders of the project, the installed add-ons of other sources, Odoo's own code, and where descriptions are."""
    recursive = [folder for folder in observed.stack.own.addons if folder]
    recursive += [
        addon.folder
        for addon in context.addons.values()
        if (addon.installed if addon.folder.startswith(".odpm/") else "/" not in addon.folder)
    ]
    core = [f"{context.platform_code}/{name.name}" for name in _subfolders(paths.root / context.platform_code)]
    recursive += [folder for folder in core if not folder.endswith("/addons")]
    flat = [
        "",
        ".odpm",
        context.platform_code,
        *(source_folder(source.name) for source in observed.stack.resolution.sources),
    ]
    flat += [".odpm/templates"]
    return WatchedFolders(_real(paths.root, recursive), _real(paths.root, flat))


def _subfolders(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.is_dir()] if folder.is_dir() else []


def _real(root: Path, folders: Collection[str]) -> dict[Path, str]:
    return {(root / folder).resolve(): folder for folder in folders if (root / folder).is_dir()}


class Contents:
    """The bytes of files as they were at the last action: of those whose earlier bytes decide about an edit."""

    def __init__(self, root: Path, context: EditContext) -> None:
        self._root = root
        self._before: dict[str, bytes | None] = {}
        self._platform = source_folder(context.platform)
        self._complete: set[str] = set()  # folders whose files are all known
        self.extend(context)

    def extend(self, context: EditContext) -> None:
        """Read the files of installed add-ons that were not read before; those of the platform are not read."""
        for addon in context.addons.values():
            if addon.folder in self._complete or addon.folder.startswith(f"{self._platform}/"):
                continue
            if addon.installed or not addon.folder.startswith(".odpm/"):
                self._complete.add(addon.folder)
                for path in _files(self._root / addon.folder):
                    name = path.relative_to(self._root).as_posix()
                    self._before.setdefault(name, read(path))

    def before(self, name: str) -> tuple[bytes | None, bool]:
        """The bytes before an edit, and whether they are known."""
        if name in self._before:
            return self._before[name], True
        parts = name.split("/")
        complete = any("/".join(parts[:end]) in self._complete for end in range(1, len(parts)))
        return None, complete and is_compared(name)

    def below(self, folder: str) -> list[str]:
        """The known files below a folder."""
        return [name for name, data in self._before.items() if data is not None and name.startswith(f"{folder}/")]

    def differing(self) -> set[str]:
        """The files that differ on disk."""
        return {name for name, data in self._before.items() if read(self._root / name) != data}

    def record(self, name: str, data: bytes | None) -> None:
        """The bytes that an action has covered."""
        self._before[name] = data if data is None or len(data) <= _LARGEST else b""


def is_compared(name: str) -> bool:
    """Whether the bytes of a file before an edit decide about it."""
    return name.endswith(_BEFORE)


def _files(folder: Path) -> Iterator[Path]:
    for path, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if name != "static" and not is_ignored(name)]
        for name in names:
            found = Path(path, name)
            if is_compared(name) or name in MANIFESTS:
                yield found


def read(path: Path) -> bytes | None:
    """The bytes of an edited file; None if it does not exist or is no file."""
    try:
        return path.read_bytes() if path.is_file() else None
    except OSError:
        return None
