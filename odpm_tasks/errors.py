"""What can go wrong, as one family: each leaf carries the exit code of the contract.

An error is an `invoke.Exit`, so a task of ours and a task of a project's own end alike: the message on
stderr, the code to the shell, no traceback. Programs that call us as a library catch `OdpmError`.
"""

from __future__ import annotations

from collections.abc import Sequence

from invoke.exceptions import Exit


def printable(text: str) -> str:
    """Text that others may have written, as one line that a terminal obeys in nothing."""
    return "".join(char if char.isprintable() else " " if char.isspace() else "?" for char in text)


class OdpmError(Exit):
    """A failure the user can mend.

    `what` says what happened in one line, `where` the file and the path in it, `todo` what to type or change next.
    Printed as one to five lines; never with a traceback.
    """

    exit_code = 1
    most_lines = 5

    def __init__(self, what: str, *, where: str = "", todo: str = "", details: Sequence[str] = ()) -> None:
        self.what = what
        self.where = where
        self.todo = todo
        self.details = tuple(details)
        super().__init__(self.render(), self.exit_code)

    @property
    def message(self) -> str:
        """What invoke prints: made of the parts as they are then, for whoever catches an error may know more of it."""
        return self.render()

    @message.setter
    def message(self, _: str | None) -> None: ...

    def render(self) -> str:
        lines = [f"odpm: {self.what}"]
        if self.where:
            lines.append(f"  where: {self.where}")
        room = self.most_lines - len(lines) - bool(self.todo)
        lines += [f"  {detail}" for detail in self.details[: max(0, room)]]
        if self.todo:
            lines.append(f"  next:  {self.todo}")
        return "\n".join(map(printable, lines))

    def __str__(self) -> str:
        return self.render()


class UsageError(OdpmError):
    """The command line asks for something that does not exist or does not fit."""

    exit_code = 1


class DriftError(OdpmError):
    """`plan --strict` found drift, or the world moved under a saved plan."""

    exit_code = 2


class LockError(OdpmError):
    """The lock is missing, incomplete, out of date or contradicted."""

    exit_code = 3


class DescriptionError(OdpmError):
    """`odpm.json`, `.env` or another file the user writes is invalid. Every problem is named, however many."""

    exit_code = 4
    most_lines = 1000


class ProgramError(OdpmError):
    """git, Docker or another program failed; `details` are its own last lines."""

    exit_code = 5


class CommitMissingError(ProgramError):
    """A server does not give a locked commit (any more): its branch was rewritten, or it never had it."""


class BusyError(OdpmError):
    """Another run holds the project or a cache entry."""

    exit_code = 6


class DataLossError(OdpmError):
    """Going on would lose local work."""

    exit_code = 7


class MachineError(OdpmError):
    """The machine lacks something: Docker, a newer Compose, disk space, a free port."""

    exit_code = 8


class HookError(OdpmError):
    """A hook failed; its own exit code becomes ours."""

    def __init__(self, what: str, code: int, *, where: str = "", todo: str = "", details: Sequence[str] = ()) -> None:
        self.exit_code = code
        super().__init__(what, where=where, todo=todo, details=details)


EPOCH = 315532800  # 1980-01-01, seconds since 1970
