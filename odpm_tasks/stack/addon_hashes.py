"""The hashes of the installed add-ons: read from a database and from disk, and recorded after an update."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.core.addons import hashes
from odpm_tasks.core.addons.hashes import AddonHashes
from odpm_tasks.core.config.paths import ProjectPaths, source_folder
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.parallel import parallel_map
from odpm_tasks.stack.database import sql

LOCK_PARAMETER = "odpm.lock"  # as in core/databases/sql.py
_PLATFORM_ADDONS = "odoo/addons"  # base, and add-ons for Odoo's own tests; the facts of a platform do not contain them
_READ = """
SELECT json_build_object(
    'installed', (SELECT json_agg(name ORDER BY name) FROM ir_module_module WHERE state IN ('installed', 'to upgrade')),
    'languages', (SELECT json_agg(code) FROM res_lang WHERE active),
    'stored', (SELECT value FROM ir_config_parameter WHERE key = {stored}),
    'patterns', (SELECT value FROM ir_config_parameter WHERE key = {patterns}))
"""
_INSTALLED = "SELECT name FROM ir_module_module WHERE state IN ('installed', 'to upgrade') ORDER BY name"
_RECORD = """
INSERT INTO ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date)
VALUES ({stored}, {value}, 1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')
ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date
"""
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
    query = _READ.format(stored=_quoted(hashes.STORED), patterns=_quoted(hashes.PATTERNS))
    found = json.loads(sql(database_container, query, database))
    installed: list[str] = found["installed"] or []
    folders = addon_folders(stack)
    patterns, languages = hashes.exclude_patterns(found["patterns"]), found["languages"] or []
    present = [name for name in installed if name in folders]
    current = parallel_map(paths, lambda name: _folder_hash(paths.root / folders[name], patterns, languages), present)
    return AddonHashes(
        tuple(installed),
        hashes.stored_hashes(found["stored"]),
        {name: value for name, value in zip(present, current, strict=True) if value},
    )


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
    value = found.after_update(updated)
    records = [(hashes.STORED, value), *((LOCK_PARAMETER, lock) for lock in _lock_value(paths, stack))]
    statements = [_RECORD.format(stored=_quoted(key), value=_quoted(text)) for key, text in records]
    sql(database_container, ";".join(statements), database)


def _lock_value(paths: ProjectPaths, stack: Stack) -> Iterator[str]:
    """What the database records of the lock, as JSON: its digest and the commit of each source. Nothing without a lock."""
    if text := files.read(paths.lock):
        sources = {source.name: source.commit for source in stack.resolution.ordered}
        yield json.dumps({"digest": files.sha256(text), "sources": sources}, sort_keys=True)


def with_dependents(database_container: str, database: str, names: Collection[str]) -> tuple[str, ...]:
    """The installed add-ons of `names` and those that depend on them, directly or not: what Odoo updates with `-u`.

    Errors: those of `sql`.
    """
    listed = ", ".join(_quoted(name) for name in names)
    return tuple(sql(database_container, _DEPENDENTS.format(names=listed), database).split()) if names else ()


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def addon_folders(stack: Stack) -> dict[str, str]:
    """The folder of each installable add-on on the add-ons path, relative to the project; the first of a name is used."""
    found: dict[str, str] = {}
    places = [("", stack.own), *((source_folder(source.name), source.facts) for source in stack.resolution.ordered)]
    for folder, facts in places:
        for module in facts.modules:
            if module.folder in facts.addons and module.installable:
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
