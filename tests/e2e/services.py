"""Workspaces with running services but without Odoo: the built-in services are replaced by containers that sleep.

Tests of profiles, networks and built services do not need Odoo and take seconds this way.
"""

from __future__ import annotations

import json
from typing import Any

from tests.e2e.failures import Workspace

IMAGE = "debian:bookworm-slim"
BUILT: dict[str, Any] = {"command": "sleep 600", "stop_grace_period": "0s", "init": True}
SLEEP = {**BUILT, "image": IMAGE}
STAND_IN = {
    **SLEEP,
    "user": "0:0",
    "healthcheck": {"test": "true", "interval": "1s", "start_interval": "100ms"},
}
TASKS = """\
from invoke import task

from odpm_tasks import collection
from odpm_tasks.project import PREPARING, Project

ns = collection()


@task
def services(c):
    done = Project.find().converge((*PREPARING, "compose.database", "compose.up"))
    print("changed" if done.changed else "nothing to do")


@task
def awaited(c):
    plan = Project.find().plan((*PREPARING, "compose.database", "compose.up"))
    print(*(f"{step.action} {step.detail}" for step in plan.steps if step.id == "compose.up"))


ns.add_task(services)
ns.add_task(awaited)
"""


def describe_services(workspace: Workspace, services: dict[str, Any], **keys: Any) -> None:
    """Describe a project with these services and sleeping built-in ones; other keys as for `Workspace.describe`."""
    patches = keys.pop("service_patches", {})
    sleeping = {name: {**STAND_IN, **patches.pop(name, {})} for name in ("db", "odoo")}
    workspace.describe(services=services, service_patches={**sleeping, **patches}, **keys)
    (workspace.root / "tasks.py").write_text(TASKS, encoding="utf-8")


def state(workspace: Workspace) -> dict[str, str]:
    """Service -> state of its container (`docker inspect`)."""
    return {name: entry["State"]["Status"] for name, entry in workspace.bench.containers().items()}


def compose_file(workspace: Workspace) -> str:
    return (workspace.root / "docker-compose.yml").read_text(encoding="utf-8")


def manifest(**keys: Any) -> str:
    """The text of a dependency's odpm.json."""
    return json.dumps({"manifest_schema": 2, "requires_odpm": "5.0.0", **keys})
