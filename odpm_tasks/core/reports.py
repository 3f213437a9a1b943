"""The JSON of the tasks with `--format json`: one shape, an object with `schema_version` and `odpm` in front.

The models describe the documents; their JSON Schemas are in `docs/schema`. `plan` and `status` have their own modules.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.text import printable_json


def report(data: Mapping[str, Any]) -> str:
    """A document with its version and that of odpm."""
    return printable_json(json.dumps({"schema_version": 1, "odpm": VERSION, **data}, indent=2, ensure_ascii=False))


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Report(_Model):
    schema_version: Literal[1]
    odpm: str


class ValidateReport(_Report):
    """`validate`: each problem with its line and path in `odpm.json`."""

    valid: bool
    errors: list[str]
    warnings: list[str]


class _Merge(_Model):
    ref: str
    url: str | None
    commit: str
    state: Literal["upstream", "contained", "moved", "gone", "open", "unknown"] | None
    now: str | None
    reason: str


class _Source(_Model):
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


class _Store(_Model):
    url: str
    path: str
    bytes: int
    commits: int


class _Cache(_Model):
    path: str
    stores: list[_Store]
    bytes: int
    projects: int


class SourcesStatusReport(_Report):
    """`sources.status`; the fields are those of `SourceState` and `CacheState` in core/sources/status.py."""

    sources: list[_Source]
    cache: _Cache


class _TreeSource(_Model):
    name: str
    kind: str
    url: str
    branch: str | None
    commit: str
    merges: list[str]
    requires: list[str]
    required_by: list[str]


class SourcesTreeReport(_Report):
    """`sources.tree`: `requires` and `required_by` are names of sources; `odpm.json` is the project itself."""

    sources: list[_TreeSource]


class _Image(_Model):
    label: str
    name: str


class _Difference(_Model):
    what: str
    name: str
    values: dict[str, str | None]
    reason: str | None


class ParityReport(_Report):
    """`parity`. `equal`: all differences are explained. `values`: by label, null where an image lacks it."""

    equal: bool
    images: list[_Image]
    differences: list[_Difference]


class _Pin(_Model):
    commit: str
    branch: str | None


class _Commit(_Model):
    id: str
    subject: str


class _Commits(_Model):
    """`count` null: not known. `rewritten`: the old commit is not an ancestor. `list`: newest first, at most 250."""

    count: int | None
    rewritten: bool
    commits: list[_Commit] = Field(alias="list")


class _Addon(_Model):
    name: str
    change: str
    old: str | None
    new: str | None
    migrations: list[str]
    moved_from: str | None


class _Repository(_Model):
    name: str
    url: str
    role: Literal["platform", "dependency", "developing"]
    change: Literal["added", "removed", "moved"]
    old: _Pin | None
    new: _Pin | None
    commits: _Commits | None
    addons: list[_Addon]
    notes: list[str]


class _Locked(_Model):
    version: str
    marker: str | None


class _Package(_Model):
    """`developer`: only in the lock of the developer scenario."""

    name: str
    change: str
    developer: bool
    old: list[_Locked]
    new: list[_Locked]


class _Digest(_Model):
    reference: str
    old: str | None
    new: str | None


class _Tool(_Model):
    name: str
    old: str | None
    new: str | None


class _UpdateModule(_Model):
    name: str
    reason: str


class _SystemPackage(_Model):
    """`security`: the new version is in the security archive."""

    name: str
    old: str
    new: str
    security: bool


class _System(_Model):
    """Another state of the Debian archive. `packages` null: not known, for the reason in `note`."""

    old: dict[str, Any] | None
    new: dict[str, Any] | None
    packages: list[_SystemPackage] | None
    note: str | None


class _Update(_Model):
    """The add-ons for `-u`; `argument` is `base` alone where it is one of them."""

    modules: list[_UpdateModule]
    argument: str


class LockDiffReport(_Report):
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


class ImageReport(_Report):
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


class _ListedAddon(_Model):
    name: str
    repository: str
    kind: str
    path: str
    version: str | None
    installable: bool
    installed: str | None
    state: str | None
    elsewhere: list[str]


class ModListReport(_Report):
    """`mod.list`. `installed` and `state` are null where the database was not read."""

    addons: list[_ListedAddon]


class ModExplainReport(_Report):
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


class _GraphAddon(_Model):
    name: str
    repository: str | None
    version: str | None
    depends: list[str]


class ModGraphReport(_Report):
    """`mod.graph`. `repository` null: no source has the add-on."""

    addons: list[_GraphAddon]


class _MissingAddon(_Model):
    name: str
    required_by: list[str]
    reason: str | None
    repository: str | None


class ModMissingReport(_Report):
    """`mod.missing`: the repositories that have missing add-ons, where they are known."""

    missing: list[_MissingAddon]


class _Project(_Model):
    """`composes`: the names of its Compose projects."""

    root: str
    odoo: str
    state: Literal["running", "partly", "stopped", "down", "gone"]
    running: int
    services: int
    url: str
    composes: list[str]


class ProjectsReport(_Report):
    """`projects`: the projects of this machine; the fields are those of `ProjectState` in core/stack/projects.py."""

    projects: list[_Project]


class _Finding(_Model):
    code: str
    level: Literal["error", "warning"]
    what: str
    evidence: str
    todo: str
    fixed: bool


class DoctorReport(_Report):
    """`doctor`: the number of checks, and the findings, errors first; the fields are those of `Finding` in core/audit/findings.py."""

    checks: int
    findings: list[_Finding]


REPORTS: dict[str, type[_Report]] = {
    "validate": ValidateReport,
    "sources.status": SourcesStatusReport,
    "sources.tree": SourcesTreeReport,
    "mod.list": ModListReport,
    "mod.explain": ModExplainReport,
    "mod.graph": ModGraphReport,
    "mod.missing": ModMissingReport,
    "projects": ProjectsReport,
    "doctor": DoctorReport,
    "parity": ParityReport,
    "lock-diff": LockDiffReport,
    "build-image": ImageReport,
}


def schema(name: str) -> dict[str, Any]:
    """The JSON Schema of a report."""
    found = REPORTS[name].model_json_schema(mode="serialization", by_alias=True)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
