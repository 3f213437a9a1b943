"""Checks of the Docker engine: versions, access, free space, clock, memory."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.audit.findings import Finding, of_error, seconds_away
from odpm_tasks.core.text import size
from odpm_tasks.diagnosis.machine import FREE_MEMORY, disk
from odpm_tasks.errors import MachineError, ProgramError

SKEW = 5.0  # seconds between the clocks of engine and machine


def engine(uid: str) -> Iterator[Finding]:
    """What every task that starts or builds something requires, then what the engine reports of itself. `uid`: ODPM_UID."""
    for error in docker.problems():
        yield of_error("engine", error)
    started = time.time()
    try:
        outcome = command.run(["docker", "info", "--format", "{{json .}}"], check=False, timeout=20)
        data: Mapping[str, Any] = json.loads(outcome.text) if outcome.ok else {}
    except (MachineError, ProgramError, ValueError):  # not installed, too slow
        data = {}
    if data:
        yield from of_host(docker.host())
        yield from of_info(data, started, time.time(), uid)


def of_host(host: str) -> Iterator[Finding]:
    """An engine on another machine, which has neither this checkout nor this machine's loopback."""
    parts = urlsplit(host)
    if parts.scheme == "ssh" or (parts.scheme == "tcp" and parts.hostname not in {"localhost", "127.0.0.1", "::1"}):
        yield Finding(
            "engine-remote",
            "warning",
            "the engine is on another machine: it does not mount the folders of this one",
            command.redact(host),
            "unset DOCKER_HOST; docker context use default",
        )


def of_info(data: Mapping[str, Any], before: float, after: float, uid: str = "") -> Iterator[Finding]:
    """The findings of `docker info`, which was answered between two times (seconds since 1970). `uid`: ODPM_UID."""
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
    if data.get("Driver") == "vfs":
        yield Finding(
            "engine-storage",
            "warning",
            "the engine copies every layer of every image, which is slow and needs many times the space",
            "docker info: Storage Driver vfs",
            "use overlay2 or the containerd store: docs.docker.com/engine/storage/drivers",
        )
    yield from _mapped_users([str(one) for one in data.get("SecurityOptions") or ()], uid)
    folder = str(data.get("DockerRootDir") or "")
    if folder.startswith("/var/snap/"):
        yield Finding(
            "engine-snap",
            "warning",
            "Docker from a snap does not see folders outside of the home folders, nor hidden ones",
            f"docker info: DockerRootDir {folder}",
            "install Docker Engine: docs.docker.com/engine/install",
        )
    if folder and Path(folder).is_dir():  # the engine of this machine, not one in a virtual machine
        yield from disk(Path(folder), "images and volumes")


def _mapped_users(options: Sequence[str], uid: str) -> Iterator[Finding]:
    """An engine whose users are others on this machine: files that Odoo writes into the project do not belong to its owner."""
    if any(option.startswith("name=rootless") for option in options) and uid != "0":
        yield Finding(
            "user",
            "warning",
            "the engine runs without root: files that Odoo writes into the project do not belong to you",
            "docker info: rootless",
            "ODPM_UID=0 and ODPM_GID=0 in .env: root in a container is you then",
        )
    elif any(option.startswith("name=userns") for option in options):
        yield Finding(
            "user",
            "warning",
            "the engine maps users: Odoo cannot write into the project",
            "docker info: userns",
            'in odpm.json: "service_patches": {"odoo": {"userns_mode": "host"}}',
        )


def _clock(text: str, before: float, after: float) -> Iterator[Finding]:
    try:
        away = seconds_away(datetime.fromisoformat(text), before, after)
    except ValueError:
        return
    if away > SKEW:
        yield Finding(
            "clock",
            "warning",
            f"the clock of the engine is {away:.0f} seconds away from that of this machine",
            f"docker info: SystemTime {text}",
            "set the clock, or restart the virtual machine of the engine",
        )
