"""Tasks about archives of databases: restore one, and pull one from another machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, task
from odpm_tasks.tasks.databases.common import RESTORING, confirm, opened

if TYPE_CHECKING:
    from odpm_tasks.databases.archives.restore import Restored


@task(
    word="file",
    short={"database": "d"},
    help={
        "file": "Archive, folder, or `-` for standard input.",
        "database": "Name of the restored database (default: the project's).",
        **RESTORING,
    },
)
def restore(
    c: Context,
    file: str = "",
    database: str = "",
    replace: bool = False,
    no_neutralize: bool = False,
    yes: bool = False,
) -> None:
    """Restore an archive of a database with its files; it is neutralised."""
    import sys

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.errors import UsageError

    if not file or (file == "-" and sys.stdin.isatty()):
        raise UsageError("no archive is named", todo="inv db.restore FILE; or: PROGRAM | inv db.restore -")
    with opened() as (project, access):
        from odpm_tasks.databases.archives import restore as restoring
        from odpm_tasks.databases.archives.backup import spool_folder
        from odpm_tasks.databases.archives.reader import opened_archive

        database = check_name(database or access.database)
        with project.exclusive(wait=True):
            if restoring.require_replaceable(access, database, replace):
                confirm(project, database, yes, f"Replace the database {database} by the archive")
            with opened_archive(file, sys.stdin.buffer, spool_folder(access)) as found, terminal.activity() as show:
                done = restoring.restore(
                    access, found, database, replace=replace, neutralized=not no_neutralize, show=show
                )
        report_restored(database, done)


@task(
    word="source",
    short={"database": "d"},
    help={
        "source": "ssh://[USER@]HOST[:PORT]/PATH of a checkout, or https://HOST of an Odoo server.",
        "database": "Name of the database here (default: the project's).",
        "remote_database": "Name of the database there (default: that of the checkout; the only one of the server).",
        **RESTORING,
    },
)
def pull(
    c: Context,
    source: str = "",
    database: str = "",
    remote_database: str = "",
    replace: bool = False,
    no_neutralize: bool = False,
    yes: bool = False,
) -> None:
    """Get a database with its files from another machine; it is neutralised."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.core.databases.pulling import parse_source
    from odpm_tasks.databases import pulling
    from odpm_tasks.databases.archives import restore as restoring
    from odpm_tasks.errors import UsageError

    if not source:
        raise UsageError("no source is named", todo="inv db.pull ssh://HOST/PATH; or: inv db.pull https://HOST")
    address = parse_source(source)
    if remote_database:
        check_name(remote_database, "--remote-database")
    with opened() as (project, reach):
        database = check_name(database or reach.database)
        with project.exclusive(wait=True):
            if restoring.require_replaceable(reach, database, replace):
                confirm(project, database, yes, f"Replace the database {database} by the one of {address.host}")
    with (
        terminal.activity() as show,
        pulling.pulled(reach, address, remote_database, show) as found,
        opened() as (locked, access),  # it was not locked during the transfer, and may have changed
        locked.exclusive(wait=True),
    ):
        done = restoring.restore(access, found, database, replace=replace, neutralized=not no_neutralize, show=show)
    report_restored(database, done)


def report_restored(database: str, done: Restored) -> None:
    """Say what a restore did."""
    from odpm_tasks.adapters import terminal

    terminal.message(f"{database} is restored" + (", neutralised" if done.neutralized else ""))
    if done.before:
        terminal.message(f"the state before: inv db.restore-snapshot {done.before.name} -d {database}")
