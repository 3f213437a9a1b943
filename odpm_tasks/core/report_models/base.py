"""What the models of all reports share."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ReportModel(Model):
    schema_version: Literal[1]
    odpm: str
