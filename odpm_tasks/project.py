"""A project on this machine: the object that tasks use, those of this library and a project's own.

Modules that observe and act are imported where they are used, while Docker queries already run.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from odpm_tasks import project_files
from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import COMPOSE_FILE, GITIGNORE, MANIFEST_FILE, ProjectPaths
from odpm_tasks.core.config.settings import ENVIRONMENT, Layer, Settings
from odpm_tasks.core.planning.options import DEFAULTS, RunOptions
from odpm_tasks.core.planning.steps import ORDER, PREPARING
from odpm_tasks.errors import DescriptionError, MachineError
from odpm_tasks.project_files import env_file
from odpm_tasks.project_state import chosen_ports, read_state, remembered_switches

if TYPE_CHECKING:
    from odpm_tasks.core.config.scenario import Scenario
    from odpm_tasks.core.locking.graph import Resolution
    from odpm_tasks.core.locking.lockfile import Lock
    from odpm_tasks.core.manifest.model import Manifest
    from odpm_tasks.core.odoo.addon_checks import AddonFindings
    from odpm_tasks.core.planning.observed import ObservedState
    from odpm_tasks.core.planning.steps import Plan, Step
    from odpm_tasks.planning.converge import BeforeRound, RunResult
    from odpm_tasks.planning.lock import WrittenLock
    from odpm_tasks.stack.prefetch import DockerQueries

LOCK_WAIT = 24 * 3600.0  # seconds
__all__ = ["ORDER", "PREPARING", "Project", "RunOptions"]


@dataclass(frozen=True)
class Project:
    """One checkout of a project; `Project.find()` is the one of the current folder.

    `manifest`, `lock` and `plan` change nothing. `write_lock`, `apply` and `converge` hold the project's lock; use
    `exclusive()` around several calls that belong together.
    """

    paths: ProjectPaths
    options: RunOptions = DEFAULTS

    @classmethod
    def find(cls, start: Path | None = None, **settings: str) -> Project:
        """The project of a folder: the nearest parent with `odpm.json`, except checkouts of sources.

        `settings` override every layer of the environment. Errors: DescriptionError where there is none.
        """
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / MANIFEST_FILE).exists() and not _inside_sources(folder):
                return cls.at(folder, **settings)
        raise DescriptionError(
            "there is no odpm.json",
            where=f"{here} and the folders above",
            todo="change to a project, or create one here: python -m odpm_tasks init",
        )

    @classmethod
    def at(cls, root: Path, **settings: str) -> Project:
        """The project of exactly this folder."""
        import platformdirs

        layers = Settings(
            (
                Layer(ENVIRONMENT, dict(os.environ)),
                Layer(".env", env_file(root / ".env")),
                Layer("~/.odpm/.env", env_file(files.home() / ".odpm" / ".env")),
            )
        )
        chosen = layers.with_values(**settings) if settings else layers
        cache = chosen.get("ODPM_CACHE_DIR")
        if not (cache or files.home() != files.NO_HOME or os.environ.get("XDG_CACHE_HOME")):
            raise MachineError(
                "there is no folder for the cache: HOME is not set, and the system does not know this user",
                todo="set HOME or ODPM_CACHE_DIR, for example: ODPM_CACHE_DIR=/var/cache/odpm inv plan",
            )
        folder = root / Path(cache).expanduser() if cache else platformdirs.user_cache_path("odpm")
        paths = ProjectPaths(root, folder, chosen)
        kept = chosen.with_switches(remembered_switches(paths)).with_chosen_ports(chosen_ports(paths))
        return cls(replace(paths, settings=kept))

    @property
    def root(self) -> Path:
        return self.paths.root

    @property
    def scenario(self) -> Scenario:
        """The scenario of the settings. Errors: DescriptionError for an unknown one."""
        return self.paths.settings.scenario

    @property
    def manifest(self) -> Manifest:
        """The description with the scenario's overlay. Errors: DescriptionError with every problem."""
        return project_files.description(self.paths)[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about the description. Errors: as `manifest`."""
        return project_files.description(self.paths)[1]

    @property
    def lock(self) -> Lock | None:
        """The lock on disk; None where there is none. Errors: LockError where it cannot be read."""
        return project_files.lock(self.paths)

    def with_options(self, options: RunOptions) -> Project:
        """The same project for a run with these options."""
        settings = self.paths.settings.with_values(**options.settings) if options.settings else self.paths.settings
        return replace(self, paths=replace(self.paths, settings=settings), options=options)

    def observe(self, until: Iterable[str] = ORDER) -> ObservedState:
        """The current state of everything that the steps of `until` depend on."""
        from odpm_tasks.planning import observe

        return observe.observe(self.paths, tuple(until), self.options)

    def plan(self, until: Iterable[str] = ORDER, *, refresh: bool = False) -> Plan:
        """The steps that a run would perform. Changes nothing, not even the cache; makes no network request.

        `refresh`: query servers for what lock and cache do not contain; this fills the cache and changes nothing else.
        """
        step_ids = tuple(until)
        queries = self._prefetch(step_ids)
        from odpm_tasks.planning import converge

        return converge.plan(self.paths, step_ids, self.options, queries, refresh=refresh)

    def resolve(self, *, update: bool = False, only: Sequence[str] = ()) -> Resolution:
        """The graph of repositories at its pins. Queries git servers for what is not pinned or not in the cache, and
        registries for the digests of base images.

        `update`: ignore the pins and take the newest commits; of the repositories in `only`, if given. The current graph is
        not read: a pin that is refused must not prevent its update.
        """
        from odpm_tasks.locking import resolve as resolving
        from odpm_tasks.planning import observe

        described = observe.describe(self.paths, self.options)
        return resolving.resolve_with_images(self.paths, described, fresh=update, only=only)

    def write_lock(
        self, resolved: Resolution, *, fresh_python: bool = False, packages: Collection[str] = ()
    ) -> WrittenLock:
        """Write the lock of the repositories and the Python locks; return what changed and the warnings of the stack.

        `fresh_python`: with the newest versions of all packages. `packages`: names of packages from git to move.
        """
        from odpm_tasks.planning import lock as locking

        with self.exclusive():
            return locking.write(self.paths, self.options, resolved, fresh_python=fresh_python, packages=packages)

    def check_lock(self) -> None:
        """Check that the lock exists, is complete, current and consistent. Errors: LockError, as in server and ci."""
        from odpm_tasks.planning import lock as locking

        locking.check(self.paths, self.options)

    def check_addons(self, *, ask_index: bool = False) -> AddonFindings | None:
        """Check that every add-on the project needs exists; None where pins and cache do not give all repositories.

        `ask_index`: query the package index for the repositories of missing add-ons, once. Errors: DescriptionError for a
        description that cannot be resolved.
        """
        from odpm_tasks.planning import addons

        return addons.check(self.paths, self.options, ask_index=ask_index)

    def sync_manifest_locks(self) -> bool:
        """Write the lock's pins into `locks` of odpm.json; every other byte is kept. Returns whether the file changed.

        Errors: DescriptionError for the flat format, which has no such block; LockError where there is no lock.
        """
        from odpm_tasks.planning import lock as locking

        return locking.sync_manifest(self.paths)

    def apply(self, plan: Plan) -> tuple[Step, ...]:
        """Perform the steps of a plan. Returns the steps that were performed; errors as in `converge`."""
        return self.converge(dict.fromkeys(step.id for step in plan.steps)).steps

    def converge(self, until: Iterable[str] = ORDER, before: BeforeRound | None = None) -> RunResult:
        """Observe, plan and perform steps, in rounds, until the checkout is as described.

        `before` gets the observed state and the next steps before each round; it may raise an error to stop the run.
        Errors: those of the steps; ProgramError where steps are still pending after the run.
        """
        step_ids = tuple(until)
        with self.exclusive():
            queries = self._prefetch(step_ids)
            from odpm_tasks.planning import converge

            return converge.converge(self.paths, step_ids, self.options, before, queries)

    def _prefetch(self, until: Sequence[str]) -> DockerQueries | None:
        """Docker queries, started before slow imports."""
        if set(until) <= set(PREPARING):
            return None
        from odpm_tasks.stack import prefetch

        return prefetch.prefetch(read_state(self.paths), self.options.database)

    @contextlib.contextmanager
    def exclusive(self, *, wait: bool = False) -> Iterator[None]:
        """Hold the project's lock: one run at a time. Errors: BusyError naming the process that holds it.

        `wait`: name it and wait until it ends.
        """
        with files.exclusive(self.paths.odpm / "run.lock", "this project", wait=LOCK_WAIT if wait else 0):
            files.remove_temporary_files(self.root, (COMPOSE_FILE, MANIFEST_FILE))
            for folder in (self.paths.odpm, self.paths.odpm / "build", *self.paths.odpm.glob("secrets/*")):
                files.remove_temporary_files(folder)
            if not (self.paths.odpm / ".gitignore").exists():
                files.write(self.paths.odpm / ".gitignore", GITIGNORE.encode())
            yield


def _inside_sources(folder: Path) -> bool:
    parts = folder.parts
    return any(parts[i : i + 2] in {(".odpm", "src"), (".odpm", "releases")} for i in range(len(parts) - 1))
