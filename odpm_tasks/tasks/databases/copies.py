"""Tasks about databases: copy, rename, reset, neutralise and drop them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, task
from odpm_tasks.tasks.databases.common import DATABASE, RESTORING, confirm, existing, new_name, opened

if TYPE_CHECKING:
    from collections.abc import Sequence


@task(
    help={
        "source": "The database to copy.",
        "target": "The name of the copy.",
        "no_neutralize": RESTORING["no_neutralize"],
    },
)
def copy(c: Context, source: str, target: str, no_neutralize: bool = False) -> None:
    """Copy a database with its files, while Odoo runs; the copy is neutralised."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.databases import copies

    target = new_name(target)
    with opened() as (project, access):
        with project.exclusive(wait=True), terminal.activity() as show:
            source = existing(access, source)
            show.note(target, f"copy of {source}")
            copies.copy(access, source, target, neutralized=not no_neutralize)
        terminal.message(f"{target} is a copy of {source}" + ("" if no_neutralize else ", neutralised"))


@task(help={"source": "The database to rename.", "target": "Its new name."})
def rename(c: Context, source: str, target: str) -> None:
    """Rename a database with its files and snapshots."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.databases import copies

    target = new_name(target)
    with opened() as (project, access):
        with project.exclusive(wait=True):
            source = existing(access, source)
            copies.rename(access, source, target)
        terminal.message(f"{source} is now {target}")
        if source == access.database:
            terminal.warn(
                f"the project's database is still {source}, which inv up creates; work in the other one with -d {target}"
            )


@task(
    word="database",
    lists=["install"],
    short={"database": "d", "install": "i"},
    help={
        "database": DATABASE,
        "install": "Add-ons to install, repeat or comma separate (default: those of the developing project).",
        "demo": "With demo data.",
        "yes": "Do not ask for confirmation.",
    },
)
def reset(c: Context, database: str = "", install: Sequence[str] = (), demo: bool = False, yes: bool = False) -> None:
    """Make a database new, from a template that is kept; the state before is kept."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.core.planning.options import RunOptions

    with opened() as (project, access):
        from odpm_tasks.databases import copying
        from odpm_tasks.databases import reset as resetting

        database = check_name(database or access.database)
        with project.exclusive(wait=True):
            if copying.exists(access, database):
                confirm(project, database, yes, f"Replace the database {database} by a new one")
            before = resetting.reset(access, database, RunOptions(install=tuple(install), demo=demo))
        terminal.message(f"{database} is new")
        if before:
            terminal.message(f"the state before: inv db.restore-snapshot {before.name} -d {database}")


@task(word="database", short={"database": "d"}, help={"database": DATABASE, "yes": "Do not ask for confirmation."})
def drop(c: Context, database: str = "", yes: bool = False) -> None:
    """Remove a database with its files; its snapshots stay."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.databases import copying, listing

    with opened() as (project, access):
        with project.exclusive(wait=True):
            database = existing(access, database)
            confirm(project, database, yes, f"Remove the database {database} with its files")
            copying.remove_leftovers(access)
            copying.drop(access, database)
            kept = [one.name for one in listing.snapshots(access) if one.database == database]
        terminal.message(f"{database} is removed")
        if kept:
            terminal.message(
                f"its snapshots stay: inv db.restore-snapshot -d {database}; inv db.drop-snapshot {','.join(kept)} -d {database}"
            )


@task(word="database", short={"database": "d"}, help={"database": DATABASE, "yes": "Do not ask for confirmation."})
def neutralize(c: Context, database: str = "", yes: bool = False) -> None:
    """Switch off mail, payments and scheduled actions of a database."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.databases import copying, neutralizing
    from odpm_tasks.databases import snapshots as taking

    with opened() as (project, access):
        with project.exclusive(wait=True):
            database = existing(access, database)
            neutralizing.require_series(access, database)
            what = f"Neutralise the database {database} (scheduled actions, mail servers, payments and keys are switched off)"
            confirm(project, database, yes, what)
            with terminal.activity() as show:
                show.note(database, "snapshot")
                before = taking.take(access, database, kind="neutralize")
            neutralizing.neutralize(access, database)
            neutralizing.renew_identity(access, database)
            copying.signal_changes(access, database)
        terminal.message(
            f"{database} is neutralised; the state before: inv db.restore-snapshot {before.name} -d {database}"
        )
