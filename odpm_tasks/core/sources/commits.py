"""Commits of a repository, and the range of commits between two pins."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Commit:
    """A commit: 40 hex digits, its date (YYYY-MM-DD, UTC) and subject. Both are empty where this machine does not hold it."""

    id: str
    date: str = ""
    subject: str = ""


@dataclass(frozen=True)
class CommitRange:
    """The commits that are reachable from a new commit and not from an old one, newest first.

    `commits` may be limited to the newest ones; `count` is the number of all of them. `rewritten`: the old commit is not an
    ancestor of the new one (a branch was force-pushed, or the pin went back). `complete`: False where the available history
    ends too early; `count` is then a lower bound.
    """

    commits: tuple[Commit, ...] = ()
    count: int = 0
    rewritten: bool = False
    complete: bool = True
