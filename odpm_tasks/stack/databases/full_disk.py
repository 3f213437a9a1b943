"""A full disk, as Odoo and PostgreSQL report it."""

from __future__ import annotations

from collections.abc import Sequence

from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo import log as odoo_logs
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.errors import MachineError
from odpm_tasks.stack.compose import compose_project


def full_disk(
    paths: ProjectPaths, observed: RenderedState, database: str, lines: Sequence[str], log: str
) -> MachineError | None:
    """The error where a full disk is the reason why Odoo failed. `lines`: its log, without passwords. `log`: where the whole log is.

    PostgreSQL ends all connections, and perhaps itself, where it cannot write its own log: then the reason is in the log of its
    container.
    """
    reason = odoo_logs.full_disk(lines)
    if not reason and odoo_logs.lost_database(lines):
        servers = [one for one in docker.containers(compose_project(paths, observed.stack)) if one.service == "db"]
        reason = next(filter(None, (odoo_logs.full_disk(docker.log_since_start(one.id)) for one in servers)), "")
    if not reason:
        return None
    todo = "free some space, then run the same command again"
    return MachineError("the disk is full", where=f"database {database}", details=[reason, log], todo=todo)
