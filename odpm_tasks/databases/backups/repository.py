"""The repository of backups, through the running service `backup`: make, list and read backups."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import BinaryIO, cast

from odpm_tasks.adapters import command, terminal
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases import stored_backups
from odpm_tasks.core.databases.stored_backups import StoredBackup
from odpm_tasks.core.manifest.model import BACKUP
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.backups import service as backup_service
from odpm_tasks.core.stack.backups.service import SCRIPT
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.archives.backup import spool_folder
from odpm_tasks.databases.archives.reader import OpenArchive, opened_archive
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.stack.backups import files as backup_files
from odpm_tasks.stack.up import container


def service(paths: ProjectPaths, observed: RenderedState) -> str:
    """The container of the service `backup`, which sees the current files of secrets.

    Errors: DescriptionError where the description has no backups or a file of secrets is missing; UsageError outside of `server`;
    ProgramError where the service does not run.
    """
    if observed.manifest.backup is None:
        raise DescriptionError(
            "this project has no backups",
            where="odpm.json",
            todo='add "backup": {"repository": "/srv/backups"}, then: inv up; a single archive: inv db.backup',
        )
    if not backup_service.backup_of(observed.scenario, observed.manifest):
        raise UsageError(
            f"backups are made in the scenario server, this one is {observed.scenario.name}",
            where=paths.settings.where("ODPM_SCENARIO"),
            todo="a single archive: inv db.backup; the data of a server here: inv db.pull ssh://HOST/PATH",
        )
    backup_files.prepare(paths, observed.manifest)
    return container(paths, observed, BACKUP).id


def _words(container_id: str, *words: str, docker: Sequence[str] = ("docker",)) -> list[str]:
    return [*docker, "exec", container_id, "/bin/sh", SCRIPT, *words]


def run(container_id: str, *options: str, show: terminal.Activity, docker: Sequence[str] = ("docker",)) -> None:
    """Back up every database now, and remove what is no longer kept. `docker`: the client, with the options of its engine.

    Errors: those of the script.
    """
    show.note(BACKUP, "copy the databases")
    with command.piped(_words(container_id, "run", *options, docker=docker)) as process:
        process.end_input()
        for line in process.output:
            show.note(BACKUP, line.decode(errors="replace").strip())
        outcome = process.outcome()
    if not outcome.ok:
        raise stored_backups.failure(outcome.code, outcome.tail())
    show.done(BACKUP)


def backups(container_id: str) -> tuple[StoredBackup, ...]:
    """Every backup in the repository, the newest first. Errors: those of the script."""
    return stored_backups.read_snapshots(_text(container_id, "list"))


def file_of(container_id: str, chosen: StoredBackup, name: str) -> str:
    """A text file of a backup. Errors: those of the script."""
    return _text(container_id, "dump", chosen.id, f"/{name}")


def record_verified(container_id: str) -> None:
    """Record that the newest backups were restored and compared now."""
    _text(container_id, "verified")


def _text(container_id: str, *words: str) -> str:
    outcome = command.run(_words(container_id, *words), check=False)
    if not outcome.ok:
        raise stored_backups.failure(outcome.code, outcome.tail())
    return outcome.text


class _Stream:
    """The output of the script; its end is an error where the script failed."""

    def __init__(self, process: command.PipedProcess, progress: ByteProgress) -> None:
        self._process, self._progress = process, progress

    def read(self, count: int = -1) -> bytes:
        block = self._process.output.read(count)
        self._progress.add(len(block), "received")
        if not block and not (outcome := self._process.outcome()).ok:
            raise stored_backups.failure(outcome.code, outcome.tail())
        return block


@contextlib.contextmanager
def received(
    access: DatabaseAccess, container_id: str, chosen: StoredBackup, show: terminal.Activity
) -> Iterator[OpenArchive]:
    """A backup as an open archive, which is kept in a nameless file meanwhile. Errors: those of the script and `opened_archive`."""
    where = f"backup {chosen.id} of {chosen.shown_time} UTC"
    progress = ByteProgress(show, chosen.database, 0)
    with command.piped(_words(container_id, "dump", chosen.id)) as process:
        process.end_input()
        stream = cast(BinaryIO, _Stream(process, progress))
        with opened_archive("-", stream, spool_folder(access), where) as found:
            show.done(chosen.database)
            yield found
