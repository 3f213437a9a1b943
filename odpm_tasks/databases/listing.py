"""The databases and snapshots of a stack, as `db.list` and `db.snapshots` show them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.listing import ListedDatabase, ListedSnapshot, listed
from odpm_tasks.core.databases.names import SNAPSHOT
from odpm_tasks.core.databases.snapshots import Snapshot, names, ordered, recorded
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.errors import ProgramError
from odpm_tasks.parallel import parallel_map
from odpm_tasks.stack.databases.contents import UNFINISHED


def snapshots(access: DatabaseAccess) -> list[Snapshot]:
    """Every snapshot, by database, the newest first."""
    return _snapshots(access.json(sql.hidden_databases()))


def snapshots_with_sizes(access: DatabaseAccess, database: str = "") -> list[ListedSnapshot]:
    """Every snapshot, or those of one database, with their sizes."""
    stored = access.files("list", "--sizes")
    rows = access.json(sql.hidden_databases(sizes=True))
    sizes = {row["name"]: row["size"] for row in rows}
    found = [one for one in _snapshots(rows) if database in {"", one.database}]
    return [ListedSnapshot(one, sizes[one.id], *(stored.get(one.id) or (0, 0, 0))[1:]) for one in found]


def _snapshots(rows: Iterable[dict[str, Any]]) -> list[Snapshot]:
    found = (recorded(row["name"], row["comment"]) for row in rows if row["name"].startswith(SNAPSHOT))
    return ordered(one for one in found if one)


def databases(access: DatabaseAccess) -> list[ListedDatabase]:
    """The databases of the stack that are not PostgreSQL's own, by name."""
    rows = access.json(sql.user_databases())
    stored = access.files("list", "--sizes")
    taken = snapshots(access)

    def details(row: dict[str, Any]) -> dict[str, Any]:
        try:
            return access.json(sql.details(), row["name"]) or {}
        except ProgramError:  # Odoo's role may not read it
            return {}

    return [
        listed(row, found, (stored.get(row["name"]) or (0, 0, 0))[1], names(taken, row["name"]), UNFINISHED)
        for row, found in zip(rows, parallel_map(access.paths, details, rows), strict=True)
    ]
