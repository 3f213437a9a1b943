"""Snapshots of databases: what is recorded of each, their names, and which automatic ones are kept.

A snapshot is a database of its own, and a folder of files. What is recorded is the comment of that database, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Literal

from odpm_tasks.core.text import nearest, plural
from odpm_tasks.errors import DescriptionError

Kind = Literal["manual", "update", "restore", "neutralize"]
KEPT = 3  # automatic ones of each kind and database
_PREFIX: dict[Kind, str] = {
    "manual": "",
    "update": "before-update-",
    "restore": "before-restore-",
    "neutralize": "before-neutralize-",
}


@dataclass(frozen=True)
class RecordedLock:
    """What the code was: a digest of the lock, and the commit of each source by name. Empty: not known."""

    digest: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Snapshot:
    """A snapshot. `id`: its database in PostgreSQL and its folder. `created`: UTC, ISO 8601. `comment`: of the original.

    `kind`: `manual` (a user made it), `update` (taken before an update), `restore` (the state before it was replaced), `neutralize`.
    `replacement`: while its database is replaced, the folder with the files of the new one; empty when all files are in place.
    """

    id: str
    database: str
    name: str
    created: str
    kind: Kind = "manual"
    series: str = ""
    lock: RecordedLock = field(default_factory=RecordedLock)
    comment: str = ""
    replacement: str = ""


def record(snapshot: Snapshot) -> str:
    """The comment of a snapshot's database."""
    data = asdict(snapshot)
    del data["id"]
    return json.dumps({"odpm": "snapshot", **data}, sort_keys=True)


def recorded(identity: str, comment: str | None) -> Snapshot | None:
    """The snapshot that the comment of the database `identity` records; None where it records none."""
    try:
        data = json.loads(comment or "")
        if data.pop("odpm") != "snapshot":
            return None
        lock = RecordedLock(**data.pop("lock"))
        return Snapshot(id=identity, lock=lock, **data)
    except (ValueError, TypeError, KeyError, AttributeError):
        return None


def ordered(snapshots: Iterable[Snapshot]) -> list[Snapshot]:
    """By database, the newest first."""
    by_time = sorted(snapshots, key=lambda one: (one.created, one.id), reverse=True)
    return sorted(by_time, key=lambda one: one.database)


def new_name(kind: Kind, created: str, taken: Iterable[str]) -> str:
    """The name of a snapshot that gets none from the user: its time, `20251127-084501`, unique among `taken`."""
    digits = "".join(char for char in created[:19] if char.isdigit())
    base = f"{_PREFIX[kind]}{digits[:8]}-{digits[8:]}"
    known, name, number = {*taken}, base, 1
    while name in known:
        number += 1
        name = f"{base}-{number}"
    return name


def superfluous(snapshots: Iterable[Snapshot], kept: int = KEPT) -> list[Snapshot]:
    """The automatic snapshots beyond the newest `kept` of each kind and database."""
    groups: dict[tuple[str, Kind], list[Snapshot]] = {}
    for one in ordered(snapshots):
        if one.kind != "manual":
            groups.setdefault((one.database, one.kind), []).append(one)
    return [one for group in groups.values() for one in group[kept:]]


def find(snapshots: Iterable[Snapshot], database: str, name: str = "") -> Snapshot:
    """The snapshot of a database by its name; without a name the newest. Errors: DescriptionError."""
    known = [one for one in ordered(snapshots) if one.database == database]
    found = [one for one in known if one.name == name] if name else known
    if found:
        return found[0]
    if not known:
        raise DescriptionError(f"there is no snapshot of the database {database}", todo="inv db.snapshots lists all")
    raise DescriptionError(
        f"there is no snapshot {name!r} of the database {database}{nearest(name, [one.name for one in known])}",
        where="NAME",
        todo=f"one of: {', '.join(one.name for one in known[:10])}",
    )


def differences(then: RecordedLock, now: RecordedLock, *, most: int = 10) -> list[str]:
    """A line for each source whose commit differs between a snapshot and now; empty where the code is the same, or not known."""
    if not then.digest or then == now:
        return []
    if not (then.sources and now.sources):
        return [] if then.digest == now.digest else ["the lock differs; the commits of one of them are not known"]
    lines = []
    for name in [*then.sources, *(name for name in now.sources if name not in then.sources)]:
        before, after = then.sources.get(name, ""), now.sources.get(name, "")
        if before != after:
            lines.append(f"{name}: {before[:8] or 'was not there'} then, {after[:8] or 'is gone'} now")
    if not lines and then.digest != now.digest:
        return ["the lock differs in packages or images, not in repositories"]
    if len(lines) > most:
        return [*lines[:most], f"and {plural(len(lines) - most, 'more repository', 'more repositories')}"]
    return lines


def names(snapshots: Sequence[Snapshot], database: str) -> list[str]:
    """The names of the snapshots of a database, the newest first."""
    return [one.name for one in ordered(snapshots) if one.database == database]
