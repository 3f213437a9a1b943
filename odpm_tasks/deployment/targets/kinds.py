"""What differs between the kinds of targets that odpm deploys to itself."""

from __future__ import annotations

from contextlib import AbstractContextManager

from odpm_tasks.deployment.targets import compose_stack, machine, ports, release
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.deployment.targets.swarm import cluster, secrets, stack
from odpm_tasks.deployment.targets.target_stack import TargetStack
from odpm_tasks.errors import UsageError

DEPLOYABLE = ("compose", "swarm")


def is_swarm(chosen: Machine) -> bool:
    return chosen.target.kind == "swarm"


def check(wanted: TargetDeployment) -> None:
    """Check what only this kind of target needs. Errors: MachineError."""
    if is_swarm(wanted.machine):
        cluster.check(wanted.machine, wanted.files)


def check_ports(wanted: TargetDeployment) -> None:
    """Check that ports are free; a Swarm does that itself, on the node of the proxy. Errors: MachineError."""
    if not is_swarm(wanted.machine):
        ports.require_free(wanted.machine, wanted)


def put(wanted: TargetDeployment) -> None:
    """Put files and secrets of a release on the target. Errors: DescriptionError for a secret without a value."""
    release.put_files(wanted)
    if is_swarm(wanted.machine):
        secrets.put(wanted)
    else:
        release.put_secrets(wanted)


def changed_secrets(wanted: TargetDeployment) -> tuple[str, ...]:
    """The secrets whose values on this machine are new, where the target can tell."""
    return secrets.changed(wanted) if is_swarm(wanted.machine) else ()


def opened(chosen: Machine, identity: str) -> AbstractContextManager[TargetStack]:
    """A release that the target has. Errors: DescriptionError where its files are gone."""
    return stack.opened(chosen, identity) if is_swarm(chosen) else compose_stack.opened(chosen, identity)


def end_jobs(chosen: Machine) -> None:
    """End what a run that was killed left running beside the services."""
    if is_swarm(chosen):
        stack.end_jobs(chosen)
    else:
        compose_stack.end_jobs(chosen)


def containers(chosen: Machine) -> list[dict[str, str]]:
    """The containers of the target: id, name, service, state, status, image, release."""
    return cluster.containers(chosen) if is_swarm(chosen) else machine.containers(chosen)


def services(chosen: Machine) -> list[str]:
    """The names of the services of the target, sorted."""
    if not is_swarm(chosen):
        return sorted({each["service"] for each in containers(chosen)})
    known = (cluster.short_name(chosen, each) for each in cluster.observe(chosen).services)
    return sorted(name for name in known if name != cluster.JOB)


def log_commands(chosen: Machine, service: str, options: list[str], *, plain: bool) -> list[list[str]]:
    """The Docker commands that print the logs of a service, or of all; `plain`: without colours.

    Errors: UsageError to follow several services of a Swarm.
    """
    if not is_swarm(chosen):
        words = ["compose", "--project-name", chosen.name, "logs", *options, *(["--no-color"] if plain else [])]
        return [[*words, *([service] if service else [])]]
    named = [service] if service else services(chosen)
    if "--follow" in options and len(named) > 1:
        raise UsageError("a Swarm follows the log of one service", todo="inv deploy.logs web --follow")
    return [["service", "logs", *options, f"{chosen.name}_{name}"] for name in named]
