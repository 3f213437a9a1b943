"""Uninstall add-ons: which others go with them, and the call of Odoo that removes them."""

from __future__ import annotations

from collections.abc import Sequence

from odpm_tasks.adapters import command, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.stack import addon_hashes
from odpm_tasks.stack.up import container, wait_until_healthy

# before the command of 19.0
_UNINSTALL = """\
modules = env["ir.module.module"]
modules.search([("name", "in", {names!r}), ("state", "in", ("installed", "to upgrade"))]).button_immediate_uninstall()
env.cr.commit()
print("odpm: uninstalled")
"""


def dependents(paths: ProjectPaths, observed: RenderedState, database: str, names: Sequence[str]) -> tuple[str, ...]:
    """The installed add-ons that depend on `names`, directly or not: Odoo uninstalls them, too.

    Errors: DescriptionError for an add-on that is not installed.
    """
    server = container(paths, observed, "db").id
    installed = addon_hashes.installed(server, database)
    if missing := [name for name in names if name not in installed]:
        raise DescriptionError(
            f"{', '.join(missing)} cannot be uninstalled: not installed in the database {database}"
            f"{nearest(missing[0], installed)}",
            todo="inv mod.list shows what is installed",
        )
    return tuple(name for name in addon_hashes.with_dependents(server, database, names) if name not in names)


def uninstall(paths: ProjectPaths, observed: RenderedState, database: str, names: Sequence[str]) -> None:
    """Uninstall add-ons with their data and wait until Odoo is healthy. Errors: ProgramError with the last lines of Odoo."""
    odoo = container(paths, observed, "odoo").id
    with terminal.activity() as show:
        show.note(database, f"uninstall {', '.join(names)}")
        if series(observed.manifest.odoo_version).own_commands:
            outcome = docker.execute(odoo, "odoo", "module", "uninstall", "-d", database, *names)
            done = outcome.ok
        else:
            script = _UNINSTALL.format(names=list(names)).encode()
            outcome = docker.execute(odoo, "odoo", "shell", "-d", database, "--no-http", stdin=script)
            done = "odpm: uninstalled" in outcome.text
        if not done:
            lines = [line for line in outcome.stderr.decode(errors="replace").splitlines() if line.strip()]
            raise ProgramError(
                f"Odoo cannot uninstall {', '.join(names)} from {database}",
                details=[command.redact(line) for line in lines[-2:]],
                todo="inv logs odoo",
            )
        wait_until_healthy(paths, observed, show)
