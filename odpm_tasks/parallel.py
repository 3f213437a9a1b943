"""Run independent work in threads, at most as many as ODPM_JOBS or the number of cores allows."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Hashable, Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from typing import Generic, TypeVar

from odpm_tasks.adapters import process
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.errors import OdpmError

T = TypeVar("T")
R = TypeVar("R")


def parallel_map(paths: ProjectPaths, work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """The results of `work` for each item, in the order of `items`.

    All calls run to their end. Errors: that of the first failed item in the order of `items`; its details name the others.
    """
    if len(items) <= 1:
        return [work(item) for item in items]
    pool = _pool(paths)
    futures: list[Future[R]] = []
    try:
        futures += [pool.submit(work, item) for item in items]
        for future in as_completed(futures):
            future.exception()
    finally:
        _cancel(futures)
        pool.shutdown(wait=True, cancel_futures=True)
    return _results(futures)


class Prefetcher(Generic[T, R]):
    """Answer queries that come in levels, in parallel, and start the queries that will follow before they are made.

    Queries with the same `key` are answered once. `follow` predicts the queries that an answer leads to; they start at once,
    so that no level waits for the slowest repository of the level before. At the end of the block, queries that were
    predicted and not made are cancelled, and their errors are ignored.
    """

    def __init__(
        self,
        paths: ProjectPaths,
        work: Callable[[T], R],
        key: Callable[[T], Hashable],
        follow: Callable[[T, R], Iterable[T]],
    ) -> None:
        self._pool = _pool(paths)
        self._work, self._key, self._follow = work, key, follow
        self._started: dict[Hashable, Future[R]] = {}
        self._unfollowed: dict[Future[R], T] = {}  # running, or done and not yet passed to `follow`

    def __enter__(self) -> Prefetcher[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        _cancel(self._started.values())
        self._pool.shutdown(wait=True, cancel_futures=True)

    def answers(self, queries: Sequence[T]) -> list[R]:
        """The answers of one level, in order. Errors as in `parallel_map`."""
        futures = [self._start(query) for query in queries]
        while True:
            for future in [future for future in self._unfollowed if future.done()]:
                query = self._unfollowed.pop(future)
                if future.exception() is None:
                    for predicted in self._follow(query, future.result()):
                        self._start(predicted)
            if all(future.done() for future in futures):
                break
            wait(self._unfollowed, return_when=FIRST_COMPLETED)
        return _results(futures)

    def _start(self, query: T) -> Future[R]:
        key = self._key(query)
        if key not in self._started:
            future = self._started[key] = self._pool.submit(self._work, query)
            self._unfollowed[future] = query
        return self._started[key]


def _pool(paths: ProjectPaths) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(paths.settings.jobs or min(32, 8 * (os.cpu_count() or 1)))  # the threads mostly wait


def _cancel(futures: Collection[Future[R]]) -> None:
    """Cancel or stop what is not done. Repeated, because a process that is being started cannot be stopped yet."""
    for future in futures:
        future.cancel()
    while not all(future.done() for future in futures):
        process.stop_all()
        wait(futures, timeout=0.1)


def _summary(errors: Sequence[OdpmError]) -> str:
    """Further errors as one line: of two at most with message and place, of more only the places, if these differ."""
    if len(errors) <= 2:
        return "; ".join(error.what + f" ({error.where})" * bool(error.where) for error in errors)
    places = [error.where or error.what for error in errors]
    return ", ".join(places) if len({*places}) == len(places) else "; ".join(error.what for error in errors)


def _results(futures: Sequence[Future[R]]) -> list[R]:
    errors = [error for future in futures if (error := future.exception())]
    if errors:
        if len(errors) > 1 and isinstance(errors[0], OdpmError):
            first = errors[0]
            others = [error for error in errors[1:] if isinstance(error, OdpmError)]
            first.details = (f"also: {_summary(others)}", *first.details) if others else first.details
        raise errors[0]
    return [future.result() for future in futures]
