"""The commits of planned moves and of lock differences, read from local repositories without network access."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from odpm_tasks.adapters.git import log
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.commits import Move, PlannedMove, planned_moves
from odpm_tasks.core.planning.steps import Plan, Step
from odpm_tasks.core.sources.commits import Commit, CommitRange

_LIMIT = 100  # commits of one move


def commit_range(found: log.Log, limit: int) -> CommitRange:
    """A log as a value of `core`: the newest `limit` commits, and the number of all."""
    commits = tuple(Commit(*entry) for entry in found.commits[:limit])
    return CommitRange(commits, len(found.commits), found.rewritten, found.complete)


def describe_moves(paths: ProjectPaths, plan: Plan) -> dict[Step, Move]:
    """Every move of a plan with its commits, by step. Writes nothing."""
    moves = planned_moves(plan)
    if not moves:
        return {}
    with ThreadPoolExecutor(4) as pool:
        described = pool.map(lambda move: _describe(paths, move), moves)
        return dict(zip((move.step for move in moves), described, strict=True))


def _describe(paths: ProjectPaths, move: PlannedMove) -> Move:
    checkout, store = paths.source(move.folder), paths.store(move.key)
    candidates = (checkout, store.with_name(store.name + ".history"), store)
    repositories = [path for path in candidates if not path.is_symlink() and _is_repository(path)]
    old = move.old or _head(checkout)
    return Move(
        move.folder,
        _commit(repositories, old) if old else None,
        _commit(repositories, move.new),
        _between(repositories, old, move.new) if old else None,
    )


def _between(repositories: list[Path], old: str, new: str) -> CommitRange | None:
    """The commits between, from the first repository whose history reaches that far; None where none does."""
    for repository in repositories:
        found = log.read_log(repository, old, new)
        if found and found.complete:
            return commit_range(found, _LIMIT)
    return None


def _commit(repositories: list[Path], commit: str) -> Commit:
    found = log.read_commit(repositories, commit)
    return Commit(*found) if found else Commit(commit)


def _is_repository(path: Path) -> bool:
    return (path / ".git").is_dir() or (path / "HEAD").is_file()


def _head(checkout: Path) -> str | None:
    head = git.head(checkout) if checkout.is_dir() and not checkout.is_symlink() else None
    return head.commit if head else None
