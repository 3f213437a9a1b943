"""Files that the running reverse proxy reads for each request: which container serves, and whether an update runs.

They are in the folder of its configuration, `.odpm/build/web`, which is mounted. It reads no other file of the project.
"""

from __future__ import annotations

from odpm_tasks.adapters import files
from odpm_tasks.core.config.paths import WEB_FOLDER, ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.compose_file import ODOO
from odpm_tasks.core.stack.web import caddy
from odpm_tasks.core.stack.web.address import web_of
from odpm_tasks.stack import compose
from odpm_tasks.stack.web import certificates


def prepare(paths: ProjectPaths, observed: RenderedState) -> None:
    """Before the services start: write what the reverse proxy needs beside its configuration, if the stack has one.

    Errors: those of `certificates.copy`.
    """
    if not web_of(observed.scenario, observed.manifest):
        return
    certificates.copy(paths, observed.manifest)
    lead_to_odoo(paths, observed)


def lead_to_odoo(paths: ProjectPaths, observed: RenderedState) -> None:
    """Send requests to the host name of Odoo's service, if the stack has the proxy. Its containers share that name."""
    if web_of(observed.scenario, observed.manifest):
        lead_to(paths, f"{compose.compose_project(paths, observed.stack)}-{ODOO}")


def lead_to(paths: ProjectPaths, host: str) -> None:
    """The host that requests are sent to from now on: the name of a container of Odoo, or that of its service."""
    _write(paths, caddy.UPSTREAM_FILE, host)


def leads_to(paths: ProjectPaths) -> str:
    """The host that requests are sent to; empty where none is recorded."""
    return files.read_text(paths.root / WEB_FOLDER / caddy.UPSTREAM_FILE) or ""


def begin_maintenance(paths: ProjectPaths, observed: RenderedState) -> None:
    """Answer every request with the maintenance page, if the stack has the reverse proxy."""
    if web_of(observed.scenario, observed.manifest):
        _write(paths, caddy.MAINTENANCE_FILE, "")


def end_maintenance(paths: ProjectPaths) -> None:
    """Send requests to Odoo again."""
    files.remove(paths.root / WEB_FOLDER / caddy.MAINTENANCE_FILE)


def _write(paths: ProjectPaths, name: str, text: str) -> None:
    folder = paths.root / WEB_FOLDER
    files.write(folder / name, text.encode(), 0o644)
    folder.chmod(0o755)  # the proxy's user has no right to pass a closed folder
