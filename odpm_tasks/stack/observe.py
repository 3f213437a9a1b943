"""Query Docker for the state of a project: image, services, database. Nothing is changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.costs import (
    Cost,
    changed_inputs,
    container_changes,
    containers_text,
    odoo_goes_down,
)
from odpm_tasks.core.planning.observed import DatabaseState, RenderedState, Running, ServicesState
from odpm_tasks.core.stack.render import Stack
from odpm_tasks.errors import MachineError, OdpmError
from odpm_tasks.image.inputs import image_is_current, input_digests
from odpm_tasks.stack import prefetch, preflight, secrets
from odpm_tasks.stack.compose import compose_project, parts, services_digest, services_summary


def observe_running(
    paths: ProjectPaths, observed: RenderedState, queries: prefetch.DockerQueries | None = None
) -> Running:
    """Query Docker for the state of image, services and database. `queries`: those that are already running."""
    if not command.is_installed("docker"):
        return Running(problem="docker is not installed")
    stack, recorded, queries = observed.stack, observed.recorded, queries or prefetch.DockerQueries()
    project = compose_project(paths, stack)
    made_from, found = prefetch.start_queries(queries, recorded, project, observed.image, observed.database)
    try:
        image_exists, containers = image_is_current(paths, stack, made_from.result()), found.result()
    except MachineError as error:
        return Running(problem=error.what)
    services, detail = _services(paths, observed, containers)
    start_cost = Cost()
    if services != "running":
        start_cost = _start_cost(paths, stack, observed.rendered.compose, containers, recorded)
    build_cost = Cost() if image_exists else _build_cost(paths, stack, recorded)
    database = next((c for c in containers if c.service == "db" and not c.oneoff and c.state == "running"), None)
    database_state: DatabaseState = "unknown"
    if database and services == "running":
        database_state = queries.start(prefetch.database_state, database.id, observed.database).result()
    if any(change.action != "keep" for change in start_cost.containers):
        detail = containers_text(start_cost)
    refusals: tuple[OdpmError, ...] = ()
    if services != "running":
        kept = {change.service for change in start_cost.containers if change.action == "keep"}
        refusals = tuple(preflight.refusals(paths, observed, containers, changed=not {"db", "odoo"} <= kept))
    return Running(image_exists, services, detail, database_state, "", refusals, build_cost, start_cost)


def _build_cost(paths: ProjectPaths, stack: Stack, recorded: Mapping[str, Any]) -> Cost:
    """Why the image has to be built, and how long the last build took, as far as an earlier build is recorded."""
    scenario = stack.scenario.name
    before = recorded.get("images", {}).get(scenario, {})
    reasons = changed_inputs(before, input_digests(paths, stack)) if before else ()
    return Cost(reasons, recorded.get("durations", {}).get(f"image {scenario}"))


def _start_cost(
    paths: ProjectPaths, stack: Stack, text: bytes, containers: Sequence[docker.Container], recorded: Mapping[str, Any]
) -> Cost:
    """What `up` does to each container; unknown where containers exist and no earlier run is recorded."""
    lasting = [c for c in containers if not c.oneoff]
    before = recorded.get("up", {}).get("parts")
    if lasting and before is None:
        return Cost()
    finished = recorded.get("up", {}).get("finished", [])
    running = {c.service for c in lasting if c.state == "running" or c.service in finished}
    changes = container_changes(
        before or {}, parts(paths, stack, text), running, {c.service for c in lasting} - running
    )
    down = odoo_goes_down(changes, running)
    seconds = recorded.get("durations", {}).get("odoo down") if down else None
    return Cost((), seconds, changes, down)


def _services(
    paths: ProjectPaths, observed: RenderedState, containers: Sequence[docker.Container]
) -> tuple[ServicesState, str]:
    """The state of the services, with the reason for a change or their names."""
    lasting = [c for c in containers if not c.oneoff]
    now = services_summary(paths, observed.rendered.compose)
    if not any(c.state == "running" for c in lasting):
        return "absent", f"start {', '.join(now.active)}"
    up = observed.recorded.get("up", {})
    if secrets.missing(paths):
        return (
            "changed",
            f"set new passwords: {paths.secrets(observed.scenario.name).relative_to(paths.root)} is missing",
        )
    if elsewhere := next((c.folder for c in lasting if c.folder not in {"", str(paths.root)}), ""):
        return "changed", f"start the services from this folder, not from {elsewhere}"
    if up.get("digest") != services_digest(paths, observed.stack, observed.rendered.compose):
        return "changed", "update the services"
    by_id = {c.id: c for c in lasting}
    for service, identity in sorted(up.get("containers", {}).items()):
        container = by_id.get(identity)
        if container is None:
            return "changed", f"{service} is not the container of the last run"
        ended = service in up.get("finished", []) or (service in now.ending and not docker.exit_code(identity))
        if container.state != "running" and not ended:
            return "changed", f"{service} is {container.state}"
        if container.health in {"unhealthy", "starting"}:
            return "changed", f"{service} is {container.health}"
    return "running", ", ".join(sorted(up.get("containers", {})))
