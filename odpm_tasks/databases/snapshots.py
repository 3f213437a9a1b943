"""Take, restore and remove snapshots of a database with its filestore, while Odoo runs.

A snapshot is a hidden copy (`databases.copying`), or the database that was replaced. All functions need the project's lock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial

from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.names import SNAPSHOT, check_snapshot_name
from odpm_tasks.core.databases.snapshots import Kind, Snapshot, new_name, record, superfluous
from odpm_tasks.core.odoo.addon_versions import stored_series
from odpm_tasks.databases import copying, listing
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.quiet import new_identity
from odpm_tasks.errors import DescriptionError


def take(access: DatabaseAccess, database: str, name: str = "", kind: Kind = "manual") -> Snapshot:
    """Take a snapshot; without a name it is named after its time. Superfluous automatic ones of its kind are removed.

    What killed runs left is removed first. Errors: DescriptionError where the name is taken; those of `copying.copy_hidden`.
    """
    copying.remove_leftovers(access)
    described = _described(access, database, name, kind)
    hidden = copying.copy_hidden(access, database, meanwhile=[lambda: access.lock])
    made = replace(described, lock=access.lock)
    access.files("rename", hidden, made.id)
    access.sql(sql.comment(hidden, record(made)), sql.rename(hidden, made.id))
    _remove_superfluous(access)
    return made


def _described(access: DatabaseAccess, database: str, name: str, kind: Kind) -> Snapshot:
    """A snapshot of the present state that is yet to be made, without the lock. Errors: DescriptionError where the name is taken."""
    taken = [one.name for one in listing.snapshots(access) if one.database == database]
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if name and check_snapshot_name(name) in taken:
        raise DescriptionError(
            f"there is a snapshot {name} of the database {database} already",
            where="NAME",
            todo=f"choose another name, or remove that one: inv db.drop-snapshot {name}",
        )
    facts = access.json(sql.database_facts(database))
    details = access.json(sql.details(), database) or {}
    return Snapshot(
        id=f"{SNAPSHOT}{new_identity()}",
        database=database,
        name=name or new_name(kind, created, taken),
        created=created,
        kind=kind,
        series=stored_series(details.get("base") or ""),
        comment=facts["comment"] or "",
    )


def _remove_superfluous(access: DatabaseAccess, kept: str = "") -> None:
    """Remove superfluous automatic snapshots, but not the one with the id `kept`."""
    copying.remove(access, [one.id for one in superfluous(listing.snapshots(access)) if one.id != kept])


def restore(access: DatabaseAccess, snapshot: Snapshot) -> Snapshot | None:
    """Replace a database by a copy of its snapshot, and return the snapshot of the state before; None if there was none.

    The database itself becomes that snapshot. Sessions of Odoo end and reconnect. Errors: those of `copying.copy_hidden` and
    `copying.replace`; the database is as before.
    """
    copying.remove_leftovers(access)
    before = _before(access, snapshot.database)
    meanwhile: list[Callable[[], object]] = [lambda: access.lock]
    if before:  # most of the files that `replace` links
        meanwhile.append(partial(access.files, "link", before.database, before.id))
    try:
        hidden = copying.copy_hidden(access, snapshot.id, with_files=False, meanwhile=meanwhile)
    except BaseException:
        if before:
            access.files("remove", before.id)
        raise
    before = before and replace(before, lock=access.lock)
    copying.replace(access, hidden, snapshot.database, snapshot.comment, before, files=snapshot.id)
    _remove_superfluous(access, snapshot.id)
    return before


def publish(access: DatabaseAccess, hidden: str, database: str) -> Snapshot | None:
    """Give a hidden copy the name of a database, and return the snapshot of the state before; None if there was none.

    Errors: those of `copying.publish` and `copying.replace`.
    """
    before = _before(access, database)
    if before is None:
        copying.publish(access, hidden, database)
        return None
    before = replace(before, lock=access.lock)
    copying.replace(access, hidden, database, "", before)
    _remove_superfluous(access)
    return before


def _before(access: DatabaseAccess, database: str) -> Snapshot | None:
    """The snapshot that a database becomes when it is replaced, without the lock; None where there is no such database."""
    return _described(access, database, "", "restore") if copying.exists(access, database) else None


def drop(access: DatabaseAccess, snapshots: Iterable[Snapshot]) -> None:
    """Remove snapshots. What killed runs left is finished first: it may need files of one."""
    copying.remove_leftovers(access)
    copying.remove(access, [one.id for one in snapshots])
