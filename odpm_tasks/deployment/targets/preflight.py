"""Is a machine ready for a release: engine, clock, disk, processor, image?"""

from __future__ import annotations

import json
import time
from datetime import datetime

from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.errors import DescriptionError, LockError, MachineError

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
    try:
        there = datetime.fromisoformat(str(facts.get("SystemTime", ""))[:19] + "+00:00").timestamp()
    except ValueError:
        return
    offset = abs(there - (begun + time.time()) / 2)
    if str(facts.get("SystemTime", "")).endswith("Z") and offset > CLOCK_TOLERANCE:
        raise MachineError(
            f"the clock of the target {machine.target.name} is {offset:.0f} seconds off",
            todo="synchronise it: timedatectl set-ntp true",
        )


def pull(machine: Machine, image: str) -> None:
    """Pull the image where the machine does not have it; check disk and processor. Errors: MachineError, ProgramError."""
    if not machine.run("image", "inspect", image, check=False).ok:
        machine.run("pull", "--quiet", image)
    found = json.loads(machine.run("image", "inspect", image).text)[0]
    architecture = machine.run("version", "--format", "{{.Server.Arch}}").text.strip()
    if found.get("Architecture") not in ("", None, architecture):
        raise MachineError(
            f"the image is for {found['Architecture']}, the target {machine.target.name} has {architecture}",
            todo=f"inv build-image --platform linux/{architecture}",
        )
    free = int(machine.shell("df -Pk . | awk 'NR==2 {print $4}'").text or MINIMUM_DISK)
    if free < MINIMUM_DISK:
        raise MachineError(
            f"the target {machine.target.name} has {free >> 10} MiB free, and 2 GiB are needed",
            todo="docker system prune there, or a larger disk",
        )


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
