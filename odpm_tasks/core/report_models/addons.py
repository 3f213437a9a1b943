"""The models of `mod.list`, `mod.explain`, `mod.graph` and `mod.missing`."""

from __future__ import annotations

from odpm_tasks.core.report_models.base import Model, ReportModel


class _ListedAddon(Model):
    name: str
    repository: str
    kind: str
    path: str
    version: str | None
    installable: bool
    installed: str | None
    state: str | None
    elsewhere: list[str]


class ModListReport(ReportModel):
    """`mod.list`. `installed` and `state` are null where the database was not read."""

    addons: list[_ListedAddon]


class ModExplainReport(ReportModel):
    """`mod.explain`: `reason` null: nothing of the project needs the add-on."""

    name: str
    summary: str
    version: str | None
    installable: bool
    path: str
    repository: str
    url: str
    revision: str
    elsewhere: list[str]
    depends: list[str]
    missing: list[str]
    auto_install: list[str]
    python: list[str]
    bin: list[str]
    dependents: list[str]
    all_dependents: list[str]
    reason: str | None
    state: str | None
    installed: str | None


class _GraphAddon(Model):
    name: str
    repository: str | None
    version: str | None
    depends: list[str]


class ModGraphReport(ReportModel):
    """`mod.graph`. `repository` null: no source has the add-on."""

    addons: list[_GraphAddon]


class _MissingAddon(Model):
    name: str
    required_by: list[str]
    reason: str | None
    repository: str | None


class ModMissingReport(ReportModel):
    """`mod.missing`: the repositories that have missing add-ons, where they are known."""

    missing: list[_MissingAddon]


class ModUpdateReport(ReportModel):
    """`mod.update --list-only`: `changed` since the last update, `named` in the command, installed `dependents` of these."""

    database: str
    changed: list[str]
    named: list[str]
    dependents: list[str]
