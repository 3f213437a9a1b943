"""Checks of the Docker engine: versions, access, free space, clock, memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.audit.findings import Finding, of_error
from odpm_tasks.core.text import size
from odpm_tasks.diagnosis.machine import FREE_MEMORY, disk
from odpm_tasks.errors import MachineError

SKEW = 5.0  # seconds between the clocks of engine and machine


def engine() -> Iterator[Finding]:
    """What every task that starts or builds something requires, then what the engine reports of itself."""
    started = time.time()
    try:
        docker.require()
        outcome = command.run(["docker", "info", "--format", "{{json .}}"], check=False, timeout=20)
        data: Mapping[str, Any] = json.loads(outcome.text) if outcome.ok else {}
    except MachineError as error:
        yield of_error("engine", error)
        return
    except ValueError:
        data = {}
    yield from of_info(data, started, time.time())


def of_info(data: Mapping[str, Any], before: float, after: float) -> Iterator[Finding]:
    """The findings of `docker info`, which was answered between two times (seconds since 1970)."""
    yield from _clock(str(data.get("SystemTime", "")), before, after)
    memory = data.get("MemTotal")
    if isinstance(memory, int) and 0 < memory < FREE_MEMORY:
        yield Finding(
            "engine-memory",
            "warning",
            f"the engine has {size(memory)} of memory",
            "docker info: MemTotal",
            "give its virtual machine more memory",
        )
    folder = data.get("DockerRootDir")
    if folder and Path(folder).is_dir():  # the engine of this machine, not one in a virtual machine
        yield from disk(Path(folder), "images and volumes")


def _clock(text: str, before: float, after: float) -> Iterator[Finding]:
    try:
        moment = datetime.fromisoformat(text).timestamp()
    except ValueError:
        return
    away = max(before - moment, moment - after)
    if away > SKEW:
        yield Finding(
            "clock",
            "warning",
            f"the clock of the engine is {away:.0f} seconds away from that of this machine",
            f"docker info: SystemTime {text}",
            "set the clock, or restart the virtual machine of the engine",
        )
