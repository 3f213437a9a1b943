"""The one door to other programs, and the only importer of `sh`.

Programs are started without a shell and without a terminal (`foreground` excepted), with an empty standard input
unless `feed` is given. Passwords inside URLs never leave this module: what is shown or raised is redacted.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import shutil
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sh

from odpm_tasks.errors import MachineError, ProgramError

_CREDENTIALS = re.compile(r"(?<!ssh)(://)[^/\s]+@|(ssh://[^/\s:@]+):[^/\s]+@")
_TAIL = 8
# What git tells its hooks of the repository they stand in (`git rev-parse --local-env-vars`, and what a push adds): in a run
# that a hook starts, git would take every repository for that one. And what new repositories and paths are to be like.
_OF_ONE_REPOSITORY = frozenset(
    f"GIT_{name}"
    for name in (
        "CONFIG", "ATTR_SOURCE", "DIR", "WORK_TREE", "IMPLICIT_WORK_TREE", "COMMON_DIR", "INDEX_FILE", "PREFIX", "NAMESPACE",
        "OBJECT_DIRECTORY", "ALTERNATE_OBJECT_DIRECTORIES", "QUARANTINE_PATH", "SHALLOW_FILE", "GRAFT_FILE", "REPLACE_REF_BASE",
        "NO_REPLACE_OBJECTS", "INTERNAL_SUPER_PREFIX", "DEFAULT_HASH", "DEFAULT_REF_FORMAT", "TEMPLATE_DIR",
        "LITERAL_PATHSPECS", "GLOB_PATHSPECS", "NOGLOB_PATHSPECS", "ICASE_PATHSPECS",
    )
)  # fmt: skip
_LEFT_BEHIND = 5.0  # seconds
_running: dict[int, Any] = {}


def _dies_of_ctrl_c() -> None:
    """A program that is about to be started is not Python's to interrupt: it would tell of that in lines nobody wants."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


os.register_at_fork(after_in_child=_dies_of_ctrl_c)

_guard = threading.Lock()
_stops = 0  # how often everything was stopped
_stopped = threading.Condition(_guard)
_NOTHING = Path(os.devnull).open("rb")  # noqa: SIM115 - for as long as we run


@dataclass(frozen=True)
class Outcome:
    """How a program ended: exit code (negative: killed by that signal) and what it wrote.

    `silent`: it was ended because it had said nothing for too long.
    """

    argv: tuple[str, ...]
    code: int
    stdout: bytes
    stderr: bytes
    silent: bool = False

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
    silence: Callable[[str], float | None] | None = None,
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
    options: dict[str, Any] = {
        "_in": feed or _NOTHING,
        "_tty_out": False,
        "_bg": True,
        "_bg_exc": False,
        "_return_cmd": True,
        "_out_bufsize": 65536,
        "_err_bufsize": 65536,
        "_encoding": "utf-8",
        "_decode_errors": "replace",
        "_timeout": timeout,
        "_truncate_exc": False,
        "_close_fds": False,  # Python's own are not inherited (PEP 446); looking for others costs a tenth of a start
    }
    outside = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
    options["_env"] = {**outside, **(env or {})}
    if cwd is not None:
        options["_cwd"] = str(cwd)
    if on_line is None and silence is None:
        process = _start(words, options)
        code = _wait(process, words)
        outcome = Outcome(tuple(words), code, process.process.stdout, process.process.stderr)
    else:
        listener = _Listener(on_line, silence)
        process = listener.start(words, options)
        code = _wait(process, words)
        outcome = Outcome(tuple(words), code, process.process.stdout, listener.said(), listener.ended)
    if check and not outcome.ok:
        raise failure(outcome, secrets)
    return outcome


class _Listener:
    """Hears standard error: keeps it, hands it on line by line, and ends a program that is silent for too long."""

    def __init__(self, on_line: Callable[[str], None] | None, silence: Callable[[str], float | None] | None) -> None:
        self.ended = False
        self._on_line, self._silence = on_line, silence
        self._seen = bytearray()
        self._rest = b""

    def start(self, words: list[str], options: dict[str, Any]) -> Any:
        """Start the program with a pipe of ours: sh hands on what ends in a newline only, or each byte by itself."""
        ours, theirs = os.pipe()
        try:
            with os.fdopen(theirs, "wb", buffering=0) as end:
                process = _start(words, {**options, "_err": end})
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
                    _end(process)
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
    """End every program that is still running (after Ctrl-C); each gets SIGTERM. Pauses end, too."""
    global _stops  # noqa: PLW0603 - one process, one such thing
    with _stopped:
        _stops += 1
        _stopped.notify_all()
        processes = list(_running.values())
    for process in processes:
        _end(process)


def stops() -> int:
    """How often everything was stopped; for `pause`."""
    return _stops


def pause(seconds: float, known: int) -> bool:
    """Wait, and tell whether to go on: not where everything was stopped since `stops()` said `known`."""
    with _stopped:
        return not _stopped.wait_for(lambda: _stops != known, seconds)


def _end(process: Any) -> None:
    """End a program and what it has started: git leaves its way to the server (ssh, git-remote-https) behind."""
    for pid in _family(int(process.pid)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal.SIGTERM)


def _family(pid: int) -> list[int]:
    """A process and all below it."""
    family, parents = [pid], _parents()
    for member in family:  # grows while we look
        family += [child for child, parent in parents.items() if parent == member]
    return family


def _parents() -> dict[int, int]:
    """The parent of every process: from /proc where there is one, else from `ps`."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has just ended
            found[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    if not found:
        with contextlib.suppress(sh.CommandNotFound, sh.ErrorReturnCode):
            rows = str(sh.Command("ps")("-A", "-o", "pid=,ppid=")).splitlines()
            found = {int(child): int(parent) for child, parent in (row.split() for row in rows)}
    return found


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
