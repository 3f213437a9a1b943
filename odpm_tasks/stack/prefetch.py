"""What the Docker engine is asked about a project.

The engine takes as long to answer as all the rest of a run with nothing to do takes: what it will probably be asked is
asked while files are read, and believed only where it turns out to be the question.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.planning.observed import DatabaseState
from odpm_tasks.image.inputs import image_made_from

T = TypeVar("T")

UNFINISHED = "odpm: creating"


class DockerQueries:
    """Questions that are asked once each, all at the same time. What was begun and nobody wants is let go."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(4)
        self._answers: dict[tuple[Any, ...], Future[Any]] = {}

    def start(self, query: Callable[..., T], *words: str) -> Future[T]:
        """Ask, where nobody has asked yet."""
        key = (query, *words)
        if key not in self._answers:
            self._answers[key] = self._pool.submit(query, *words)
        return self._answers[key]


def prefetch(recorded: Mapping[str, Any], database: str = "") -> DockerQueries:
    """The queries of the last run, begun; none where nothing was brought up. `database` is the one that is wished for."""
    queries = DockerQueries()
    up = recorded.get("up", {})
    if not (up.get("project") and up.get("image") and command.is_installed("docker")):
        return queries
    start_queries(queries, recorded, up["project"], up["image"], database or up.get("database", ""))
    return queries


def start_queries(
    queries: DockerQueries, recorded: Mapping[str, Any], project: str, image: str, database: str
) -> tuple[Future[str | None], Future[tuple[docker.Container, ...]]]:
    """Begin what a run wants to know: what the image was made from, the containers, and of the database's container of last
    time, which is probably still that, the database's state."""
    container = recorded.get("up", {}).get("containers", {}).get("db", "")
    if re.fullmatch(r"[0-9a-f]{64}", container):
        queries.start(database_state, container, database)
    return queries.start(image_made_from, image), queries.start(docker.containers, project)


def database_state(container: str, database: str) -> DatabaseState:
    """Whether a database is there and finished: `absent`, `unfinished` (interrupted, or empty) or `ready`."""
    query = (
        "SELECT to_regclass('ir_module_module') IS NOT NULL, coalesce(shobj_description(oid, 'pg_database'), '') "
        "FROM pg_database WHERE datname = current_database()"
    )
    outcome = docker.execute(container, "psql", "-U", "postgres", "-d", database, "-Atc", query)
    if not outcome.ok:
        return "absent" if b"does not exist" in outcome.stderr else "unknown"
    initialised, _, comment = outcome.text.strip().partition("|")
    return "ready" if initialised == "t" and comment != UNFINISHED else "unfinished"
