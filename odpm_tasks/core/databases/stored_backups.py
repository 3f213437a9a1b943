"""The backups in a repository of restic: how restic lists them, which one is meant, and their output."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, table, unstyled
from odpm_tasks.errors import (
    BusyError,
    DataLossError,
    DescriptionError,
    MachineError,
    OdpmError,
    ProgramError,
    UsageError,
)

LIST = "inv backup.list shows them"


@dataclass(frozen=True)
class StoredBackup:
    """A backup of one database. `time`: UTC; `host`: the project that made it; `stack`: the identity of its PostgreSQL cluster."""

    id: str
    time: datetime
    database: str
    host: str
    stack: str

    @property
    def shown_time(self) -> str:
        """The time as it is printed and as `--at` takes it."""
        return self.time.strftime("%Y-%m-%d %H:%M:%S")


def read_snapshots(text: str) -> tuple[StoredBackup, ...]:
    """The backups in the output of `restic snapshots --json`, the newest first."""
    found = []
    for one in json.loads(text or "[]") or []:
        tags = dict(tag.partition("=")[::2] for tag in one.get("tags") or ())
        database = str(one["paths"][0]).rpartition("/")[2]
        found.append(
            StoredBackup(
                one["short_id"], _utc(one["time"]), database, str(one.get("hostname", "")), tags.get("stack", "")
            )
        )
    return tuple(sorted(found, key=lambda one: (one.time, one.database), reverse=True))


def _utc(text: str) -> datetime:
    """A time of Go, which has up to nine digits after the point."""
    return datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text)).astimezone(UTC)


def parse_moment(text: str) -> datetime:
    """The moment that `--at` names: `2026-11-27 14:30`, UTC unless it has an offset; a date alone is its end. Errors: UsageError."""
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        raise UsageError(
            f"{text!r} is not a time", where="--at", todo='for example: --at "2026-11-27 14:30" (UTC), or a date'
        ) from None
    if re.fullmatch(r"\d{4}-?\d\d-?\d\d", text.strip()):
        moment = datetime.combine(moment.date(), time()) + timedelta(days=1, microseconds=-1)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def choose(
    backups: Sequence[StoredBackup], database: str, *, identity: str = "", at: datetime | None = None
) -> StoredBackup:
    """The backup with this id, else the newest of a database, made not after `at`. Errors: DescriptionError where there is none."""
    if identity:
        named = [one for one in backups if one.id.startswith(identity[:8]) and len(identity) >= 4]
        if len(named) == 1:
            return named[0]
        raise DescriptionError(f"there is no backup {identity}", where="backup.repository", todo=LIST)
    of_database = [one for one in backups if one.database == database]
    if not of_database:
        others = sorted({one.database for one in backups})
        known = f"; there are those of {', '.join(others)}: -d NAME" if others else "; inv backup.run makes one"
        raise DescriptionError(f"there is no backup of {database}", where="backup.repository", todo=LIST + known)
    fitting = [one for one in of_database if at is None or one.time <= at]
    if not fitting:
        raise DescriptionError(
            f"the oldest backup of {database} is of {of_database[-1].shown_time} UTC, after that time",
            where="--at",
            todo=LIST,
        )
    return fitting[0]


@dataclass(frozen=True)
class CheckedTable:
    """A table when it was backed up, or of a restored copy. `checksum`: a sum over the hashes of all rows."""

    rows: int
    checksum: str


@dataclass(frozen=True)
class Verified:
    """What was compared in a restored backup and is equal."""

    backup: StoredBackup
    tables: int
    rows: int
    files: int


def read_checks(text: str) -> dict[str, CheckedTable]:
    """The output of `templates/backup_checks.sql`, by table; names may contain the separator."""
    lines = (line.rsplit("|", 2) for line in text.splitlines() if line.strip())
    return {name: CheckedTable(int(rows), checksum) for name, rows, checksum in lines}


def differences(expected: Mapping[str, CheckedTable], found: Mapping[str, CheckedTable]) -> list[str]:
    """A line for each table that differs in a restored copy."""
    lines = [f"the table {name} is missing" for name in sorted(expected.keys() - found.keys())]
    lines += [f"the table {name} was not backed up" for name in sorted(found.keys() - expected.keys())]
    for name in sorted(expected.keys() & found.keys()):
        old, new = expected[name], found[name]
        if old.rows != new.rows:
            lines.append(f"the table {name} had {old.rows} rows and has {new.rows}")
        elif old.checksum != new.checksum:
            lines.append(f"the rows of the table {name} are others")
    return lines


def newest(backups: Sequence[StoredBackup], databases: Collection[str], stack: str) -> list[StoredBackup]:
    """The newest backup of each of these databases that this stack has made; without `databases`, of each that it has backed up."""
    found: dict[str, StoredBackup] = {}
    for one in backups:
        if one.stack == stack and (not databases or one.database in databases):
            found.setdefault(one.database, one)
    return [found[name] for name in sorted(found)]


_ERRORS: dict[int, type[OdpmError]] = {4: DescriptionError, 6: BusyError, 7: DataLossError, 8: MachineError}


def failure(code: int, lines: Collection[str]) -> OdpmError:
    """The error for the script of the service `backup`, from its exit code and the last lines that it wrote."""
    said = {
        key: line.removeprefix(f"{key}: ") for line in lines for key in ("error", "next") if line.startswith(f"{key}: ")
    }
    if "error" not in said:
        return ProgramError(
            f"the service backup ended with code {code}", details=list(lines)[-3:], todo="inv logs backup"
        )
    return _ERRORS.get(code, ProgramError)(said["error"], todo=said.get("next", ""))


def backups_text(backups: Sequence[StoredBackup], stack: str, paint: Paint = unstyled) -> str:
    """A row for each backup. `stack`: the identity of this stack's cluster."""
    if not backups:
        return "there is no backup yet: inv backup.run"
    rows = [("backup", "time (UTC)", "database", "of")]
    for one in backups:
        origin = "this stack" if one.stack == stack else f"{one.host}, another stack"
        rows.append((one.id, one.shown_time, one.database, origin))
    return table(rows, paint)


def verified_json(done: Sequence[Verified]) -> str:
    """The document of `VerifiedReport`."""
    return report(
        {
            "verified": [
                {
                    "backup": one.backup.id,
                    "database": one.backup.database,
                    "time": one.backup.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "tables": one.tables,
                    "rows": one.rows,
                    "files": one.files,
                }
                for one in done
            ]
        }
    )


def backups_json(backups: Sequence[StoredBackup], stack: str) -> str:
    """The document of `BackupsReport`."""
    return report(
        {
            "backups": [
                {
                    "backup": one.id,
                    "time": one.time.strftime("%Y-%m-%dT%H:%M:%SZ"),
                    "database": one.database,
                    "project": one.host,
                    "this_stack": one.stack == stack,
                }
                for one in backups
            ]
        }
    )
