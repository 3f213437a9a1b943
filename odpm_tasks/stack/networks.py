"""The network that a project's services join: its own, or one that other projects share."""

from __future__ import annotations

from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.errors import DescriptionError, MachineError
from odpm_tasks.stack import compose

NAME, EXTERNAL = "ODPM_COMPOSE_NETWORK", "ODPM_COMPOSE_NETWORK_EXTERNAL"


def require(paths: ProjectPaths, stack: Stack) -> None:
    """Check that a shared network exists and that the project's own network does not belong to another project.

    Errors: DescriptionError where the settings contradict each other or the engine, MachineError where it is missing.
    """
    settings, name = paths.settings, paths.settings.get(NAME)
    if settings.external_network and not name:
        raise DescriptionError(
            f"{EXTERNAL} is set, but no network is named", where=settings.where(EXTERNAL), todo=f"{NAME}=NAME in .env"
        )
    if not name:
        return
    owner = docker.network_owner(name)
    if settings.external_network and owner is None:
        raise MachineError(
            f"there is no network {name}", where=settings.where(NAME), todo=f"docker network create {name}"
        )
    if not settings.external_network and owner not in {None, compose.compose_project(paths, stack)}:
        raise DescriptionError(
            f"the network {name} is " + (f"the one of the project {owner}" if owner else "not created by this project"),
            where=settings.where(NAME),
            todo=f"to join it: {EXTERNAL}=true in .env",
        )
