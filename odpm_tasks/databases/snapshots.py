"""Take, restore and remove snapshots of a database with its filestore, while Odoo runs.

A snapshot is a hidden copy (`databases.copying`). All functions need the project's lock.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.names import NEW, SNAPSHOT, check_snapshot_name
from odpm_tasks.core.databases.snapshots import Kind, Snapshot, new_name, record, superfluous
from odpm_tasks.databases import copying, listing
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.errors import DescriptionError


def take(access: DatabaseAccess, database: str, name: str = "", kind: Kind = "manual") -> Snapshot:
    """Take a snapshot; without a name it is named after its time. Superfluous automatic ones of its kind are removed.

    Errors: DescriptionError where the name is taken; those of `copying.copy_hidden`.
    """
    copying.remove_leftovers(access)
    known = listing.snapshots(access)
    taken = [one.name for one in known if one.database == database]
    created = datetime.now(UTC).isoformat(timespec="seconds")
    if name and check_snapshot_name(name) in taken:
        raise DescriptionError(
            f"there is a snapshot {name} of the database {database} already",
            where="NAME",
            todo=f"choose another name, or remove that one: inv db.drop-snapshot {name}",
        )
    facts = access.json(sql.database_facts(database))
    details = access.json(sql.details(), database) or {}
    made = Snapshot(
        id=f"{SNAPSHOT}{copying.new_identity()}",
        database=database,
        name=name or new_name(kind, created, taken),
        created=created,
        kind=kind,
        series=_series(str(details.get("base") or "")),
        lock=listing.current_lock(access.paths, access.observed),
        comment=facts["comment"] or "",
    )
    hidden = copying.copy_hidden(access, database)
    access.files("rename", hidden, made.id)
    access.sql(sql.comment(hidden, record(made)), sql.rename(hidden, made.id))
    copying.remove(access, [one.id for one in superfluous([*known, made])])
    return made


def _series(version: str) -> str:
    return ".".join(version.split(".")[:2])


def restore(access: DatabaseAccess, snapshot: Snapshot) -> Snapshot | None:
    """Replace a database by a copy of its snapshot, and return the snapshot of the state before; None if there was none.

    The files are linked first, then the names are exchanged in one transaction: a run that is killed leaves the old state or
    the new one. Files that the restored database does not have are left to Odoo's own cleaning. Sessions of Odoo end and
    reconnect. Errors: those of `take`.
    """
    database = snapshot.database
    before = take(access, database, kind="restore") if copying.exists(access, database) else None
    hidden = copying.copy_hidden(access, snapshot.id)
    try:
        access.files("link", hidden, database, "--replace")
        _signal_changes(access, database if before else "", hidden)
        statements = [sql.show(hidden, True), sql.rename(hidden, database), sql.comment(database, snapshot.comment)]
        old = f"{NEW}{copying.new_identity()}"
        if before:
            statements = [sql.rename(database, old), sql.show(old, False), *statements]
        copying.quietly(access, [database], ";\n".join(["BEGIN", *statements, "COMMIT;\n"]), f"restore {database}")
    except BaseException:
        copying.remove(access, [hidden])
        raise
    access.files("extra", hidden, database)
    copying.remove(access, [old])
    access.files("remove", hidden)
    return before


# Odoo's processes compare these numbers with those that they loaded: Odoo 19 as tables, earlier ones as sequences.
_SIGNALS = r"""
SELECT coalesce(json_object_agg(sequencename, coalesce(last_value, 0)), '{}') FROM pg_sequences
WHERE schemaname = 'public' AND sequencename ~ '^(orm_signaling_|base_.*_signaling)'
"""


def _signal_changes(access: DatabaseAccess, live: str, hidden: str) -> None:
    """Let running processes of Odoo drop what they hold of the old state: numbers in the copy are above those of both."""
    numbers = access.json(_SIGNALS, live) if live else {}
    access.sql(f"ALTER DATABASE {sql.identifier(hidden)} ALLOW_CONNECTIONS true")
    statements = []
    for sequence, number in access.json(_SIGNALS, hidden).items():
        above = max(int(number), int(numbers.get(sequence, 0))) + 1
        statements.append(f"SELECT setval({sql.literal(f'public.{sql.identifier(sequence)}')}, {above})")
        if sequence.startswith("orm_signaling_"):
            table = sql.identifier(sequence.removesuffix("_id_seq"))
            statements.append(f"INSERT INTO public.{table} DEFAULT VALUES")
    if statements:
        access.sql(*statements, database_name=hidden)


def drop(access: DatabaseAccess, snapshots: Iterable[Snapshot]) -> None:
    """Remove snapshots."""
    copying.remove(access, [one.id for one in snapshots])
