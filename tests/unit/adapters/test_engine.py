"""Prefetched queries to the engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import buildx, compose_cli
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.errors import MachineError
from odpm_tasks.stack import prefetch

DATABASE = "d" * 64


def test_equal_queries_run_once_and_all_in_parallel() -> None:
    asked: list[str] = []
    all_there = threading.Barrier(3)

    def question(word: str) -> str:
        asked.append(word)
        all_there.wait(10)
        return word.upper()

    questions = prefetch.DockerQueries()
    answers = [questions.start(question, word) for word in ("a", "b", "a", "c")]
    assert [answer.result() for answer in answers] == ["A", "B", "A", "C"]
    assert sorted(asked) == ["a", "b", "c"]


def test_error_of_a_query_is_raised_at_its_result() -> None:
    def question() -> str:
        raise MachineError("the Docker engine does not answer")

    questions = prefetch.DockerQueries()
    questions.start(question)
    with pytest.raises(MachineError):
        questions.start(question).result()


@pytest.mark.parametrize(
    ("recorded", "wished", "expected"),
    [
        ({}, "", []),
        ({"up": {"containers": {"db": DATABASE}}}, "", []),
        (
            {"up": {"project": "p", "image": "i", "database": "d", "containers": {"db": DATABASE}}},
            "",
            [("state", DATABASE, "d"), ("containers", "p"), ("image", "i")],
        ),
        (
            {"up": {"project": "p", "image": "i", "database": "d", "containers": {"db": "no id; rm"}}},
            "",
            [("containers", "p"), ("image", "i")],
        ),
        (
            {"up": {"project": "p", "image": "i", "database": "d", "containers": {"db": DATABASE}}},
            "mine",
            [("state", DATABASE, "mine"), ("containers", "p"), ("image", "i")],
        ),
    ],
)
def test_prefetched_queries_come_from_the_recorded_state(
    recorded: dict[str, Any], wished: str, expected: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, ...]] = []
    known: dict[str, Callable[..., Any]] = {
        "state": lambda *words: asked.append(("state", *words)),
        "containers": lambda *words: asked.append(("containers", *words)),
        "image": lambda *words: asked.append(("image", *words)),
    }
    monkeypatch.setattr(command, "is_installed", lambda program: True)
    monkeypatch.setattr(prefetch, "observe_database", known["state"])
    monkeypatch.setattr(docker, "containers", known["containers"])
    monkeypatch.setattr(prefetch, "image_made_from", known["image"])
    questions = prefetch.prefetch(recorded, wished)
    for kind, *words in expected:
        questions.start(known[kind], *words).result()
    assert sorted(asked) == sorted(expected)


@pytest.mark.parametrize(
    ("message", "builds"),
    [
        ('ERROR: failed to solve: image "docker.io/odpm/environment:19.0-dev": already exists', 2),
        ("ERROR: failed to solve: no active sessions", 2),
        ("ERROR: failed to solve: process did not complete successfully: exit code: 1", 1),
    ],
)
def test_build_is_repeated_after_a_failure_caused_by_another_build(tmp_path: Path, message: str, builds: int) -> None:
    log = tmp_path / "builds"
    script = f"echo >> {log}; test $(wc -l < {log}) -gt 1 || {{ echo '{message}' >&2; exit 1; }}"
    outcome = buildx.build_with_retry(["sh", "-c", script], lambda line: None)
    assert outcome.ok is (builds > 1)
    assert len(log.read_text(encoding="utf-8").splitlines()) == builds


def test_an_engine_that_does_not_answer_is_reported_with_the_fix_of_its_cause(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = command.Outcome(("docker",), 1, b"", b"Cannot connect to the Docker daemon at tcp://127.0.0.1:1.")
    monkeypatch.delenv("DOCKER_HOST", raising=False)
    assert "unset DOCKER_HOST" not in docker.unreachable(outcome).todo
    monkeypatch.setenv("DOCKER_HOST", "tcp://me:secret@127.0.0.1:1")
    error = docker.unreachable(outcome)
    assert "unset DOCKER_HOST" in error.todo
    assert error.where == "DOCKER_HOST=tcp://127.0.0.1:1"
    assert "secret" not in str(error)


def test_calls_of_compose_name_project_and_file() -> None:
    called = compose_cli.ComposeProject(Path("/srv/shop"), "shop", {})
    assert called.words[2:4] == ["--project-name", "shop"]
    assert called.words[-2:] == ["--file", "/srv/shop/docker-compose.yml"]
    assert replace(called, described=False).words == ["docker", "compose", "--project-name", "shop"]
