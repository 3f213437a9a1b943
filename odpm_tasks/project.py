"""A project on this machine: what tasks, ours and a project's own, are made of.

What observes and acts is imported where it is used: Docker is asked meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from odpm_tasks import project_files
from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import COMPOSE_FILE, GITIGNORE, ProjectPaths
from odpm_tasks.core.config.settings import ENVIRONMENT, Layer, Settings
from odpm_tasks.core.planning.options import DEFAULTS, RunOptions
from odpm_tasks.core.planning.steps import LOCKING, ORDER, PREPARING
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_files import chosen_ports, env_file, read_state
from odpm_tasks.stack import prefetch

if TYPE_CHECKING:
    from odpm_tasks.core.config.scenario import Scenario
    from odpm_tasks.core.locking.lockfile import Lock
    from odpm_tasks.core.locking.resolve import Resolution
    from odpm_tasks.core.manifest.model import Manifest
    from odpm_tasks.core.planning.observed import ObservedState
    from odpm_tasks.core.planning.steps import Plan, Step
    from odpm_tasks.planning.converge import BeforeRound, RunResult

__all__ = ["ORDER", "PREPARING", "Project", "RunOptions"]


@dataclass(frozen=True)
class Project:
    """One checkout: `Project.find()` is the one you stand in.

    Reading (`manifest`, `lock`, `plan`) changes nothing. Acting (`resolve`, `apply`) wants `exclusive()` around it where
    several things must go together; each holds it by itself anyway.
    """

    paths: ProjectPaths
    options: RunOptions = DEFAULTS

    @classmethod
    def find(cls, start: Path | None = None, **settings: str) -> Project:
        """The project of a folder: the nearest one upward that holds `odpm.json`, checkouts of sources left out.

        `settings` are values stronger than every environment layer. Errors: DescriptionError where there is none.
        """
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "odpm.json").exists() and not _inside_sources(folder):
                return cls.at(folder, **settings)
        raise DescriptionError(
            "there is no odpm.json",
            where=f"{here} and the folders above",
            todo="go to a project, or make one of this folder: python -m odpm_tasks init",
        )

    @classmethod
    def at(cls, root: Path, **settings: str) -> Project:
        """The project of exactly this folder."""
        import platformdirs

        layers = Settings(
            (
                Layer(ENVIRONMENT, dict(os.environ)),
                Layer(".env", env_file(root / ".env")),
                Layer("~/.odpm/.env", env_file(Path.home() / ".odpm" / ".env")),
            )
        )
        chosen = layers.with_values(**settings) if settings else layers
        cache = chosen.get("ODPM_CACHE_DIR")
        paths = ProjectPaths(root, Path(cache).expanduser() if cache else platformdirs.user_cache_path("odpm"), chosen)
        return cls(replace(paths, settings=chosen.with_chosen_ports(chosen_ports(paths))))

    @property
    def root(self) -> Path:
        return self.paths.root

    @property
    def scenario(self) -> Scenario:
        """Errors: DescriptionError for an unknown one."""
        return self.paths.settings.scenario

    @property
    def manifest(self) -> Manifest:
        """The description as this scenario sees it. Errors: DescriptionError with every problem."""

        return project_files.description(self.paths)[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the author of the description should know. Errors: as `manifest`."""

        return project_files.description(self.paths)[1]

    @property
    def lock(self) -> Lock | None:
        """The lock as it is on disk. Errors: LockError where it cannot be read."""

        return project_files.lock(self.paths)

    def with_options(self, options: RunOptions) -> Project:
        """The same project for a run with these options."""
        settings = self.paths.settings.with_values(**options.settings) if options.settings else self.paths.settings
        return replace(self, paths=replace(self.paths, settings=settings), options=options)

    def observe(self, until: Iterable[str] = ORDER) -> ObservedState:
        """Everything observed now that the steps of `until` rest on."""
        from odpm_tasks.planning import observe

        return observe.observe(self.paths, tuple(until), self.options)

    def plan(self, until: Iterable[str] = ORDER, *, refresh: bool = False) -> Plan:
        """What bringing this checkout to its description would do. Changes nothing, in the cache neither; uses no network.

        `refresh`: servers are asked for what lock and cache cannot tell, which fills the cache and changes nothing else.
        """
        asked = tuple(until)
        queries = self._prefetch(asked)
        from odpm_tasks.planning import converge

        return converge.plan(self.paths, asked, self.options, queries, refresh=refresh)

    def resolve(self, *, update: bool = False, only: Sequence[str] = ()) -> Resolution:
        """The graph of repositories at its pins, asking servers for what is not pinned or not in the cache, and registries
        for the digests of base images.

        `update`: pins do not count and branches are asked for their tips; of the repositories in `only`, where given.
        """
        from odpm_tasks.locking import resolve as resolving

        return resolving.resolve_with_images(self.paths, self.observe(LOCKING), fresh=update, only=only)

    def write_lock(self, resolved: Resolution, *, fresh_python: bool = False) -> tuple[str, ...]:
        """Write both kinds of locks for a graph; return what changed in the repositories' one."""
        from odpm_tasks.planning import lock as locking

        with self.exclusive():
            return locking.write(self.paths, self.options, resolved, fresh_python=fresh_python)

    def check_lock(self) -> None:
        """See that the lock is there, complete, current and not contradicted. Errors: LockError, as server and ci have it."""
        from odpm_tasks.planning import lock as locking

        locking.check(self.paths, self.options)

    def sync_manifest_locks(self) -> bool:
        """Write the lock's pins into `locks` of odpm.json, every other byte kept; whether that changed anything.

        Errors: DescriptionError for the flat format, which has no such block.
        """
        from odpm_tasks.planning import lock as locking

        return locking.sync_manifest(self.paths)

    def apply(self, plan: Plan) -> tuple[Step, ...]:
        """Do what a plan announces. Returns what was done; errors as in `converge`."""
        return self.converge(dict.fromkeys(step.id for step in plan.steps)).steps

    def converge(self, until: Iterable[str] = ORDER, before: BeforeRound | None = None) -> RunResult:
        """Bring this checkout to its description, step by step, observing anew wherever a step rests on an earlier one.

        `before` is shown what was seen and the steps that come next, each time before any of them is done, and may refuse.
        Errors: whatever a step meets; ProgramError where after all of it something is left to do.
        """
        asked = tuple(until)
        with self.exclusive():
            queries = self._prefetch(asked)
            from odpm_tasks.planning import converge

            return converge.converge(self.paths, asked, self.options, before, queries)

    def _prefetch(self, until: Sequence[str]) -> prefetch.DockerQueries | None:
        """Questions to Docker, begun before what takes long to import is imported."""
        if set(until) <= set(PREPARING):
            return None
        return prefetch.prefetch(read_state(self.paths), self.options.database)

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the project: one run at a time. Errors: BusyError saying who holds it."""
        with files.exclusive(self.paths.odpm / "run.lock", "this project"):
            files.remove_temporary_files(self.root, (COMPOSE_FILE, "odpm.json"))
            for folder in (self.paths.odpm, self.paths.odpm / "build", *self.paths.odpm.glob("secrets/*")):
                files.remove_temporary_files(folder)
            if not (self.paths.odpm / ".gitignore").exists():
                files.write(self.paths.odpm / ".gitignore", GITIGNORE.encode())
            yield


def _inside_sources(folder: Path) -> bool:
    parts = folder.parts
    return any(parts[i : i + 2] == (".odpm", "src") for i in range(len(parts) - 1))
