"""The models of the difference of two locks."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from odpm_tasks.core.report_models.base import Model, ReportModel
from odpm_tasks.core.sources.link import SourceKind


class _Pin(Model):
    commit: str
    branch: str | None


class _Commit(Model):
    id: str
    subject: str


class _Commits(Model):
    """`count` null: not known. `rewritten`: the old commit is not an ancestor. `list`: newest first, at most 250."""

    count: int | None
    rewritten: bool
    commits: list[_Commit] = Field(alias="list")


class _Addon(Model):
    name: str
    change: str
    old: str | None
    new: str | None
    migrations: list[str]
    moved_from: str | None


class _Repository(Model):
    name: str
    url: str
    role: SourceKind
    change: Literal["added", "removed", "moved"]
    old: _Pin | None
    new: _Pin | None
    commits: _Commits | None
    addons: list[_Addon]
    notes: list[str]


class _Locked(Model):
    version: str
    marker: str | None


class _Package(Model):
    """`developer`: only in the lock of the developer scenario."""

    name: str
    change: str
    developer: bool
    old: list[_Locked]
    new: list[_Locked]


class _Digest(Model):
    reference: str
    old: str | None
    new: str | None


class _Tool(Model):
    name: str
    old: str | None
    new: str | None


class _UpdateModule(Model):
    name: str
    reason: str


class _SystemPackage(Model):
    """`security`: the new version is in the security archive."""

    name: str
    old: str
    new: str
    security: bool


class _System(Model):
    """Another state of the Debian archive. `packages` null: not known, for the reason in `note`."""

    old: dict[str, Any] | None
    new: dict[str, Any] | None
    packages: list[_SystemPackage] | None
    note: str | None


class _Update(Model):
    """The add-ons for `-u`; `argument` is `base` alone where it is one of them."""

    modules: list[_UpdateModule]
    argument: str


class LockDiffReport(ReportModel):
    """`lock --diff`. Commits have 40 hex digits; what is missing is null."""

    old: str
    new: str
    changed: bool
    repositories: list[_Repository]
    python: list[_Package]
    images: list[_Digest]
    tools: list[_Tool]
    system: _System | None
    update: _Update
