"""Bringing the services to what the description says, and the database into being."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks import running
from odpm_tasks.adapters import command, docker, listeners, terminal
from odpm_tasks.core.compose import published_ports
from odpm_tasks.core.place import Place
from odpm_tasks.credentials import passwords
from odpm_tasks.errors import DescriptionError, MachineError, ProgramError
from odpm_tasks.observe import Sight
from odpm_tasks.state import remember

PATIENCE = 600.0
_LOOK_EVERY = 0.25


def up(place: Place, sight: Sight) -> None:
    """Start or change the services, wait until each is healthy, and record what is running."""
    docker.demand()
    assert sight.stack is not None
    assert sight.world.rendered is not None
    project = running.compose_project(place, sight.stack)
    before = docker.containers(project)
    _same_checkout(place, project, before)
    _ports_are_free(place, sight, before)
    env = running.compose_env(place)
    text = sight.world.rendered.files["docker-compose.yml"]
    with terminal.activity() as show:
        outcome = docker.compose_live(
            place.root, env, lambda line: show.note("compose", line), "up", "--detach", "--remove-orphans", "--no-build"
        )
        if not outcome.ok:
            _explain(place, project, outcome)
        started = wait_until_healthy(place, project, show)
    remember(
        place,
        up={
            "digest": running.services_digest(place, text),
            "containers": {c.service: c.id for c in started},
            "finished": sorted(c.service for c in started if c.state != "running"),
        },
    )


def _same_checkout(place: Place, project: str, found: Sequence[docker.Container]) -> None:
    """Two checkouts with one project name would fight over the same containers. Errors: DescriptionError."""
    for container in found:
        other = container.folder
        if other and other != str(place.root) and container.state == "running" and Path(other).is_dir():
            raise DescriptionError(
                f"the containers of {project} belong to another checkout",
                where=other,
                todo="inv down there, or give this one a name of its own in .env: ODPM_COMPOSE_PREFIX="
                + project
                + "-2",
            )


def _ports_are_free(place: Place, sight: Sight, found: Sequence[docker.Container]) -> None:
    """See that nobody else has the ports we publish. Errors: MachineError naming the port and who has it."""
    assert sight.world.rendered is not None
    text = sight.world.rendered.files["docker-compose.yml"].decode()
    ours = {c.id for c in found if c.state == "running"}
    for wanted in published_ports(text, place.settings.get):
        if not listeners.busy(wanted.port) or (ours and docker.publishes(ours, wanted.port)):
            continue
        who = docker.publisher(wanted.port) or listeners.holder(wanted.port) or "another program"
        free = listeners.free_port(wanted.port + 1)
        raise MachineError(
            f"port {wanted.port} is in use by {who}",
            where=place.settings.where(wanted.variable)
            if wanted.variable
            else f"odpm.json: services.{wanted.service}.ports",
            todo=f"choose another one in .env: {wanted.variable}={free}"
            if wanted.variable
            else f"choose another one, {free} is free",
        )


def wait_until_healthy(place: Place, project: str, show: terminal.Activity) -> tuple[docker.Container, ...]:
    """Wait for every service to be up, healthy where it says so, or finished without error. Errors: ProgramError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [c for c in docker.containers(project) if not c.oneoff]
        waiting = []
        for container in found:
            if container.state in {"exited", "dead"}:
                if code := docker.exit_code(container.id):
                    raise _broken(place, container, f"ended with code {code}")
            elif container.health == "unhealthy" or container.state == "restarting":
                raise _broken(place, container, "is restarting" if container.state == "restarting" else "is unhealthy")
            elif container.state != "running" or container.health == "starting":
                waiting.append(container)
                show.note(container.service, container.health or container.state)
            else:
                show.done(container.service)
        if found and not waiting:
            return tuple(found)
        if time.monotonic() > deadline:
            raise _broken(place, waiting[0] if waiting else None, f"is not healthy after {PATIENCE:.0f} s")
        time.sleep(_LOOK_EVERY)


def _broken(place: Place, container: docker.Container | None, how: str) -> ProgramError:
    service = container.service if container else "no service"
    details = docker.last_lines(container.id, passwords(place)) if container else ()
    return ProgramError(f"{service} {how}", details=details[-3:], todo=f"inv logs --service {service}")


def _explain(place: Place, project: str, outcome: command.Outcome) -> None:
    """Turn a failed `docker compose up` into the error that says what to do."""
    said = outcome.stderr.decode(errors="replace")
    if docker.is_unreachable(outcome):
        raise docker.unreachable(outcome)
    if "port is already allocated" in said or "address already in use" in said:
        raise MachineError(
            "a port that the services publish is in use",
            details=outcome.tail()[-1:],
            todo="choose another one in .env, or inv down the other project",
        )
    for container in docker.containers(project):
        if container.health == "unhealthy" or (
            container.state == "exited" and not container.oneoff and docker.exit_code(container.id)
        ):
            raise _broken(place, container, "does not start")
    raise command.failure(outcome)


def container(place: Place, sight: Sight, service: str) -> docker.Container:
    assert sight.stack is not None
    project = running.compose_project(place, sight.stack)
    for found in docker.containers(project):
        if found.service == service and found.state == "running" and not found.oneoff:
            return found
    raise ProgramError(f"{service} is not running", todo="start it: inv up")
