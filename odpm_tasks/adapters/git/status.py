"""State of a checkout: local work, and its position relative to other commits. Read-only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import repository as git

_READ_ONLY = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}


@dataclass(frozen=True)
class LocalWork:
    """Work that is not committed: changed tracked files, untracked files or folders, stashes."""

    changes: int = 0
    untracked: int = 0
    stashes: int = 0


def local_work(checkout: Path) -> LocalWork:
    words = ["status", "--porcelain", "-z", "--no-renames", "--ignore-submodules", "--untracked-files=normal"]
    rows = git.run(checkout, *words, env=_READ_ONLY).text.split("\0")
    untracked = sum(row.startswith("??") for row in rows)
    stashes = (files.read(checkout / ".git/logs/refs/stash") or b"").count(b"\n")
    return LocalWork(sum(bool(row) for row in rows) - untracked, untracked, stashes)


def commits_since(checkout: Path, base: str) -> int | None:
    """The number of commits in `base..HEAD`; None if git cannot count them."""
    outcome = _run(checkout, "rev-list", "--count", f"{base}..HEAD")
    return int(outcome.text) if outcome.ok else None


def behind_ahead(checkout: Path, name: str) -> tuple[int, int] | None:
    """How many commits HEAD is behind and ahead of a ref as last fetched; None without common history."""
    if not _run(checkout, "merge-base", "HEAD", name).ok:
        return None
    outcome = _run(checkout, "rev-list", "--left-right", "--count", f"HEAD...{name}")
    if not outcome.ok:
        return None
    ahead, behind = outcome.text.split()
    return int(behind), int(ahead)


def _run(checkout: Path, *words: str) -> command.Outcome:
    return git.run(checkout, *words, env=_READ_ONLY, check=False)
