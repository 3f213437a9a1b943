"""What a Swarm says about its nodes, and about the services and tasks of a target."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.manifest.server_model import ROLES
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets.services import UPDATE
from odpm_tasks.core.targets.swarm import NODE_LABEL, STACK_FILE
from odpm_tasks.core.targets.swarm_stack import ENDED, needs_labelled_node
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.errors import MachineError

NAMESPACE = "com.docker.stack.namespace"
JOB = "job"  # the service of short jobs
JOBS = (JOB, UPDATE)


@dataclass(frozen=True)
class Observed:
    """The services of a target and their tasks, as the Engine API returns them."""

    services: tuple[dict[str, Any], ...]
    tasks: tuple[dict[str, Any], ...]

    def service(self, name: str) -> dict[str, Any] | None:
        return next((each for each in self.services if each["Spec"]["Name"] == name), None)

    def tasks_of(self, service: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [each for each in self.tasks if each["ServiceID"] == service["ID"]]


def check(machine: Machine, files: Mapping[str, bytes]) -> None:
    """Check that the engine manages a Swarm, and that one node has the volumes. Errors: MachineError."""
    node = require_manager(machine)
    if not needs_labelled_node(load(files[STACK_FILE].decode())):
        return
    nodes = machine.run("node", "ls", "--quiet").text.split()
    found = json.loads(machine.run("node", "inspect", *nodes).text)
    labelled = [each for each in found if each["Spec"].get("Labels", {}).get(NODE_LABEL) == "true"]
    if not labelled:
        raise MachineError(
            f"no node of the target {machine.target.name} has the label {NODE_LABEL}: its volumes would be anywhere",
            todo=f"{' '.join(machine.words)} node update --label-add {NODE_LABEL}=true {node}",
        )
    if len(labelled) > 1:
        names = sorted(str(each["Description"]["Hostname"]) for each in labelled)
        raise MachineError(
            f"several nodes of the target {machine.target.name} have the label {NODE_LABEL}: {', '.join(names)}",
            todo=f"{' '.join(machine.words)} node update --label-rm {NODE_LABEL} {names[-1]}",
        )


def require_manager(machine: Machine) -> str:
    """The id of the node, which must be a manager. Errors: MachineError."""
    itself = machine.run("node", "inspect", "self", "--format", "{{.ID}}", check=False)
    if itself.ok:
        return itself.text.strip()
    found = json.loads(machine.run("info", "--format", "{{json .Swarm}}").text)
    words = " ".join(machine.words)
    if found.get("LocalNodeState") != "active":
        raise MachineError(f"the target {machine.target.name} is no Swarm", todo=f"{words} swarm init")
    if not found.get("ControlAvailable"):
        raise MachineError(
            f"the node that the target {machine.target.name} names is no manager of its Swarm",
            todo="name a manager in `host`, or promote the node: docker node promote NODE",
        )
    return str(found["NodeID"])


def updating(machine: Machine, names: Sequence[str]) -> bool:
    """Whether the Swarm replaces containers of one of these services."""
    row = "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}"
    full = [f"{machine.name}_{name}" for name in names]
    return "updating" in machine.run("service", "inspect", "--format", row, *full, check=False).text.split()


def observe(machine: Machine, *names: str) -> Observed:
    """The services of the target with these names, else all, and their tasks."""
    found = [f"{machine.name}_{name}" for name in names]
    if not found:
        words = ("service", "ls", "--filter", f"label={NAMESPACE}={machine.name}", "--format", "{{.Name}}")
        found = machine.run(*words).text.split()
    services = _inspected(machine, "service", found)
    if not services:
        return Observed((), ())
    present = [str(each["Spec"]["Name"]) for each in services]
    ids = machine.run("service", "ps", "--quiet", "--no-trunc", *present, check=False).text.split()
    return Observed(services, _inspected(machine, "task", ids))


def _inspected(machine: Machine, kind: str, ids: Sequence[str]) -> tuple[dict[str, Any], ...]:
    """What `docker inspect` prints; what was removed meanwhile is left out."""
    if not ids:
        return ()
    return tuple(json.loads(machine.run("inspect", "--type", kind, *ids, check=False).text or "[]"))


def short_name(machine: Machine, service: Mapping[str, Any]) -> str:
    """The name of a service in the stack file."""
    return str(service["Spec"]["Name"]).removeprefix(f"{machine.name}_")


def containers(machine: Machine) -> list[dict[str, str]]:
    """The tasks of the target that are to run: as `machine.containers`. `id` is empty for a container of another node."""
    here = require_manager(machine)
    seen = observe(machine)
    hosts = dict(
        line.split("\t") for line in machine.run("node", "ls", "--format", "{{.ID}}\t{{.Hostname}}").text.splitlines()
    )
    found = []
    for service in seen.services:
        name = short_name(machine, service)
        if name in JOBS:
            continue
        for task in seen.tasks_of(service):
            state, node = task["Status"]["State"], task.get("NodeID", "")
            if task["DesiredState"] != "running" or state in ENDED:
                continue
            notes = [
                state,
                *([f"on {hosts[node]}"] if node in hosts else []),
                *filter(None, [task["Status"].get("Err")]),
            ]
            container = task["Status"].get("ContainerStatus", {}).get("ContainerID", "") if node == here else ""
            found.append({
                "id": container,
                "name": f"{machine.name}_{name}.{task.get('Slot', 1)}",
                "service": name,
                "state": state,
                "status": ", ".join(notes),
                "image": task["Spec"]["ContainerSpec"]["Image"],
                # as on one machine, of the roles of Odoo alone: their image reads and writes the files of the target
                "release": service["Spec"].get("Labels", {}).get("odpm.release", "") if name in ROLES else "",
            })  # fmt: skip
    return found
