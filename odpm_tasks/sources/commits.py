"""What this machine knows of the repositories that a plan moves: asked of checkouts and cache, never of a server."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import subjects
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.commits import Between, Commit, Move, Moving, moving
from odpm_tasks.core.planning.steps import Plan, Step

COMMITS = 100  # so many are kept of what lies between; counted are all


def look(paths: ProjectPaths, plan: Plan) -> dict[Step, Move]:
    """Every move of a plan, by its step. Nothing is written."""
    asked = moving(plan)
    if not asked:
        return {}
    with ThreadPoolExecutor(4) as pool:
        return dict(zip((one.step for one in asked), pool.map(lambda one: _look(paths, one), asked), strict=True))


def _look(paths: ProjectPaths, one: Moving) -> Move:
    checkout, store = paths.source(one.folder), paths.store(one.key)
    places = (checkout, store.with_name(store.name + ".history"), store)
    repositories = [path for path in places if not path.is_symlink() and _repository(path)]
    old = one.old or _stands_on(checkout)
    lies = subjects.between(repositories, old, one.new) if old else None
    return Move(
        one.folder,
        _commit(repositories, old) if old else None,
        _commit(repositories, one.new),
        Between(tuple(Commit(*row) for row in lies[0][:COMMITS]), len(lies[0]), not lies[1]) if lies else None,
    )


def _repository(path: Path) -> bool:
    return (path / ".git").is_dir() or (path / "HEAD").is_file()


def _stands_on(checkout: Path) -> str | None:
    seen = git.head(checkout) if checkout.is_dir() and not checkout.is_symlink() else None
    return seen.commit if seen else None


def _commit(repositories: list[Path], name: str) -> Commit:
    found = subjects.told(repositories, name)
    return Commit(*found) if found else Commit(name)
