"""The deployments of a target: what runs there and what ran before, as the file that the target keeps."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from odpm_tasks.core.text import nearest
from odpm_tasks.errors import UsageError

KEPT = 3  # releases whose files stay on the target
MOST = 50  # entries


@dataclass(frozen=True)
class TargetRelease:
    """One deployment. `id`: the identity of image and files; `time`: UTC, ISO 8601; `who`: `user@host` that deployed.

    `updated`: the add-ons whose data this deployment changed. `rollback`: it returned to an earlier release.
    """

    id: str
    image: str
    lock: str = ""
    time: str = ""
    who: str = ""
    updated: tuple[str, ...] = ()
    rollback: bool = False


def release_id(files: Mapping[str, bytes]) -> str:
    """The identity of the rendered files, which name the image: 12 hex digits."""
    parts = (f"{path}\0".encode() + hashlib.sha256(data).digest() for path, data in sorted(files.items()))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:12]


def read(text: str | None) -> tuple[TargetRelease, ...]:
    """The deployments in a history file, the oldest first; none in a missing or damaged one."""
    try:
        rows: Any = json.loads(text or "[]")
        return tuple(TargetRelease(**{**row, "updated": tuple(row.get("updated", ()))}) for row in rows)
    except (ValueError, TypeError, AttributeError):
        return ()


def written(entries: Sequence[TargetRelease]) -> str:
    """The history as text, without what is older than the last 50 deployments."""
    return json.dumps([asdict(entry) for entry in entries[-MOST:]], indent=2) + "\n"


def kept(entries: Sequence[TargetRelease]) -> tuple[str, ...]:
    """The releases whose files stay: the last three different ones, the newest first."""
    return tuple(dict.fromkeys(entry.id for entry in reversed(entries)))[:KEPT]


def to_return_to(entries: Sequence[TargetRelease], named: str) -> TargetRelease:
    """The release of a rollback: the one that is named, else the last one that is not running. Errors: UsageError."""
    known = kept(entries)
    others = [identity for identity in known[1:] if not named or identity == named]
    if not others:
        what = (
            f"there is no release {named!r} to return to{nearest(named, known[1:])}"
            if named
            else "there is no earlier release"
        )
        raise UsageError(what, todo="inv deploy.history lists the releases")
    return replace(next(entry for entry in reversed(entries) if entry.id == others[0]), rollback=True)


def updated_since(entries: Sequence[TargetRelease], release: str) -> tuple[str, ...]:
    """The add-ons that deployments after the last one of a release have updated: their data does not fit its code."""
    after: list[str] = []
    for entry in reversed(entries):
        if entry.id == release:
            break
        after += entry.updated
    return tuple(dict.fromkeys(after))
