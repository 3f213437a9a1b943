"""Tasks about databases: list them, take, restore and remove snapshots, back them up."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task, write_report
from odpm_tasks.tasks.databases.common import DATABASE, confirm, existing, for_database, opened

if TYPE_CHECKING:
    from collections.abc import Sequence


@task(name="list", help={"format": "text or json."})
def list_(c: Context, format: str = "text") -> None:
    """Show the databases: sizes, series, add-ons, lock, snapshots."""

    from odpm_tasks.core.databases import listing as shown
    from odpm_tasks.databases import listing

    check_format(format)
    with opened() as (_, access):
        found, now = listing.databases(access), access.lock
        write_report(
            format,
            lambda: shown.databases_json(found, now),
            lambda paint: shown.databases_text(found, now, paint),
        )


@task(word="database", short={"database": "d"}, help={"database": "Of this database only.", "format": "text or json."})
def snapshots(c: Context, database: str = "", format: str = "text") -> None:
    """Show the snapshots with their sizes."""

    from odpm_tasks.core.databases import listing as shown
    from odpm_tasks.databases import listing

    check_format(format)
    with opened() as (_, access):
        found = listing.snapshots_with_sizes(access, database)
        now = access.lock
        write_report(
            format,
            lambda: shown.snapshots_json(found, now),
            lambda paint: shown.snapshots_text(found, now, paint),
        )


@task(
    word="name",
    short={"database": "d"},
    help={"name": "Name of the snapshot (default: its time).", "database": DATABASE},
)
def snapshot(c: Context, name: str = "", database: str = "") -> None:
    """Take a snapshot of a database with its files, while Odoo runs."""
    from odpm_tasks.adapters import terminal

    with opened() as (project, access):
        from odpm_tasks.databases import snapshots as taking

        with project.exclusive(wait=True), terminal.activity() as show:
            database = existing(access, database)
            show.note(database, "copy")
            made = taking.take(access, database, name)
        terminal.output(made.name)
        terminal.message(f"back to it: inv db.restore-snapshot {made.name}{for_database(access, database)}")


@task(
    name="restore-snapshot",
    word="name",
    short={"database": "d"},
    help={
        "name": "Name of the snapshot (default: the newest).",
        "database": DATABASE,
        "yes": "Do not ask for confirmation.",
    },
)
def restore_snapshot(c: Context, name: str = "", database: str = "", yes: bool = False) -> None:
    """Return to a snapshot of database and files; the state before is kept."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.core.databases.snapshots import differences, find

    with opened() as (project, access):
        from odpm_tasks.databases import listing
        from odpm_tasks.databases import snapshots as taking

        database = check_name(database or access.database)
        with project.exclusive(wait=True):
            chosen = find(listing.snapshots(access), database, name)
            confirm(project, database, yes, f"Replace the database {database} by its snapshot {chosen.name}")
            with terminal.activity() as show:
                show.note(database, f"restore {chosen.name}")
                before = taking.restore(access, chosen)
        terminal.message(
            f"{database} is as in the snapshot {chosen.name} of {chosen.created[:16].replace('T', ' ')} UTC"
        )
        if before:
            terminal.message(f"the state before: inv db.restore-snapshot {before.name}{for_database(access, database)}")
        changed = differences(chosen.lock, access.lock)
        if changed:
            terminal.warn("the sources are not those of the snapshot:")
            for line in changed:
                terminal.message(f"  {line}")


@task(
    name="drop-snapshot",
    word="name",
    lists=["name"],
    short={"database": "d"},
    help={
        "name": "Names of snapshots (repeat or comma separate).",
        "database": DATABASE,
        "yes": "Do not ask for confirmation.",
    },
)
def drop_snapshot(c: Context, name: Sequence[str] = (), database: str = "", yes: bool = False) -> None:
    """Remove snapshots."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.core.databases.snapshots import find
    from odpm_tasks.databases import listing
    from odpm_tasks.databases import snapshots as taking
    from odpm_tasks.errors import UsageError

    with opened() as (project, access):
        if not name:
            raise UsageError("no snapshot is named", todo="inv db.snapshots lists them")
        database = check_name(database or access.database)
        with project.exclusive(wait=True):
            known = listing.snapshots(access)
            chosen = [find(known, database, one) for one in dict.fromkeys(name)]
            confirm(
                project, database, yes, f"Remove {', '.join(one.name for one in chosen)} of the database {database}"
            )
            taking.drop(access, chosen)
        terminal.message(f"removed: {', '.join(one.name for one in chosen)}")


@task(
    word="database",
    short={"database": "d", "output": "o"},
    help={
        "database": DATABASE,
        "output": "File or folder; `-`: standard output (default: a new file in BACKUP_DIR).",
        "archive": "zip (Odoo's own) or dump (pg_dump's custom format in a tar); default: by the name of the file, else zip.",
    },
)
def backup(c: Context, database: str = "", output: str = "", archive: str = "") -> None:
    """Back up a database with its files into one archive, while Odoo runs."""
    import sys
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases.archive import archive_kind
    from odpm_tasks.core.text import size
    from odpm_tasks.errors import UsageError

    kind = archive_kind(archive, output)
    if output == "-" and sys.stdout.isatty():
        raise UsageError("an archive is not written to a terminal", todo="inv db.backup --output - | PROGRAM")
    with opened() as (project, access):
        from odpm_tasks.databases.archives import backup as saving

        with project.exclusive(wait=True), terminal.activity() as show:
            made = saving.backup(access, existing(access, database), output, kind, show)
        if made:
            terminal.output(made)
            if Path(made).is_file():
                terminal.message(size(Path(made).stat().st_size))
