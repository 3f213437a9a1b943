"""The output of tasks: plans, differences of locks, the address to log in, the running services."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from urllib.parse import quote

from odpm_tasks.adapters.terminal import paint
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.commits import Move
from odpm_tasks.core.planning.observed import RenderedState, RunningState
from odpm_tasks.core.planning.steps import Plan, Step
from odpm_tasks.project import Project
from odpm_tasks.tasks.base import check_format


def plan_text(
    plan: Plan, *, diff: bool = False, verbose: bool = False, moves: Mapping[Step, Move] | None = None
) -> str:
    """The plan as text for standard output: with colours and wrapped on a terminal. `verbose`: every step."""
    from odpm_tasks.core.planning.text import plan_lines
    from odpm_tasks.planning.progress import line_style

    return "\n".join(plan_lines(plan, line_style(sys.stdout, full=verbose), verbose=verbose, diff=diff, moves=moves))


def plan(paths: ProjectPaths, made: Plan, *, as_json: bool = False, diff: bool = False, verbose: bool = False) -> str:
    """A plan with the commits of its moving repositories, as text or as data."""
    from odpm_tasks.sources import commits

    known = commits.describe_moves(paths, made) if diff or as_json else {}
    if not as_json:
        return plan_text(made, diff=diff, verbose=verbose, moves=known)
    from odpm_tasks.core.config.version import VERSION
    from odpm_tasks.core.planning import document

    return document.as_json(document.document(made, known, VERSION, diff=diff))


def lock_diff(project: Project, ref: str, format: str) -> str:
    """The difference between the lock at a commit of the project and the current lock. Errors: UsageError."""
    from odpm_tasks.core.locking import diff_markdown, diff_text
    from odpm_tasks.locking.diff import diff_against

    formats = {
        "text": lambda found: diff_text.as_text(found, lambda text, style: paint(text, style, sys.stdout)),
        "json": diff_text.as_json,
        "markdown": diff_markdown.as_markdown,
    }
    check_format(format, tuple(formats))
    return formats[format](diff_against(project.paths, ref))


def greeting(paths: ProjectPaths, observed: RenderedState) -> list[str]:
    """The address and user to log in with, and the mailbox, printed after `up`; of a generated password only its file."""
    from odpm_tasks.core.stack.web.address import address as web_address
    from odpm_tasks.core.stack.web.address import web_of
    from odpm_tasks.stack.secrets import login

    name = observed.database
    scenario = paths.settings.scenario
    address = f"http://localhost:{paths.settings.port('ODOO_PORT')}"
    if web := web_of(scenario, observed.manifest):
        address = web_address(web, paths.settings)
    lines = [f"{address}/web/login?db={quote(name)}", f"{login(paths)}, database {name}"]
    if isinstance(observed, RunningState) and observed.running.mailbox:
        lines.append(f"mails of Odoo: {observed.running.mailbox}")
    if scenario.developer and (debug := paths.settings.get("ODPM_DEBUG") or "") not in {"", "0"}:
        waits = ": Odoo waits for a client" if debug == "wait" else ""
        lines.append(f"debugger on port {paths.settings.port('DEBUGGER_PORT')}{waits}")
    return lines
