"""The field `backup` of the nested format: the backups of servers."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.server_model import Backup


class Keep(BaseModel):
    """How many backups are kept: the last one of each of so many days, weeks and months."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    daily: int = Field(7, ge=0, le=9999)
    weekly: int = Field(4, ge=0, le=9999)
    monthly: int = Field(12, ge=0, le=9999)


class BackupBlock(BaseModel):
    """The backups of the scenario server, by restic."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    repository: f.Repository = Field(description="A folder, s3:SERVER/BUCKET[/PATH], or sftp:USER@HOST:PATH")
    schedule: f.TimeOfDay = Field("02:30", description="When, each day: HH:MM, UTC")
    keep: Keep = Keep()

    def value(self) -> Backup:
        """The block as a value of a `Manifest`."""
        return Backup(self.repository, self.schedule, tuple(self.keep.model_dump().items()))
