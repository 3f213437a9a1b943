"""Doing independent things at the same time, within the bound that the machine or ODPM_JOBS sets."""

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
    """Do independent things at the same time, as many as ODPM_JOBS or the cores allow; results in order.

    All are let finish; then the first error, in the order of `items`, is raised with how many others there were.
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
        _break_off(futures)
        pool.shutdown(wait=True, cancel_futures=True)
    return _results(futures)


class Prefetcher(Generic[T, R]):
    """Questions that come in levels, answered in parallel; what an answer leads to is begun before it is asked for.

    `same` tells which questions are one. `follow` names the questions that an answer will probably lead to: begun at
    once, so that no level waits for the slowest repository of the one before. What was begun and is never asked for is
    broken off at the end of the block; its failures are nobody's.
    """

    def __init__(
        self,
        paths: ProjectPaths,
        work: Callable[[T], R],
        same: Callable[[T], Hashable],
        follow: Callable[[T, R], Iterable[T]],
    ) -> None:
        self._pool = _pool(paths)
        self._work, self._same, self._follow = work, same, follow
        self._begun: dict[Hashable, Future[R]] = {}
        self._asked: dict[Future[R], T] = {}  # under way, or not yet looked at

    def __enter__(self) -> Prefetcher[T, R]:
        return self

    def __exit__(self, *_: object) -> None:
        _break_off(self._begun.values())
        self._pool.shutdown(wait=True, cancel_futures=True)

    def answers(self, questions: Sequence[T]) -> list[R]:
        """The answers of one level, in order. Errors as in `together`."""
        futures = [self._begin(question) for question in questions]
        while True:
            for future in [future for future in self._asked if future.done()]:
                question = self._asked.pop(future)
                if future.exception() is None:
                    for next_one in self._follow(question, future.result()):
                        self._begin(next_one)
            if all(future.done() for future in futures):
                break
            wait(self._asked, return_when=FIRST_COMPLETED)
        return _results(futures)

    def _begin(self, question: T) -> Future[R]:
        key = self._same(question)
        if key not in self._begun:
            future = self._begun[key] = self._pool.submit(self._work, question)
            self._asked[future] = question
        return self._begun[key]


def _pool(paths: ProjectPaths) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(paths.settings.jobs or min(32, 8 * (os.cpu_count() or 1)))  # most of it is waiting


def _break_off(futures: Collection[Future[R]]) -> None:
    """End what is not done yet; again and again: what was just being started is not there to be ended."""
    for future in futures:
        future.cancel()
    while not all(future.done() for future in futures):
        process.stop_all()
        wait(futures, timeout=0.1)


def _in_short(errors: Sequence[OdpmError]) -> str:
    """Further errors as one line: what happened and where; of many only where."""
    if len(errors) <= 2:
        return "; ".join(error.what + f" ({error.where})" * bool(error.where) for error in errors)
    return ", ".join(error.where or error.what for error in errors)


def _results(futures: Sequence[Future[R]]) -> list[R]:
    errors = [error for future in futures if (error := future.exception())]
    if errors:
        if len(errors) > 1 and isinstance(errors[0], OdpmError):
            first = errors[0]
            others = [error for error in errors[1:] if isinstance(error, OdpmError)]
            first.details = (f"also: {_in_short(others)}", *first.details) if others else first.details
        raise errors[0]
    return [future.result() for future in futures]
