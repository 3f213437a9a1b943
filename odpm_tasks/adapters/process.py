"""Starting programs, waiting for them, ending them; the only importer of `sh`.

Programs are started without a shell and without a terminal, `foreground` excepted.
"""

from __future__ import annotations

import _thread
import contextlib
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import sh

from odpm_tasks.errors import MachineError, ProgramError

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
_running: dict[int, Any] = {}


class _Start(threading.local):
    """Whether this thread is starting a program, and the signals it held back before."""

    under_way = False
    mask: Any = ()


_start = _Start()


@contextlib.contextmanager
def _ctrl_c_waits() -> Iterator[None]:
    """Ctrl-C comes when the program stands: in the middle of its start it would leave half of one.

    The start is Python of ours and, from the fork on, of the program's process, where Ctrl-C must end nothing either: what
    is raised there would go on as a second run of ours. The program then hears of it by `stop_all`.
    """
    came: list[tuple[int, Any]] = []
    handler = signal.getsignal(signal.SIGINT)
    ours = callable(handler) and threading.current_thread() is threading.main_thread()
    _start.under_way = True
    try:
        if ours:
            signal.signal(signal.SIGINT, lambda *told: came.append(told))
        yield
    finally:
        if ours:
            signal.signal(signal.SIGINT, handler)
        _start.under_way = False
    if came and callable(handler):
        handler(*came[0])


def _before_fork() -> None:
    if _start.under_way:
        _start.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _after_fork() -> None:
    if _start.under_way:
        signal.pthread_sigmask(signal.SIG_SETMASK, _start.mask)


def _in_child() -> None:
    if _start.under_way and callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, lambda *_: None)  # until it is the program, which begins with the default
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _ctrl_c_comes_again(told: sys.UnraisableHookArgs) -> None:
    """Python drops what is raised in its own callbacks, those of weak references above all."""
    if not issubclass(told.exc_type, KeyboardInterrupt):
        _unraisable(told)
        return

    def soon(main: int) -> None:
        time.sleep(0.05)  # when the callback is over
        signal.pthread_kill(main, signal.SIGINT)

    # not by `threading`, whose locks may be held here
    if main := threading.main_thread().ident:
        _thread.start_new_thread(soon, (main,))


_unraisable, sys.unraisablehook = sys.unraisablehook, _ctrl_c_comes_again

_guard = threading.Lock()
_stops = 0  # how often everything was stopped
_stopped = threading.Condition(_guard)
NOTHING = Path(os.devnull).open("rb")  # noqa: SIM115 - for as long as we run


def start(words: list[str], env: Mapping[str, str] | None, **special: Any) -> Any:
    """Start a program in the background; `env` is laid over ours, less what git tells its hooks. Errors: MachineError."""
    outside = {name: value for name, value in os.environ.items() if name not in _OF_ONE_REPOSITORY}
    options: dict[str, Any] = {
        "_tty_out": False,
        "_bg": True,
        "_bg_exc": False,
        "_return_cmd": True,
        "_err_bufsize": 65536,
        **({} if "_out" in special else {"_out_bufsize": 65536}),
        "_encoding": "utf-8",
        "_decode_errors": "replace",
        "_truncate_exc": False,
        "_close_fds": False,  # Python's own are not inherited (PEP 446); looking for others costs a tenth of a start
        "_env": {**outside, **(env or {})},
        **special,
    }
    program = _program(words[0], os.environ.get("PATH"))
    with _ctrl_c_waits():
        process = program(*words[1:], **options)
        with _guard:
            _running[id(process)] = process
    return process


@cache
def _program(word: str, path: str | None) -> sh.Command:
    """A program by its name; found once for each PATH."""
    del path
    try:
        return sh.Command(word)
    except sh.CommandNotFound:
        raise MachineError(
            f"{word} is not installed", todo=f"install {word} and put it on PATH, then run again"
        ) from None


def wait(process: Any, words: Sequence[str], timeout: float | None = None) -> int:
    """Wait until a program has ended; its exit code, negative where a signal ended it.

    Errors: ProgramError where that takes longer than `timeout` (seconds); it is killed then.
    """
    late = threading.Event()

    def kill() -> None:
        late.set()
        end(process, signal.SIGKILL)

    # not sh's own, which our end would wait for after Ctrl-C
    timer = threading.Timer(timeout, kill) if timeout else None
    try:
        if timer:
            timer.daemon = True
            with _ctrl_c_waits():  # Python's threads do not bear it while they start, either
                timer.start()
        process.wait()
    except (sh.ErrorReturnCode, sh.SignalException):
        pass
    except BaseException:
        end(process)
        raise
    finally:
        if timer:
            timer.cancel()
        with _guard:
            _running.pop(id(process), None)
    if late.is_set():
        raise ProgramError(f"{name(words)} gave no answer in time", todo="try again")
    return int(process.exit_code)


def stop_all() -> None:
    """End every program that is still running (after Ctrl-C); each gets SIGTERM. Pauses end, too."""
    global _stops  # noqa: PLW0603 - one process, one such thing
    with _stopped:
        _stops += 1
        _stopped.notify_all()
        processes = list(_running.values())
    for process in processes:
        end(process)


def stops() -> int:
    """How often everything was stopped; for `pause`."""
    return _stops


def pause(seconds: float, known: int) -> bool:
    """Wait, and tell whether to go on: not where everything was stopped since `stops()` said `known`."""
    with _stopped:
        return not _stopped.wait_for(lambda: _stops != known, seconds)


def end(process: Any, how: signal.Signals = signal.SIGTERM) -> None:
    """End a program and what it has started: git leaves its way to the server (ssh, git-remote-https) behind."""
    for pid in _family(int(process.pid)):
        with contextlib.suppress(OSError):
            os.kill(pid, how)


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


def foreground(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a program on the user's own terminal (editor, psql, a shell) and return its exit code."""
    words = [str(word) for word in argv]
    program = _program(words[0], os.environ.get("PATH"))
    options: dict[str, Any] = {"_fg": True}
    if env is not None:
        options["_env"] = {**os.environ, **env}
    if cwd is not None:
        options["_cwd"] = str(cwd)
    try:
        program(*words[1:], **options)
    except sh.SignalException as error:
        return 128 + abs(int(error.exit_code))
    except sh.ErrorReturnCode as error:
        return int(error.exit_code)
    return 0


def name(argv: Sequence[str]) -> str:
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
