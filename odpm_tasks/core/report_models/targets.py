"""The reports of `deploy.plan`, `deploy.history` and `deploy.status`."""

from __future__ import annotations

from typing import Literal

from odpm_tasks.core.report_models.base import Model, ReportModel


class _Step(Model):
    id: str
    action: Literal["create", "update", "keep"]
    detail: str


class DeployPlanReport(ReportModel):
    """`deploy.plan`. `downtime`: what users see of the deployment. `nodes`: on a Swarm, whether all volumes are on one node."""

    target: str
    steps: list[_Step]
    downtime: str
    nodes: str


class _Deployment(Model):
    """`id`: the release; `time`: UTC; `updated`: add-ons whose data changed; `rollback`: it returned to an earlier release."""

    id: str
    image: str
    lock: str
    time: str
    who: str
    updated: list[str]
    rollback: bool


class DeployHistoryReport(ReportModel):
    """`deploy.history`, the newest first."""

    deployments: list[_Deployment]


class _Container(Model):
    service: str
    name: str
    state: str
    status: str
    image: str


class DeployStatusReport(ReportModel):
    """`deploy.status`. `release`: empty where no deployment has succeeded."""

    release: str
    containers: list[_Container]
