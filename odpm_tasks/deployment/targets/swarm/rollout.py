"""Wait until the services of a Swarm run as they are described, or until it has rolled one back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from odpm_tasks.adapters import terminal
from odpm_tasks.core.targets.swarm_stack import ENDED, RolloutState, rollout, waits_for_node
from odpm_tasks.deployment.targets import services
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.swarm import cluster
from odpm_tasks.errors import ProgramError

_POLL_INTERVAL = 0.5  # seconds
_SEEN_EVERY = 3.0
_NODE_WITHIN = 30.0
_STOPPED_WITHIN = 180.0


def wait(machine: Machine, names: Sequence[str], show: terminal.Activity, *, converged: bool = True) -> None:
    """Wait until each service has converged, or else until its new containers are healthy, which the Swarm goes on to monitor.

    Errors: ProgramError with the reason of the one that does not.
    """
    begun = seen_at = time.monotonic()
    while True:
        # one program is started for most answers: they take time of the processors on which the services start
        if converged and time.monotonic() - seen_at < _SEEN_EVERY and cluster.updating(machine, names):
            time.sleep(_POLL_INTERVAL)
            continue
        seen_at = time.monotonic()
        seen = cluster.observe(machine, *names)
        states = {cluster.short_name(machine, each): rollout(each, seen.tasks) for each in seen.services}
        for name, state in states.items():
            if state.failure:
                raise _failure(machine, name, state)
        waiting = {
            name: state
            for name, state in states.items()
            if not (state.done if converged else state.running == state.wanted)
        }
        if not waiting and len(states) == len(names):
            return
        for name, state in waiting.items():
            show.note(name, f"{state.running} of {state.wanted} run")
        elapsed = time.monotonic() - begun
        reason = waits_for_node(seen.tasks) if elapsed > _NODE_WITHIN else ""
        if waiting and (reason or elapsed > services.HEALTHY_WITHIN):
            name = next(iter(waiting))
            raise _failure(machine, name, RolloutState(False, 0, 0, reason or "not healthy in time"))
        time.sleep(_POLL_INTERVAL)


def _failure(machine: Machine, name: str, state: RolloutState) -> ProgramError:
    """The error for a service that does not start: the reason of the Swarm, and the last lines of the task that failed."""
    outcome = machine.run("service", "logs", "--raw", "--tail", "20", state.task, check=False) if state.task else None
    lines = [line for line in (outcome.tail() if outcome and outcome.ok else ()) if line.strip()]
    return ProgramError(
        f"{name} does not become healthy on the target {machine.target.name}: {state.failure}",
        details=lines[-2:],
        todo=services.logs(machine),
    )


def stop(machine: Machine, names: Sequence[str]) -> None:
    """Scale services to none, and wait until their containers have ended."""
    present = [str(each["Spec"]["Name"]) for each in cluster.observe(machine, *names).services]
    if not present:
        return
    machine.run("service", "scale", "--detach", *(f"{name}=0" for name in present))
    deadline = time.monotonic() + _STOPPED_WITHIN
    while True:
        alive = [each for each in cluster.observe(machine, *names).tasks if each["Status"]["State"] not in ENDED]
        if not alive:
            return
        if time.monotonic() > deadline:
            raise ProgramError(
                f"Odoo does not stop on the target {machine.target.name}",
                todo=f"inv deploy.status {machine.target.name}",
            )
        time.sleep(_POLL_INTERVAL)
