"""The error family: one class per exit code of the contract.

Every error is an `invoke.Exit`: a task of odpm and a task of a project end alike, with the message on stderr, the exit
code and no traceback. Programs that use odpm as a library catch `OdpmError`.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence

from invoke.exceptions import Exit

EPOCH = 315532800  # 1980-01-01, seconds since 1970: the time of files without one; core and adapters both use it


def printable(text: str) -> str:
    """The text as one line without control characters, so that text from elsewhere does not control the terminal."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)


def wrapped(line: str, width: int) -> list[str]:
    """A line as lines of at most `width` columns, broken between words only; the rest is indented below its text.

    A word that is longer stays whole, so that paths and addresses can be copied.
    """
    if len(line) <= width:
        return [line]
    import textwrap

    label = re.match(r"\s*(?:(?:odpm|where|next):|warning) *|\s+", line)
    indent = " " * len(label[0]) if label else "  "
    return textwrap.wrap(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False, drop_whitespace=True
    )


class OdpmError(Exit):
    """A failure that the user can fix.

    `what`: what happened, in one line. `where`: the file and the path in it. `todo`: what to type or change next, printed
    as `next:`. `details`: further lines. The message has at most `max_lines` lines.
    """

    exit_code = 1
    max_lines = 5

    def __init__(self, what: str, *, where: str = "", todo: str = "", details: Sequence[str] = ()) -> None:
        self.what = what
        self.where = where
        self.todo = todo
        self.details = tuple(details)
        super().__init__(self.render(), self.exit_code)

    @property
    def message(self) -> str:
        """The message that invoke prints, wrapped on a terminal. It is built on access, because a handler may change `where`
        or `todo`."""
        if sys.stderr is None or not sys.stderr.isatty():
            return self.render()
        width = shutil.get_terminal_size().columns
        return "\n".join(part for line in self.render().split("\n") for part in wrapped(line, width))

    @message.setter
    def message(self, _: str | None) -> None: ...

    def render(self) -> str:
        lines = [f"odpm: {self.what}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        room = self.max_lines - len(lines) - bool(self.todo)
        lines += [f"  {detail}" for detail in self.details[: max(0, room)]]
        if self.todo:
            lines.append(f"  next:  {self.todo}")
        return "\n".join(map(printable, lines))

    def __str__(self) -> str:
        return self.render()


class UsageError(OdpmError):
    """An option or argument on the command line is unknown or invalid."""

    exit_code = 1


class DriftError(OdpmError):
    """`plan --strict` found drift, or the observed state changed after a plan was saved."""

    exit_code = 2


class LockError(OdpmError):
    """The lock is missing, incomplete, out of date or contradicts `odpm.json`."""

    exit_code = 3


class DescriptionError(OdpmError):
    """`odpm.json`, `.env` or another file that the user writes is invalid. The error lists every problem."""

    exit_code = 4
    max_lines = 1000


class ProgramError(OdpmError):
    """git, Docker or another program failed; `details` are the last lines of its output."""

    exit_code = 5


class CommitMissingError(ProgramError):
    """A server does not have a commit: its branch was rewritten, or the commit was never pushed.

    `commit`: its id. `locked_as`: the name with which a lock moves it; empty where no lock does.
    """

    commit: str = ""
    locked_as: str = ""

    def suggest_lock(self, name: str, *, strict: bool = False) -> None:
        """Set the next step: to lock the current commit of `name`. `strict`: this scenario never writes a lock."""
        command = f"inv lock --update --only {name}"
        task = f"ODPM_SCENARIO=developer {command}; then commit the lock" if strict else command
        self.locked_as, self.todo = name, f"lock the current commit: {task}"

    def suggest_change(self, namer: str, place: str) -> None:
        """Set the next step where no lock moves the commit: to change what names it. `namer`: a link, a requirement."""
        self.locked_as, self.todo = "", f"no lock moves a commit that {namer} names: change or remove it in {place}"


class BusyError(OdpmError):
    """Another run holds the project or a cache entry."""

    exit_code = 6


class DataLossError(OdpmError):
    """The command would lose local work."""

    exit_code = 7


class MachineError(OdpmError):
    """The machine lacks something: Docker, a newer Compose, disk space, a free port."""

    exit_code = 8


class HookError(OdpmError):
    """A hook failed; odpm exits with the exit code of the hook."""

    def __init__(self, what: str, code: int, *, where: str = "", todo: str = "", details: Sequence[str] = ()) -> None:
        self.exit_code = code
        super().__init__(what, where=where, todo=todo, details=details)
