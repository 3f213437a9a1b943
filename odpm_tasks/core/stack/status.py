"""The output of `status`: one typed document, as text or JSON. Its JSON Schema is `docs/schema/status.v1.json`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from odpm_tasks.core.text import printable_json
from odpm_tasks.errors import printable

VERSION = 1


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServiceData(_Model):
    """A container of the project; `ports` as `ADDRESS:PORT->INSIDE/tcp`."""

    service: str
    state: str
    health: str
    ports: tuple[str, ...]


class PageData(_Model):
    """The page of a running service beside Odoo and the mailbox."""

    service: str
    url: str


class RepositoryData(_Model):
    """A source at its pin; `merges`: what is merged onto it, as `REF COMMIT` or `URL REF COMMIT`."""

    name: str
    kind: str
    branch: str
    commit: str
    merges: tuple[str, ...] = ()


class ReleaseData(_Model):
    """A release on disk that was deployed. `commit`: of the project; `time`: UTC, ISO 8601, of its last deployment.

    `updates`: the databases that this deployment changed.
    """

    release: str
    commit: str
    time: str
    current: bool
    rollback: bool
    updates: tuple[str, ...] = ()


class BackupData(_Model):
    """The backups of a server. `last`, `verified`: when the last one was complete, and when one was restored and compared; UTC,
    ISO 8601, null where none was. `problem`: why the last one failed, or that it was not made; empty where all is well.
    """

    repository: str
    schedule: str
    running: bool
    last: str | None
    verified: str | None
    problem: str


class StatusDocument(_Model):
    """What runs, and from which commits.

    `url`: null unless Odoo runs. `login`: how to log in there, without a password that is generated. `mail`: the address of the
    mailbox; null where none runs. `pages`: those of other services. `services`: in alphabetical order; null where Docker does
    not answer, for the reason in `problem`. `folder`: the folder that the containers were started in, where it is another one
    than the project's. `dev`, `debug`: the switches that apply to the next `up`. `repositories`: null where lock and cache do
    not give them. `releases`: in the scenario `server`, the newest first. `interrupted`: a deployment was interrupted.
    `backup`: null where the stack has none.
    """

    schema_version: Literal[1]
    odpm: str
    scenario: Literal["developer", "server", "ci"]
    odoo: str
    project: str
    database: str
    url: str | None
    login: str = ""
    mail: str | None = None
    pages: tuple[PageData, ...] = ()
    dev: str
    debug: bool
    problem: str
    folder: str | None
    services: tuple[ServiceData, ...] | None
    repositories: tuple[RepositoryData, ...] | None
    releases: tuple[ReleaseData, ...] = ()
    interrupted: bool = False
    backup: BackupData | None = None


def running_ports(services: tuple[ServiceData, ...]) -> dict[str, tuple[str, ...]]:
    """The published ports of the services that run."""
    return {service.service: service.ports for service in services if service.state == "running"}


def as_json(status: StatusDocument) -> str:
    return printable_json(status.model_dump_json(indent=2))


def as_text(status: StatusDocument) -> str:
    """One line per fact, with its kind in front."""
    lines = [f"scenario    {status.scenario}, Odoo {status.odoo}, project {status.project}"]
    web = status.url or ("not known" if status.services is None else "not running")
    login = f", {status.login}" if status.url and status.login else ""
    lines.append(f"web         {web}   database {status.database}{login}")
    if status.mail is not None:
        lines.append(f"mail        {status.mail}")
    lines += [f"page        {page.url}   {page.service}" for page in status.pages]
    switches = [f"--dev={status.dev}"] if status.dev else []
    switches += ["--debug"] if status.debug else []
    if switches:
        lines.append(f"switches    {' '.join(switches)}, until --dev=none and --no-debug")
    if status.folder is not None:
        lines.append(f"folder      the containers were started in {status.folder}")
    if status.services is None:
        lines.append(f"service     not known: {status.problem}")
    elif not status.services:
        lines.append("service     none is running: inv up")
    for s in status.services or ():
        lines.append(f"service     {s.service:<12} {s.state} {s.health:<9} {' '.join(s.ports)}".rstrip())
    if status.interrupted:
        lines.append("deployment  was interrupted: inv up goes back or on")
    if status.backup:
        lines += _backup(status.backup)
    for one in status.releases:
        notes = ["current"] if one.current else []
        notes += [f"updated {', '.join(one.updates)}"] if one.updates else []
        notes += ["rollback"] if one.rollback else []
        lines.append(f"release     {one.release}  {one.time[:16]}  {one.commit[:8]}  {'; '.join(notes)}".rstrip())
    for r in status.repositories or ():
        lines.append(f"repository  {r.name:<20} {r.branch:<8} {r.commit[:8]}  {r.kind}")
        lines += [f"            + {' '.join([*words, commit[:8]])}" for *words, commit in map(str.split, r.merges)]
    if status.repositories is None:
        lines.append("repository  not resolved yet: inv lock")
    return "\n".join(map(printable, lines))


def _backup(backup: BackupData) -> list[str]:
    """The last backup, then what is wrong with the backups."""
    last = f"{backup.last[:16].replace('T', ' ')} UTC" if backup.last else "none yet"
    verified = f", verified {backup.verified[:10]}" if backup.verified else ""
    lines = [f"backup      {last}{verified}, daily at {backup.schedule}, to {backup.repository}"]
    if backup.running:
        lines.append("backup      one is running")
    elif backup.problem:
        lines.append(f"backup      PROBLEM: {backup.problem}; to repeat it: inv backup.run")
    return lines


def schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    found = StatusDocument.model_json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **found}
