"""The program for files waits for one of a run that was killed, which ends its last command."""

from __future__ import annotations

import fcntl
import os
import runpy
import threading
from pathlib import Path
from typing import Any

import pytest

import odpm_tasks

PROGRAM = Path(odpm_tasks.__file__).parent / "templates" / "filestore.py"


@pytest.fixture
def program(tmp_path: Path) -> dict[str, Any]:
    """The names of the program, for filestores below a temporary folder."""
    found = runpy.run_path(str(PROGRAM))
    found["run"].__globals__["ROOT"] = str(tmp_path)
    return found


@pytest.mark.parametrize(
    ("command", "waits"),
    [
        (("remove", "a"), True),
        (("rename", "a", "b"), True),
        (("list",), True),
        (("list", "a"), False),
        (("link", "a", "b"), False),
    ],
)
def test_what_removes_files_waits_for_what_adds_some(
    program: dict[str, Any], tmp_path: Path, command: tuple[str, ...], waits: bool
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "file").write_text("x")
    killed = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(killed, fcntl.LOCK_SH)
    running = threading.Thread(target=program["run"], args=command)
    running.start()
    running.join(0.3 if waits else 30)
    assert running.is_alive() == waits
    os.close(killed)
    running.join(30)
    assert not running.is_alive()


def test_a_lock_that_is_never_released_stops_nothing(program: dict[str, Any], tmp_path: Path) -> None:
    program["run"].__globals__["LOCK_WAIT"] = 0.1
    (tmp_path / "a").mkdir()
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, fcntl.LOCK_EX)
    try:
        assert program["run"]("remove", "a") == {}
    finally:
        os.close(other)
    assert not (tmp_path / "a").exists()


def test_before_the_first_file_there_is_nothing_to_lock(program: dict[str, Any], tmp_path: Path) -> None:
    program["run"].__globals__["ROOT"] = str(tmp_path / "none")
    assert program["run"]("list") == {}
    assert program["run"]("remove", "a") == {}
