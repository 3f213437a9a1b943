"""The output of `db.list` and `db.snapshots`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from odpm_tasks.core.databases.snapshots import RecordedLock, Snapshot
from odpm_tasks.core.odoo.addon_versions import stored_series
from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, size, table, unstyled


@dataclass(frozen=True)
class ListedDatabase:
    """A database of the stack. `size`: bytes in PostgreSQL; `files`: bytes of the filestore.

    `series`: empty where it is not Odoo's. `state`: `ready`, or `unfinished` (its creation was interrupted).
    `lock`: the lock that it was last installed or updated with. `snapshots`: their names, the newest first.
    """

    name: str
    size: int
    files: int = 0
    series: str = ""
    addons: int = 0
    neutralized: bool = False
    state: str = "ready"
    lock: RecordedLock = field(default_factory=RecordedLock)
    snapshots: tuple[str, ...] = ()


@dataclass(frozen=True)
class ListedSnapshot:
    """A snapshot with its sizes in bytes. `own`: of the files, what no other database or snapshot shares."""

    snapshot: Snapshot
    size: int
    files: int = 0
    own: int = 0


def read_lock_value(text: str | None) -> RecordedLock:
    """The lock that a database records; an empty one where it records none."""
    try:
        data = json.loads(text or "")
        return RecordedLock(str(data["digest"]), {str(k): str(v) for k, v in data["sources"].items()})
    except (ValueError, TypeError, KeyError, AttributeError):
        return RecordedLock()


def lock_value(lock: RecordedLock) -> str:
    """The text by which a database records a lock."""
    return json.dumps({"digest": lock.digest, "sources": dict(lock.sources)}, sort_keys=True)


def listed(
    row: Mapping[str, Any], found: Mapping[str, Any], files: int, snapshots: Iterable[str], mark: str
) -> ListedDatabase:
    """An entry from the rows of PostgreSQL; `mark`: the comment of a database whose creation is not finished."""
    return ListedDatabase(
        name=row["name"],
        size=row["size"],
        files=files,
        series=stored_series(found.get("base") or ""),
        addons=found.get("addons") or 0,
        neutralized=bool(found.get("neutralized")),
        state="unfinished" if row["comment"] == mark else "ready",
        lock=read_lock_value(found.get("lock")),
        snapshots=tuple(snapshots),
    )


def databases_text(databases: Sequence[ListedDatabase], now: RecordedLock, paint: Paint = unstyled) -> str:
    """A row for each database; the lock is `current`, or the beginning of its digest."""
    if not databases:
        return "there is no database"
    rows = [("database", "size", "filestore", "series", "add-ons", "neutralised", "lock", "snapshots")]
    for one in databases:
        lock = "-" if not one.lock.digest else "current" if one.lock.digest == now.digest else one.lock.digest[:8]
        rows.append(
            (
                one.name,
                size(one.size),
                size(one.files),
                "unfinished" if one.state == "unfinished" else one.series or "not Odoo",
                str(one.addons) if one.series else "-",
                ("yes" if one.neutralized else "no") if one.series else "-",
                lock,
                ", ".join(one.snapshots[:3]) + (f" and {len(one.snapshots) - 3} more" if len(one.snapshots) > 3 else "")
                or "-",
            )
        )
    return table(rows, paint)


def databases_json(databases: Sequence[ListedDatabase], now: RecordedLock) -> str:
    """The document of `DatabasesReport`."""
    return report(
        {
            "databases": [
                {
                    "name": one.name,
                    "size": one.size,
                    "filestore": one.files,
                    "series": one.series or None,
                    "addons": one.addons if one.series else None,
                    "neutralized": one.neutralized if one.series else None,
                    "state": one.state,
                    "lock": _lock(one.lock, now),
                    "snapshots": list(one.snapshots),
                }
                for one in databases
            ]
        }
    )


def snapshots_text(snapshots: Sequence[ListedSnapshot], now: RecordedLock, paint: Paint = unstyled) -> str:
    """A row for each snapshot; of the files also what only this snapshot holds."""
    if not snapshots:
        return "there is no snapshot"
    rows = [("database", "snapshot", "created (UTC)", "size", "filestore", "only here", "lock")]
    for one in snapshots:
        taken = one.snapshot
        lock = "-" if not taken.lock.digest else "current" if taken.lock == now else taken.lock.digest[:8]
        created = taken.created[:16].replace("T", " ")
        rows.append((taken.database, taken.name, created, size(one.size), size(one.files), size(one.own), lock))
    return table(rows, paint)


def snapshots_json(snapshots: Sequence[ListedSnapshot], now: RecordedLock) -> str:
    """The document of `SnapshotsReport`."""
    return report(
        {
            "snapshots": [
                {
                    "database": one.snapshot.database,
                    "name": one.snapshot.name,
                    "created": one.snapshot.created,
                    "kind": one.snapshot.kind,
                    "series": one.snapshot.series or None,
                    "size": one.size,
                    "filestore": one.files,
                    "own": one.own,
                    "lock": _lock(one.snapshot.lock, now),
                }
                for one in snapshots
            ]
        }
    )


def _lock(lock: RecordedLock, now: RecordedLock) -> dict[str, Any] | None:
    if not lock.digest:
        return None
    return {"digest": lock.digest, "current": lock.digest == now.digest, "sources": dict(lock.sources)}
