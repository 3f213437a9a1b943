"""The reports of `db.list` and `db.snapshots`."""

from __future__ import annotations

from typing import Literal

from odpm_tasks.core.report_models.base import Model, ReportModel


class _RecordedLock(Model):
    """A lock that was in use: the digest of the file, whether it is the current one, the commit of each source by name."""

    digest: str
    current: bool
    sources: dict[str, str]


class _Database(Model):
    name: str
    size: int
    filestore: int
    series: str | None
    addons: int | None
    neutralized: bool | None
    state: Literal["ready", "unfinished"]
    lock: _RecordedLock | None
    snapshots: list[str]


class DatabasesReport(ReportModel):
    """`db.list`. Sizes are in bytes; what is known of Odoo's databases only is null for others."""

    databases: list[_Database]


class _Backup(Model):
    backup: str
    time: str
    database: str
    project: str
    this_stack: bool


class BackupsReport(ReportModel):
    """`backup.list`. `time`: UTC, ISO 8601; `project`: its name for Compose; `this_stack`: made of this PostgreSQL cluster."""

    backups: list[_Backup]


class _Verified(Model):
    backup: str
    database: str
    time: str
    tables: int
    rows: int
    files: int


class VerifiedReport(ReportModel):
    """`backup.verify`: what was compared in each backup and is equal. `time`: of the backup, UTC, ISO 8601."""

    verified: list[_Verified]


class _Snapshot(Model):
    database: str
    name: str
    created: str
    kind: Literal["manual", "update", "restore", "neutralize"]
    series: str | None
    size: int
    filestore: int
    own: int
    lock: _RecordedLock | None


class SnapshotsReport(ReportModel):
    """`db.snapshots`. Sizes are in bytes; `own`: bytes of the files that no other database or snapshot shares."""

    snapshots: list[_Snapshot]
