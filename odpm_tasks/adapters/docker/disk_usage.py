"""What the engine stores: images, volumes, containers and build cache with their sizes, and how parts are removed. No decisions."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker

_LONGEST = 500  # ids in one filter


@dataclass(frozen=True)
class DiskUsage:
    """The rows of `docker system df --verbose`, as the engine writes them. `names`: of images, with the id; that command has only one
    name of each image."""

    names: Mapping[str, str]
    images: Sequence[Mapping[str, str]]
    containers: Sequence[Mapping[str, str]]
    volumes: Sequence[Mapping[str, str]]
    build_cache: Sequence[Mapping[str, str]]


def disk_usage() -> DiskUsage:
    """Everything that the engine stores. Errors: MachineError if it does not answer, ProgramError."""
    data = json.loads(_df())
    rows = _docker("image", "ls", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}").text.splitlines()
    names = dict(row.split() for row in rows if "<none>" not in row)
    return DiskUsage(names, *(data.get(name) or () for name in ("Images", "Containers", "Volumes", "BuildCache")))


# The engine fails `df` if something is removed while it adds up sizes, or if another `df` runs.
_CHANGED_MEANWHILE = re.compile(
    r"rw layer snapshot not found|disk usage operation is already running|[Nn]o such|does not exist|not found"
)
_MAX_READS = 5


def _df() -> str:
    for remaining in reversed(range(_MAX_READS)):
        outcome = command.run(["docker", "system", "df", "--verbose", "--format", "{{json .}}"], check=False)
        if outcome.ok or not remaining or not _CHANGED_MEANWHILE.search(outcome.stderr.decode(errors="replace")):
            break
        time.sleep(0.5)
    return _checked(outcome).text


def image_labels(ids: Sequence[str]) -> dict[str, Mapping[str, str]]:
    """The labels of images by id; those that do not exist any more are left out."""
    if not ids:
        return {}
    outcome = command.run(["docker", "image", "inspect", "--", *ids], check=False)
    rows: list[Any] = json.loads(outcome.text or "[]")
    return {row["Id"]: row["Config"].get("Labels") or {} for row in rows}


def remove_image(name: str) -> bool:
    """Remove a name or an image without one; False if a container uses it or it does not exist."""
    return command.run(["docker", "image", "rm", "--", name], check=False).ok


def remove_build_cache(ids: Sequence[str]) -> None:
    """Remove records of the build cache that no build uses at this moment and no other record was made from."""
    for start in range(0, len(ids), _LONGEST):
        part = [one for one in ids[start : start + _LONGEST] if re.fullmatch(r"\w+", one)]
        _docker("buildx", "prune", "--force", "--filter", f"id=/^({'|'.join(part)})$/")


def _docker(*words: str) -> command.Outcome:
    return _checked(command.run(["docker", *words], check=False))


def _checked(outcome: command.Outcome) -> command.Outcome:
    if not outcome.ok:
        raise docker.unreachable(outcome) if docker.is_unreachable(outcome) else command.failure(outcome)
    return outcome
