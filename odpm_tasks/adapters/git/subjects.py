"""What repositories on this machine tell of commits: date, subject, what lies between two. No server, nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import repository as git

# a clone without all its objects would ask its server for what it lacks
_LOOKING = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "LC_ALL": "C"}
_ROW = "--format=%H%x00%ct%x00%P%x00%s"
_FIELDS = 4

Told = tuple[str, str, str]  # id, date (ISO, UTC), subject


def told(repositories: Iterable[Path], commit: str) -> Told | None:
    """Date and subject of a commit, of the first repository that holds it; None where none does."""
    for repository in repositories:
        rows = _rows(repository, "--max-count=1", commit)
        if rows:
            return rows[0][0]
    return None


def between(repositories: Iterable[Path], old: str, new: str) -> tuple[tuple[Told, ...], bool] | None:
    """The commits of `new` that `old` lacks, newest first, and whether `old` is an ancestor of `new`.

    Of the first repository whose history reaches that far; None where none does.
    """
    for repository in repositories:
        rows = _rows(repository, new, f"^{old}")
        # at the edge of a shallow history a commit shows no parents; a true root is told from it only in a whole one
        if rows is None or (_shallow(repository) and not all(parents for _, parents in rows)):
            continue
        ancestor = _git(repository, "merge-base", "--is-ancestor", old, new).ok
        return tuple(row for row, _ in rows), ancestor
    return None


def _rows(repository: Path, *words: str) -> list[tuple[Told, str]] | None:
    """Each commit with its parents; None where the repository does not hold what is asked."""
    outcome = _git(repository, "log", "-z", "--no-color", "--no-decorate", _ROW, *words, "--")
    if not outcome.ok:
        return None
    fields = outcome.text.removesuffix("\0").split("\0")
    return [_row(fields[start : start + _FIELDS]) for start in range(0, len(fields) - _FIELDS + 1, _FIELDS)]


def _row(fields: Sequence[str]) -> tuple[Told, str]:
    name, seconds, parents, subject = fields
    try:
        date = f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        date = ""  # a commit may say any date
    return (name.strip(), date, subject), parents


def _shallow(repository: Path) -> bool:
    return _git(repository, "rev-parse", "--is-shallow-repository").text.strip() == "true"


def _git(repository: Path, *words: str) -> command.Outcome:
    argv = ["git", *git.CONFIG, "-c", "log.showSignature=false", "-C", str(repository), *words]
    return command.run(argv, env=_LOOKING, check=False)
