"""The ports that the services publish: that nobody else has them, or others in their place (`--free-ports`)."""

from __future__ import annotations

from collections.abc import Iterator

from odpm_tasks.adapters import files, sockets, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.published_ports import Published, published_ports
from odpm_tasks.errors import MachineError
from odpm_tasks.project_files import chosen_ports, write_state
from odpm_tasks.sources import cache
from odpm_tasks.stack import compose


def require_free_ports(paths: ProjectPaths, observed: RenderedState) -> None:
    """See that nobody else has a port that we publish. Errors: MachineError naming the port and who has it."""
    for wanted, who in _taken(paths, observed):
        raise _in_use(paths, wanted, who)


def choose_free_ports(paths: ProjectPaths, observed: RenderedState) -> ProjectPaths:
    """Choose a free port for each that is taken, remember it, and return the place whose settings have it.

    What is free stays, and so does what was chosen before. No port that another project has chosen is taken.
    Errors: MachineError where the user named a port that is taken, or no variable would move it.
    """
    with files.exclusive(paths.cache / "ports.lock", "the ports of this machine", wait=60):
        taken = list(_taken(paths, observed))
        chosen = chosen_ports(paths)
        text = observed.rendered.compose.decode()
        avoided = {wanted.port for wanted in published_ports(text, paths.settings.get)} | _of_others(paths)
        told: list[tuple[str, str]] = []
        for wanted, who in taken:
            if wanted.variable is None or paths.settings.is_set(wanted.variable):
                raise _in_use(paths, wanted, who)
            if wanted.variable in dict(told):
                continue
            port = sockets.free_port(wanted.port + 1, wanted.address, avoided)
            avoided.add(port)
            chosen[wanted.variable] = str(port)
            told.append((wanted.variable, f"{wanted.variable}={port}: port {wanted.port} is in use by {who}"))
        if told:
            write_state(paths, ports=chosen)
    for _, words in told:
        terminal.message(f"  {words}")
    return ProjectPaths(paths.root, paths.cache, paths.settings.with_chosen_ports(chosen)) if told else paths


def _taken(paths: ProjectPaths, observed: RenderedState) -> Iterator[tuple[Published, str]]:
    """The ports that somebody else has, with who; those of our own running containers are ours."""
    found = docker.containers(compose.compose_project(paths, observed.stack))
    ours = {c.id for c in found if c.state == "running"}
    text = observed.rendered.compose.decode()
    for wanted in published_ports(text, paths.settings.get):
        if not sockets.in_use(wanted.port, wanted.address) or (ours and docker.publishes(ours, wanted.port)):
            continue
        yield wanted, docker.publisher(wanted.port) or sockets.owner(wanted.port) or "another program"


def _in_use(paths: ProjectPaths, wanted: Published, who: str) -> MachineError:
    free = sockets.free_port(wanted.port + 1, wanted.address)
    if wanted.variable is None:
        where, todo = f"odpm.json: services.{wanted.service}.ports", f"choose another one, {free} is free"
    else:
        where, todo = paths.settings.where(wanted.variable), f"choose another one in .env: {wanted.variable}={free}"
        if not paths.settings.is_set(wanted.variable):
            todo = f"inv up --free-ports picks others; or {todo}"
    return MachineError(f"port {wanted.port} is in use by {who}", where=where, todo=todo)


def _of_others(paths: ProjectPaths) -> set[int]:
    """The ports that other projects of this machine have chosen: they want them back, running or not."""
    others = [ProjectPaths(root, paths.cache, paths.settings) for root in cache.roots(paths) if root != paths.root]
    return {int(port) for other in others for port in chosen_ports(other).values()}
