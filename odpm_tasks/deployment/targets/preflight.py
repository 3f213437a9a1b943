"""Is a machine ready for a release: engine, clock, disk, processor, image, the volume of PostgreSQL?"""

from __future__ import annotations

import json
import time
from datetime import datetime

from odpm_tasks.adapters import command
from odpm_tasks.core.stack.compose_file import DATABASE
from odpm_tasks.core.stack.services import load, volume_sources
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.errors import DescriptionError, LockError, MachineError, OdpmError, ProgramError

MINIMUM_DISK = 2 << 20  # KiB
CLOCK_TOLERANCE = 60.0  # seconds


def check_machine(machine: Machine) -> None:
    """Check engine and clock of the machine. Errors: MachineError."""
    begun = time.time()
    outcome = machine.run("info", "--format", "{{json .}}", timeout=60)
    facts = json.loads(outcome.text)
    if errors := facts.get("ServerErrors"):
        raise MachineError(f"the engine of the target {machine.target.name} does not answer: {errors[0]}")
    version = str(facts.get("ServerVersion", ""))
    if version.split(".", maxsplit=1)[0].isdigit() and int(version.split(".", maxsplit=1)[0]) < 25:
        raise MachineError(
            f"Docker Engine {version} of the target {machine.target.name} is too old: 25.0 or newer is needed",
            todo="install a newer one there (docs.docker.com/engine/install)",
        )
    offset = clock_offset(str(facts.get("SystemTime", "")), (begun + time.time()) / 2)
    if offset is not None and abs(offset) > CLOCK_TOLERANCE:
        raise MachineError(
            f"the clock of the target {machine.target.name} is {abs(offset):.0f} seconds {'ahead' if offset > 0 else 'behind'}",
            todo="synchronise it: timedatectl set-ntp true",
        )


def clock_offset(reported: str, now: float) -> float | None:
    """By how many seconds a clock is ahead. `reported`: its time, RFC 3339 with its zone; None for anything else. `now`: since 1970."""
    try:
        there = datetime.fromisoformat(reported)
    except ValueError:
        return None
    return there.timestamp() - now if there.tzinfo else None


def pull(machine: Machine, image: str) -> None:
    """Pull the image where the machine does not have it; check its processor. Errors: MachineError, ProgramError."""
    if not machine.run("image", "inspect", image, check=False).ok:
        outcome = machine.run("pull", "--quiet", image, check=False)
        if not outcome.ok:
            raise _not_pulled(machine, image, outcome)
    found = json.loads(machine.run("image", "inspect", image).text)[0]
    architecture = _architecture(machine)
    if found.get("Architecture") not in ("", None, architecture):
        raise _other_architecture(machine, f"the image is for {found['Architecture']}")


def check_disk(machine: Machine) -> None:
    """Check the room where the folder of the target is, and where the engine stores containers. Errors: MachineError."""
    rows = machine.shell("df -Pk . / | awk 'NR>1 {print $4}'").text.split()
    free = min(map(int, rows), default=MINIMUM_DISK)
    if free < MINIMUM_DISK:
        raise _no_room(machine, f"has {free >> 10} MiB free, and 2 GiB are needed")


def _not_pulled(machine: Machine, image: str, outcome: command.Outcome) -> OdpmError:
    said = " ".join(outcome.tail()).lower()
    if "no space left" in said:
        return _no_room(machine, "has no room for the image")
    if "no match for platform" in said or "no matching manifest" in said:
        return _other_architecture(machine, "the image is for another processor")
    login = any(word in said for word in ("denied", "unauthorized", "authorization", "authentication"))
    return ProgramError(
        f"the target {machine.target.name} cannot pull {image}",
        details=outcome.tail()[-2:],
        # Docker sends the login of this machine to the other engine
        todo=f"docker login {image.partition('/')[0]}, then the same command"
        if login
        else "check that it was pushed: inv build-image --push",
    )


def _no_room(machine: Machine, what: str) -> MachineError:
    return MachineError(f"the target {machine.target.name} {what}", todo="docker system prune there, or a larger disk")


def _other_architecture(machine: Machine, what: str) -> MachineError:
    architecture = _architecture(machine)
    return MachineError(
        f"{what}, the target {machine.target.name} has {architecture}",
        todo=f"inv build-image --platform linux/{architecture}",
    )


def _architecture(machine: Machine) -> str:
    return machine.run("version", "--format", "{{.Server.Arch}}").text.strip()


def require_same_volume(running: str | None, wanted: TargetDeployment) -> None:
    """Refuse a release whose PostgreSQL would start with another volume than that of the running one: it would be empty.

    `running`: the services of the running release. Errors: DescriptionError.
    """
    before, after = (_database_volumes(each) for each in (running, wanted.stack_file.decode()))
    if before and after and before != after:
        raise DescriptionError(
            f"PostgreSQL of the target {wanted.machine.target.name} would start without its data, which is in the volume {before[0]}",
            where="odpm.json: postgres",
            todo="keep that version; to change it, dump the databases there and restore them in a new target",
        )


def _database_volumes(text: str | None) -> list[str]:
    service = load(text)["services"].get(DATABASE, {}) if text else {}
    return [source for kind, source in volume_sources(service) if kind == "volume"]


def require_same_lock(machine: Machine, wanted: TargetDeployment) -> None:
    """Refuse an image of another lock than that of the checkout. Errors: DescriptionError, LockError."""
    labels = json.loads(machine.run("image", "inspect", "--format", "{{json .Config.Labels}}", wanted.image).text) or {}
    if "odpm.lock" not in labels or labels.get("odpm.scenario") != "ci":
        raise DescriptionError(
            f"{wanted.image} was not built by inv build-image: it has no lock",
            todo="ODPM_SCENARIO=ci inv build-image --tag … --push",
        )
    if labels["odpm.lock"] != wanted.lock:
        raise LockError(
            f"{wanted.image} was built from another lock than that of this checkout",
            todo="check out the commit it was built from, or build it again: ODPM_SCENARIO=ci inv build-image --tag … --push",
        )
