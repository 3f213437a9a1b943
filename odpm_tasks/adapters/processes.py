"""Starting programs, waiting for them, ending them; the only importer of `sh`.

Programs are started without a shell and without a terminal, `foreground` excepted.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import threading
from collections.abc import Mapping, Sequence
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


_masks = threading.local()


def _hold_ctrl_c() -> None:
    _masks.before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _let_ctrl_c_through() -> None:
    signal.pthread_sigmask(signal.SIG_SETMASK, _masks.before)


def _die_of_ctrl_c() -> None:
    """A program that is about to be started is not Python's to interrupt: it would tell of that in lines nobody wants."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    _let_ctrl_c_through()


os.register_at_fork(before=_hold_ctrl_c, after_in_parent=_let_ctrl_c_through, after_in_child=_die_of_ctrl_c)

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
    process = _program(words[0], os.environ.get("PATH"))(*words[1:], **options)
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


def wait(process: Any, words: Sequence[str]) -> int:
    """Wait until a program has ended; its exit code, negative where a signal ended it. Errors: ProgramError for its timeout."""
    try:
        process.wait()
    except sh.TimeoutException:
        raise ProgramError(f"{name(words)} gave no answer in time", todo="try again") from None
    except (sh.ErrorReturnCode, sh.SignalException):
        pass
    except BaseException:
        end(process)
        raise
    finally:
        with _guard:
            _running.pop(id(process), None)
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


def end(process: Any) -> None:
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
