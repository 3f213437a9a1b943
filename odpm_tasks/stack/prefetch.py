"""Prefetch: run the Docker queries of the last run in threads; an answer is used only if the same query is needed.

The engine's answers take as long as the rest of a run without changes; the queries run while files are read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.planning.observed import DatabaseState
from odpm_tasks.image.inputs import image_made_from
from odpm_tasks.stack.databases import psql

T = TypeVar("T")

UNFINISHED = "odpm: creating"


class DockerQueries:
    """Queries that run in threads, each once. Answers that are not needed are discarded."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4)
        self._answers: dict[tuple[Any, ...], Future[Any]] = {}

    def start(self, query: Callable[..., T], *words: str) -> Future[T]:
        """The answer of a query; the query is started unless it was started before."""
        key = (query, *words)
        if key not in self._answers:
            self._answers[key] = self._pool.submit(query, *words)
        return self._answers[key]


def prefetch(recorded: Mapping[str, Any], database: str = "") -> DockerQueries:
    """Start the queries of the last run, if it started services. `database`: the name in the options."""
    queries = DockerQueries()
    up = recorded.get("up", {})
    if not (up.get("project") and up.get("image") and command.is_installed("docker")):
        return queries
    start_queries(queries, recorded, up["project"], up["image"], database or up.get("database", ""))
    return queries


def start_queries(
    queries: DockerQueries, recorded: Mapping[str, Any], project: str, image: str, database: str
) -> tuple[Future[str | None], Future[tuple[docker.Container, ...]]]:
    """Start the queries for the inputs of the image and for the containers, and for the state of the database in the
    container of the last run, which is usually still the current one."""
    container = recorded.get("postgres", {}).get("container", "")
    if re.fullmatch(r"[0-9a-f]{64}", container):
        queries.start(observe_database, container, database)
    return queries.start(image_made_from, image), queries.start(docker.containers, project)


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
