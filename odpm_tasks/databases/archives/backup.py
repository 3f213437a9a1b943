"""Back up a database and its files into one archive, while Odoo runs; nothing is held in memory.

The files are hard-linked, the dump's snapshot is taken, and what came since is linked: the archive holds the union. Meanwhile
a lock keeps Odoo from removing files that the snapshot still has.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tarfile
import tempfile
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from odpm_tasks import project_files
from odpm_tasks.adapters import command, files, terminal
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.databases import archive, sql
from odpm_tasks.core.databases.archive import SUFFIX, Archive, ArchiveOrigin
from odpm_tasks.core.databases.sql import IS_NEUTRALIZED
from odpm_tasks.core.odoo.addon_versions import stored_series
from odpm_tasks.core.odoo.conf import DATA_DIR
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.archives.programs import in_blocks, stoppable
from odpm_tasks.databases.archives.tar_writer import wait_for_output, write_tar
from odpm_tasks.databases.archives.zip_writer import BLOCK, StoredFile, write_zip
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.errors import DataLossError, DescriptionError, MachineError, ProgramError

LINKED = "odpm.new.backup"  # the folder of the linked files, beside the filestores
_FACTS = """\
SELECT json_build_object(
  'version', (SELECT latest_version FROM ir_module_module WHERE name = 'base'),
  'modules', (SELECT json_object_agg(name, latest_version) FROM ir_module_module WHERE state = 'installed'),
  'uuid', (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'),
  'neutralized', {neutralized},
  'server', current_setting('server_version_num'),
  'bytes', (SELECT coalesce(sum(pg_table_size(oid)), 0) FROM pg_class WHERE relkind IN ('r', 'm')),
  'readable', NOT EXISTS (
    SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
    WHERE relkind IN ('r', 'p', 'm', 'v', 'S', 'f') AND nspname !~ '^pg_' AND nspname <> 'information_schema'
      AND (relforcerowsecurity OR NOT pg_has_role(relowner, 'USAGE') OR NOT has_schema_privilege(n.oid, 'USAGE')))
    AND NOT EXISTS (SELECT FROM pg_largeobject_metadata WHERE NOT pg_has_role(lomowner, 'USAGE')))"""
_SNAPSHOT = """\
\\set ON_ERROR_STOP on
SET lock_timeout = '10s';
BEGIN ISOLATION LEVEL REPEATABLE READ;
LOCK TABLE ir_attachment IN ROW EXCLUSIVE MODE;
SELECT pg_export_snapshot();
"""


def backup_folder(paths: ProjectPaths, project: str) -> Path:
    """BACKUP_DIR, or `odpm-backups/PROJECT` in the home folder. Errors: DescriptionError for a folder below `.odpm`."""
    given = paths.settings.get("BACKUP_DIR")
    folder = paths.root / Path(given).expanduser() if given else files.home() / "odpm-backups" / project
    if folder.resolve().is_relative_to(paths.odpm.resolve()):
        raise DescriptionError(
            "backups must not be in .odpm, which can be removed at any time",
            where=paths.settings.where("BACKUP_DIR"),
            todo=f"BACKUP_DIR=~/odpm-backups/{project}",
        )
    return folder


def spool_folder(access: DatabaseAccess) -> Path:
    """Where an archive is kept while it is read from a pipe: the folder of backups, or the temporary folder. Errors: DescriptionError."""
    return _spool_folder(backup_folder(access.paths, access.project))


def cluster(access: DatabaseAccess) -> str:
    """What identifies the PostgreSQL of this stack: the system identifier of its cluster."""
    return access.sql("SELECT system_identifier FROM pg_control_system()")


def backup(access: DatabaseAccess, database: str, output: str, kind: Archive, show: terminal.Activity) -> str:
    """Write an archive; `output`: a file or folder, `-` for standard output, or empty for the folder of backups.

    Returns its path, empty for standard output. Needs the project's lock, because linked files have one name per stack.
    Errors: DescriptionError for a database that is not Odoo's; DataLossError for an existing file; MachineError for a full disk.
    """
    if access.json(sql.details(), database) is None:
        raise DescriptionError(
            "this is no database of Odoo", where=database, todo="inv db.list shows which ones are: they have a series"
        )
    project = access.project
    folder = backup_folder(access.paths, project)
    if output == "-":
        with _standard_output() as sink, _reported("standard output"):
            _write(access, database, kind, sink, _spool_folder(folder), show)
        return ""
    path = Path.cwd() / Path(output).expanduser() if output else folder
    if not output or path.is_dir():
        stamp = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        path /= f"{database}-{stamp}{SUFFIX[kind]}"
    with files.disk_errors(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if files.is_stream(path):
            with _reported(str(path)), path.open("wb") as stream:
                _write(access, database, kind, stream, _spool_folder(folder), show)
            return str(path)
        if path.exists():
            raise DataLossError(
                "the file exists", where=str(path), todo="remove it, or choose another name: --output FILE"
            )
        try:
            with _partial(path) as stream:
                _write(access, database, kind, stream, path.parent, show)
        except MachineError as error:
            error.where = error.where or str(path)
            raise
    return str(path)


@contextlib.contextmanager
def _partial(path: Path) -> Iterator[BinaryIO]:
    """A file beside `path` that gets its name when it is complete. Partial files of killed runs are removed."""
    for left in path.parent.glob(".*.odpm-partial"):
        with contextlib.suppress(OSError), left.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # no process writes it
            left.unlink()
    partial = path.with_name(f".{path.name}.odpm-partial")
    with open(partial, "x+b", opener=_private) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield file
            file.flush()
            os.fsync(file.fileno())
            _name(partial, path)
        finally:
            partial.unlink(missing_ok=True)


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)


def _name(partial: Path, path: Path) -> None:
    """Give the complete file its name, not over a file that has come meanwhile."""
    try:
        os.link(partial, path)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS) or path.exists():
            raise
        partial.rename(path)  # a file system without hard links


@contextlib.contextmanager
def _standard_output() -> Iterator[BinaryIO]:
    with os.fdopen(os.dup(1), "wb") as stream:
        try:
            yield cast(BinaryIO, stream)
        except BaseException:
            with contextlib.suppress(OSError):
                stream.close()  # what is left in the buffer cannot be written
            raise


@contextlib.contextmanager
def _reported(where: str) -> Iterator[None]:
    """Convert the end of the reader of a pipe to a ProgramError: the archive is incomplete."""
    try:
        with files.disk_errors(Path(where)):
            yield
    except BrokenPipeError:
        raise ProgramError(
            "the reader of the archive ended before it was complete",
            where=where,
            todo="check the program after the pipe",
        ) from None


def _spool_folder(folder: Path) -> Path:
    return folder if folder.is_dir() else Path(tempfile.gettempdir())


def _write(
    access: DatabaseAccess, database: str, kind: Archive, sink: BinaryIO, spool: Path, show: terminal.Activity
) -> None:
    with contextlib.ExitStack() as cleanup:
        access.files("remove", LINKED)  # of a killed run
        cleanup.callback(access.files, "remove", LINKED)
        session = cleanup.enter_context(command.piped(_psql(access, database)))  # starts while files are linked
        if database in access.files("list"):
            access.files("link", database, LINKED)
        session.write(_SNAPSHOT.encode())
        snapshot = session.read_line().decode().strip()
        session.write(f"{_FACTS.format(neutralized=IS_NEUTRALIZED)};\n".encode())
        facts = _json(session.read_line())
        manifest, size = _manifest(access, database, facts)
        role = "odoo" if facts["readable"] else "postgres"
        # From here on no program is started in PostgreSQL's container: an engine handles the ends of programs of a container
        # one after the other, and the end of pg_dump only when its output was read.
        kept = cleanup.enter_context(tempfile.TemporaryFile(dir=spool)) if kind == "dump" else None
        words = _dump_words(access, database, kind, snapshot, role)
        dumper = cleanup.enter_context(command.piped(words, output=kept))
        first = b""
        if kept:
            wait_for_output(kept, dumper)
        else:
            first = next(dump := dumper.blocks(BLOCK), b"")
        access.files("link", database, LINKED)
        session.write(b"COMMIT;\n")
        _, stored, _ = access.files("list", "--sizes", LINKED).get(LINKED) or (0, 0, 0)
        progress = ByteProgress(show, database, size + stored)
        if kept:
            write_tar(access, LINKED, sink, manifest, dumper, kept, stored, progress)
        else:
            stored_files = cleanup.enter_context(contextlib.closing(_filestore(access)))
            write_zip(sink, manifest, _counted(first, dump, progress), stored_files, progress.of("files"))
        show.done(database)


def _counted(first: bytes, dump: Iterator[bytes], progress: ByteProgress) -> Iterator[bytes]:
    count = progress.of("database")
    yield first
    for block in dump:
        count(len(block))
        yield block


def _psql(access: DatabaseAccess, database: str) -> list[str]:
    """A session as Odoo's role: what a database holds must not run with the rights of the superuser."""
    return ["docker", "exec", "--interactive", access.container, "psql", "-U", "odoo", "-d", database, "-XAtq"]


def _dump_words(access: DatabaseAccess, database: str, kind: Archive, snapshot: str, role: str) -> list[str]:
    form = ["--format=plain"] if kind == "zip" else ["--format=custom", "--compress=1"]
    words = ["pg_dump", "-U", role, "--no-owner", "--no-privileges", "--no-publications", "--no-subscriptions"]
    words += [f"--snapshot={snapshot}", *form, "--dbname", database]
    return ["docker", "exec", "--interactive", access.container, *stoppable(*in_blocks(*words))]


def _json(line: bytes) -> dict[str, Any]:
    import json

    data = json.loads(line)
    assert isinstance(data, dict)
    return data


def _manifest(access: DatabaseAccess, database: str, facts: dict[str, Any]) -> tuple[bytes, int]:
    """The manifest, and the size of the tables."""
    import json

    lock_file = files.read(access.paths.lock)
    lock = json.loads(lock_file) if lock_file and project_files.lock(access.paths) else None
    facts |= {"series": stored_series(facts["version"] or ""), "modules": facts["modules"] or {}}
    created = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    origin = ArchiveOrigin(cluster(access), database, facts["uuid"] or "")
    return archive.write_manifest(facts, origin, lock, VERSION, created), int(facts["bytes"])


def _filestore(access: DatabaseAccess) -> Generator[StoredFile, None, None]:
    """Path, size and content of each linked file."""
    if not access.has_files:
        return
    script = f"cd {DATA_DIR}/filestore && if [ -d {LINKED} ]; then exec tar -c -f - --exclude=checklist {LINKED}; fi"
    with command.piped(access.in_volume(["sh", "-c", script])) as process:
        stream = process.output
        first = stream.peek(1)  # type: ignore[attr-defined]
        if first:
            with tarfile.open(fileobj=stream, mode="r|", bufsize=BLOCK) as tar:
                for member in tar:
                    content = tar.extractfile(member) if member.isreg() else None
                    if content is not None:
                        yield member.name.removeprefix(f"{LINKED}/"), member.size, content
                    tar.members = []  # type: ignore[attr-defined]  # tarfile keeps them all
        process.finish()
