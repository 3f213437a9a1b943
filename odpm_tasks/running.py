"""What Docker says of a project: its image, its services, its database. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odpm_tasks import engine
from odpm_tasks.adapters import command, docker, files, git
from odpm_tasks.adapters.fingerprint import fingerprint
from odpm_tasks.core.costs import (
    Cost,
    changed_inputs,
    container_changes,
    container_words,
    odoo_goes_down,
    service_parts,
)
from odpm_tasks.core.image_inputs import image_inputs
from odpm_tasks.core.place import Place
from odpm_tasks.core.render import Stack, render
from odpm_tasks.core.service_parts import Composed, composition
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
    given = place.settings.merged()
    if "ODPM_COMPOSE_NETWORK_EXTERNAL" in given:  # Compose knows two words for it
        given["ODPM_COMPOSE_NETWORK_EXTERNAL"] = str(place.settings.external_network).lower()
    return {"ODPM_UID": str(uid), "ODPM_GID": str(gid), **given}


def composed(place: Place, text: bytes) -> Composed:
    """What the services of a compose file are, with the variables that count here."""
    return composition(text.decode(), place.settings.get)


def contexts(place: Place, text: bytes) -> dict[str, str]:
    """Fingerprints of the folders that images of services are built from, by service; `.odpm` counts for nothing."""
    if b"build:" not in text:
        return {}
    folders = {service: place.root / folder for service, folder in composed(place, text).folders.items()}
    return {service: fingerprint(path, skip=(".odpm",)) for service, path in folders.items() if path.is_dir()}


def services_digest(place: Place, whole: Stack, text: bytes) -> str:
    """What the running services depend on: the compose file, the value of each variable it names, what is in the image."""
    env = compose_env(place)
    named = sorted({reference.name for reference in references(text.decode())} | {"COMPOSE_PROFILES"})
    values = "".join(f"{variable}={env.get(variable, '')}\n" for variable in named)
    built = "".join(f"{service} {mark}\n" for service, mark in sorted(contexts(place, text).items()))
    return files.sha256(text + b"\0" + values.encode() + built.encode() + baked(place, whole).encode())


def baked(place: Place, whole: Stack) -> str:
    """What an image is made from whose name does not tell; empty where it does."""
    return "" if whole.scenario.mounts else baked_digest(place, whole)


def parts(place: Place, whole: Stack, text: bytes) -> dict[str, dict[str, str]]:
    """What each service is made from, as digests: recorded, it tells which containers the next `up` makes anew."""
    return service_parts(text.decode(), compose_env(place).get, baked(place, whole), contexts(place, text))


def inputs(place: Place, whole: Stack) -> dict[str, str]:
    """What the image is made from, as digests: recorded, it tells why the next one is built."""
    mounted = whole.scenario.mounts
    own = "" if mounted else " ".join(git.folder_id(place.root, folder) for folder in whole.own.addons)
    return image_inputs(whole, own)


def look(
    place: Place, world: World, whole: Stack, recorded: dict[str, Any], asked: engine.Questions | None = None
) -> Running:
    """What Docker says of image, services and database; `asked` are questions that were begun already."""
    assert world.rendered is not None
    if not command.have("docker"):
        return Running(problem="docker is not installed")
    project, questions = compose_project(place, whole), asked or engine.Questions()
    made_from, found = engine.ask(questions, recorded, project, world.image, world.database)
    try:
        there, containers = image_is_current(place, whole, made_from.result()), found.result()
    except MachineError as error:
        return Running(problem=error.what)
    elsewhere = [c for c in containers if c.folder not in {"", str(place.root)} and Path(c.folder).is_dir()]
    if elsewhere:
        return Running(there, "absent", f"{project} runs from another checkout: {elsewhere[0].folder}")
    services, detail = _services(place, world, whole, containers, recorded)
    cost = Cost()
    if services != "running":
        cost = _bringing(place, whole, world.rendered.files["docker-compose.yml"], containers, recorded)
    building = Cost() if there else _building(place, whole, recorded)
    database = next((c for c in containers if c.service == "db" and not c.oneoff and c.state == "running"), None)
    condition = "unknown"
    if database and services == "running":
        condition = questions.begin(engine.database_state, database.id, world.database).result()
    acting = any(change.becomes != "leave" for change in cost.containers)
    words = container_words(cost) if acting else detail
    return Running(there, services, words, condition, "", building, cost)  # type: ignore[arg-type]


def _building(place: Place, whole: Stack, recorded: dict[str, Any]) -> Cost:
    """Why the image has to be built, as far as an earlier one is remembered, and how long that took."""
    scenario = whole.scenario.name
    before = recorded.get("images", {}).get(scenario, {})
    because = changed_inputs(before, inputs(place, whole)) if before else ()
    return Cost(because, recorded.get("took", {}).get(f"image {scenario}"))


def _bringing(
    place: Place, whole: Stack, text: bytes, containers: Sequence[docker.Container], recorded: dict[str, Any]
) -> Cost:
    """What becomes of each container. Nothing is said where containers are there and nothing is remembered of them."""
    lasting = [c for c in containers if not c.oneoff]
    before = recorded.get("up", {}).get("parts")
    if lasting and before is None:
        return Cost()
    finished = recorded.get("up", {}).get("finished", [])
    running = {c.service for c in lasting if c.state == "running" or c.service in finished}
    changes = container_changes(
        before or {}, parts(place, whole, text), running, {c.service for c in lasting} - running
    )
    down = odoo_goes_down(changes, running)
    seconds = recorded.get("took", {}).get("odoo down") if down else None
    return Cost((), seconds, changes, down)


def image_is_current(place: Place, whole: Stack, made_from: str | None) -> bool:
    """Whether the image is there, by its label; a baked one must have been made from the inputs of now."""
    return made_from is not None and (place.settings.scenario.mounts or made_from == baked_digest(place, whole))


def baked_digest(place: Place, whole: Stack) -> str:
    """What an image with sources is made from: every generated file, the Python locks, every commit, our own content."""
    rendered = render(whole)
    parts = [data for path, data in sorted(rendered.files.items()) if path != "docker-compose.yml"]
    parts += [*whole.locks, *(f"{s.name} {s.commit}".encode() for s in whole.resolution.sources)]
    parts += [git.folder_id(place.root, folder).encode() for folder in whole.own.addons]
    return files.sha256(b"\0".join(parts))[:32]


def _services(
    place: Place, world: World, whole: Stack, containers: Sequence[docker.Container], recorded: dict[str, Any]
) -> tuple[str, str]:
    assert world.rendered is not None
    lasting = [c for c in containers if not c.oneoff]
    now = composed(place, world.rendered.files["docker-compose.yml"])
    if not any(c.state == "running" for c in lasting):
        return "absent", f"start {', '.join(now.active)}"
    up = recorded.get("up", {})
    if up.get("digest") != services_digest(place, whole, world.rendered.files["docker-compose.yml"]):
        return "changed", "bring the services to the new description"
    by_id = {c.id: c for c in lasting}
    for service, identity in sorted(up.get("containers", {}).items()):
        container = by_id.get(identity)
        if container is None:
            return "changed", f"{service} is not the container of the last run"
        ended = service in up.get("finished", []) or (service in now.ending and not docker.exit_code(identity))
        if container.state != "running" and not ended:
            return "changed", f"{service} is {container.state}"
        if container.health == "unhealthy":
            return "changed", f"{service} is unhealthy"
    return "running", ", ".join(sorted(up.get("containers", {})))
