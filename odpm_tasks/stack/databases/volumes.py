"""The volumes of PostgreSQL on this machine, and the servers of an interrupted upgrade that may still use one."""

from __future__ import annotations

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import engine_volumes
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.compose_file import database_volume
from odpm_tasks.core.stack.database_volumes import DatabaseVolumes, database_volumes
from odpm_tasks.stack import compose

STOP_TIMEOUT = 600  # seconds; PostgreSQL writes everything to the disk before it ends


def find(paths: ProjectPaths, observed: RenderedState) -> DatabaseVolumes:
    """The volumes of PostgreSQL of the current scenario."""
    project, scenario = compose.compose_project(paths, observed.stack), observed.scenario.name
    names = engine_volumes.named(f"{project}_{database_volume(scenario, '')}")
    return database_volumes(project, scenario, observed.manifest, names)


def upgrade_containers(project: str) -> tuple[str, str]:
    """The names of the two servers that run during an upgrade: of the old version and of the new one."""
    return f"{project}-upgrade-old", f"{project}-upgrade-new"


def end_upgrade(project: str) -> bool:
    """Stop and remove the servers of an upgrade whose process was killed: two servers must not use one volume.

    Returns whether there were any; then databases of odpm in the old volume may accept connections.
    """
    names = upgrade_containers(project)
    left = bool({*docker.names_with_prefix(f"{project}-upgrade-")}.intersection(names))
    if left:
        command.run(["docker", "stop", f"--time={STOP_TIMEOUT}", *names], check=False)
        docker.remove_containers(names)
    return left
