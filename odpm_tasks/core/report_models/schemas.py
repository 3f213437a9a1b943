"""The reports of the tasks with `--format json`; their JSON Schemas are in `docs/schema`.

`plan` and `status` have their own modules.
"""

from __future__ import annotations

from typing import Any

from odpm_tasks.core.report_models.addons import (
    ModExplainReport,
    ModGraphReport,
    ModListReport,
    ModMissingReport,
    ModUpdateReport,
)
from odpm_tasks.core.report_models.base import ReportModel
from odpm_tasks.core.report_models.databases import BackupsReport, DatabasesReport, SnapshotsReport, VerifiedReport
from odpm_tasks.core.report_models.lock_diff import LockDiffReport
from odpm_tasks.core.report_models.project import (
    AuditReport,
    DoctorReport,
    ImageReport,
    ParityReport,
    ProjectsReport,
    PruneReport,
    ValidateReport,
)
from odpm_tasks.core.report_models.sources import SourcesStatusReport, SourcesTreeReport
from odpm_tasks.core.report_models.targets import DeployHistoryReport, DeployPlanReport, DeployStatusReport
from odpm_tasks.core.report_models.tests import TestReport

REPORTS: dict[str, type[ReportModel]] = {
    "validate": ValidateReport,
    "deploy.plan": DeployPlanReport,
    "deploy.history": DeployHistoryReport,
    "deploy.status": DeployStatusReport,
    "sources.status": SourcesStatusReport,
    "sources.tree": SourcesTreeReport,
    "mod.list": ModListReport,
    "mod.explain": ModExplainReport,
    "mod.graph": ModGraphReport,
    "mod.missing": ModMissingReport,
    "mod.update": ModUpdateReport,
    "db.list": DatabasesReport,
    "db.snapshots": SnapshotsReport,
    "backup.list": BackupsReport,
    "backup.verify": VerifiedReport,
    "projects": ProjectsReport,
    "prune": PruneReport,
    "audit": AuditReport,
    "doctor": DoctorReport,
    "parity": ParityReport,
    "test": TestReport,
    "lock-diff": LockDiffReport,
    "build-image": ImageReport,
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a report."""
    found = REPORTS[name].model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
