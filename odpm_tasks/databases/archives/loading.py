"""Load a dump into a new hidden database, as a role that has rights in it alone: what a dump holds may be hostile.

A custom dump is made plain by pg_restore. The statements are sent one by one, not through psql, whose commands start programs.
"""

from __future__ import annotations

import contextlib
import json
import struct
import threading
from collections.abc import Generator, Iterable, Iterator
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker.run_image import PYTHON
from odpm_tasks.core.databases import plain_dump, sql
from odpm_tasks.core.databases.names import NEW
from odpm_tasks.core.databases.plain_dump import Data, DumpParser, Statement
from odpm_tasks.core.odoo.conf import extensions_sql
from odpm_tasks.databases import copying
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.archives.programs import in_blocks
from odpm_tasks.databases.archives.reader import OpenArchive
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.databases.quiet import new_identity
from odpm_tasks.errors import MachineError, ProgramError
from odpm_tasks.stack.databases import psql

ROLE = "odpm_restore"
_PROGRAM = Path(__file__).parents[2] / "templates" / "load_dump.py"
_BLOCK = 1 << 18


def load(access: DatabaseAccess, found: OpenArchive, progress: ByteProgress) -> str:
    """Load the dump of an archive into a new hidden database, which then belongs to Odoo's role. Returns its name.

    Errors: DescriptionError for a dump that is none, or reaches beyond its database; ProgramError for a statement that fails,
    with its line; MachineError for a full disk. Nothing is left after an error.
    """
    hidden = f"{NEW}{new_identity()}"
    try:
        load_as(access, hidden, found, progress, threading.Event())
    except BaseException:
        copying.remove(access, [hidden])
        raise
    return hidden


class Stopped(Exception):
    """The rest of the dump is of no use."""


def load_as(
    access: DatabaseAccess, hidden: str, found: OpenArchive, progress: ByteProgress, stop: threading.Event
) -> None:
    """The same with this name, until another thread sets `stop`: then it raises `Stopped`. An error leaves what was made."""
    _create(access, hidden)
    with contextlib.closing(
        _plain(access, found)
    ) as blocks:  # its program ends here, not with the last reference to it
        _run(access, hidden, _until(stop, blocks), progress)
    _hand_over(access, hidden)


def _until(stop: threading.Event, blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        if stop.is_set():
            raise Stopped
        yield block


def _create(access: DatabaseAccess, hidden: str) -> None:
    rights = "LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION INHERIT PASSWORD NULL"
    role, named = sql.literal(ROLE), sql.identifier(hidden)
    access.sql(
        f"DO $$BEGIN IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = {role}) THEN CREATE ROLE {ROLE}; END IF; END$$",
        f"ALTER ROLE {ROLE} {rights}",
        f"ALTER ROLE {ROLE} RESET ALL",
    )
    access.sql(
        f"CREATE DATABASE {named} OWNER {ROLE} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C' IS_TEMPLATE true"
    )
    psql.sql(access.container, extensions_sql(access.observed.manifest.odoo_conf), hidden, user="postgres")


def _hand_over(access: DatabaseAccess, hidden: str) -> None:
    """Give everything to Odoo's role, with its own rights: the superuser runs nothing in a database that was loaded."""
    access.sql(f"ALTER DATABASE {sql.identifier(hidden)} RESET ALL", f"GRANT {ROLE} TO odoo")
    try:
        access.sql(f"REASSIGN OWNED BY {ROLE} TO odoo", database_name=hidden)
    finally:
        access.sql(f"REVOKE {ROLE} FROM odoo", f"ALTER ROLE {ROLE} NOLOGIN")


def _plain(access: DatabaseAccess, found: OpenArchive) -> Generator[bytes, None, None]:
    """The dump as SQL, in blocks."""
    assert found.dump is not None
    with found.dump.open() as stream:
        if found.dump_kind == "sql":
            yield from iter(lambda: stream.read(_BLOCK), b"")
            return
        words = ["docker", "exec", "--interactive", access.container]
        words += in_blocks("pg_restore", "--no-owner", "--no-privileges", "-f", "-")
        failed: list[BaseException] = []
        with command.piped(words) as program:

            def feed() -> None:
                try:
                    for block in iter(lambda: stream.read(_BLOCK), b""):
                        program.write(block)
                    program.end_input()
                except BaseException as error:  # the reader of the output raises it
                    failed.append(error)
                    program.end_input()

            feeding = threading.Thread(target=feed, daemon=True)
            feeding.start()
            try:
                yield from iter(lambda: program.output.read(_BLOCK), b"")
                program.finish()
            except ProgramError as error:
                error.what = f"the dump cannot be read by this PostgreSQL: {error.what}"
                error.todo = "copy it again, or restore it in a stack with the PostgreSQL that made it"
                raise
            finally:
                feeding.join(1)
        for one in failed:
            if not isinstance(one, ProgramError):  # the program ended, and said why
                raise one


def _run(access: DatabaseAccess, hidden: str, dump: Iterable[bytes], progress: ByteProgress) -> None:
    image = access.observed.image
    words = ["docker", "run", "--rm", "--interactive", "--no-healthcheck", "--pull=never", f"--user={access.user}"]
    words += [f"--network=container:{access.container}", f"--entrypoint={PYTHON}", image, "-I", "-c"]
    target = {"host": "127.0.0.1", "dbname": hidden, "user": ROLE, "application_name": f"odpm-{new_identity()}"}
    with command.piped([*words, _PROGRAM.read_text(encoding="utf-8")]) as program:
        try:
            program.write(_frame(b"L", json.dumps(target).encode()))
            for frame in _frames(access, hidden, dump, progress):
                program.write(frame)
            program.write(_frame(b"Q", b""))
            program.finish()
        except MachineError:
            raise
        except ProgramError as error:
            raise _failure(error) from None


def _failure(error: ProgramError) -> ProgramError | MachineError:
    said = " ".join([error.what, *error.details])
    if "No space left on device" in said:
        return MachineError(
            "the disk of PostgreSQL is full",
            todo="free some space (inv prune shows what is unused), then run the same command again",
        )
    error.what = "the dump cannot be loaded"
    error.todo = "nothing was changed; make the dump again with pg_dump, without --create"
    return error


def _frame(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">cI", kind, len(content)) + content


def _frames(access: DatabaseAccess, hidden: str, dump: Iterable[bytes], progress: ByteProgress) -> Iterator[bytes]:
    """The input of `templates/load_dump.py` for a dump. Errors: those of `plain_dump`."""
    parser, empty = DumpParser(), True

    def parts() -> Iterator[Statement | Data]:
        for block in dump:
            progress.add(len(block), "database")
            yield from parser.feed(block)
        yield from parser.close()

    for part in parts():
        if isinstance(part, Data):
            yield _frame(b"D" if part.rows else b"E", part.rows)
            continue
        if plain_dump.is_left_out(part):
            continue
        plain_dump.check(part)
        if plain_dump.extension(part) == "unaccent" and empty:
            # Odoo's indexes need it immutable; only the superuser can change that, and nothing of the dump was loaded yet
            _unaccent(access, hidden)
            continue
        empty = empty and plain_dump.creates_nothing(part)
        yield _frame(b"C" if part.copy else b"S", struct.pack(">I", part.line) + part.text)


def _unaccent(access: DatabaseAccess, hidden: str) -> None:
    script = "CREATE EXTENSION IF NOT EXISTS unaccent; ALTER FUNCTION unaccent(text) IMMUTABLE"
    psql.sql(access.container, script, hidden, user="postgres")
