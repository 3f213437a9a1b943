"""What the databases of a PostgreSQL contain: whether Odoo has initialised one, its installed add-ons, its mail servers."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError
from odpm_tasks.stack.databases import psql

if TYPE_CHECKING:
    from odpm_tasks.core.planning.observed import DatabaseState

UNFINISHED = "odpm: creating"  # the comment of a database that Odoo has not initialised completely


@dataclass(frozen=True)
class DatabaseAnswer:
    """The state of a database: `absent`, `unfinished` (interrupted, or empty), `ready`, or `unknown`.

    `mail_servers`: name and host of each active mail server that Odoo would send through. `installed`: the installed add-ons
    with their versions, without those that were imported as data.
    """

    state: DatabaseState
    mail_servers: tuple[tuple[str, str], ...] = ()
    installed: tuple[tuple[str, str], ...] = ()


# one session of psql answers everything; a table that does not exist is not read
_QUERY = r"""
SELECT to_regclass('ir_module_module') IS NOT NULL, coalesce(shobj_description(oid, 'pg_database'), '')
FROM pg_database WHERE datname = current_database();
SELECT to_regclass('ir_module_module') IS NOT NULL AS has_addons \gset
\if :has_addons
SELECT json_object_agg(name, coalesce(latest_version, '')) FROM ir_module_module addon
WHERE state IN ('installed', 'to upgrade') AND coalesce(to_jsonb(addon) ->> 'imported', '') <> 'true';
\endif
SELECT to_regclass('ir_mail_server') IS NOT NULL AS has_mail \gset
\if :has_mail
SELECT json_build_array(name, smtp_host) FROM ir_mail_server WHERE active ORDER BY sequence, id;
\endif
"""


def observe_database(container: str, database: str) -> DatabaseAnswer:
    """The state of a database and its active mail servers. Errors: ProgramError where another session holds a lock in it."""
    outcome = psql.execute(container, _QUERY, database)
    if not outcome.ok:
        return DatabaseAnswer("absent" if b"does not exist" in outcome.stderr else "unknown")
    first, *rows = outcome.text.strip().split("\n")
    initialised, _, comment = first.partition("|")
    answers = [json.loads(row) for row in rows if row]
    servers = [answer for answer in answers if isinstance(answer, list)]
    installed = next((answer for answer in answers if isinstance(answer, dict)), {})
    return DatabaseAnswer(
        "ready" if initialised == "t" and comment != UNFINISHED else "unfinished",
        tuple((str(name or ""), str(host or "")) for name, host in servers),
        tuple(installed.items()),
    )


_NAMES = """
SELECT coalesce(json_agg(datname ORDER BY datname), '[]') FROM pg_database
WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres'
AND coalesce(shobj_description(oid, 'pg_database'), '') NOT LIKE 'odpm: %'
"""


def database_names(container: str) -> list[str]:
    """The databases of users in a PostgreSQL; not those that odpm makes for tests, snapshots and copies.

    Empty where it cannot be asked. Errors: those of `psql.execute`.
    """
    outcome = psql.execute(container, _NAMES, "postgres")
    return [str(name) for name in json.loads(outcome.text)] if outcome.ok else []


def database_state(container: str, database: str) -> DatabaseState:
    """The state of a database."""
    return observe_database(container, database).state


def require_database(ask: Callable[[str], str], name: str) -> None:
    """Check that a database exists. `ask`: returns the answer to SQL. Errors: DescriptionError naming the nearest; those of `ask`."""
    known = ask("SELECT datname FROM pg_database WHERE datallowconn ORDER BY 1").splitlines()
    if name not in known:
        shown = [other for other in known if other not in {"postgres", "template1"}]
        raise DescriptionError(
            f"there is no database {name!r}{nearest(name, shown)}",
            where="-d",
            todo=f"one of: {', '.join(shown)}" if shown else f"inv up -d {name} creates it",
        )
