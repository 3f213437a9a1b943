"""Output: messages to standard error, results to standard output; colour only on a terminal."""

from __future__ import annotations

import os
import re
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO

from odpm_tasks.errors import ProgramError, printable, wrapped

_STYLES = {
    "create": "32", "update": "33", "run": "36", "keep": "2", "skip": "2", "pending": "35", "blocked": "31",
    "good": "32", "bad": "31", "dim": "2", "bold": "1", "warn": "33",
}  # fmt: skip
_STYLE = re.compile(r"\x1b\[\d+m")
_HEAD = re.compile(r"(?P<on>\x1b\[\d+m)(?P<text>[^\x1b]*)(?P<off>\x1b\[0m)")


def use_colour(stream: TextIO | None) -> bool:
    """Whether to use colour: on a terminal without NO_COLOR and TERM=dumb."""
    return (
        stream is not None and stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    )


def width(stream: TextIO | None) -> int | None:
    """The number of columns (`COLUMNS` overrides it); None if the stream is not a terminal."""
    return shutil.get_terminal_size().columns if stream is not None and stream.isatty() else None


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    return f"\x1b[{_STYLES[style]}m{text}\x1b[0m" if text and use_colour(stream or sys.stderr) else text


def message(text: str = "") -> None:
    """Write a line to standard error, wrapped on a terminal. Without a reader or space for it, the run continues."""
    if (columns := width(sys.stderr)) and "\x1b" not in text:
        text = "\n".join(wrapped(text, columns))
    with suppress(OSError):
        _write(sys.stderr, text)


def warn(text: str) -> None:
    line = f"warning  {printable(text)}"
    lines = wrapped(line, columns) if (columns := width(sys.stderr)) else [line]
    message("\n".join([paint("warning", "warn") + lines[0].removeprefix("warning"), *lines[1:]]))


def output(text: str) -> None:
    """Write a line to standard output. Errors: ProgramError if it cannot be written, for instance to a full disk."""
    with output_errors():
        _write(sys.stdout, text)


def output_text(text: str) -> None:
    """Write lines for people to standard output; on a terminal, `broken` at its width. Errors: as `output`."""
    if columns := width(sys.stdout):
        text = "\n".join(part for line in text.split("\n") for part in broken(line, columns))
    output(text)


def broken(line: str, columns: int) -> list[str]:
    """A line as lines of at most so many columns, broken between words and continued below its last column.

    Columns are separated by two blanks; those of the last third of the width do not count. A longer word stays whole. A style at
    the beginning of the line is kept, others are not.
    """
    import textwrap

    plain = _STYLE.sub("", line)
    if len(plain) <= columns:
        return [line]
    starts = [found.end() for found in re.finditer(r"^ +|(?<=\S)  +", plain) if found.end() <= columns * 2 // 3]
    indent = " " * (starts[-1] if starts else 2)
    parts = textwrap.wrap(
        plain, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )
    head = _HEAD.match(line)
    if head is None:
        return parts
    if parts[0].startswith(head["text"]):
        return [head[0] + parts[0][len(head["text"]) :], *parts[1:]]
    return [f"{head['on']}{part}{head['off']}" for part in parts]


@contextmanager
def output_errors() -> Iterator[None]:
    """Convert a failure to write to standard output to a ProgramError; a reader that has closed the pipe is none."""
    try:
        yield
    except BrokenPipeError:
        _discard_output()  # `inv plan | head`
    except OSError as error:
        if error.filename is not None:
            raise
        _discard_output()
        raise ProgramError(
            f"cannot write the output: {os.strerror(error.errno or 0)}",
            where="standard output",
            todo="check the file or device that the output goes to, then run the same command again",
        ) from None


def _write(stream: TextIO | None, text: str) -> None:
    """Write a line; a closed stream (`>&-`) gets nothing. Characters that its encoding lacks are written as `?`."""
    if stream is None:
        return
    try:
        stream.write(text + "\n")
    except UnicodeEncodeError:
        encoding = stream.encoding or "ascii"
        stream.write(text.encode(encoding, "replace").decode(encoding) + "\n")
    stream.flush()


def _discard_output() -> None:
    """Discard what Python still flushes to standard output at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def is_interactive() -> bool:
    """Whether standard input and standard output are a terminal."""
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def confirm(question: str) -> bool:
    """Ask a yes-or-no question; the answer is no without a terminal."""
    return is_interactive() and input(f"{question} [y/N] ").lower() == "y"


def confirm_name(question: str, name: str) -> bool:
    """Ask for a name as confirmation; the answer is no without a terminal."""
    return is_interactive() and input(f"{question} Type its name to confirm: ").strip() == name


class Activity:
    """The progress of parallel tasks: one row per task on a terminal; elsewhere one line when a task is done."""

    def __init__(self, progress: Any = None) -> None:
        self._progress = progress
        self._rows: dict[str, Any] = {}
        self._sizes: dict[str, str] = {}
        self._guard = threading.Lock()

    def note(self, name: str, text: str, percent: int | None = None, size: str = "", rate: str = "") -> None:
        """Show the current state of `name`, and its progress if known."""
        with self._guard:
            if size:
                self._sizes[name] = size
            if self._progress is None:
                return
            if name not in self._rows:
                self._rows[name] = self._progress.add_task("", name=name, text="", percent="", size="", rate="")
            shown = "" if percent is None else f"{percent}%"
            self._progress.update(self._rows[name], text=printable(text[:100]), percent=shown, size=size, rate=rate)

    def retrying(self, name: str, failure: str, text: str) -> None:
        """Show a failure that is retried; `text` names the next attempt."""
        if self._progress is None:
            message(printable(f"{name}: {failure}; {text}"))
        else:
            self.note(name, f"{text} ({failure})")

    def done(self, name: str, summary: str = "") -> None:
        """Remove the row of `name`. Without a terminal, print `summary` and the size if anything was transferred."""
        with self._guard:
            size = self._sizes.pop(name, "")
            if name in self._rows:
                self._progress.remove_task(self._rows.pop(name))
        if summary and size and self._progress is None:
            message(summary if size.endswith("bytes") else f"{summary}  {size}")


@contextmanager
def activity() -> Iterator[Activity]:
    """Show progress while the block runs."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield Activity()
        return
    from odpm_tasks.adapters.progress import rows

    with rows() as progress:
        yield Activity(progress)


def duration(since: float) -> str:
    """The time since `since` (of `time.monotonic()`), empty for less than half a second."""
    seconds = time.monotonic() - since
    return f"{seconds:.1f} s" if seconds >= 0.5 else ""
