"""What Docker says of a project: its image, its services, its database. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from odpm_tasks.adapters import command, docker, files, git
from odpm_tasks.core.place import Place
from odpm_tasks.core.render import Stack, render
from odpm_tasks.core.substitution import references
from odpm_tasks.core.world import Running, World
from odpm_tasks.errors import MachineError


def compose_project(place: Place, whole: Stack) -> str:
    """The name that Compose gives the project's containers."""
    return place.settings.get("ODPM_COMPOSE_PREFIX") or whole.name


def compose_env(place: Place) -> dict[str, str]:
    """What Compose is handed: every layer's values, and the user that Odoo's files belong to."""
    owner = place.root.stat()
    uid, gid = (owner.st_uid, owner.st_gid) if owner.st_uid else (1000, 1000)
    return {"ODPM_UID": str(uid), "ODPM_GID": str(gid), **place.settings.merged()}


def services_digest(place: Place, text: bytes) -> str:
    """What the running services depend on: the compose file and the value of each variable it names."""
    env = compose_env(place)
    named = sorted({reference.name for reference in references(text.decode())})
    values = "".join(f"{variable}={env.get(variable, '')}\n" for variable in named)
    return files.sha256(text + b"\0" + values.encode())


def look(place: Place, world: World, whole: Stack, recorded: dict[str, Any]) -> Running:
    """What Docker says of image, services and database."""
    assert world.rendered is not None
    if not command.have("docker"):
        return Running(problem="docker is not installed")
    project = compose_project(place, whole)
    try:
        with ThreadPoolExecutor(2) as pool:
            image, found = (
                pool.submit(image_is_current, place, whole, world.image),
                pool.submit(docker.containers, project),
            )
            there, containers = image.result(), found.result()
    except MachineError as error:
        return Running(problem=error.what)
    services, detail = _services(place, world, containers, recorded)
    database = next((c for c in containers if c.service == "db" and not c.oneoff and c.state == "running"), None)
    condition = database_state(database.id, world.database) if database and services == "running" else "unknown"
    return Running(there, services, detail, condition)  # type: ignore[arg-type]


def image_is_current(place: Place, whole: Stack, tag: str) -> bool:
    """Whether the image is there; a baked one must also say that it was made from the inputs of now."""
    if place.settings.scenario.mounts:
        return docker.image_exists(tag)
    return docker.image_label(tag, "odpm.inputs") == baked_digest(place, whole)


def baked_digest(place: Place, whole: Stack) -> str:
    """What an image with sources is made from: every generated file, the Python locks, every commit, our own content."""
    rendered = render(whole)
    parts = [data for path, data in sorted(rendered.files.items()) if path != "docker-compose.yml"]
    parts += [*whole.locks, *(f"{s.name} {s.commit}".encode() for s in whole.resolution.sources)]
    parts += [git.folder_id(place.root, folder).encode() for folder in whole.own.addons]
    return files.sha256(b"\0".join(parts))[:32]


def _services(
    place: Place, world: World, containers: Sequence[docker.Container], recorded: dict[str, Any]
) -> tuple[str, str]:
    assert world.rendered is not None
    lasting = [c for c in containers if not c.oneoff]
    if not any(c.state == "running" for c in lasting):
        return "absent", "start db, odoo" + "".join(f", {extra}" for extra in world.manifest.services)
    up = recorded.get("up", {})
    if up.get("digest") != services_digest(place, world.rendered.files["docker-compose.yml"]):
        return "changed", "bring the services to the new description"
    by_id = {c.id: c for c in lasting}
    for service, identity in sorted(up.get("containers", {}).items()):
        container = by_id.get(identity)
        if container is None:
            return "changed", f"{service} is not the container of the last run"
        if container.state != "running" and service not in up.get("finished", []):
            return "changed", f"{service} is {container.state}"
        if container.health == "unhealthy":
            return "changed", f"{service} is unhealthy"
    return "running", ", ".join(sorted(up.get("containers", {})))


UNFINISHED = "odpm: creating"


def database_state(container: str, database: str) -> str:
    """Whether a database is there and finished: `absent`, `unfinished` (interrupted, or empty) or `ready`."""
    query = (
        "SELECT to_regclass('ir_module_module') IS NOT NULL, coalesce(shobj_description(oid, 'pg_database'), '') "
        "FROM pg_database WHERE datname = current_database()"
    )
    outcome = docker.execute(container, "psql", "-U", "postgres", "-d", database, "-Atc", query)
    if not outcome.ok:
        return "absent" if b"does not exist" in outcome.stderr else "unknown"
    initialised, _, comment = outcome.text.strip().partition("|")
    return "ready" if initialised == "t" and comment != UNFINISHED else "unfinished"
