"""The models of `validate`, `parity`, `build-image`, `projects`, `prune` and `doctor`."""

from __future__ import annotations

from typing import Literal

from odpm_tasks.core.report_models.base import Model, ReportModel


class ValidateReport(ReportModel):
    """`validate`: each problem with its line and path in `odpm.json`."""

    valid: bool
    errors: list[str]
    warnings: list[str]


class _Image(Model):
    label: str
    name: str


class _Difference(Model):
    what: str
    name: str
    values: dict[str, str | None]
    reason: str | None


class ParityReport(ReportModel):
    """`parity`. `equal`: all differences are explained. `values`: by label, null where an image lacks it."""

    equal: bool
    images: list[_Image]
    differences: list[_Difference]


class ImageReport(ReportModel):
    """`build-image`, and `.odpm/build/image.json`. `pushed`: digest by name; `archive` and `sbom` are paths."""

    names: list[str]
    digest: str
    size: int
    scenario: str
    platforms: list[str]
    labels: dict[str, str]
    pushed: dict[str, str]
    archive: str | None
    sbom: str | None
    tried: bool


class _Project(Model):
    """`composes`: the names of its Compose projects."""

    root: str
    odoo: str
    state: Literal["running", "partly", "stopped", "down", "gone"]
    running: int
    services: int
    url: str
    composes: list[str]


class ProjectsReport(ReportModel):
    """`projects`: the projects of this machine; the fields are those of `ProjectState` in core/stack/projects.py."""

    projects: list[_Project]


class _Unused(Model):
    kind: Literal["image", "build cache", "log", "database", "snapshot", "template", "cache"]
    name: str
    size: int
    why: str
    project: str
    count: int


class _Kept(Model):
    kind: Literal["volume", "database"]
    name: str
    size: int | None
    project: str


class PruneReport(ReportModel):
    """`prune`: `bytes` of what is unused, `freed` null where nothing was to be removed; the fields of `unused` and `kept` are
    those of core/stack/pruning.py."""

    bytes: int
    freed: int | None
    unused: list[_Unused]
    kept: list[_Kept]
    notes: list[str]


class _Finding(Model):
    code: str
    level: Literal["error", "warning"]
    what: str
    evidence: str
    todo: str
    fixed: bool


class _AuditFinding(Model):
    code: str
    level: Literal["error", "note"]
    subject: str
    what: str
    evidence: str
    todo: str
    waiver: str | None


class AuditReport(ReportModel):
    """`audit`: the number of rules, of findings that fail, and the findings; the fields are those of `AuditFinding` in
    core/audit/stack_audit.py. `unused_waivers`: keys of `audit_waivers` in odpm.json that match no finding."""

    rules: int
    failed: int
    findings: list[_AuditFinding]
    unused_waivers: list[str]


class DoctorReport(ReportModel):
    """`doctor`: the number of checks, and the findings, errors first; the fields are those of `Finding` in core/audit/findings.py."""

    checks: int
    findings: list[_Finding]
