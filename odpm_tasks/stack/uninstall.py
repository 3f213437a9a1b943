"""Uninstall add-ons: which others go with them, and the call of Odoo that removes them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from odpm_tasks.adapters import command, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.stack.up import container, wait_until_healthy

_MARK = "odpm-answer:"
# `downstream_dependencies` is of every series from 11.0 on; its default leaves out what is not installed
_FIND = """\
import json
modules = env["ir.module.module"]
found = modules.search([("name", "in", {names!r}), ("state", "in", ("installed", "to upgrade"))])
installed = modules.search([("state", "in", ("installed", "to upgrade"))]).mapped("name")
print("{mark}" + json.dumps([found.mapped("name"), (found.downstream_dependencies() - found).mapped("name"), installed]))
"""
_UNINSTALL = """\
modules = env["ir.module.module"]
modules.search([("name", "in", {names!r}), ("state", "in", ("installed", "to upgrade"))]).button_immediate_uninstall()
env.cr.commit()
print("{mark}[]")
"""


def dependents(paths: ProjectPaths, observed: RenderedState, database: str, names: Sequence[str]) -> tuple[str, ...]:
    """The installed add-ons that depend on `names`, directly or not: Odoo uninstalls them, too.

    Errors: DescriptionError for an add-on that is not installed.
    """
    found, others, installed = _ask(paths, observed, database, _FIND, names)
    if missing := [name for name in names if name not in found]:
        raise DescriptionError(
            f"{', '.join(missing)} cannot be uninstalled: not installed in the database {database}"
            f"{nearest(missing[0], installed)}",
            todo="inv mod.list shows what is installed",
        )
    return tuple(sorted(others))


def uninstall(paths: ProjectPaths, observed: RenderedState, database: str, names: Sequence[str]) -> None:
    """Uninstall add-ons with their data and wait until Odoo is healthy. Errors: ProgramError with the last lines of Odoo."""
    with terminal.activity() as show:
        show.note(database, f"uninstall {', '.join(names)}")
        _ask(paths, observed, database, _UNINSTALL, names)
        wait_until_healthy(paths, observed, show)


def _ask(
    paths: ProjectPaths, observed: RenderedState, database: str, script: str, names: Sequence[str]
) -> list[list[str]]:
    odoo = container(paths, observed, "odoo")
    text = script.format(names=list(names), mark=_MARK)
    outcome = docker.execute(odoo.id, "odoo", "shell", "-d", database, "--no-http", stdin=text.encode())
    answer = next((line for line in outcome.text.splitlines() if line.startswith(_MARK)), None)
    if answer is None:
        lines = [line for line in outcome.stderr.decode(errors="replace").splitlines() if line.strip()]
        raise ProgramError(
            f"Odoo cannot do it on {database}",
            details=[command.redact(line) for line in lines[-2:]],
            todo="inv logs odoo",
        )
    result: list[list[str]] = json.loads(answer.removeprefix(_MARK))
    return result
