"""Files: atomic replacement, file locks, content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from odpm_tasks.adapters.terminal import message
from odpm_tasks.errors import BusyError, DataLossError, DescriptionError, MachineError, ProgramError

if TYPE_CHECKING:
    from filelock import BaseFileLock

_QUIET_WAIT = 0.5  # seconds
_OF_KILLED_RUN = 300.0  # seconds
_held: dict[Path, BaseFileLock] = {}
NO_HOME = Path("/nonexistent")


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Convert OSError to an error with a message: disk full, read-only, no permission, file instead of a folder."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise MachineError(
                "the disk is full", where=str(path), todo="free some space, then run the same command again"
            ) from None
        if error.errno in {errno.EEXIST, errno.ENOTDIR}:
            raise DataLossError(
                "a file exists where a folder is needed",
                where=str(error.filename or path),
                todo="move it elsewhere, then run again",
            ) from None
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise MachineError(
                f"cannot write: {error.strerror}",
                where=str(path),
                todo=_permission_hint(path),
            ) from None
        raise


def _permission_hint(path: Path) -> str:
    """What to type where a file cannot be written: change the owner of the folder, or look at its mode."""
    folder = next((parent for parent in path.parents if parent.is_dir()), path.parent)
    if (owner := owner_of(folder)) != user_name(os.geteuid()):
        return f"it belongs to {owner}: sudo chown -R {user_name(os.geteuid())} {quote(str(folder))}"
    return f"make it writable for you: ls -ld {quote(str(folder))}"


def owner_of(path: Path) -> str:
    """The name of the owner of a file or folder."""
    try:
        return user_name(path.stat().st_uid)
    except OSError:
        return "another user"


def user_name(uid: int) -> str:
    """The name of a user; the number of one that the system does not know."""
    try:
        import pwd

        return pwd.getpwuid(uid).pw_name
    except (ImportError, KeyError):
        return str(uid)


def home() -> Path:
    """The user's home folder. Without HOME and for a user that the system does not know, a folder that does not exist."""
    try:
        return Path.home()
    except RuntimeError:
        return NO_HOME


def read(path: Path) -> bytes | None:
    """The bytes of a file, None if it does not exist."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise DescriptionError(
            "a folder exists where a file is needed", where=str(path), todo=f"mv {path} elsewhere"
        ) from None
    except OSError as error:
        raise DescriptionError(
            f"cannot read: {error.strerror}", where=str(path), todo=f"make it readable for you: ls -ld {path}"
        ) from None


def read_text(path: Path) -> str | None:
    """The text of a UTF-8 file, None if it does not exist."""
    data = read(path)
    if data is None:
        return None
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DescriptionError(
            f"not UTF-8 text (byte {error.start})", where=str(path), todo="save the file as UTF-8"
        ) from None


def write(
    path: Path,
    data: bytes,
    mode: int = 0o644,
    *,
    derived: bool = False,
    before_replace: Callable[[], object] | None = None,
) -> None:
    """Replace a file atomically: a reader, a crash or a full disk leaves the old bytes or the new, never a part.

    `derived`: the file can be generated again, so it may be lost in a power failure; this saves the fsync.
    `before_replace` is called after the new bytes are written and before they replace the old file.
    """
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                if not derived:
                    file.flush()
                    os.fsync(file.fileno())
            temporary.chmod(mode)
            if before_replace:
                before_replace()
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def is_stream(path: Path) -> bool:
    """Whether this is a pipe, a terminal or another device, or below `/dev` as `/dev/stdout`: it is not read and not replaced."""
    if path.is_relative_to("/dev"):
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def is_standard_output(path: Path) -> bool:
    """Whether writing to this path writes to the standard output of this process."""
    try:
        return os.path.samestat(path.stat(), os.fstat(1))
    except OSError:
        return False


def write_stream(path: Path, data: bytes) -> None:
    """Write to a pipe or a device; waits for the reader of a pipe. Errors: ProgramError if the reader ends before."""
    try:
        with disk_errors(path), path.open("wb", buffering=0) as stream:
            while data:
                data = data[stream.write(data) or 0 :]
    except OSError as error:
        raise ProgramError(
            f"cannot write: {error.strerror}",
            where=str(path),
            todo="check what reads it, or name a file",
        ) from None


def remove_temporary_files(folder: Path, names: Collection[str] = ()) -> None:
    """Remove the temporary files of killed runs (only those of `names`, if given). The caller must hold the lock."""
    for path in folder.glob(".*.????????"):
        name, _, end = path.name[1:].rpartition(".")
        if (not names or name in names) and re.fullmatch(r"[a-z0-9_]{8}", end) and path.is_file():
            path.unlink(missing_ok=True)


def keep_original(path: Path) -> Path:
    """Back up an edited generated file, or a link with its name, before it is replaced; returns the path of the backup.

    The backup is a hard link NAME.orig, or .orig.1 and so on if that exists. An existing backup with the same content is
    used.
    """
    number = 0
    while True:
        backup = path.with_name(f"{path.name}.orig" + (f".{number}" if number else ""))
        if not os.path.lexists(backup):
            break
        if _same(backup, path):
            return backup
        number += 1
    with disk_errors(path):
        try:
            os.link(path, backup, follow_symlinks=False)
        except (OSError, NotImplementedError):  # a file system without hard links
            path.rename(backup)
    return backup


def _same(backup: Path, path: Path) -> bool:
    """Whether both are regular files with the same bytes."""
    regular = all(stat.S_ISREG(one.lstat().st_mode) for one in (backup, path))
    return regular and backup.read_bytes() == path.read_bytes()


def remove(path: Path) -> None:
    """Remove a file if it exists."""
    with disk_errors(path):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: Path, what: str, *, wait: float = 0) -> Iterator[None]:
    """Hold the file lock `path`; the file PATH.holder names our process for the error message of other processes.

    Waits up to `wait` seconds (0: not at all) and says for which process. Errors: BusyError with the holder. `what` is the locked
    object. A program of a run that was killed, see `passed_on`, is waited for in any case.
    """
    from filelock import FileLock, Timeout

    holder = path.with_name(path.name + ".holder")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, is_singleton=True)
        try:
            try:
                lock.acquire(timeout=min(wait, _QUIET_WAIT))
            except Timeout:
                owner = (read_text(holder) or "another run").strip()
                killed = _has_ended(owner)
                if wait <= _QUIET_WAIT and not killed:
                    raise
                message(f"waiting: {f'a program that {owner} started' if killed else owner} holds {what}")
                lock.acquire(timeout=max(wait, _OF_KILLED_RUN if killed else 0) - _QUIET_WAIT)
        except Timeout:
            owner = read_text(holder) or "another run"
            raise BusyError(
                f"{owner.strip()} holds {what}",
                where=str(path),
                todo="wait for it to end, then run the same command again",
            ) from None
    try:
        if lock.lock_counter == 1:
            _held[path] = lock
            with disk_errors(path):
                since = f"{_task_name()}since {time.strftime('%H:%M:%S')}"
                holder.write_text(f"process {os.getpid()} ({since})\n", encoding="utf-8")
        yield
    finally:
        if lock.lock_counter == 1:
            _held.pop(path, None)
            holder.unlink(missing_ok=True)
        lock.release()


@contextlib.contextmanager
def passed_on() -> Iterator[None]:
    """Programs that start in the block hold our locks, too: if we are killed, the locks are free when these programs end."""
    descriptors = [lock._context.lock_file_fd for lock in _held.values()]
    for descriptor in filter(None, descriptors):
        os.set_inheritable(descriptor, True)
    try:
        yield
    finally:
        for descriptor in filter(None, descriptors):
            os.set_inheritable(descriptor, False)


def _has_ended(owner: str) -> bool:
    """Whether the process that the text of a holder names does not exist any more."""
    found = re.match(r"process (\d+)\b", owner)
    return found is not None and not Path("/proc", found[1]).exists() and Path("/proc/self").exists()


def _task_name() -> str:
    """`inv NAME, ` for a program that runs a task; without its options, which may hold secrets."""
    words = [word for word in sys.argv[1:] if re.fullmatch(r"[a-z][a-z.-]*", word)]
    return (
        f"inv {words[0]}, " if words and Path(sys.argv[0]).name in {"inv", "invoke", "__main__.py", "tasks.py"} else ""
    )


def temporary_folder(cleanup: contextlib.ExitStack, prefix: str) -> Path:
    """A temporary folder that `cleanup` removes, readable by this user only."""
    return Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))


def sha256(data: bytes) -> str:
    """SHA-256 as hex digits."""
    return hashlib.sha256(data).hexdigest()


def digest_below(root: Path, name: str) -> str | None:
    """SHA-256 of a regular file below `root`; None if it does not exist or its path contains a symbolic link."""
    path = root / name
    if path.is_symlink() or not path.is_file() or path.parent.resolve() != (root.resolve() / name).parent:
        return None
    return sha256(read(path) or b"")
