"""Observe what runs of a project, for `status`. The names of its containers are known without lock and generated files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.scenario import Scenario
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.manifest.model import BACKUP, WEB, Manifest
from odpm_tasks.core.planning.observed import ObservedState, ResolvedState
from odpm_tasks.core.stack import pages
from odpm_tasks.core.stack import status as document
from odpm_tasks.core.stack.backups import service as backup_service
from odpm_tasks.core.stack.status import BackupData, PageData, ReleaseData, RepositoryData, ServiceData, StatusDocument
from odpm_tasks.core.stack.web.address import web_of
from odpm_tasks.errors import MachineError
from odpm_tasks.project_files import deployments, is_exported, read_deployment
from odpm_tasks.sources.project_names import compose_name, database_name
from odpm_tasks.stack import preflight
from odpm_tasks.stack.secrets import login
from odpm_tasks.stack.web.address import page


def _releases(paths: ProjectPaths) -> tuple[ReleaseData, ...]:
    """The releases on disk, the one that was deployed last first."""
    found: dict[str, ReleaseData] = {}
    for number, entry in enumerate(reversed(deployments(paths))):
        if entry.release not in found and is_exported(paths, entry.release):
            found[entry.release] = ReleaseData(
                release=entry.release,
                commit=entry.commit,
                time=entry.time,
                current=number == 0,
                rollback=entry.rollback,
                updates=tuple(entry.updates),
            )
    return tuple(found.values())


def _other_pages(paths: ProjectPaths, observed: ObservedState, ports: Mapping[str, Sequence[str]]) -> dict[str, str]:
    proxied = web_of(paths.settings.scenario, observed.manifest)
    return pages.other_pages({name: found for name, found in ports.items() if not (proxied and name == WEB)})


def backup_state(scenario: Scenario, manifest: Manifest, found: Sequence[docker.Container]) -> BackupData | None:
    """What the service for backups knows about its last runs; None where the stack has none. `found`: its containers."""
    backup = backup_service.backup_of(scenario, manifest)
    if backup is None:
        return None
    running = next((c.id for c in found if c.service == BACKUP and c.state == "running"), "")
    outcome = docker.execute(running, "/bin/sh", backup_service.SCRIPT, "state") if running else None
    known = dict(line.partition("=")[::2] for line in outcome.text.splitlines()) if outcome and outcome.ok else {}
    return BackupData(
        repository=backup.repository,
        schedule=backup.schedule,
        running=known.get("running") == "1",
        last=_time(known.get("success", "")),
        verified=_time(known.get("verified", "")),
        problem=known.get("problem", "the service backup does not run"),
    )


def _time(seconds: str) -> str | None:
    """Seconds since 1970 as a time in UTC, ISO 8601."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if seconds.isdigit() else None


def status(paths: ProjectPaths, observed: ObservedState) -> tuple[StatusDocument, MachineError | None]:
    """The document, and the error of an engine that does not answer; then the document has what is known without it."""
    project, problem = compose_name(paths, observed.manifest), None
    services: tuple[ServiceData, ...] | None = None
    folder = ""
    found: list[docker.Container] = []
    try:
        if not command.is_installed("docker"):
            raise MachineError("docker is not installed", todo=docker.INSTALL)
        found = [c for c in docker.containers(project) if not c.oneoff]
    except MachineError as error:
        problem = error
    else:
        folder = next((c.folder for c in found if c.folder not in {"", str(paths.root)}), "")
        if folder and preflight.is_project(Path(folder)):
            found = []  # another checkout of the same name
        services = tuple(
            ServiceData(service=c.service, state=c.state, health=c.health, ports=c.ports)
            for c in sorted(found, key=lambda c: (c.service, c.id))
        )
    ports = document.running_ports(services or ())
    settings = paths.settings
    developer = observed.scenario.developer
    repositories = None
    if isinstance(observed, ResolvedState):
        repositories = tuple(
            RepositoryData(
                name=s.name,
                kind=s.kind,
                branch=s.link.branch or observed.manifest.odoo_version,
                commit=s.base,
                merges=s.merges,
            )
            for s in observed.resolution.sources
        )
    return StatusDocument(
        schema_version=document.VERSION,
        odpm=VERSION,
        scenario=observed.scenario.name,
        odoo=observed.manifest.odoo_version,
        project=project,
        database=database_name(paths, observed.manifest),
        url=page(paths, observed.manifest, ports, "odoo") or None,
        login=login(paths),
        mail=pages.page(ports, pages.mailbox(ports)) or None,
        pages=tuple(PageData(service=name, url=url) for name, url in _other_pages(paths, observed, ports).items()),
        dev=(settings.get("ODPM_DEV") or "") if developer else "",
        debug=developer and bool(settings.get("ODPM_DEBUG")),
        problem=problem.what if problem else "",
        folder=folder or None,
        services=services,
        releases=_releases(paths) if observed.scenario.releases else (),
        backup=backup_state(observed.scenario, observed.manifest, found) if problem is None else None,
        interrupted=observed.scenario.strict and read_deployment(paths) is not None,
        repositories=repositories,
    ), problem
