"""The ports that the services publish: check that they are free, or choose others (`--free-ports`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from odpm_tasks.adapters import files, sockets, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.published_ports import Published, published_port, published_ports
from odpm_tasks.errors import MachineError
from odpm_tasks.project_state import chosen_ports, write_state
from odpm_tasks.sources import cache
from odpm_tasks.stack import compose


def in_use_error(
    paths: ProjectPaths, observed: RenderedState, containers: Sequence[docker.Container]
) -> MachineError | None:
    """The error that names every published port that another program uses, and that program; None if all are free."""
    busy = list(_ports_in_use(paths, observed, containers))
    if len(busy) < 2:
        return _in_use(paths, *busy[0]) if busy else None
    by_user: dict[str, list[str]] = {}
    choices, excluded = [], {port.port for port, _ in busy}
    for port, user in busy:
        name = port.variable or f"services.{port.service}.ports of odpm.json"
        by_user.setdefault(user, []).append(f"{port.port} ({name})")
        free = sockets.free_port(port.port + 1, port.address, excluded)
        excluded.add(free)
        choices += [f"{port.variable}={free}"] if port.variable else []
    free_ports = all(port.variable and not paths.settings.is_set(port.variable) for port, _ in busy)
    return MachineError(
        f"ports {', '.join(str(port.port) for port, _ in busy)} are in use",
        details=[f"{', '.join(names)} by {user}" for user, names in by_user.items()],
        todo=("inv up --free-ports chooses others; or " if free_ports else "")
        + (f"choose others in .env: {' '.join(choices)}" if choices else "choose others in odpm.json"),
    )


def keep_published(paths: ProjectPaths, observed: RenderedState, *, record: bool) -> ProjectPaths:
    """Where the record of the last run is gone (`git clean`), keep the ports that the running containers publish.

    Returns the paths with settings that contain them; the same paths where nothing differs.
    """
    if "up" in observed.recorded:
        return paths
    running = [c for c in docker.containers(compose.compose_project(paths, observed.stack)) if c.state == "running"]
    kept = chosen_ports(paths)
    for port in published_ports(observed.rendered.compose.decode(), paths.settings.get):
        if port.variable and port.inside and not paths.settings.is_set(port.variable):
            of_service = [text for c in running if c.service == port.service for text in c.ports]
            now = published_port(of_service, port.inside)
            if now not in {"", str(port.port)}:
                kept[port.variable] = now
    if kept == chosen_ports(paths):
        return paths
    if record:
        write_state(paths, ports=kept)
    return replace(paths, settings=paths.settings.with_chosen_ports(kept))


def choose_free_ports(paths: ProjectPaths, observed: RenderedState) -> ProjectPaths:
    """Choose a free port for each that is in use, record it, and return the paths with settings that contain it.

    Free ports and earlier choices stay. Ports that another project has chosen are not used.
    Errors: MachineError where the user set a port that is in use, or where no variable sets it.
    """
    with files.exclusive(paths.cache / "ports.lock", "the ports of this machine", wait=60):
        containers = docker.containers(compose.compose_project(paths, observed.stack))
        in_use = list(_ports_in_use(paths, observed, containers))
        chosen = chosen_ports(paths)
        text = observed.rendered.compose.decode()
        excluded = {port.port for port in published_ports(text, paths.settings.get)} | _ports_of_others(paths)
        messages: dict[str, str] = {}
        for port, user in in_use:
            if port.variable is None or paths.settings.is_set(port.variable):
                raise _in_use(paths, port, user)
            if port.variable in messages:
                continue
            free = sockets.free_port(port.port + 1, port.address, excluded)
            excluded.add(free)
            chosen[port.variable] = str(free)
            messages[port.variable] = f"{port.variable}={free}: port {port.port} is in use by {user}"
        if messages:
            write_state(paths, ports=chosen)
    for message in messages.values():
        terminal.message(f"  {message}")
    return replace(paths, settings=paths.settings.with_chosen_ports(chosen)) if messages else paths


def _ports_in_use(
    paths: ProjectPaths, observed: RenderedState, containers: Sequence[docker.Container]
) -> Iterator[tuple[Published, str]]:
    """The published ports that another program uses, each with its name; running containers of the project do not count."""
    ours = {c.id for c in containers if c.state == "running"}
    for port in published_ports(observed.rendered.compose.decode(), paths.settings.get):
        if not sockets.in_use(port.port, port.address) or (ours and docker.publishes(ours, port.port)):
            continue
        yield port, docker.publisher(port.port) or sockets.owner(port.port) or "another program"


def _in_use(paths: ProjectPaths, port: Published, user: str) -> MachineError:
    free = sockets.free_port(port.port + 1, port.address)
    if port.variable is None:
        where, todo = f"odpm.json: services.{port.service}.ports", f"choose another one, {free} is free"
    else:
        where, todo = paths.settings.where(port.variable), f"choose another one in .env: {port.variable}={free}"
        if not paths.settings.is_set(port.variable):
            todo = f"inv up --free-ports chooses others; or {todo}"
    return MachineError(f"port {port.port} is in use by {user}", where=where, todo=todo)


def _ports_of_others(paths: ProjectPaths) -> set[int]:
    """The ports that other projects of this machine have chosen; reserved even while those projects do not run."""
    others = [ProjectPaths(root, paths.cache, paths.settings) for root in cache.roots(paths) if root != paths.root]
    return {int(port) for other in others for port in chosen_ports(other).values()}
