"""Run statements that need databases without sessions, while Odoo runs."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from odpm_tasks.adapters import command, terminal
from odpm_tasks.core.databases import sql
from odpm_tasks.core.text import plural
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.errors import OdpmError, ProgramError

TRANSACTIONS = 30.0  # seconds for which running transactions are waited for
PAUSE = 0.02  # seconds between two looks at the sessions of PostgreSQL
_FIRST_PAUSE = 0.1  # seconds; most often no session is left by then
_ATTEMPT = 12.0  # seconds, more than PostgreSQL itself waits for other sessions
_IN_USE = (b"is being accessed by other users", b"lock timeout")


def new_identity() -> str:
    return secrets.token_hex(6)


def quietly(access: DatabaseAccess, names: Sequence[str], statement: str, what: str) -> None:
    """Run a statement that needs databases without sessions: it locks them, so that new connections wait, and idle sessions
    are ended. Errors: ProgramError (5) where a transaction runs for longer than `TRANSACTIONS`; those of the statement.
    """
    deadline = time.monotonic() + TRANSACTIONS
    told = 0
    while True:
        program = f"odpm-{new_identity()}"
        if access.sql(sql.count_sessions(names)) == "0":
            outcome = access.psql(statement, program=program)
        else:
            with _ending_idle_sessions(access, names, program):
                outcome = access.psql(sql.end_idle(names) + statement, program=program)
        if outcome.ok:
            return
        if not any(text in outcome.stderr for text in _IN_USE):
            raise failed(outcome, what)
        running = access.json(sql.running_transactions(names))
        if time.monotonic() >= deadline:
            raise _still_running(running, what)
        if len(running) not in (0, told):
            told = len(running)
            terminal.message(f"waiting for {plural(told, 'transaction')} in {', '.join(sorted({*names}))}")


@contextmanager
def _ending_idle_sessions(access: DatabaseAccess, names: Sequence[str], program: str) -> Iterator[None]:
    """End sessions that become idle, while the block runs: each stays away if the session `program` has locked the databases."""
    done, deadline = threading.Event(), time.monotonic() + _ATTEMPT

    def end() -> None:
        pause = _FIRST_PAUSE
        while not done.wait(pause) and time.monotonic() < deadline:
            pause = PAUSE
            outcome = access.psql(sql.end_idle_while_locked(names, program))
            if not outcome.ok or outcome.text.strip() == "t":
                return

    ending = threading.Thread(target=end, daemon=True)
    ending.start()
    try:
        yield
    finally:
        done.set()
        ending.join()


def _still_running(running: Sequence[dict[str, object]], what: str) -> ProgramError:
    lines = [
        f"session {one['pid']} ({one['user']}{', ' + str(one['program']) if one['program'] else ''}, {one['state']},"
        f" {one['seconds']} s): {' '.join(str(one['query']).split())[:80]}"
        for one in running[:3]
    ]
    todo = "wait until they end, then run the same command again"
    if running:
        first = running[0]
        todo += f'; or: inv psql postgres -c "SELECT pg_terminate_backend({first["pid"]})"'
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
