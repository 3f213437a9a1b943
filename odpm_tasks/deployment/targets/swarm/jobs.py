"""Programs that run once in a Swarm: a job in the networks of the stack, on any node that may have it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.core.targets.swarm_stack import ENDED, waits_for_node
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.swarm import cluster
from odpm_tasks.errors import MachineError, ProgramError

_POLL_INTERVAL = 0.5  # seconds
_NODE_WITHIN = 30.0
_REMOVED_WITHIN = 120.0
_LOG_WITHIN = 10.0


def run(
    machine: Machine, name: str, deploy: Callable[[], None], *, on_line: Callable[[str], None] | None = None
) -> command.Outcome:
    """Start a job and wait for its end. `deploy` creates the service `name`, which replaces one of that name.

    The outcome has the exit code and the last lines of the log. Errors: MachineError where no node takes the job; ProgramError where
    it was removed.
    """
    remove(machine, name)
    try:
        deploy()
        task = _wait(machine, name, on_line)
    except BaseException:
        remove(machine, name)
        raise
    code = int(task["Status"].get("ContainerStatus", {}).get("ExitCode", 0))
    ok = task["Status"]["State"] == "complete"
    text = log(machine, name, tail=200)
    if not ok and not text.strip():
        text = str(task["Status"].get("Err", ""))
    return command.Outcome(("update",), 0 if ok else code or 1, text.encode(), b"")


def _wait(machine: Machine, name: str, on_line: Callable[[str], None] | None) -> Mapping[str, Any]:
    begun, shown = time.monotonic(), 0.0
    while True:
        seen = cluster.observe(machine, name)
        if not seen.services:
            raise ProgramError(
                f"the job {name} was removed from the target {machine.target.name}",
                todo=f"inv deploy.up {machine.target.name}",
            )
        for task in seen.tasks:
            if task["Status"]["State"] in ENDED:
                return task
        if (reason := waits_for_node(seen.tasks)) and time.monotonic() - begun > _NODE_WITHIN:
            raise MachineError(
                f"no node of the target {machine.target.name} runs {name}: {reason}",
                todo=f"{' '.join(machine.words)} node ls",
            )
        if on_line and time.monotonic() - shown > 2:
            shown = time.monotonic()
            for line in log(machine, name, tail=1).splitlines():
                on_line(line)
        time.sleep(_POLL_INTERVAL)


def log(machine: Machine, name: str, *, tail: int) -> str:
    """The last lines of the log of a service."""
    words = ("service", "logs", "--raw", "--tail", str(tail), f"{machine.name}_{name}")
    outcome = machine.run(*words, check=False)
    return (outcome.stdout + outcome.stderr).decode(errors="replace") if outcome.ok else ""


def complete_log(machine: Machine, name: str, end: str) -> list[str] | None:
    """The lines of the log before the line `end`; None where that is not there in time: logs arrive after their container."""
    deadline = time.monotonic() + _LOG_WITHIN
    while time.monotonic() < deadline:
        outcome = machine.run("service", "logs", "--raw", f"{machine.name}_{name}", check=False)
        lines = outcome.text.splitlines()
        if end in lines:
            return lines[: lines.index(end)]
        time.sleep(_POLL_INTERVAL)
    return None


def remove(machine: Machine, name: str) -> None:
    """Remove a job and wait until its container has ended."""
    service = f"{machine.name}_{name}"
    if not machine.run("service", "inspect", service, check=False).ok:
        return
    machine.run("service", "rm", service, check=False)
    deadline = time.monotonic() + _REMOVED_WITHIN
    label = f"label=com.docker.swarm.service.name={service}"
    # of another node the container is not seen here: PostgreSQL ends its session before a database is replaced
    while machine.run("ps", "--quiet", "--filter", label).text.strip() and time.monotonic() < deadline:
        time.sleep(_POLL_INTERVAL)
