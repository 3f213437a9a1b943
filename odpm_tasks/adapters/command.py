"""Run other programs and capture their output.

Programs run without a shell and without a terminal. Standard input is empty unless `stdin` is given. Credentials in URLs
are removed from everything that this module returns for display or raises.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shlex import quote
from typing import IO, Any

from odpm_tasks.adapters import files
from odpm_tasks.adapters import process as processes
from odpm_tasks.errors import MachineError, ProgramError

_CREDENTIALS = re.compile(r"(?<!ssh)(://)[^/\s]+@|(ssh://[^/\s:@]+):[^/\s]+@")
_NO_SPACE = re.compile(r"[Nn]o space left on device|Check free disk space")  # the latter: PostgreSQL
_FOREIGN = re.compile(r"detected dubious ownership in repository at '(.+)'")
_TAIL = 8
_KEPT = 16  # blocks of 64 KiB of the standard error of a program with pipes
_STDERR_TIMEOUT = 5.0  # seconds


@dataclass(frozen=True)
class Outcome:
    """The result of a program: exit code (negative: terminated by that signal) and output.

    `stalled`: it was terminated because it wrote nothing for longer than its idle timeout.
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
        """The last lines of the output, for error messages; of progress lines with carriage returns the last state."""
        raw = self.stderr or self.stdout
        lines = [
            line.rsplit("\r", 1)[-1].rstrip() for line in raw.decode(errors="replace").replace("\r\n", "\n").split("\n")
        ]
        return tuple(redact(line) for line in lines if line.strip())[-_TAIL:]


def redact(text: str) -> str:
    """Remove user and password from all URLs in `text`; from ssh URLs only the password, the user is part of the address."""
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
    """Run a program, wait until it exits, and return its output.

    `env` is added to the process environment, without the variables that git sets for its hooks. `on_line` is called
    with each line of standard error as it arrives; a carriage return also ends a line. `idle_timeout` returns for the
    last line (at the start: "") how many seconds may pass until the next one, None for no limit; then the program is
    terminated. `secrets` are masked in errors.

    Errors: MachineError if the program is not installed or the disk is full, ProgramError if it fails and `check` is
    set, or after `timeout` (seconds).
    """
    argv = [str(word) for word in argv]
    options: dict[str, Any] = {"_in": stdin or processes.DEVNULL}
    if cwd is not None:
        options["_cwd"] = str(cwd)
    if on_line is None and idle_timeout is None:
        process = processes.start(argv, env, **options)
        code = processes.wait(process, argv, timeout)
        outcome = Outcome(tuple(argv), code, process.process.stdout, process.process.stderr)
    else:
        reader = _StderrReader(on_line, idle_timeout)
        process = reader.start(argv, env, **options)
        code = processes.wait(process, argv, timeout)
        outcome = Outcome(tuple(argv), code, process.process.stdout, reader.captured(), reader.stalled)
    if check and not outcome.ok:
        raise failure(outcome, secrets)
    return outcome


_PIPE = 1 << 20  # bytes


class PipedProcess:
    """A running program with pipes to its standard input and output; `piped` starts one."""

    def __init__(self, argv: Sequence[str], stdin: IO[bytes], stdout: IO[bytes], process: Any) -> None:
        self._argv, self._stdin, self._stdout, self._process = argv, stdin, stdout, process

    def write(self, data: bytes) -> None:
        """Write to the program. Errors: ProgramError if it has closed its input."""
        try:
            self._stdin.write(data)
            self._stdin.flush()
        except OSError:
            raise self._failure() from None

    def ask(self, request: bytes, end: bytes) -> Outcome:
        """Write a request and read its answer up to the line `end`. The code is 0; where the program ended instead, its own, never 0."""
        with contextlib.suppress(OSError):  # it has ended, which its output shows
            self._stdin.write(request)
            self._stdin.flush()
        lines = []
        while (line := self._stdout.readline()) and line != end:
            lines.append(line)
        if line:
            return Outcome(tuple(self._argv), 0, b"".join(lines), b"")
        ended = self.outcome()
        return replace(ended, code=ended.code or 1, stdout=b"".join(lines))

    @property
    def runs(self) -> bool:
        """Whether the program has not ended."""
        return bool(self._process.is_alive())

    def stop(self) -> None:
        """End the program without waiting for it."""
        processes.terminate(self._process)

    def end_input(self) -> None:
        """Close the input; what the program did not read is lost."""
        with contextlib.suppress(OSError):
            self._stdin.close()

    def read_line(self) -> bytes:
        """Read a line, with its end. Errors: ProgramError at the end of the output."""
        line = self._stdout.readline()
        if not line.endswith(b"\n"):
            raise self._failure()
        return line

    def read(self, size: int) -> bytes:
        """Read `size` bytes. Errors: ProgramError if the output ends before."""
        data = self._stdout.read(size)
        if len(data) < size:
            raise self._failure()
        return data

    @property
    def output(self) -> IO[bytes]:
        """Its standard output."""
        return self._stdout

    def blocks(self, size: int = 1 << 18) -> Iterator[bytes]:
        """The output in blocks of at most `size` bytes, then the exit code is checked. Errors: ProgramError, MachineError."""
        while block := self._stdout.read1(size):  # type: ignore[attr-defined]
            yield block
        self.finish()

    def finish(self) -> bytes:
        """Close the input, read the rest of the output, and check the exit code. Errors: ProgramError, MachineError."""
        self.end_input()
        rest = b"" if self._stdout.closed else self._stdout.read()
        if self.wait():
            raise self._failure()
        return rest

    def complete(self) -> None:
        """Wait until the program ends, with its input open. Errors: ProgramError, MachineError."""
        if processes.wait(self._process, self._argv):
            raise self._failure()

    def outcome(self) -> Outcome:
        """Close both pipes, wait for the program, and return its exit code and standard error."""
        return Outcome(tuple(self._argv), self.wait(), b"", self._process.process.stderr)

    def wait(self) -> int:
        """Close both pipes and wait for the program; returns its exit code."""
        with contextlib.suppress(OSError):  # data that the program did not read
            self._stdin.close()
        self._stdout.close()
        return processes.wait(self._process, self._argv)

    def _failure(self) -> ProgramError | MachineError:
        return failure(self.outcome())


@contextlib.contextmanager
def piped(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    detached: bool = False,
    output: IO[bytes] | None = None,
) -> Iterator[PipedProcess]:
    """Run a program with pipes to its standard input and output for the duration of the block.

    `detached`: Ctrl-C on the terminal does not reach it; it ends when its input does. `output`: the file that its output goes to,
    from the present position on, without a pipe.

    Errors: MachineError if the program is not installed; those of `PipedProcess`.
    """
    argv = [str(word) for word in argv]
    pipes = [*os.pipe(), *os.pipe()]
    for end in pipes[::2]:
        with contextlib.suppress(OSError, AttributeError):  # more than this user may have; not Linux
            fcntl.fcntl(end, fcntl.F_SETPIPE_SZ, _PIPE)
    child_in, stdin, stdout, child_out = (
        os.fdopen(pipe, mode) for pipe, mode in zip(pipes, ("rb", "wb", "rb", "wb"), strict=True)
    )
    with stdin, stdout:
        with child_in, child_out:
            process = processes.start(
                argv, env, _in=child_in, _out=output or child_out, _internal_bufsize=_KEPT, _new_session=detached
            )
        running = PipedProcess(argv, stdin, stdout, process)
        try:
            yield running
        finally:
            running.wait()


class _StderrReader:
    """Reads standard error in a thread: captures it, reports each line, and terminates a program that stalls."""

    def __init__(
        self, on_line: Callable[[str], None] | None, idle_timeout: Callable[[str], float | None] | None
    ) -> None:
        self.stalled = False
        self._on_line, self._idle_timeout = on_line, idle_timeout
        self._captured = bytearray()
        self._incomplete = b""

    def start(self, argv: list[str], env: Mapping[str, str] | None, **options: Any) -> Any:
        """Start the program with our own pipe: sh reports either lines that end in a newline, or single bytes."""
        read_end, write_end = os.pipe()
        try:
            with os.fdopen(write_end, "wb", buffering=0) as stderr:
                process = processes.start(argv, env, _err=stderr, **options)
        except BaseException:
            os.close(read_end)
            raise
        self._thread = threading.Thread(target=self._read, args=(read_end, process), daemon=True)
        self._thread.start()
        return process

    def captured(self) -> bytes:
        """The captured bytes; does not wait for a background child that inherited standard error."""
        self._thread.join(_STDERR_TIMEOUT)
        return bytes(self._captured)

    def _read(self, pipe: int, process: Any) -> None:
        limit = self._idle_timeout("") if self._idle_timeout else None
        poll = select.poll()
        poll.register(pipe, select.POLLIN)
        with os.fdopen(pipe, "rb", buffering=0) as source:
            while True:
                if not poll.poll(None if limit is None else limit * 1000):
                    self.stalled = True
                    processes.terminate(process)
                    limit = None
                elif chunk := source.read(1 << 16):
                    lines = self._report(chunk)
                    if self._idle_timeout and lines and not self.stalled:
                        limit = self._idle_timeout(lines[-1])
                else:
                    return

    def _report(self, chunk: bytes) -> list[str]:
        """Capture a chunk; report and return the lines that it completes."""
        self._captured.extend(chunk)
        *complete, self._incomplete = re.split(rb"[\r\n]+", self._incomplete + chunk)
        lines = [text.rstrip() for line in complete if (text := line.decode(errors="replace")).strip()]
        for line in lines:
            if self._on_line:
                self._on_line(redact(line))
        return lines


def failure(outcome: Outcome, secrets: Sequence[str] = ()) -> ProgramError | MachineError:
    """The error for a program that failed, with its last lines and secrets masked; a full disk has its own error."""
    details = list(outcome.tail())
    for secret in secrets:
        details = [line.replace(secret, "***") for line in details]
    if any(_NO_SPACE.search(line) for line in details):
        return MachineError(
            "the disk is full", details=details[-2:], todo="free some space, then run the same command again"
        )
    if found := _FOREIGN.search("\n".join(details)):
        return MachineError(
            f"a repository belongs to {files.owner_of(Path(found[1]))}, and git uses only those of this user",
            where=found[1],
            todo=f"sudo chown -R {files.user_name(os.geteuid())} {quote(found[1])}",
        )
    how = f"ended with code {outcome.code}" if outcome.code >= 0 else f"was ended by signal {-outcome.code}"
    return ProgramError(f"{processes.name(outcome.argv)} {how}", details=details[-4:])
