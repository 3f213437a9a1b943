"""Independent things at once: order, bounds, errors, and what is begun before it is asked for."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import Layer, Settings
from odpm_tasks.errors import ProgramError
from odpm_tasks.parallel import Prefetcher, parallel_map


def paths(jobs: str = "4") -> ProjectPaths:
    return ProjectPaths(Path("/nowhere"), Path("/nowhere"), Settings((Layer("here", {"ODPM_JOBS": jobs}),)))


def test_results_come_in_the_order_of_the_questions() -> None:
    late = threading.Event()

    def work(number: int) -> int:
        if number == 1:
            assert late.wait(10)
        if number == 3:
            late.set()
        return number * 10

    assert parallel_map(paths(), work, [1, 2, 3]) == [10, 20, 30]


def test_no_more_at_a_time_than_odpm_jobs_allows() -> None:
    guard, now, most = threading.Lock(), 0, 0
    met = threading.Barrier(2)

    def work(number: int) -> None:
        nonlocal now, most
        with guard:
            now += 1
            most = max(most, now)
        met.wait(10)  # two at a time must be possible, or this never ends well
        with guard:
            now -= 1

    parallel_map(paths("2"), work, list(range(6)))
    assert most == 2


def test_all_are_let_finish_and_the_first_error_tells_of_the_others() -> None:
    finished: list[int] = []

    def work(number: int) -> None:
        if number in {2, 3}:
            raise ProgramError(f"{number} failed")
        finished.append(number)

    with pytest.raises(ProgramError) as error:
        parallel_map(paths(), work, [1, 2, 3, 4])
    assert (error.value.what, error.value.details) == ("2 failed", ("also: 3 failed",))
    assert sorted(finished) == [1, 4]


def test_predicted_queries_do_not_wait_for_the_rest_of_the_level() -> None:
    grandchild = threading.Event()

    def work(name: str) -> str:
        if name == "slow":
            assert grandchild.wait(10), "nothing was prefetched"
        if name == "fast of fast of fast":
            grandchild.set()
        return name

    def follow(name: str, answer: str) -> list[str]:
        return [f"fast of {name}"] if name.count("fast") in {1, 2} else []

    with Prefetcher(paths(), work, lambda name: name, follow) as prefetcher:
        assert prefetcher.answers(["slow", "fast"]) == ["slow", "fast"]


def test_queries_with_the_same_key_are_answered_once() -> None:
    answered: list[tuple[str, str]] = []

    def work(query: tuple[str, str]) -> str:
        answered.append(query)
        return query[0].upper()

    prefetcher: Prefetcher[tuple[str, str], str] = Prefetcher(
        paths(), work, lambda query: query[0], lambda query, _: []
    )
    with prefetcher:
        assert prefetcher.answers([("web", "a"), ("web", "b")]) == ["WEB", "WEB"]
        assert prefetcher.answers([("web", "c")]) == ["WEB"]
    assert answered == [("web", "a")]


def test_the_error_of_a_query_that_was_not_made_is_ignored() -> None:
    done = threading.Event()

    def work(name: str) -> str:
        if name == "guess":
            done.set()
            raise ProgramError("wrong guess")
        return name

    prefetcher: Prefetcher[str, str]
    with Prefetcher(paths(), work, lambda name: name, lambda name, _: ["guess"]) as prefetcher:
        assert prefetcher.answers(["web"]) == ["web"]
        assert done.wait(10)
        with pytest.raises(ProgramError, match="wrong guess"):
            prefetcher.answers(["guess"])
