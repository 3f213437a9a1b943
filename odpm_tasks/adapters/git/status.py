"""Questions about a checkout: what of the user's is in it, and how it stands to other commits. Nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import repository as git

_READ_ONLY = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1"}


@dataclass(frozen=True)
class LocalWork:
    """Work that is in no commit: changed tracked files, untracked files or folders, stashes."""

    changes: int = 0
    untracked: int = 0
    stashes: int = 0


def local_work(checkout: Path) -> LocalWork:
    words = ["status", "--porcelain", "-z", "--no-renames", "--ignore-submodules", "--untracked-files=normal"]
    rows = command.run(["git", *git.CONFIG, "-C", str(checkout), *words], env=_READ_ONLY).text.split("\0")
    untracked = sum(row.startswith("??") for row in rows)
    stashes = (files.read(checkout / ".git/logs/refs/stash") or b"").count(b"\n")
    return LocalWork(sum(bool(row) for row in rows) - untracked, untracked, stashes)


def commits_since(checkout: Path, base: str) -> int | None:
    """How many commits HEAD has that lead to `base` and not further; None where that cannot be told."""
    return _number(checkout, "rev-list", "--count", f"{base}..HEAD")


def behind_ahead(checkout: Path, name: str) -> tuple[int, int] | None:
    """How many commits HEAD is behind and ahead of a ref, as far as this was ever fetched; None without common history."""
    ask = ["git", *git.CONFIG, "-C", str(checkout)]
    if not command.run([*ask, "merge-base", "HEAD", name], env=_READ_ONLY, check=False).ok:
        return None
    outcome = command.run([*ask, "rev-list", "--left-right", "--count", f"HEAD...{name}"], env=_READ_ONLY, check=False)
    ahead, behind = outcome.text.split() if outcome.ok else ("0", "0")
    return (int(behind), int(ahead)) if outcome.ok else None


def _number(checkout: Path, *words: str) -> int | None:
    outcome = command.run(["git", *git.CONFIG, "-C", str(checkout), *words], env=_READ_ONLY, check=False)
    return int(outcome.text) if outcome.ok else None
