"""The door to the file system: atomic replacement, file locks, content."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import stat
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from odpm_tasks.errors import BusyError, DataLossError, DescriptionError, MachineError


@contextlib.contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the disk's refusals into messages: full, read-only, not allowed."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise MachineError(
                "the disk is full", where=str(path), todo="free some space, then run the same command again"
            ) from None
        if error.errno in {errno.EEXIST, errno.ENOTDIR}:
            raise DataLossError(
                "a file is in the place of a folder",
                where=str(error.filename or path),
                todo="move it elsewhere, then run again",
            ) from None
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            raise MachineError(
                f"cannot write: {error.strerror}",
                where=str(path),
                todo=f"make it writable for you: ls -ld {path.parent}",
            ) from None
        raise


def read(path: Path) -> bytes | None:
    """The bytes of a file, None where there is none."""
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except IsADirectoryError:
        raise DescriptionError(
            "a directory is in the place of a file", where=str(path), todo=f"mv {path} elsewhere"
        ) from None
    except OSError as error:
        raise DescriptionError(
            f"cannot read: {error.strerror}", where=str(path), todo=f"make it readable for you: ls -ld {path}"
        ) from None


def read_text(path: Path) -> str | None:
    """The text of a UTF-8 file, None where there is none."""
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
    """Replace a file at once: a reader, a crash or a full disk sees the old bytes or the new, never a part.

    `derived`: it can be made anew at any time, so a power cut may take it; that spares waiting for the disk. `before` is
    called when the new bytes are on the disk and the old ones still in their place.
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


def remove_temporary_files(folder: Path, names: Collection[str] = ()) -> None:
    """Take away the beginnings of files that killed runs have left (of `names`, where given). Nobody else writes here now."""
    for path in folder.glob(".*.????????"):
        name, _, end = path.name[1:].rpartition(".")
        if (not names or name in names) and re.fullmatch(r"[a-z0-9_]{8}", end) and path.is_file():
            path.unlink(missing_ok=True)


def keep_original(path: Path) -> Path:
    """Give an edited generated file, or a link in its place, a second name that stays when it is replaced.

    That is NAME.orig, .orig.1 where taken and so on; one that holds the same already is enough.
    """
    number = 0
    while True:
        kept = path.with_name(f"{path.name}.orig" + (f".{number}" if number else ""))
        if not os.path.lexists(kept):
            break
        if _same(kept, path):
            return kept
        number += 1
    with disk_errors(path):
        try:
            os.link(path, kept, follow_symlinks=False)
        except (OSError, NotImplementedError):  # a file system without second names
            path.rename(kept)
    return kept


def _same(kept: Path, path: Path) -> bool:
    """Whether both are regular files of the same bytes."""
    regular = all(stat.S_ISREG(one.lstat().st_mode) for one in (kept, path))
    return regular and kept.read_bytes() == path.read_bytes()


def remove(path: Path) -> None:
    """Take a file away that may be gone already."""
    with disk_errors(path):
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def exclusive(path: Path, what: str, *, wait: float = 0) -> Iterator[None]:
    """Hold the file lock `path`; who holds it is written beside it, for the message others get.

    Waits up to `wait` seconds (0: not at all). Errors: BusyError naming the holder.
    """
    from filelock import FileLock, Timeout

    holder = path.with_name(path.name + ".holder")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path, is_singleton=True)
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            who = read_text(holder) or "another run"
            raise BusyError(
                f"{who.strip()} holds {what}",
                where=str(path),
                todo="wait for it to end, then run the same command again",
            ) from None
    try:
        if lock.lock_counter == 1:
            with disk_errors(path):
                holder.write_text(f"process {os.getpid()} (since {time.strftime('%H:%M:%S')})\n", encoding="utf-8")
        yield
    finally:
        if lock.lock_counter == 1:
            holder.unlink(missing_ok=True)
        lock.release()


def temporary_folder(cleanup: contextlib.ExitStack, prefix: str) -> Path:
    """A folder that lasts as long as `cleanup`, readable by us only."""
    return Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix=prefix)))


def sha256(data: bytes) -> str:
    """Hex digest of some bytes."""
    return hashlib.sha256(data).hexdigest()


def digest_below(root: Path, name: str) -> str | None:
    """Hex digest of a regular file below a folder; None where there is none, or a link leads to it."""
    path = root / name
    if path.is_symlink() or not path.is_file() or path.parent.resolve() != (root.resolve() / name).parent:
        return None
    return sha256(read(path) or b"")
