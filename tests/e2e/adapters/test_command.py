"""Programs: exit codes, output, secrets, timeouts, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from odpm_tasks.adapters import command, process
from odpm_tasks.errors import MachineError, ProgramError


def shell(script: str) -> list[str]:
    return ["sh", "-c", script]


def python(script: str) -> list[str]:
    return [sys.executable, "-c", script]


@pytest.mark.parametrize("code", [0, 1, 2, 126, 255])
def test_exit_codes(code: int) -> None:
    outcome = command.run(shell(f"echo out; echo err >&2; exit {code}"), check=False)
    assert (outcome.code, outcome.stdout, outcome.stderr, outcome.ok) == (code, b"out\n", b"err\n", code == 0)


def test_signal_gives_a_negative_code() -> None:
    outcome = command.run(shell("kill -TERM $$"), check=False)
    assert outcome.code == -signal.SIGTERM
    with pytest.raises(ProgramError, match="sh was ended by signal 15"):
        command.run(shell("kill -TERM $$"))


def test_failure_shows_the_last_lines_of_the_program() -> None:
    with pytest.raises(ProgramError) as caught:
        command.run(shell("for i in 1 2 3 4 5 6 7 8 9; do echo line $i >&2; done; echo >&2; exit 3"))
    assert caught.value.what == "sh ended with code 3"
    assert caught.value.details == ("line 6", "line 7", "line 8", "line 9")
    assert caught.value.exit_code == 5


def test_failure_without_stderr_shows_stdout() -> None:
    with pytest.raises(ProgramError) as caught:
        command.run(shell("echo said here; exit 1"))
    assert caught.value.details == ("said here",)


def test_progress_is_folded_to_its_last_state() -> None:
    outcome = command.run(shell(r"printf 'at 1%%\rat 50%%\rat 100%%\r\nfatal: no\n' >&2"))
    assert outcome.tail() == ("at 100%", "fatal: no")


@pytest.mark.parametrize(
    ("words", "name"),
    [
        (["git", "-C", "/x", "-c", "a.b=c", "fetch", "--depth=1", "https://h/x"], "git fetch"),
        (["docker", "compose", "-p", "x", "--progress", "plain", "up", "--detach"], "docker compose up"),
        (["/usr/bin/uv", "pip", "compile"], "uv pip compile"),
        (["git", "/tmp/hunter2"], "git"),
    ],
)
def test_failure_names_the_program_without_options(words: list[str], name: str) -> None:
    error = command.failure(command.Outcome(tuple(words), 2, b"", b""))
    assert error.what == f"{name} ended with code 2"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("fatal: https://me:hunter2@host/x not found", "fatal: https://host/x not found"),
        ("https://hunter2@host/x and http://a:hunter2@b", "https://host/x and http://b"),
        ("postgresql://odoo:hunter2@db/x", "postgresql://db/x"),
        ("mail me@host about https://host/x", "mail me@host about https://host/x"),
        ("https://host/x@y", "https://host/x@y"),
    ],
)
def test_credentials_are_removed_from_urls(text: str, shown: str) -> None:
    assert command.redact(text) == shown
    outcome = command.Outcome(("git",), 1, b"", text.encode())
    assert outcome.tail() == (shown,)
    assert command.failure(outcome).details == (shown,)


def test_secrets_are_masked_in_errors_and_lines() -> None:
    seen: list[str] = []
    script = "echo 'at https://me:hunter2@host/x' >&2; echo 'token swordfish is bad' >&2; exit 1"
    with pytest.raises(ProgramError) as caught:
        command.run(shell(script), on_line=seen.append, secrets=["swordfish"])
    assert caught.value.details == ("at https://host/x", "token *** is bad")
    assert "hunter2" not in "".join(seen)


def test_lines_are_reported_as_they_are_written() -> None:
    seen: list[tuple[str, float]] = []
    begin = time.monotonic()
    script = "echo one >&2; sleep 0.4; printf 'two\\rthree\\n' >&2; echo out"
    outcome = command.run(shell(script), on_line=lambda line: seen.append((line, time.monotonic() - begin)))
    assert [line for line, _ in seen] == ["one", "two", "three"]
    assert seen[0][1] < 0.35 < seen[-1][1]
    assert (outcome.stdout, outcome.stderr) == (b"out\n", b"one\ntwo\rthree\n")


def test_timeout() -> None:
    begin = time.monotonic()
    with pytest.raises(ProgramError, match="sleep did not finish within"):
        command.run(["sleep", "30"], timeout=0.3)
    assert time.monotonic() - begin < 5


RESTLESS = """
import _thread, os, random, signal, time
from odpm_tasks.adapters import command
signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent process may ignore SIGINT
def interrupt(nap):
    time.sleep(nap)
    os.killpg(os.getpgrp(), signal.SIGINT)
for seed in range(60):
    try:
        _thread.start_new_thread(interrupt, (random.Random(seed).uniform(0, 0.03),))
        while True:
            command.run(["true"], check=False, timeout=3600)
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_during_the_start_of_programs() -> None:
    """Ctrl-C is never lost, leaves no partly started program, and does not wait for the timeout."""
    words = [sys.executable, "-c", RESTLESS]
    done = subprocess.run(words, capture_output=True, text=True, start_new_session=True, check=False, timeout=600)
    assert (done.stdout.split(), done.stderr) == (["interrupted"] * 60, "")


LOST = """
import signal
from odpm_tasks.adapters import command
signal.signal(signal.SIGINT, signal.default_int_handler)
class Last:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)
for _ in range(3):
    try:
        Last()
        command.run(["sleep", "600"])
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_that_python_drops_is_sent_again() -> None:
    """Python reports an exception in a destructor and continues."""
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, check=False, timeout=120)
    assert (done.stdout.split(), done.stderr, done.returncode) == (["interrupted"] * 3, "", 0)


def test_program_that_is_not_installed() -> None:
    for run in (command.run, process.foreground):
        with pytest.raises(MachineError, match="no-such-program is not installed") as caught:
            run(["no-such-program", "x"])
        assert caught.value.exit_code == 8
    assert not command.is_installed("no-such-program")
    assert command.is_installed("sh")


def test_full_disk_is_a_machine_error() -> None:
    with pytest.raises(MachineError) as caught:
        command.run(shell("echo 'error: unable to write file x: No space left on device' >&2; exit 128"))
    assert caught.value.what == "the disk is full"
    assert caught.value.exit_code == 8
    assert "No space left" in caught.value.details[-1]


def test_large_output_is_complete() -> None:
    script = "import sys; sys.stdout.buffer.write(b'x' * 8_000_000 + b'\\n'); sys.stderr.buffer.write(b'y' * 2_000_000)"
    outcome = command.run(python(script))
    assert (len(outcome.stdout), len(outcome.stderr)) == (8_000_001, 2_000_000)


def test_stdin_is_passed_unchanged() -> None:
    data = bytes(range(256)) * 4096
    outcome = command.run(python("import sys; sys.stdout.buffer.write(sys.stdin.buffer.read())"), stdin=data)
    assert outcome.stdout == data


def test_stdin_is_empty_and_no_stream_is_a_terminal() -> None:
    script = "import sys; print(repr(sys.stdin.read()), [s.isatty() for s in (sys.stdin, sys.stdout, sys.stderr)])"
    assert command.run(python(script)).text == "'' [False, False, False]\n"


def test_output_that_is_not_utf_8() -> None:
    outcome = command.run(shell(r"printf '\377ok'; printf '\377bad\n' >&2; exit 1"), check=False)
    assert (outcome.stdout, outcome.text, outcome.tail()) == (b"\xffok", "\ufffdok", ("\ufffdbad",))


def test_arguments_are_not_interpreted_by_a_shell(tmp_path: Path) -> None:
    words = ["$HOME", "a b", "*", "; touch x", "`id`", "-n", "é", ""]
    outcome = command.run(python("import sys; print(sys.argv[1:])") + words, cwd=tmp_path)
    assert outcome.text == f"{words}\n"
    assert list(tmp_path.iterdir()) == []


def test_env_is_added_to_the_process_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ODPM_A", "ours")
    monkeypatch.setenv("ODPM_B", "ours")
    outcome = command.run(shell('echo "$ODPM_A $ODPM_B"; pwd'), env={"ODPM_B": "given"}, cwd=tmp_path)
    assert outcome.text == f"ours given\n{tmp_path.resolve()}\n"
    assert os.environ["ODPM_B"] == "ours"


def test_stop_all_terminates_running_programs() -> None:
    outcomes: list[command.Outcome] = []
    thread = threading.Thread(target=lambda: outcomes.append(command.run(["sleep", "30"], check=False)))
    thread.start()
    deadline = time.monotonic() + 5
    while not process._running and time.monotonic() < deadline:
        time.sleep(0.01)
    process.stop_all()
    thread.join(5)
    assert [outcome.code for outcome in outcomes] == [-signal.SIGTERM]
    assert not process._running


def test_progress_is_reported_in_complete_lines() -> None:
    heard: list[tuple[str, float]] = []
    script = r"printf 'at 1%%\rat ' >&2; sleep 0.5; printf '50%%\r\nfür' >&2; sleep 0.5; printf ' 100%%\n' >&2"
    command.run(shell(script), on_line=lambda line: heard.append((line, time.monotonic())))
    assert [line for line, _ in heard] == ["at 1%", "at 50%", "für 100%"]
    assert heard[1][1] - heard[0][1] > 0.3
    assert heard[2][1] - heard[1][1] > 0.3


def test_stalled_program_is_terminated_with_its_children(tmp_path: Path) -> None:
    begun = time.monotonic()
    script = f"sh -c 'echo $$ > {tmp_path}/pid; sleep 60' & echo go >&2; wait"
    outcome = command.run(shell(script), check=False, idle_timeout=lambda line: 0.5)
    assert 0.5 <= time.monotonic() - begun < 5
    assert outcome.stalled
    assert outcome.code == -signal.SIGTERM
    assert outcome.stderr == b"go\n"
    state = command.run(
        ["ps", "-o", "stat=", "-p", (tmp_path / "pid").read_text(encoding="ascii").strip()], check=False
    )
    assert state.text[:1] in {"", "Z"}


def test_idle_timeout_restarts_with_each_line() -> None:
    talking = command.run(shell("for i in 1 2 3 4 5 6; do echo $i >&2; sleep 0.2; done"), idle_timeout=lambda line: 0.6)
    assert talking.ok
    assert not talking.stalled
    allowed = command.run(shell("echo mine >&2; sleep 1"), idle_timeout=lambda line: None if line else 0.5)
    assert allowed.ok


def test_stop_all_ends_a_pause() -> None:
    known = process.stops()
    assert process.pause(0.01, known)
    timer = threading.Timer(0.2, process.stop_all)
    timer.start()
    begun = time.monotonic()
    assert not process.pause(20, known)
    assert time.monotonic() - begun < 5
    assert not process.pause(20, known)  # stopped in between
    assert process.pause(0.01, process.stops())


# Piped programs


ECHO = "import sys\nfor line in sys.stdin: print(line.upper(), end='', flush=True)"


def test_piped_program_is_read_and_written_in_turns() -> None:
    with command.piped(python(ECHO)) as talk:
        talk.write(b"one\n")
        assert talk.read_line() == b"ONE\n"
        talk.write(b"two\nthree\n")
        assert talk.read(6) == b"TWO\nTH"


def test_end_of_a_piped_program_is_reported_with_its_last_lines() -> None:
    program = python("import sys; input(); sys.exit('no more')")
    with command.piped(program) as talk:
        talk.write(b"one\n")
        with pytest.raises(ProgramError, match="ended with code 1") as caught:
            talk.read_line()
    assert caught.value.details == ("no more",)


def test_foreground_returns_the_exit_code() -> None:
    assert process.foreground(["sh", "-c", "exit 3"]) == 3
    assert process.foreground(["true"]) == 0


def test_program_that_ctrl_c_ended_interrupts_this_one() -> None:
    """The program alone receives the signal here: of a terminal's two it may be the faster one."""
    with pytest.raises(KeyboardInterrupt):
        process.foreground(["sh", "-c", "kill -INT $$"])
    assert process.foreground(["sh", "-c", "kill -TERM $$"]) == 128 + signal.SIGTERM


def test_redact_removes_a_password_with_an_at_sign() -> None:
    assert command.redact("see https://user:p@ss@host/x") == "see https://host/x"
