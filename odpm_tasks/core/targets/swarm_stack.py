"""What a deployment makes of a stack file: the stack with the names of its secrets, parts of it, jobs, and whether it has converged.

Source: the options that `docker stack deploy` supports, and the objects `Service` and `Task` of the Docker Engine API.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.stack.services import volume_sources
from odpm_tasks.core.targets.services import PROXY
from odpm_tasks.core.targets.swarm import NODE_LABEL

Data = Mapping[str, Any]
_CONSTRAINT = f"node.labels.{NODE_LABEL} == true"
FAILED = ("failed", "rejected")  # states of a task that ended by an error
ENDED = (*FAILED, "complete", "shutdown", "orphaned", "remove")
_ROLLED_BACK = ("rollback_started", "rollback_paused", "rollback_completed", "paused")
_STOP_GRACE_PERIOD = (
    10_000_000_000  # nanoseconds: the default, which the API returns for a service and not for its tasks
)
_MOST_FAILURES = 3  # of new tasks, where Swarm has nothing to roll back to


def resolved(data: Data, secrets: Mapping[str, str], environment: Mapping[str, str]) -> dict[str, Any]:
    """The stack with the names that its secrets have in the Swarm, and with the ports that the target's `.env` gives."""
    result = copy.deepcopy(dict(data))
    for name, options in result["secrets"].items():
        options["name"] = secrets.get(name, options["name"])
    proxy = result["services"].get(PROXY)
    for ours, inside in (("ODPM_HTTP_PORT", "WEB_HTTP_PORT"), ("ODPM_HTTPS_PORT", "WEB_HTTPS_PORT")):
        port = environment.get(ours, "")
        if not proxy or not port.isdigit():
            continue
        for published in proxy.get("ports", []):
            if str(published["published"]) == str(proxy["environment"][inside]):
                published |= {"target": int(port), "published": int(port)}
        proxy["environment"][inside] = port
    return result


def needs_labelled_node(data: Data) -> bool:
    """Whether a service is bound to the node with the label `odpm.data`."""
    return any(_CONSTRAINT in (each["deploy"].get("placement") or {}).get("constraints", [])
               for each in data["services"].values())  # fmt: skip


def part(data: Data, services: Mapping[str, Any]) -> dict[str, Any]:
    """A stack of these services alone, with the networks, volumes, configs and secrets that they use."""
    used = {
        "networks": {name for each in services.values() for name in each.get("networks", [])},
        "volumes": {name for each in services.values() for _, name in volume_sources(each)},
        "configs": _sources(services.values(), "configs"),
        "secrets": _sources(services.values(), "secrets"),
    }
    return {
        "services": dict(services),
        **{kind: {key: value for key, value in data[kind].items() if key in names} for kind, names in used.items()},
    }


def _sources(services: Iterable[Data], kind: str) -> set[str]:
    return {entry["source"] for each in services for entry in each.get(kind, [])}


def only(data: Data, *names: str) -> dict[str, Any]:
    """The part of the stack with these services."""
    return part(data, {name: data["services"][name] for name in names})


def without(data: Data, *names: str) -> dict[str, Any]:
    """The stack without these services."""
    return part(data, {name: each for name, each in data["services"].items() if name not in names})


def job(
    data: Data, base: str, name: str, *, entrypoint: Sequence[str], mounts: Sequence[str] | None = None
) -> dict[str, Any]:
    """A stack of one job: it runs a program once, in the surroundings of the service `base`, and is not repeated.

    `mounts`: the folders in the container that it needs of the volumes and configs of that service; None: all of them.
    """
    given = data["services"][base]
    service = {key: value for key, value in given.items() if key not in ("command", "ports", "healthcheck")}
    deploy = {key: value for key, value in given["deploy"].items() if key in ("labels", "resources", "placement")}
    deploy |= {"mode": "replicated-job", "replicas": 1, "restart_policy": {"condition": "none"}}
    if mounts is not None:
        service["configs"] = [entry for entry in given.get("configs", []) if entry["target"] in mounts]
        service["volumes"] = [entry for entry in given.get("volumes", [])
                              if isinstance(entry, str) and entry.split(":")[1] in mounts]  # fmt: skip
        if not service["volumes"]:
            deploy.pop("placement", None)
    service |= {"entrypoint": list(entrypoint), "healthcheck": {"disable": True}, "deploy": deploy}
    return part(data, {name: service})


@dataclass(frozen=True)
class RolloutState:
    """How far a service is. `failure`: why it does not start; `task`: the task that failed."""

    done: bool
    running: int
    wanted: int
    failure: str = ""
    task: str = ""


def rollout(service: Data, tasks: Sequence[Data]) -> RolloutState:
    """Whether a service runs as it is described. `service`, `tasks`: as the Engine API returns them.

    A task with a health check is in the state `running` when it is healthy.
    """
    mode = service["Spec"]["Mode"]
    if "ReplicatedJob" in mode or "GlobalJob" in mode:  # a job
        return RolloutState(True, 0, 0)
    spec = _container(service["Spec"]["TaskTemplate"])
    own = [each for each in tasks if each["ServiceID"] == service["ID"]]
    present = [each for each in own if each["DesiredState"] == "running"]
    wanted = max(1, len(present)) if "Global" in mode else int(mode["Replicated"].get("Replicas", 1))
    current = [each for each in present if _container(each["Spec"]) == spec]
    running = [each for each in current if each["Status"]["State"] == "running"]
    update = service.get("UpdateStatus") or {}
    state = str(update.get("State", ""))
    failed = sorted(
        (each for each in own if each["Status"]["State"] in FAILED), key=lambda each: str(each["Status"]["Timestamp"])
    )
    last: Data = failed[-1] if failed else {"ID": "", "Status": {}}
    if state in _ROLLED_BACK:
        reason = str(last["Status"].get("Err") or update.get("Message", ""))
        return RolloutState(False, len(running), wanted, reason, str(last["ID"]))
    same = [each for each in failed if _container(each["Spec"]) == spec]
    if state != "updating" and len(same) >= _MOST_FAILURES and len(running) < wanted:
        return RolloutState(False, len(running), wanted, str(same[-1]["Status"].get("Err", "")), str(same[-1]["ID"]))
    done = state in ("", "completed") and len(running) == wanted == len(present)
    return RolloutState(done, len(running), wanted)


def _container(spec: Data) -> Any:
    """The description of a container without what the API leaves out of a service or of its tasks."""
    return {"StopGracePeriod": _STOP_GRACE_PERIOD, **_filled(spec["ContainerSpec"])}


def _filled(value: Any) -> Any:
    """A value without empty parts: the API returns some of them for a service and not for its tasks."""
    if isinstance(value, Mapping):
        return {key: inside for key, each in value.items() if (inside := _filled(each)) not in ({}, [], None)}
    return [_filled(each) for each in value] if isinstance(value, list) else value


def waits_for_node(tasks: Sequence[Data]) -> str:
    """Why no node takes a task; empty where all have one."""
    for each in tasks:
        if each["DesiredState"] == "running" and each["Status"]["State"] == "pending" and each["Status"].get("Err"):
            return str(each["Status"]["Err"])
    return ""
