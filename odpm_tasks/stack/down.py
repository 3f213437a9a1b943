"""Stop a project and remove parts of it: containers, the volumes of a scenario, or everything (`down`)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from odpm_tasks.adapters import files
from odpm_tasks.adapters.docker import compose_cli, engine_volumes
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import BUILD_FOLDER, COMPOSE_FILE, DEPLOYMENT_FILE, RELEASES, STATE_FILE, ProjectPaths
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.databases.sql import VISIBLE
from odpm_tasks.core.stack.compose_file import database_volume
from odpm_tasks.errors import DescriptionError, UsageError
from odpm_tasks.project_files import description
from odpm_tasks.project_state import read_state
from odpm_tasks.sources.project_names import compose_name
from odpm_tasks.stack import compose
from odpm_tasks.stack.databases.psql import execute

_OURS = (COMPOSE_FILE, STATE_FILE, BUILD_FOLDER, RELEASES, DEPLOYMENT_FILE, ".odpm/secrets", ".odpm/logs")


@dataclass(frozen=True)
class Removal:
    """What `down` removes besides containers: volumes, files of the project; `databases`: those that are known to be in them.

    `containers`: whether there is one, also a stopped one.
    """

    project: str
    containers: bool = True
    volumes: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    databases: tuple[str, ...] = ()

    @property
    def texts(self) -> tuple[str, ...]:
        """A line for each kind of thing."""
        databases = f" with the databases {', '.join(self.databases)}" if self.databases else ""
        lines = [f"volumes   {', '.join(self.volumes)}{databases}"] if self.volumes else []
        return (*lines, *([f"files     {', '.join(self.files)}"] if self.files else []))

    def result(self, *, data: bool) -> str:
        """What was removed. `data`: the volumes were to be removed, too."""
        parts = (("containers", self.containers), ("volumes", self.volumes), ("generated files", self.files))
        removed = [name for name, there in parts if there]
        kept = "" if data else "; the database is kept"
        if not removed:
            return f"{self.project} has no containers" + (" and no volumes" if data else kept)
        return f"{' and '.join(removed)} of {self.project} removed{kept}".replace(" and ", ", ", len(removed) - 2)


def _project(paths: ProjectPaths) -> str:
    """The name of the project: by the description, where that is invalid by the compose file. Errors: DescriptionError."""
    try:
        return compose_name(paths, description(paths)[0])
    except DescriptionError:
        if not paths.compose.exists():
            raise
        return compose.command_line(paths).name


def removal(paths: ProjectPaths, *, volumes: bool, purge: bool) -> Removal:
    """What is removed. `volumes`: those of the current scenario; `purge`: everything of the project but sources and backups.

    Errors: UsageError where services of another scenario run, MachineError where the engine does not answer.
    """
    scenario = paths.settings.scenario.name
    project = _project(paths)
    docker.require()
    containers = docker.containers(project)
    if not (volumes or purge):
        return Removal(project, bool(containers))
    running = [c for c in containers if c.state == "running" and not c.oneoff]
    last = read_state(paths).get("scenario", scenario)
    if volumes and not purge and running and last != scenario:
        raise UsageError(
            f"the services of {last} are running, and down --volumes of {scenario} would stop them",
            where=paths.settings.where("ODPM_SCENARIO"),
            todo=f"ODPM_SCENARIO={last} inv down, then this command again",
        )
    found = engine_volumes.of_project(project)
    if not purge:
        others = tuple(
            begin
            for name in SCENARIOS
            if name != scenario
            for begin in (
                f"{project}_{database_volume(name, '')}",
                f"{project}_odoo-{name}",
                f"{project}_backup-{name}",
            )
        )
        found = tuple(name for name in found if not name.startswith(others))
    existing = tuple(path for path in _OURS if (paths.root / path).exists()) if purge else ()
    return Removal(project, bool(containers), found, existing, _databases(running, paths) if found else ())


def _databases(running: Sequence[docker.Container], paths: ProjectPaths) -> tuple[str, ...]:
    """The databases in PostgreSQL; where it does not run, the one of the last run."""
    server = next((c for c in running if c.service == "db"), None)
    if server is not None:
        outcome = execute(server.id, VISIBLE, "postgres")
        if outcome.ok:
            return tuple(outcome.text.split("\n")[:-1])
    last = read_state(paths).get("up", {}).get("database")
    return (last,) if last else ()


def down(paths: ProjectPaths, what: Removal) -> None:
    """Remove the containers and networks of the project, and then `what`. Works without a generated compose file."""
    described = paths.compose.exists()
    called = compose.command_line(paths)
    # containers of every profile: one may have been active when they were started
    called = replace(called, name=what.project, described=described, env={**called.env, "COMPOSE_PROFILES": "*"})
    compose_cli.run(called, "down", "--remove-orphans")
    engine_volumes.remove(what.volumes)
    for path in what.files:
        target = paths.root / path
        if target.is_dir() and not target.is_symlink():
            with files.disk_errors(target):
                shutil.rmtree(target)
        else:
            files.remove(target)
