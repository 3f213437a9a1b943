"""Start programs, wait for them, terminate them. The only module that imports `sh`.

Programs run without a shell and without a terminal, except in `foreground`.
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

# Variables that git sets for its hooks (`git rev-parse --local-env-vars`, and those of a push): if a hook starts odpm, they
# would redirect every git command to the hook's repository. Also variables that change new repositories and pathspecs.
_GIT_REPOSITORY_VARIABLES = frozenset(
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
    """Whether this thread is starting a program, and its signal mask before the start."""

    in_progress = False
    mask: Any = ()


_start = _Start()


@contextlib.contextmanager
def _defer_ctrl_c() -> Iterator[None]:
    """Defer Ctrl-C until the program has started: during the start it would leave a partly started one.

    Between fork and exec, the child runs our Python code. Ctrl-C is ignored there: an exception would continue as a
    second run of odpm. `stop_all` terminates the program afterwards.
    """
    received: list[tuple[int, Any]] = []
    handler = signal.getsignal(signal.SIGINT)
    deferred = callable(handler) and threading.current_thread() is threading.main_thread()
    _start.in_progress = True
    try:
        if deferred:
            signal.signal(signal.SIGINT, lambda *arguments: received.append(arguments))
        yield
    finally:
        if deferred:
            signal.signal(signal.SIGINT, handler)
        _start.in_progress = False
    if received and callable(handler):
        handler(*received[0])


def _before_fork() -> None:
    if _start.in_progress:
        _start.mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _after_fork() -> None:
    if _start.in_progress:
        signal.pthread_sigmask(signal.SIG_SETMASK, _start.mask)


def _in_child() -> None:
    if _start.in_progress and callable(signal.getsignal(signal.SIGINT)):
        signal.signal(signal.SIGINT, lambda *_: None)  # until exec, which restores the default handler
    _after_fork()


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


def _raise_ctrl_c_again(unraisable: sys.UnraisableHookArgs) -> None:
    """Send SIGINT again: Python drops exceptions in its own callbacks, mainly those of weak references."""
    if not issubclass(unraisable.exc_type, KeyboardInterrupt):
        _unraisable(unraisable)
        return

    def send(main: int) -> None:
        time.sleep(0.05)  # until the callback has returned
        signal.pthread_kill(main, signal.SIGINT)

    # not with `threading`: its locks may be held here
    if main := threading.main_thread().ident:
        _thread.start_new_thread(send, (main,))


_unraisable, sys.unraisablehook = sys.unraisablehook, _raise_ctrl_c_again

_guard = threading.Lock()
_stops = 0  # number of calls of `stop_all`
_stopped = threading.Condition(_guard)
DEVNULL = Path(os.devnull).open("rb")  # noqa: SIM115 - open until exit


def start(words: list[str], env: Mapping[str, str] | None, **special: Any) -> Any:
    """Start a program in the background; `env` is added to our environment, without git's repository variables.

    Errors: MachineError if the program is not installed.
    """
    inherited = {name: value for name, value in os.environ.items() if name not in _GIT_REPOSITORY_VARIABLES}
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
        "_close_fds": False,  # Python's descriptors are not inherited (PEP 446); the search for others takes a tenth of the start
        "_env": {**inherited, **(env or {})},
        **special,
    }
    program = _program(words[0], os.environ.get("PATH"))
    with _defer_ctrl_c():
        process = program(*words[1:], **options)
        with _guard:
            _running[id(process)] = process
    return process


@cache
def _program(word: str, path: str | None) -> sh.Command:
    """A program by name; looked up once per PATH."""
    del path
    try:
        return sh.Command(word)
    except sh.CommandNotFound:
        raise MachineError(
            f"{word} is not installed", todo=f"install {word} and put it on PATH, then run again"
        ) from None


def wait(process: Any, words: Sequence[str], timeout: float | None = None) -> int:
    """Wait for a program to exit; returns its exit code, negative if a signal terminated it.

    Errors: ProgramError after `timeout` (seconds); the program is killed.
    """
    timed_out = threading.Event()

    def kill() -> None:
        timed_out.set()
        terminate(process, signal.SIGKILL)

    # not sh's timer: after Ctrl-C, our exit would wait for it
    timer = threading.Timer(timeout, kill) if timeout else None
    try:
        if timer:
            timer.daemon = True
            with _defer_ctrl_c():  # Ctrl-C breaks the start of Python's threads, too
                timer.start()
        process.wait()
    except (sh.ErrorReturnCode, sh.SignalException):
        pass
    except BaseException:
        terminate(process)
        raise
    finally:
        if timer:
            timer.cancel()
        with _guard:
            _running.pop(id(process), None)
    if timed_out.is_set():
        raise ProgramError(f"{name(words)} did not finish within {timeout:g} seconds", todo="try again")
    return int(process.exit_code)


def stop_all() -> None:
    """Send SIGTERM to every running program (after Ctrl-C) and end every `pause`."""
    global _stops  # noqa: PLW0603 - one counter per process
    with _stopped:
        _stops += 1
        _stopped.notify_all()
        processes = list(_running.values())
    for process in processes:
        terminate(process)


def stops() -> int:
    """The number of calls of `stop_all` so far; for `pause`."""
    return _stops


def pause(seconds: float, known: int) -> bool:
    """Wait; returns False if `stop_all` was called since `stops()` returned `known`."""
    with _stopped:
        return not _stopped.wait_for(lambda: _stops != known, seconds)


def terminate(process: Any, signal_: signal.Signals = signal.SIGTERM) -> None:
    """Send a signal to a program and its children: git does not stop its transport (ssh, git-remote-https)."""
    for pid in _process_tree(int(process.pid)):
        with contextlib.suppress(OSError):
            os.kill(pid, signal_)


def _process_tree(pid: int) -> list[int]:
    """A process and all its descendants."""
    tree, parents = [pid], _parents()
    for member in tree:  # grows during the loop
        tree += [child for child, parent in parents.items() if parent == member]
    return tree


def _parents() -> dict[int, int]:
    """The parent of every process: from /proc if it exists, else from `ps`."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # the process has exited
            found[int(stat.parent.name)] = int(stat.read_text(errors="replace").rpartition(")")[2].split()[1])
    if not found:
        with contextlib.suppress(sh.CommandNotFound, sh.ErrorReturnCode):
            rows = str(sh.Command("ps")("-A", "-o", "pid=,ppid=")).splitlines()
            found = {int(child): int(parent) for child, parent in (row.split() for row in rows)}
    return found


def foreground(argv: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> int:
    """Run a program on the user's terminal (editor, psql, a shell); returns its exit code.

    A program that Ctrl-C ended raises KeyboardInterrupt: it may end before this process receives the same signal.
    """
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
        if abs(int(error.exit_code)) == signal.SIGINT:
            time.sleep(0.1)  # usually interrupted by that signal
            raise KeyboardInterrupt from None
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
