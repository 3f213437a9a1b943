"""The one door to other programs.

Programs are started without a shell and without a terminal (`foreground` excepted), with an empty standard input
unless `feed` is given. Passwords inside URLs never leave this module: what is shown or raised is redacted.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from odpm_tasks.adapters import process as processes
from odpm_tasks.errors import MachineError, ProgramError

_CREDENTIALS = re.compile(r"(?<!ssh)(://)[^/\s]+@|(ssh://[^/\s:@]+):[^/\s]+@")
_TAIL = 8
_LEFT_BEHIND = 5.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """How a program ended: exit code (negative: killed by that signal) and what it wrote.

    `silent`: it was ended because it had said nothing for too long.
    """

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    stalled: bool = False

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
    """`text` with user and password taken out of every URL in it; of ssh only the password: the user is part of the way."""
    return _CREDENTIALS.sub(lambda found: found[1] or f"{found[2]}@", text)


def is_installed(program: str) -> bool:
    """Whether `program` is on PATH."""
    return shutil.which(program) is not None


def run(
    argv: Sequence[str],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: bytes = b"",
    check: bool = True,
    timeout: float | None = None,
    on_line: Callable[[str], None] | None = None,
    idle_timeout: Callable[[str], float | None] | None = None,
    secrets: Sequence[str] = (),
) -> Outcome:
    """Run a program to its end and return what it said.

    `env` is laid over the process environment, less what git tells its hooks of a repository. `on_line` gets each line
    of standard error as it comes, those that a carriage return ends, too. `silence` tells for how many seconds nothing
    may come after a line (at the start: after ""), None for as long as it likes; then the program is ended. `secrets`
    are words that must not appear in an error.

    Errors: MachineError when the program is not there or the disk is full, ProgramError when it fails and `check` is
    set, or when `timeout` (seconds) passes.
    """
    words = [str(word) for word in argv]
    special: dict[str, Any] = {"_in": stdin or processes.NOTHING}
    if cwd is not None:
        special["_cwd"] = str(cwd)
    if on_line is None and idle_timeout is None:
        process = processes.start(words, env, **special)
        code = processes.wait(process, words, timeout)
        outcome = Outcome(tuple(words), code, process.process.stdout, process.process.stderr)
    else:
        listener = _Listener(on_line, idle_timeout)
        process = listener.start(words, env, **special)
        code = processes.wait(process, words, timeout)
        outcome = Outcome(tuple(words), code, process.process.stdout, listener.said(), listener.ended)
    if check and not outcome.ok:
        raise failure(outcome, secrets)
    return outcome


class PipedProcess:
    """A program that answers while it is asked; `conversation` starts one."""

    def __init__(self, words: Sequence[str], questions: IO[bytes], answers: IO[bytes], process: Any) -> None:
        self._words, self._questions, self._answers, self._process = words, questions, answers, process

    def write(self, data: bytes) -> None:
        """Ask. Errors: ProgramError where nobody listens any more."""
        try:
            self._questions.write(data)
            self._questions.flush()
        except OSError:
            raise self._broken() from None

    def read_line(self) -> bytes:
        """The next line of the answer, with its end. Errors: ProgramError where none comes."""
        line = self._answers.readline()
        if not line.endswith(b"\n"):
            raise self._broken()
        return line

    def read(self, size: int) -> bytes:
        """So many bytes of the answer. Errors: ProgramError where fewer come."""
        data = self._answers.read(size)
        if len(data) < size:
            raise self._broken()
        return data

    def wait(self) -> int:
        """Ask nothing more; the exit code."""
        with contextlib.suppress(OSError):  # what nobody read
            self._questions.close()
        self._answers.close()
        return processes.wait(self._process, self._words)

    def _broken(self) -> ProgramError | MachineError:
        return failure(Outcome(tuple(self._words), self.wait(), b"", self._process.process.stderr))


@contextlib.contextmanager
def piped(argv: Sequence[str], *, env: Mapping[str, str] | None = None) -> Iterator[PipedProcess]:
    """A program to talk with, which is let end when the block does.

    Errors: MachineError when the program is not there; those of `Conversation`.
    """
    words = [str(word) for word in argv]
    pipes = [*os.pipe(), *os.pipe()]
    theirs_in, questions, answers, theirs_out = (
        os.fdopen(pipe, mode) for pipe, mode in zip(pipes, ("rb", "wb", "rb", "wb"), strict=True)
    )
    with questions, answers:
        with theirs_in, theirs_out:
            process = processes.start(words, env, _in=theirs_in, _out=theirs_out)
        talk = PipedProcess(words, questions, answers, process)
        try:
            yield talk
        finally:
            talk.wait()


class _Listener:
    """Hears standard error: keeps it, hands it on line by line, and ends a program that is silent for too long."""

    def __init__(
        self, on_line: Callable[[str], None] | None, idle_timeout: Callable[[str], float | None] | None
    ) -> None:
        self.ended = False
        self._on_line, self._silence = on_line, idle_timeout
        self._seen = bytearray()
        self._rest = b""

    def start(self, words: list[str], env: Mapping[str, str] | None, **special: Any) -> Any:
        """Start the program with a pipe of ours: sh hands on what ends in a newline only, or each byte by itself."""
        ours, theirs = os.pipe()
        try:
            with os.fdopen(theirs, "wb", buffering=0) as end:
                process = processes.start(words, env, _err=end, **special)
        except BaseException:
            os.close(ours)
            raise
        self._thread = threading.Thread(target=self._listen, args=(ours, process), daemon=True)
        self._thread.start()
        return process

    def said(self) -> bytes:
        """All that came; whoever the program left behind with its standard error is not waited for."""
        self._thread.join(_LEFT_BEHIND)
        return bytes(self._seen)

    def _listen(self, pipe: int, process: Any) -> None:
        allowed = self._silence("") if self._silence else None
        ready = select.poll()
        ready.register(pipe, select.POLLIN)
        with os.fdopen(pipe, "rb", buffering=0) as source:
            while True:
                if not ready.poll(None if allowed is None else allowed * 1000):
                    self.ended = True
                    processes.end(process)
                    allowed = None
                elif chunk := source.read(1 << 16):
                    lines = self._lines(chunk)
                    if self._silence and lines and not self.ended:
                        allowed = self._silence(lines[-1])
                else:
                    return

    def _lines(self, chunk: bytes) -> list[str]:
        """The lines that are whole now, handed on."""
        self._seen.extend(chunk)
        *whole, self._rest = re.split(rb"[\r\n]+", self._rest + chunk)
        lines = [text.rstrip() for line in whole if (text := line.decode(errors="replace")).strip()]
        for line in lines:
            if self._on_line:
                self._on_line(redact(line))
        return lines


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
    return ProgramError(f"{processes.name(outcome.argv)} {how}", details=details[-4:])
