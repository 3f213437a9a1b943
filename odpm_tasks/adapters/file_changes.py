"""Changed files below folders, as the operating system reports them (watchfiles)."""

from __future__ import annotations

import os
import platform
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from odpm_tasks.errors import MachineError

STEP = 40  # milliseconds without a change that end a group of changes
_TICK = 200  # milliseconds until the watcher first says that it watches, and between two looks whether it is to end
_QUIET = 0.3  # seconds without a change after which many changes are complete
_FEW = 3
_LONGEST_WAIT = 30.0  # seconds


class FileChanges:
    """The changed paths below some folders; `watching` makes one."""

    def __init__(self) -> None:
        self._found: queue.Queue[set[Path] | BaseException] = queue.Queue()

    def next(self, is_busy: Callable[[set[Path]], bool], timeout: float) -> set[Path]:
        """The paths of the next edit; empty if there is none within `timeout` seconds.

        Several changes are one edit until they pause, or, while `is_busy` (a program such as git writes many files), until that
        ends. Errors: MachineError where the system cannot watch so many folders.
        """
        changed = self._get(timeout)
        if not changed:
            return changed
        deadline = time.monotonic() + _LONGEST_WAIT
        while time.monotonic() < deadline:
            busy = is_busy(changed)
            more = self._get(0 if len(changed) <= _FEW and not busy else _QUIET)
            if not more and not busy:
                break
            changed |= more
        return changed

    def _get(self, timeout: float) -> set[Path]:
        try:
            found = self._found.get(timeout=timeout) if timeout else self._found.get_nowait()
        except queue.Empty:
            return set()
        if isinstance(found, BaseException):
            raise found
        return found

    def _watch(self, folders: Sequence[Path], recursive: bool, stop: threading.Event, begun: threading.Event) -> None:
        import watchfiles

        try:
            changes = watchfiles.watch(
                *folders,
                watch_filter=None,
                step=STEP,
                rust_timeout=_TICK,
                yield_on_timeout=True,
                recursive=recursive,
                force_polling=_polling(folders),
                stop_event=stop,
                raise_interrupt=False,
                ignore_permission_denied=True,
            )
            for found in changes:
                begun.set()
                if found:
                    self._found.put({Path(name) for _, name in found})
        except OSError as error:
            self._found.put(_error(error))
        finally:
            begun.set()


def _polling(folders: Sequence[Path]) -> bool | None:
    """Whether to compare times of files instead of waiting for events: for folders of Windows in WSL. watchfiles would do it for all."""
    if os.environ.get("WATCHFILES_FORCE_POLLING"):
        return None
    return "microsoft" in platform.release().lower() and any(str(folder).startswith("/mnt/") for folder in folders)


def _error(error: OSError) -> MachineError:
    text = str(error)
    if "limit" in text or "No space left" in text:
        return MachineError(
            "the limit of file watches of this machine is reached",
            details=[text],
            todo="sudo sysctl fs.inotify.max_user_watches=524288; inv doctor shows the limits",
        )
    return MachineError(f"cannot watch files: {text}", todo="inv doctor")


@contextmanager
def watching(recursive: Sequence[Path], flat: Sequence[Path]) -> Iterator[FileChanges]:
    """Watch folders with everything below them (`recursive`), and the files directly in others (`flat`), for the block.

    Every change that is made in the block is reported: it begins when all folders are watched.
    """
    stop = threading.Event()
    changes = FileChanges()
    groups = [(folders, deep, threading.Event()) for folders, deep in ((recursive, True), (flat, False)) if folders]
    threads = [
        threading.Thread(target=changes._watch, args=(folders, deep, stop, begun), daemon=True)
        for folders, deep, begun in groups
    ]
    for thread in threads:
        thread.start()
    for _, _, begun in groups:
        begun.wait(_LONGEST_WAIT)
    try:
        yield changes
    finally:
        stop.set()
        for thread in threads:
            thread.join(3)
