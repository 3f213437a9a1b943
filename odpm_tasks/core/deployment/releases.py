"""Releases of the scenario `server`: what a release is, the history of deployments, and what a rollback needs.

A release is a folder `.odpm/releases/ID` with exported sources, `odoo.conf` and the compose file that starts it. Its id is a
digest of all of them, so the same commits and the same description have the same id on every machine.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError

KEPT = 3  # releases, the current one included
_MOST_ENTRIES = 50


def release_id(parts: Iterable[bytes]) -> str:
    """The id of a release: 12 hex digits over the parts."""
    return hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:12]


@dataclass(frozen=True)
class Deployment:
    """One entry of the history. `commit`: HEAD of the project, empty without git. `time`: UTC, ISO 8601.

    `updates`: the databases that this deployment changed, each with the id of the snapshot of its state before; the id is empty
    where `--no-snapshot` was given. `rollback`: it was made by `up --rollback`.
    """

    release: str
    commit: str = ""
    time: str = ""
    updates: Mapping[str, str] = field(default_factory=dict)
    rollback: bool = False


def read_history(text: str | None) -> tuple[Deployment, ...]:
    """The deployments in a history file, the oldest first. A missing or damaged file has none."""
    try:
        rows: Any = json.loads(text or "[]")
        return tuple(
            Deployment(
                str(row["release"]),
                str(row["commit"]),
                str(row["time"]),
                {str(name): str(value) for name, value in row["updates"].items()},
                bool(row["rollback"]),
            )
            for row in rows
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return ()


def write_history(entries: Sequence[Deployment]) -> str:
    return json.dumps([asdict(entry) for entry in entries[-_MOST_ENTRIES:]], indent=2) + "\n"


def kept(entries: Sequence[Deployment], number: int = KEPT) -> tuple[str, ...]:
    """The releases that stay on disk: those deployed last, the current one first."""
    return tuple(dict.fromkeys(entry.release for entry in reversed(entries)))[:number]


@dataclass(frozen=True)
class Rollback:
    """The release to return to, and the databases that a deployment since then changed, with the snapshot of each before."""

    to: Deployment
    updates: Mapping[str, str]


def rollback(entries: Sequence[Deployment], existing: Iterable[str], name: str = "") -> Rollback:
    """What returns to a release; without a name to the one before the current. `existing`: the releases on disk.

    Errors: DescriptionError where there is no such release, or only the current one.
    """
    there = {*existing}
    current = entries[-1].release if entries else ""
    others = [release for release in kept(entries, len(entries)) if release != current and release in there]
    if not others:
        raise DescriptionError("there is no earlier release to return to", todo="inv status lists the releases")
    chosen = name or others[0]
    if chosen == current:
        raise DescriptionError(f"{chosen} is the current release", todo=f"one of: {', '.join(others)}")
    if chosen not in others:
        raise DescriptionError(
            f"there is no release {chosen}{nearest(chosen, others)}", todo=f"one of: {', '.join(others)}"
        )
    position = max(number for number, entry in enumerate(entries) if entry.release == chosen)
    updates: dict[str, str] = {}
    for entry in entries[position + 1 :]:
        for database, snapshot in entry.updates.items():
            updates.setdefault(database, snapshot)
    return Rollback(entries[position], updates)
