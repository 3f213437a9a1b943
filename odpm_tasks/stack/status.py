"""Observe what runs of a project, for `status`. The names of its containers are known without lock and generated files."""

from __future__ import annotations

from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.planning.observed import ObservedState, ResolvedState
from odpm_tasks.core.stack import pages
from odpm_tasks.core.stack import status as document
from odpm_tasks.core.stack.status import PageData, RepositoryData, ServiceData, StatusDocument
from odpm_tasks.errors import MachineError
from odpm_tasks.stack import compose, preflight
from odpm_tasks.stack.files import chosen_database
from odpm_tasks.stack.secrets import login


def status(paths: ProjectPaths, observed: ObservedState) -> tuple[StatusDocument, MachineError | None]:
    """The document, and the error of an engine that does not answer; then the document has what is known without it."""
    project, problem = compose.project_name_of(paths, observed.manifest), None
    services: tuple[ServiceData, ...] | None = None
    folder = ""
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
        database=chosen_database(paths, observed.manifest) or paths.root.name,
        url=pages.page(ports, "odoo") or None,
        login=login(paths),
        mail=pages.page(ports, pages.mailbox(ports)) or None,
        pages=tuple(PageData(service=name, url=url) for name, url in pages.other_pages(ports).items()),
        dev=(settings.get("ODPM_DEV") or "") if developer else "",
        debug=developer and bool(settings.get("ODPM_DEBUG")),
        problem=problem.what if problem else "",
        folder=folder or None,
        services=services,
        repositories=repositories,
    ), problem
