"""Tasks about databases: list them, take, restore and remove snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odpm_tasks.databases.access import DatabaseAccess
    from odpm_tasks.project import Project

_DATABASE = "Database (default: the project's)."


@task(name="list", help={"format": "text or json."})
def list_(c: Context, format: str = "text") -> None:
    """Show the databases: sizes, series, add-ons, lock, snapshots."""
    import sys

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases import listing as shown
    from odpm_tasks.databases import listing

    check_format(format)
    _, access = opened()
    found, now = listing.databases(access), listing.current_lock(access.paths, access.observed)
    if format == "json":
        terminal.output(shown.databases_json(found, now))
    else:
        terminal.output(shown.databases_text(found, now, lambda text, style: terminal.paint(text, style, sys.stdout)))


@task(word="database", short={"database": "d"}, help={"database": "Of this database only.", "format": "text or json."})
def snapshots(c: Context, database: str = "", format: str = "text") -> None:
    """Show the snapshots with their sizes."""
    import sys

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases import listing as shown
    from odpm_tasks.databases import listing

    check_format(format)
    _, access = opened()
    found = listing.snapshots_with_sizes(access, database)
    now = listing.current_lock(access.paths, access.observed)
    if format == "json":
        terminal.output(shown.snapshots_json(found, now))
    else:
        terminal.output(shown.snapshots_text(found, now, lambda text, style: terminal.paint(text, style, sys.stdout)))


@task(
    word="name",
    short={"database": "d"},
    help={"name": "Name of the snapshot (default: its time).", "database": _DATABASE},
)
def snapshot(c: Context, name: str = "", database: str = "") -> None:
    """Take a snapshot of a database with its files, while Odoo runs."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.databases import snapshots as taking

    project, access = opened()
    with project.exclusive(wait=True), terminal.activity() as show:
        database = _existing(project, database)
        show.note(database, "copy")
        made = taking.take(access, database, name)
    terminal.output(made.name)
    terminal.message(f"back to it: inv db.restore-snapshot {made.name}")


@task(
    name="restore-snapshot",
    word="name",
    short={"database": "d"},
    help={
        "name": "Name of the snapshot (default: the newest).",
        "database": _DATABASE,
        "yes": "Do not ask for confirmation.",
    },
)
def restore_snapshot(c: Context, name: str = "", database: str = "", yes: bool = False) -> None:
    """Return to a snapshot of database and files; the state before is kept."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.core.databases.snapshots import differences, find
    from odpm_tasks.databases import listing
    from odpm_tasks.databases import snapshots as taking

    project, access = opened()
    database = check_name(database or access.observed.database)
    with project.exclusive(wait=True):
        chosen = find(listing.snapshots(access), database, name)
        _confirm(project, database, yes, f"Replace the database {database} by its snapshot {chosen.name}")
        with terminal.activity() as show:
            show.note(database, f"restore {chosen.name}")
            before = taking.restore(access, chosen)
    terminal.message(f"{database} is as in the snapshot {chosen.name} of {chosen.created[:16].replace('T', ' ')} UTC")
    if before:
        terminal.message(f"the state before: inv db.restore-snapshot {before.name}")
    changed = differences(chosen.lock, listing.current_lock(access.paths, access.observed))
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
        "database": _DATABASE,
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

    project, access = opened()
    if not name:
        raise UsageError("no snapshot is named", todo="inv db.snapshots lists them")
    database = check_name(database or access.observed.database)
    with project.exclusive(wait=True):
        known = listing.snapshots(access)
        chosen = [find(known, database, one) for one in dict.fromkeys(name)]
        _confirm(project, database, yes, f"Remove {', '.join(one.name for one in chosen)} of the database {database}")
        taking.drop(access, chosen)
    terminal.message(f"removed: {', '.join(one.name for one in chosen)}")


def _existing(project: Project, database: str) -> str:
    """The name of an existing database that tasks may work on. Errors: DescriptionError."""
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.tasks.stack import existing_database

    if database:
        check_name(database)
    return check_name(existing_database(project, database))


def _confirm(project: Project, database: str, yes: bool, what: str) -> None:
    """Ask before something is destroyed; outside of developer for the name of the database. Errors: UsageError."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import UsageError

    agreed = yes or (
        terminal.confirm(f"{what}?") if project.scenario.developer else terminal.confirm_name(f"{what}.", database)
    )
    if not agreed:
        raise UsageError("nothing is changed", todo="the same command with --yes")


def opened() -> tuple[Project, DatabaseAccess]:
    """The project and access to its databases. Errors: those of tasks that need running services."""
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.databases.access import access
    from odpm_tasks.tasks.stack import rendered_project

    project = rendered_project()
    return project, access(project.paths, require_rendered(project.observe()))
