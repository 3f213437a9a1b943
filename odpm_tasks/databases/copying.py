"""Copy, rename and remove a database together with its filestore, while Odoo runs.

A copy is made under a name of its own (`odpm.new.…`) and gets its final name last: what is half made is never taken for
whole, and the next run removes it. All functions need the project's lock, so that no other run makes or removes such names.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterable, Sequence

from odpm_tasks.adapters import command, terminal
from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.names import NEW, OWN
from odpm_tasks.core.text import plural
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError

TRANSACTIONS = 30.0  # seconds for which running transactions are waited for
_ATTEMPT = 12  # seconds, more than PostgreSQL itself waits for other sessions
_IN_USE = (b"is being accessed by other users", b"lock timeout")


def new_identity() -> str:
    return secrets.token_hex(6)


def copy_hidden(access: DatabaseAccess, source: str) -> str:
    """Copy a database and its filestore to a hidden one, and return its name, which begins with `odpm.new.`.

    The filestore is linked before and after: every file that the copied database refers to was there before, or came while
    the database was copied. Running transactions are waited for; idle sessions end, new ones wait. Errors: ProgramError
    that names the transactions which run for longer than `TRANSACTIONS`; MachineError where the disk is full.
    """
    target = f"{NEW}{new_identity()}"
    facts = access.json(sql.database_facts(source))
    stored = source in access.files("list")
    try:
        if stored:
            access.files("link", source, target)
        copied = sql.create_copy(source, target, facts["owner"], strategy(access, facts["size"]))
        quietly(access, [source], copied, f"copy {source}")
        if stored:
            access.files("link", source, target)
        access.psql(f"{sql.copy_properties(source, target)}\\gexec\n")
    except BaseException:
        remove(access, [target])
        raise
    return target


def strategy(access: DatabaseAccess, size: int) -> sql.Strategy:
    """How PostgreSQL copies a database: with WAL where it is small, else file by file, which needs two checkpoints."""
    if access.version < 150000:
        return ""
    return "WAL_LOG" if size < _LARGE else "FILE_COPY"


_LARGE = 200_000_000  # bytes


def quietly(access: DatabaseAccess, names: Sequence[str], statement: str, what: str) -> None:
    """Run a statement that needs databases without sessions: it locks them, so that new connections wait, and idle sessions
    are ended. Errors: ProgramError (5) where a transaction runs for longer than `TRANSACTIONS`; those of the statement.
    """
    deadline = time.monotonic() + TRANSACTIONS
    while True:
        program = f"odpm-{new_identity()}"
        busy = access.sql(sql.count_sessions(names)) != "0"
        ending = threading.Thread(
            target=access.psql, args=(sql.end_idle_sessions(names, program, _ATTEMPT),), daemon=True
        )
        if busy:
            ending.start()
        outcome = access.psql(statement, program=program)
        if busy:
            ending.join(_ATTEMPT)
        if outcome.ok:
            return
        if not any(text in outcome.stderr for text in _IN_USE):
            raise failed(outcome, what)
        running = access.json(sql.running_transactions(names))
        if time.monotonic() >= deadline:
            raise _still_running(running, what)
        if running:
            terminal.message(f"waiting for {plural(len(running), 'transaction')} in {', '.join(sorted({*names}))}")


def _still_running(running: Sequence[dict[str, object]], what: str) -> ProgramError:
    lines = [
        f"session {one['pid']} ({one['user']}{', ' + str(one['program']) if one['program'] else ''}, {one['state']},"
        f" {one['seconds']} s): {' '.join(str(one['query']).split())[:80]}"
        for one in running[:3]
    ]
    todo = "wait until they end, then run the same command again"
    if running:
        first = running[0]
        todo += f'; or: inv psql -d {first["database"]} -c "SELECT pg_terminate_backend({first["pid"]})"'
    return ProgramError(
        f"cannot {what}: transactions have run for more than {TRANSACTIONS:.0f} s", details=lines, todo=todo
    )


def failed(outcome: command.Outcome, what: str) -> OdpmError:
    """The error for SQL that failed, in PostgreSQL's words."""
    error = command.failure(outcome)
    if isinstance(error, ProgramError):
        error.what = f"cannot {what}"
        error.todo = error.todo or "inv logs db"
    return error


def remove(access: DatabaseAccess, names: Iterable[str]) -> None:
    """Remove databases with their filestores; those that do not exist are no error."""
    found = list(names)
    for name in found:
        for statement in sql.drop(name, access.version):
            access.sql(statement)
    if found:
        access.files("remove", *found)


def remove_leftovers(access: DatabaseAccess) -> list[str]:
    """Remove what killed runs left: copies without a final name, and hidden filestores without a database.

    Their sessions are ended first. Returns the names.
    """
    access.sql(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name ~ '^odpm-[0-9a-f]{12}$'"
    )
    known = {row["name"] for row in access.json(sql.hidden_databases())}
    left = {name for name in known if name.startswith(NEW)}
    left |= {name for name in access.files("list") if name.startswith(OWN) and name not in known}
    if left:
        terminal.message(
            f"removing what an interrupted run left: {plural(len(left), 'unfinished copy', 'unfinished copies')}"
        )
        remove(access, sorted(left))
    return sorted(left)


def publish(access: DatabaseAccess, hidden: str, name: str, *statements: str) -> None:
    """Give a hidden copy its final name, by which Odoo finds it; `statements` belong to the same transaction.

    Errors: DescriptionError where the name is taken.
    """
    require_free(access, name)
    stored = access.files("list")
    if name in stored:  # files without a database: their names say their content, so that they do no harm
        access.files("link", hidden, name)
    elif hidden in stored:
        access.files("rename", hidden, name)
    access.sql(sql.show(hidden, True), *statements, sql.rename(hidden, name))
    if name in stored:
        access.files("remove", hidden)


def exists(access: DatabaseAccess, name: str) -> bool:
    return access.json(sql.database_facts(name)) is not None


def require_free(access: DatabaseAccess, name: str) -> None:
    """Check that there is no database of this name. Errors: DescriptionError."""
    if exists(access, name):
        raise DescriptionError(
            f"there is a database {name} already",
            where=name,
            todo=f"choose another name, or remove that one: inv db.drop -d {name}",
        )
