"""Prefetch: run the Docker queries of the last run in threads; an answer is used only if the same query is needed.

The engine's answers take as long as the rest of a run without changes; the queries run while files are read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.image.inputs import image_made_from
from odpm_tasks.stack.databases.contents import observe_database

T = TypeVar("T")


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
