"""The signal with which other programs end a task."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def sigterm_as_ctrl_c() -> Iterator[None]:
    """In this block SIGTERM interrupts as Ctrl-C does, so that a run which a CI system ends cleans up.

    Without effect in another thread than the first, and where SIGTERM is ignored or has a handler.
    """
    first = threading.current_thread() is threading.main_thread()
    if not first or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def ignore_ctrl_c() -> None:
    """Ignore Ctrl-C from here on: a second one while Python exits would replace the exit code."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        # Python restores the default handler when it ends; a signal that is sent again meanwhile must not end it first
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})


def _interrupt(*_: object) -> None:
    if not callable(
        signal.getsignal(signal.SIGINT)
    ):  # a shell without job control ignores Ctrl-C in what it starts with `&`
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
