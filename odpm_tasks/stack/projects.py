"""The projects of this machine: those that use the cache, and what of them the engine runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import running as running_containers
from odpm_tasks.adapters.docker.engine import Container
from odpm_tasks.core.config.paths import MANIFEST_FILE, ProjectPaths
from odpm_tasks.core.manifest.model import WEB, Manifest
from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.stack.pages import mailbox, page
from odpm_tasks.core.stack.projects import ProjectState
from odpm_tasks.core.stack.web.address import without_usual_port
from odpm_tasks.core.stack.web.caddy import ADDRESS_LABEL
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import OdpmError, UsageError
from odpm_tasks.sources import cache
from odpm_tasks.sources.project_names import compose_name
from odpm_tasks.stack.web import address as addresses

Composes = Mapping[str, tuple[str, tuple[Container, ...]]]


def projects(paths: ProjectPaths) -> tuple[ProjectState, ...]:
    """Every registered project, by folder. A folder that is gone is listed while the engine has containers of it.

    Errors: MachineError for an engine that does not answer.
    """
    composes: Composes = docker.compose_containers() if command.is_installed("docker") else {}
    found = (_state(root, composes) for root in sorted(cache.roots(paths)))
    return tuple(state for state in found if state.state != "gone" or state.composes)


def _state(root: Path, composes: Composes) -> ProjectState:
    own = {name: group for name, (folder, group) in composes.items() if folder and Path(folder) == root}
    services = [container for group in own.values() for container in group if not container.oneoff]
    running = [container for container in services if container.state == "running"]
    exists = (root / MANIFEST_FILE).is_file()
    if not exists:
        state = "gone"
    elif any(container.service == "odoo" for container in running):
        state = "running"
    else:
        state = "partly" if running else "stopped" if services else "down"
    return ProjectState(
        str(root), _series(root) if exists else "", state, len(running), len(services), web_address(running), tuple(own)
    )


def _series(root: Path) -> str:
    try:
        return read_manifest(files.read_text(root / MANIFEST_FILE) or "", lambda name: "").manifest.odoo_version
    except OdpmError:
        return ""


def web_address(running: Sequence[Container]) -> str:
    """Odoo's address: on this machine, or that of its reverse proxy; empty where neither is published."""
    published = {container.service: container.ports for container in running}
    odoo = next((container.id for container in running if container.service == "odoo"), "")
    if WEB in published and odoo and not published["odoo"]:
        return without_usual_port(running_containers.label(odoo, ADDRESS_LABEL))
    return page(published, "odoo")


def address_of(paths: ProjectPaths, manifest: Manifest, service: str) -> str:
    """The address of the page of a service: Odoo's, the mailbox, or the first port that it publishes.

    `mail` is the mailbox, unless a service has that name. Errors: MachineError for an engine that does not answer, UsageError
    for a service that does not run or publishes nothing.
    """
    docker.require()
    containers = docker.containers(compose_name(paths, manifest))
    running = {c.service: c.ports for c in containers if c.state == "running" and not c.oneoff}
    name = service if service in running or service != "mail" else mailbox(running)
    if name not in running:
        what = "no mailbox runs" if service == "mail" else f"no service {service!r} runs{nearest(service, running)}"
        raise UsageError(what, todo="start it: inv up; inv status lists the services")
    address = addresses.page(paths, manifest, running, name)
    if not address:
        raise UsageError(f"{name} publishes no port", todo="inv status lists the ports")
    return f"{address}/web" if name == "odoo" else address
