"""Locks between processes: a program that a killed run leaves holds them until it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from odpm_tasks.adapters import files
from odpm_tasks.errors import BusyError

HOLDER = """
import contextlib, subprocess, sys
from pathlib import Path
from odpm_tasks.adapters import files
with files.exclusive(Path(sys.argv[1]), "this project"):
    with files.passed_on() if sys.argv[2] == "pass" else contextlib.nullcontext():
        subprocess.Popen(["sleep", "3"], close_fds=False)
    print("ready", flush=True)
    sys.stdin.read()
"""


def held(lock: Path, how: str) -> subprocess.Popen[str]:
    """A process that holds the lock and has started `sleep 3`."""
    argv = [sys.executable, "-c", HOLDER, str(lock), how]
    started = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    assert started.stdout.readline() == "ready\n"
    return started


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    for pipe in (process.stdin, process.stdout):
        assert pipe is not None
        pipe.close()


def test_the_next_run_waits_for_a_program_of_a_killed_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "run.lock"
    holder = held(lock, "pass")
    since = time.monotonic()
    with pytest.raises(BusyError, match=f"process {holder.pid}"), files.exclusive(lock, "this project"):
        pass
    kill(holder)
    with files.exclusive(lock, "this project"):
        assert time.monotonic() - since > 2
    told = capsys.readouterr().err
    assert f"waiting: a program that process {holder.pid}" in told


def test_other_programs_hold_no_lock(tmp_path: Path) -> None:
    lock = tmp_path / "run.lock"
    kill(held(lock, "keep"))
    since = time.monotonic()
    with files.exclusive(lock, "this project"):
        assert time.monotonic() - since < 2
