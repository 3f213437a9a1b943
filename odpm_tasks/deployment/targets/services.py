"""The containers of a target: started, replaced one beside the other, removed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from odpm_tasks.adapters import terminal
from odpm_tasks.core.manifest.server_model import ROLES
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets.services import PROXY
from odpm_tasks.deployment.targets.machine import Machine, containers
from odpm_tasks.errors import ProgramError

HEALTHY_WITHIN = 600.0  # seconds
_POLL_INTERVAL = 1.0


def compose(machine: Machine, file: Path, *words: str, show: terminal.Activity) -> None:
    outcome = machine.compose(file, *words, check=False, on_line=lambda line: show.note("compose", line))
    if not outcome.ok:
        raise ProgramError(
            f"the services do not start on the target {machine.target.name}",
            details=outcome.tail()[-4:],
            todo=logs(machine),
        )


def logs(machine: Machine) -> str:
    return f"inv deploy.logs {machine.target.name}"


def stop_odoo(machine: Machine) -> None:
    found = [each["id"] for each in containers(machine) if each["service"] in ROLES and each["state"] == "running"]
    if found:
        machine.run("stop", *found)


def replace(machine: Machine, file: Path, show: terminal.Activity) -> None:
    """Start the new containers of each role beside the old ones, and remove those when the new ones are healthy.

    Only behind the proxy: without it two containers would publish one port.
    """
    services = load(file.read_text(encoding="utf-8"))["services"]
    if PROXY not in services:
        return
    for role in ROLES:
        if role not in services:
            continue
        release = services[role]["labels"]["odpm.release"]
        present = [each for each in containers(machine) if each["service"] == role]
        old = [each for each in present if each["release"] != release]
        if not [each for each in old if each["state"] == "running"]:
            continue
        show.note(role, "start the new ones beside the old ones")
        count = int(services[role].get("deploy", {}).get("replicas", 1))
        words = ("up", "--detach", "--no-recreate", "--scale", f"{role}={len(old) + count}", role)
        compose(machine, file, *words, show=show)
        _wait_until_healthy(machine, role, release, count)
        machine.run("stop", *(each["id"] for each in old))
        machine.remove(*(each["id"] for each in old))


def _wait_until_healthy(machine: Machine, role: str, release: str, count: int) -> None:
    deadline = time.monotonic() + HEALTHY_WITHIN
    while True:
        found = [each for each in containers(machine) if each["service"] == role and each["release"] == release]
        if len([each for each in found if "(healthy)" in each["status"]]) >= count:
            return
        ended = [
            each
            for each in found
            if each["state"] in ("exited", "restarting", "dead") or "(unhealthy)" in each["status"]
        ]
        if ended or time.monotonic() > deadline:
            one = (ended or found or [{"id": ""}])[0]["id"]
            log = machine.run("logs", "--tail", "20", one, check=False) if one else None
            lines = [line for line in (log.tail() if log else ()) if line.strip()]
            raise ProgramError(
                f"the new containers of {role} do not become healthy on the target {machine.target.name}",
                details=lines[-4:],
                todo=logs(machine),
            )
        time.sleep(_POLL_INTERVAL)


def remove_others(machine: Machine, kept: Mapping[str, dict[str, dict[str, dict[str, str]]]]) -> None:
    """Remove the containers of a release that failed, where those of the release before run."""
    for role in ROLES:
        release = kept["services"].get(role, {}).get("labels", {}).get("odpm.release", "")
        others = [each["id"] for each in containers(machine) if each["service"] == role and each["release"] != release]
        if others:
            machine.remove(*others)
