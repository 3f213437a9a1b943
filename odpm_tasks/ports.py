"""The ports that the services publish: that nobody else has them, or others in their place (`--free-ports`)."""

from __future__ import annotations

from collections.abc import Iterator

from odpm_tasks import cache, running
from odpm_tasks.adapters import docker, files, listeners, terminal
from odpm_tasks.core.place import Place
from odpm_tasks.core.ports import Published, published_ports
from odpm_tasks.errors import MachineError
from odpm_tasks.observe import Sight
from odpm_tasks.state import chosen_ports, remember


def demand_free(place: Place, sight: Sight) -> None:
    """See that nobody else has a port that we publish. Errors: MachineError naming the port and who has it."""
    for wanted, who in _taken(place, sight):
        raise _in_use(place, wanted, who)


def settle(place: Place, sight: Sight) -> Place:
    """Choose a free port for each that is taken, remember it, and return the place whose settings have it.

    What is free stays, and so does what was chosen before. No port that another project has chosen is taken.
    Errors: MachineError where the user named a port that is taken, or no variable would move it.
    """
    with files.exclusive(place.cache / "ports.lock", "the ports of this machine", wait=60):
        taken = list(_taken(place, sight))
        chosen = chosen_ports(place)
        assert sight.world.rendered is not None
        text = sight.world.rendered.files["docker-compose.yml"].decode()
        avoided = {wanted.port for wanted in published_ports(text, place.settings.get)} | _of_others(place)
        told: list[tuple[str, str]] = []
        for wanted, who in taken:
            if wanted.variable is None or place.settings.named(wanted.variable):
                raise _in_use(place, wanted, who)
            if wanted.variable in dict(told):
                continue
            port = listeners.free_port(wanted.port + 1, wanted.address, avoided)
            avoided.add(port)
            chosen[wanted.variable] = str(port)
            told.append((wanted.variable, f"{wanted.variable}={port}: port {wanted.port} is in use by {who}"))
        if told:
            remember(place, ports=chosen)
    for _, words in told:
        terminal.say(f"  {words}")
    return Place(place.root, place.cache, place.settings.with_chosen(chosen)) if told else place


def _taken(place: Place, sight: Sight) -> Iterator[tuple[Published, str]]:
    """The ports that somebody else has, with who; those of our own running containers are ours."""
    assert sight.world.rendered is not None
    assert sight.stack is not None
    found = docker.containers(running.compose_project(place, sight.stack))
    ours = {c.id for c in found if c.state == "running"}
    text = sight.world.rendered.files["docker-compose.yml"].decode()
    for wanted in published_ports(text, place.settings.get):
        if not listeners.busy(wanted.port, wanted.address) or (ours and docker.publishes(ours, wanted.port)):
            continue
        yield wanted, docker.publisher(wanted.port) or listeners.holder(wanted.port) or "another program"


def _in_use(place: Place, wanted: Published, who: str) -> MachineError:
    free = listeners.free_port(wanted.port + 1, wanted.address)
    if wanted.variable is None:
        where, todo = f"odpm.json: services.{wanted.service}.ports", f"choose another one, {free} is free"
    else:
        where, todo = place.settings.where(wanted.variable), f"choose another one in .env: {wanted.variable}={free}"
        if not place.settings.named(wanted.variable):
            todo = f"inv up --free-ports picks others; or {todo}"
    return MachineError(f"port {wanted.port} is in use by {who}", where=where, todo=todo)


def _of_others(place: Place) -> set[int]:
    """The ports that other projects of this machine have chosen: they want them back, running or not."""
    others = [Place(root, place.cache, place.settings) for root in cache.roots(place) if root != place.root]
    return {int(port) for other in others for port in chosen_ports(other).values()}
