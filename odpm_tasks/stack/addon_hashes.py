"""The hashes of the installed add-ons: read from a database and from disk, and recorded after an update."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Sequence
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.addons import hashes
from odpm_tasks.core.addons.hashes import AddonHashes
from odpm_tasks.core.config.paths import ProjectPaths, source_folder
from odpm_tasks.core.databases.listing import lock_value
from odpm_tasks.core.databases.snapshots import RecordedLock
from odpm_tasks.core.databases.sql import LOCK_PARAMETER, literal, set_parameter
from odpm_tasks.core.locking.graph import Resolution
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.parallel import parallel_map
from odpm_tasks.stack.databases.psql import sql

_PLATFORM_ADDONS = "odoo/addons"  # base, and add-ons for Odoo's own tests; the facts of a platform do not contain them
_READ = """
SELECT json_build_object(
    'installed', (SELECT json_agg(name ORDER BY name) FROM ir_module_module WHERE state IN ('installed', 'to upgrade')),
    'languages', (SELECT json_agg(code) FROM res_lang WHERE active),
    'stored', (SELECT value FROM ir_config_parameter WHERE key = {stored}),
    'patterns', (SELECT value FROM ir_config_parameter WHERE key = {patterns}))
"""
_INSTALLED = "SELECT name FROM ir_module_module WHERE state IN ('installed', 'to upgrade') ORDER BY name"
_DEPENDENTS = """
WITH RECURSIVE affected AS (
    SELECT id, name FROM ir_module_module WHERE name IN ({names}) AND state IN ('installed', 'to upgrade')
    UNION
    SELECT module.id, module.name FROM affected
    JOIN ir_module_module_dependency needs ON needs.name = affected.name
    JOIN ir_module_module module ON module.id = needs.module_id AND module.state IN ('installed', 'to upgrade'))
SELECT name FROM affected ORDER BY name
"""


def read_hashes(paths: ProjectPaths, stack: Stack, database_container: str, database: str) -> AddonHashes:
    """The installed add-ons of a database that Odoo initialised, with their hashes at the last update and on disk.

    Errors: those of `sql`.
    """
    query = _READ.format(stored=literal(hashes.STORED), patterns=literal(hashes.PATTERNS))
    found = json.loads(sql(database_container, query, database))
    installed: list[str] = found["installed"] or []
    patterns, languages = hashes.exclude_patterns(found["patterns"]), found["languages"] or []
    current = current_hashes(paths, stack, installed, patterns, languages)
    return AddonHashes(tuple(installed), hashes.stored_hashes(found["stored"]), current)


def current_hashes(
    paths: ProjectPaths,
    stack: Stack,
    names: Sequence[str],
    patterns: Collection[str] = (),
    languages: Collection[str] = (),
) -> dict[str, str]:
    """The hashes of add-ons on disk, of those that are on the add-ons path; `patterns`, `languages`: as `hashes.hashed_files`."""
    folders = addon_folders(stack)
    present = [name for name in names if name in folders]
    found = parallel_map(paths, lambda name: _folder_hash(paths.root / folders[name], patterns, languages), present)
    return {name: value for name, value in zip(present, found, strict=True) if value}


def installed(database_container: str, database: str) -> tuple[str, ...]:
    """The installed add-ons of a database. Errors: those of `sql`."""
    return tuple(sql(database_container, _INSTALLED, database).split())


def record_hashes(
    paths: ProjectPaths,
    stack: Stack,
    database_container: str,
    database: str,
    *,
    before: Collection[str] = (),
    install: Collection[str] = (),
    update: Collection[str] = (),
) -> None:
    """Store the hashes after a successful run of Odoo with `-i install -u update`.

    `before`: the add-ons that were installed before it; none: the database is new. The add-ons that were not updated keep their
    hash, so that the next update of changed add-ons includes them. The lock is recorded, too. Errors: those of `sql`.
    """
    found = read_hashes(paths, stack, database_container, database)
    updated: set[str] | None = None
    if before and "all" not in update:
        updated = {*install, *({*found.installed} - {*before}), *with_dependents(database_container, database, update)}
    statements = [set_parameter(hashes.STORED, found.after_update(updated))]
    lock = current_lock(paths, stack.resolution)
    if lock.digest:
        statements.append(set_parameter(LOCK_PARAMETER, lock_value(lock)))
    sql(database_container, ";".join(statements), database)


def current_lock(paths: ProjectPaths, resolution: Resolution | None) -> RecordedLock:
    """The lock on disk, and the commit of each source that is in use, if known; empty where there is no lock."""
    text = files.read(paths.lock)
    if text is None:
        return RecordedLock()
    sources = resolution.ordered if resolution else ()
    return RecordedLock(files.sha256(text), {source.name: source.commit for source in sources})


def with_dependents(database_container: str, database: str, names: Collection[str]) -> tuple[str, ...]:
    """The installed add-ons of `names` and those that depend on them, directly or not: what Odoo updates with `-u`.

    Errors: those of `sql`.
    """
    listed = ", ".join(literal(name) for name in names)
    return tuple(sql(database_container, _DEPENDENTS.format(names=listed), database).split()) if names else ()


def addon_folders(stack: Stack) -> dict[str, str]:
    """The folder of each installable add-on on the add-ons path, relative to the project; the first of a name is used."""
    found: dict[str, str] = {}
    places = [("", stack.own), *((source_folder(source.name), source.facts) for source in stack.resolution.ordered)]
    for folder, facts in places:
        for module in facts.visible:
            if module.installable:
                found.setdefault(module.name, f"{folder}/{facts.path_in_repository(module)}".strip("/"))
    found["base"] = f"{source_folder(stack.resolution.platform.name)}/{_PLATFORM_ADDONS}/base"
    return found


def _folder_hash(folder: Path, patterns: Collection[str], languages: Collection[str]) -> str:
    """The hash of an add-on on disk; empty where its folder does not exist."""
    names = [
        os.path.relpath(os.path.join(path, name), folder)  # noqa: PTH118 - names that are not UTF-8
        for path, _, found in os.walk(folder)
        for name in found
    ]
    chosen = hashes.hashed_files(names, patterns, languages)
    return hashes.addon_hash((name, files.read(folder / name) or b"") for name in chosen) if names else ""
