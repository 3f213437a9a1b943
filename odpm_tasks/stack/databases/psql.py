"""psql in the container of PostgreSQL, through its socket.

What a database of Odoo holds (views, triggers) must not run with the rights of the superuser: sessions in it are those of
Odoo's role, and of the superuser only in the database `postgres`.
"""

from __future__ import annotations

from collections.abc import Iterable

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.databases.sql import drop as drop_database
from odpm_tasks.core.databases.sql import literal
from odpm_tasks.errors import ProgramError

LOCK_TIMEOUT = "10s"


def session_user(database: str) -> str:
    """The role of odpm's own sessions in a database."""
    return "postgres" if database == "postgres" else "odoo"


def execute(container: str, script: str, database: str, *options: str, user: str = "") -> command.Outcome:
    """Run a script that ends at the first error; `options`: of psql; `user`: another role than `session_user`.

    Errors: ProgramError where another session holds a lock for longer than `LOCK_TIMEOUT`; it names the session.
    """
    words = psql_words(user or session_user(database), database, *options)
    return check_locks(docker.execute(container, *words, stdin=script.encode()), container, database)


def psql_words(user: str, database: str, *options: str) -> tuple[str, ...]:
    """The command line of psql that ends at the first error, and at a lock that another session holds for `LOCK_TIMEOUT`."""
    limit = ("env", f"PGOPTIONS=-c lock_timeout={LOCK_TIMEOUT}", "PGAPPNAME=odpm")
    return (*limit, "psql", "-U", user, "-d", database, "-v", "ON_ERROR_STOP=1", "-XAtq", *options)


def check_locks(outcome: command.Outcome, container: str, database: str) -> command.Outcome:
    """The outcome of a script. Errors: ProgramError that names the session which holds a lock that the script waited for."""
    if not outcome.ok and b"lock timeout" in outcome.stderr:
        held, todo = lock_holder(container, database)
        raise ProgramError(f"another session holds a lock in the database {database}", details=held, todo=todo)
    return outcome


def sql(container: str, statement: str, database: str = "postgres", separator: str = "|", user: str = "") -> str:
    """The answer to SQL; `separator`: between the columns of a row. Errors: ProgramError; those of `execute`."""
    outcome = execute(container, statement, database, "-F", separator, user=user)
    if not outcome.ok:
        raise command.failure(outcome)
    return outcome.text.strip()


def drop(container: str, names: Iterable[str]) -> None:
    """Drop databases with their sessions; those that do not exist are no error. Errors: those of `sql`."""
    for name in names:
        sql(container, drop_database(name))


_HOLDERS = """
SELECT holder.pid, coalesce(nullif(holder.application_name, ''), 'a program'), coalesce(host(holder.client_addr), 'this machine'),
       holder.state, extract(epoch FROM now() - holder.xact_start)::int
FROM pg_stat_activity holder
WHERE holder.datname = {} AND holder.pid <> pg_backend_pid() AND holder.xact_start IS NOT NULL
ORDER BY holder.xact_start LIMIT 1
"""


def lock_holder(container: str, database: str) -> tuple[list[str], str]:
    """The session with the oldest open transaction in a database, and the command that ends it; none if it has ended."""
    row = sql(container, _HOLDERS.format(literal(database)))
    if not row:
        return [], "the session that held the lock has ended: run the same command again"
    pid, program, address, state, seconds = row.split("|")
    return (
        [f"session {pid} ({program} from {address}, {state}) has had a transaction open for {seconds} s"],
        f'close that program, or: inv psql postgres -c "SELECT pg_terminate_backend({pid})"',
    )
