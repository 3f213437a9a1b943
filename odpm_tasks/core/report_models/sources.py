"""The models of `sources.status` and `sources.tree`."""

from __future__ import annotations

from typing import Literal

from odpm_tasks.core.report_models.base import Model, ReportModel


class _Merge(Model):
    ref: str
    url: str | None
    commit: str
    state: Literal["upstream", "contained", "moved", "gone", "open", "unknown"] | None
    now: str | None
    reason: str


class _Source(Model):
    name: str
    kind: str
    url: str
    branch: str
    locked: str
    checkout: Literal["absent", "locked", "elsewhere", "branch", "commit", "moving", "foreign", "link", "gone"]
    commit: str | None
    own_branch: str | None
    on_top: int | None
    changes: int
    untracked: int
    stashes: int
    history: Literal["shallow", "whole"] | None
    upstream: str | None
    behind: int | None
    ahead: int | None
    pin: str | None
    merges: list[_Merge]


class _Store(Model):
    url: str
    path: str
    bytes: int
    commits: int


class _Cache(Model):
    path: str
    stores: list[_Store]
    bytes: int
    projects: int


class SourcesStatusReport(ReportModel):
    """`sources.status`; the fields are those of `SourceState` and `CacheState` in core/sources/status.py."""

    sources: list[_Source]
    cache: _Cache


class _TreeSource(Model):
    name: str
    kind: str
    url: str
    branch: str | None
    commit: str
    merges: list[str]
    requires: list[str]
    required_by: list[str]


class SourcesTreeReport(ReportModel):
    """`sources.tree`: `requires` and `required_by` are names of sources; `odpm.json` is the project itself."""

    sources: list[_TreeSource]
