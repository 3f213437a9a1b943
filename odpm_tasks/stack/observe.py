"""What Docker says of a project: its image, its services, its database. Nothing is changed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.costs import (
    Cost,
    changed_inputs,
    container_changes,
    container_words,
    odoo_goes_down,
)
from odpm_tasks.core.planning.observed import ObservedState, Running
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.errors import MachineError
from odpm_tasks.image.inputs import image_is_current, inputs
from odpm_tasks.stack import prefetch
from odpm_tasks.stack.compose import compose_project, composed, parts, services_digest


def look(
    paths: ProjectPaths,
    observed: ObservedState,
    whole: Stack,
    recorded: dict[str, Any],
    asked: prefetch.DockerQueries | None = None,
) -> Running:
    """What Docker says of image, services and database; `asked` are questions that were begun already."""
    assert observed.rendered is not None
    if not command.is_installed("docker"):
        return Running(problem="docker is not installed")
    project, questions = compose_project(paths, whole), asked or prefetch.DockerQueries()
    made_from, found = prefetch.ask(questions, recorded, project, observed.image, observed.database)
    try:
        there, containers = image_is_current(paths, whole, made_from.result()), found.result()
    except MachineError as error:
        return Running(problem=error.what)
    elsewhere = [c for c in containers if c.folder not in {"", str(paths.root)} and Path(c.folder).is_dir()]
    if elsewhere:
        return Running(there, "absent", f"{project} runs from another checkout: {elsewhere[0].folder}")
    services, detail = _services(paths, observed, whole, containers, recorded)
    cost = Cost()
    if services != "running":
        cost = _bringing(paths, whole, observed.rendered.files["docker-compose.yml"], containers, recorded)
    building = Cost() if there else _building(paths, whole, recorded)
    database = next((c for c in containers if c.service == "db" and not c.oneoff and c.state == "running"), None)
    condition = "unknown"
    if database and services == "running":
        condition = questions.begin(prefetch.database_state, database.id, observed.database).result()
    acting = any(change.becomes != "leave" for change in cost.containers)
    words = container_words(cost) if acting else detail
    return Running(there, services, words, condition, "", building, cost)  # type: ignore[arg-type]


def _building(paths: ProjectPaths, whole: Stack, recorded: dict[str, Any]) -> Cost:
    """Why the image has to be built, as far as an earlier one is remembered, and how long that took."""
    scenario = whole.scenario.name
    before = recorded.get("images", {}).get(scenario, {})
    because = changed_inputs(before, inputs(paths, whole)) if before else ()
    return Cost(because, recorded.get("took", {}).get(f"image {scenario}"))


def _bringing(
    paths: ProjectPaths, whole: Stack, text: bytes, containers: Sequence[docker.Container], recorded: dict[str, Any]
) -> Cost:
    """What becomes of each container. Nothing is said where containers are there and nothing is remembered of them."""
    lasting = [c for c in containers if not c.oneoff]
    before = recorded.get("up", {}).get("parts")
    if lasting and before is None:
        return Cost()
    finished = recorded.get("up", {}).get("finished", [])
    running = {c.service for c in lasting if c.state == "running" or c.service in finished}
    changes = container_changes(
        before or {}, parts(paths, whole, text), running, {c.service for c in lasting} - running
    )
    down = odoo_goes_down(changes, running)
    seconds = recorded.get("took", {}).get("odoo down") if down else None
    return Cost((), seconds, changes, down)


def _services(
    paths: ProjectPaths,
    observed: ObservedState,
    whole: Stack,
    containers: Sequence[docker.Container],
    recorded: dict[str, Any],
) -> tuple[str, str]:
    assert observed.rendered is not None
    lasting = [c for c in containers if not c.oneoff]
    now = composed(paths, observed.rendered.files["docker-compose.yml"])
    if not any(c.state == "running" for c in lasting):
        return "absent", f"start {', '.join(now.active)}"
    up = recorded.get("up", {})
    if up.get("digest") != services_digest(paths, whole, observed.rendered.files["docker-compose.yml"]):
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
