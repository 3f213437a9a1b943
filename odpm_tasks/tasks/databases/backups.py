"""Tasks about the backups of a server: make, list, restore and verify them."""

from __future__ import annotations

from odpm_tasks.tasks.base import Context, check_format, task, write_report
from odpm_tasks.tasks.databases.common import RESTORING, confirm, opened


@task(
    help={
        "new": "Begin a new repository where the one of the earlier backups is gone.",
        "unlock": "Remove the locks that dead programs left in the repository; no other program may use it now.",
    }
)
def run(c: Context, new: bool = False, unlock: bool = False) -> None:
    """Back up every database with its files now, and remove what is no longer kept."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.databases.backups import repository

    words = [word for word, given in (("--new", new), ("--unlock", unlock)) if given]
    with opened() as (project, access):
        service = repository.service(project.paths, access.observed)
        with terminal.activity() as show:
            repository.run(service, *words, show=show)
    terminal.message("the databases are backed up: inv backup.list")


@task(name="list", help={"format": "text or json."})
def list_(c: Context, format: str = "text") -> None:
    """Show the backups in the repository, the newest first."""

    from odpm_tasks.core.databases import stored_backups
    from odpm_tasks.databases.archives.backup import cluster
    from odpm_tasks.databases.backups import repository

    check_format(format)
    with opened() as (project, access):
        found, here = repository.backups(repository.service(project.paths, access.observed)), cluster(access)
    write_report(
        format,
        lambda: stored_backups.backups_json(found, here),
        lambda paint: stored_backups.backups_text(found, here, paint),
    )


@task(
    word="backup",
    short={"database": "d"},
    help={
        "backup": "Id of a backup in backup.list (default: the newest of the database).",
        "at": "The newest backup that was made before this time, UTC: 2026-11-27 14:30, or a date.",
        "database": "Database that was backed up (default: the project's).",
        "to": "Name of the restored database (default: that of the backup).",
        **RESTORING,
    },
)
def restore(
    c: Context,
    backup: str = "",
    at: str = "",
    database: str = "",
    to: str = "",
    replace: bool = False,
    no_neutralize: bool = False,
    yes: bool = False,
) -> None:
    """Restore a database with its files from the repository, as db.restore."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases import stored_backups
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.databases.archives import restore as restoring
    from odpm_tasks.databases.backups import repository
    from odpm_tasks.errors import UsageError
    from odpm_tasks.tasks.databases.archives import report_restored

    if backup and at:
        raise UsageError("--at chooses a backup, and one is named", todo=f"inv backup.restore {backup}")
    moment = stored_backups.parse_moment(at) if at else None
    with opened() as (project, access), project.exclusive(wait=True):
        service = repository.service(project.paths, access.observed)
        wanted = check_name(database or access.database)
        chosen = stored_backups.choose(repository.backups(service), wanted, identity=backup, at=moment)
        target = check_name(to or chosen.database)
        if restoring.require_replaceable(access, target, replace, "--to"):
            confirm(project, target, yes, f"Replace the database {target} by its backup of {chosen.shown_time} UTC")
        with terminal.activity() as show, repository.received(access, service, chosen, show) as found:
            done = restoring.restore(access, found, target, replace=replace, neutralized=not no_neutralize, show=show)
    terminal.message(f"backup {chosen.id} of {chosen.shown_time} UTC, made by {chosen.host}")
    report_restored(target, done)


@task(
    word="backup",
    short={"database": "d"},
    help={
        "backup": "Id of a backup in backup.list (default: the newest of each database).",
        "database": "Of this database only.",
        "format": "text or json.",
    },
)
def verify(c: Context, backup: str = "", database: str = "", format: str = "text") -> None:
    """Restore the newest backups into a scratch database, and compare them."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases import stored_backups
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.databases.archives.backup import cluster
    from odpm_tasks.databases.backups import repository, verifying

    check_format(format)
    names = (check_name(database),) if database else ()
    with opened() as (project, access), project.exclusive(wait=True):
        service = repository.service(project.paths, access.observed)
        found = repository.backups(service)
        chosen = stored_backups.newest(found, names, cluster(access)) if not backup else []
        if not chosen:
            chosen = [stored_backups.choose(found, database or access.database, identity=backup)]
        with terminal.activity() as show:
            done = [verifying.verify(access, service, one, show) for one in chosen]
        if not backup and not database:
            repository.record_verified(service)
    if format == "json":
        terminal.output(stored_backups.verified_json(done))
    else:
        for one in done:
            terminal.output(
                f"{one.backup.id} of {one.backup.database}, {one.backup.shown_time} UTC: "
                f"{one.tables} tables, {one.rows} rows and {one.files} files are as they were"
            )
