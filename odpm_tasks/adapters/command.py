"""The one door to other programs, and the only importer of `sh`.

Programs are started without a shell and without a terminal (`foreground` excepted), with an empty standard input
unless `feed` is given. Passwords inside URLs never leave this module: what is shown or raised is redacted.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sh

from odpm_tasks.errors import MachineError, ProgramError

_CREDENTIALS = re.compile(r"(?<=://)[^/\s]+@")
_TAIL = 8
_running: dict[int, Any] = {}
_guard = threading.Lock()
_NOTHING = Path(os.devnull).open("rb")  # noqa: SIM115 - for as long as we run


@dataclass(frozen=True)
class Outcome:
    """How a program ended: exit code (negative: killed by that signal) and what it wrote."""

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def text(self) -> str:
        return self.stdout.decode(errors="replace")

    def tail(self) -> tuple[str, ...]:
        """The last lines it wrote, for an error message; carriage-return progress folded to its last state."""
        raw = self.stderr or self.stdout
        lines = [
            line.rsplit("\r", 1)[-1].rstrip() for line in raw.decode(errors="replace").replace("\r\n", "\n").split("\n")
        ]
        return tuple(redact(line) for line in lines if line.strip())[-_TAIL:]


def redact(text: str) -> str:
    """`text` with user and password taken out of every URL in it."""
    return _CREDENTIALS.sub("", text)


def have(program: str) -> bool:
    """Whether `program` is on PATH."""
    return shutil.which(program) is not None


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    feed: bytes = b"",
    check: bool = True,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
    secrets: Sequence[str] = (),
) -> Outcome:
    """Run a program to its end and return what it said.

    `env` is laid over the process environment. `on_line` gets each line of standard error as it comes.
    `secrets` are words that must not appear in an error.

    Errors: MachineError when the program is not there or the disk is full, ProgramError when it fails and `check` is
    set, or when `timeout` (seconds) passes.
    """
    words = [str(word) for word in argv]
    seen = bytearray()

    def keep(chunk: bytes | str) -> None:
        data = chunk.encode() if isinstance(chunk, str) else chunk
        seen.extend(data)
        if on_line:
            for line in re.split(r"[\r\n]+", data.decode(errors="replace")):
                if line.strip():
                    on_line(redact(line.rstrip()))

    options: dict[str, Any] = {
        "_in": feed or _NOTHING,
        "_tty_out": False,
        "_bg": True,
        "_bg_exc": False,
        "_return_cmd": True,
        "_out_bufsize": 65536,
        "_err_bufsize": 65536 if on_line is None else 1,
        "_encoding": "utf-8",
        "_decode_errors": "replace",
        "_timeout": timeout,
        "_truncate_exc": False,
    }
    if on_line is not None:
        options["_err"] = keep
    if env is not None:
        options["_env"] = {**os.environ, **env}
    if cwd is not None:
        options["_cwd"] = str(cwd)
    process = _start(words, options)
    code = _wait(process, words)
    stderr = bytes(seen) if on_line is not None else process.process.stderr
    outcome = Outcome(tuple(words), code, process.process.stdout, stderr)
    if check and not outcome.ok:
        raise failure(outcome, secrets)
    return outcome


def _start(words: list[str], options: Mapping[str, Any]) -> Any:
    try:
        command = sh.Command(words[0])
    except sh.CommandNotFound:
        raise MachineError(
            f"{words[0]} is not installed", todo=f"install {words[0]} and put it on PATH, then run again"
        ) from None
    process = command(*words[1:], **options)
    with _guard:
        _running[id(process)] = process
    return process


def _wait(process: Any, words: Sequence[str]) -> int:
    try:
        process.wait()
    except sh.TimeoutException:
        raise ProgramError(f"{_name(words)} gave no answer in time", todo="try again") from None
    except (sh.ErrorReturnCode, sh.SignalException):
        pass
    except BaseException:
        _end(process)
        raise
    finally:
        with _guard:
            _running.pop(id(process), None)
    return int(process.exit_code)


def foreground(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a program on the user's own terminal (editor, psql, a shell) and return its exit code."""
    words = [str(word) for word in argv]
    if not have(words[0]):
        raise MachineError(
            f"{words[0]} is not installed", todo=f"install {words[0]} and put it on PATH, then run again"
        )
    options: dict[str, Any] = {"_fg": True}
    if env is not None:
        options["_env"] = {**os.environ, **env}
    if cwd is not None:
        options["_cwd"] = str(cwd)
    try:
        sh.Command(words[0])(*words[1:], **options)
    except sh.SignalException as error:
        return 128 + abs(int(error.exit_code))
    except sh.ErrorReturnCode as error:
        return int(error.exit_code)
    return 0


def stop_all() -> None:
    """End every program that is still running (after Ctrl-C); each gets SIGTERM."""
    with _guard:
        processes = list(_running.values())
    for process in processes:
        _end(process)


def _end(process: Any) -> None:
    with contextlib.suppress(OSError, sh.ErrorReturnCode, sh.SignalException):
        process.terminate()


def failure(outcome: Outcome, secrets: Sequence[str] = ()) -> ProgramError | MachineError:
    """The error for a program that failed: its own last lines, secrets taken out; a full disk is recognised."""
    details = list(outcome.tail())
    for secret in secrets:
        details = [line.replace(secret, "***") for line in details]
    if any("No space left on device" in line for line in details):
        return MachineError(
            "the disk is full", details=details[-2:], todo="free some space, then run the same command again"
        )
    how = f"ended with code {outcome.code}" if outcome.code >= 0 else f"was ended by signal {-outcome.code}"
    return ProgramError(f"{_name(outcome.argv)} {how}", details=details[-4:])


def _name(argv: Sequence[str]) -> str:
    """Program and subcommand, without options: `git fetch`, `docker compose up`."""
    words = [Path(argv[0]).name]
    skip = False
    for word in argv[1:]:
        if skip:
            skip = False
        elif word in {"-C", "-c", "-p", "-f", "--git-dir", "--project-directory", "--env-file", "--progress"}:
            skip = True
        elif word.startswith("-"):
            continue
        elif re.fullmatch(r"[a-z][a-z-]*", word) and len(words) < 3:
            words.append(word)
        else:
            break
    return " ".join(words)
