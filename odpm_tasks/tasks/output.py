"""The output of tasks: plans, differences of locks, the address to log in, the running services."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from urllib.parse import quote

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.terminal import paint
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.commits import Move
from odpm_tasks.core.planning.observed import ObservedState, RenderedState, ResolvedState
from odpm_tasks.core.planning.steps import Plan, Step
from odpm_tasks.errors import MachineError
from odpm_tasks.project import Project
from odpm_tasks.stack import compose
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
    """The address and user to log in with, printed after `up`; of a generated password only its file."""
    name = observed.database
    port = paths.settings.port("ODOO_PORT")
    scenario = paths.settings.scenario
    path = paths.secrets(scenario.name) / "admin_password"
    password = "admin" if scenario.developer else f"in {path.relative_to(paths.root)}"
    return [f"http://localhost:{port}/web/login?db={quote(name)}", f"user admin, password {password}, database {name}"]


def status(paths: ProjectPaths, observed: ObservedState, *, as_json: bool = False) -> str:
    """The running services and the repositories of the stack."""
    database = observed.database if isinstance(observed, RenderedState) else ""
    found: list[docker.Container] = []
    if isinstance(observed, RenderedState) and command.is_installed("docker"):
        with suppress(MachineError):
            found = [c for c in docker.containers(compose.compose_project(paths, observed.stack)) if not c.oneoff]
    rows = [{"service": c.service, "state": c.state, "health": c.health, "ports": list(c.ports)} for c in found]
    url = f"http://localhost:{_web_port(found) or paths.settings.port('ODOO_PORT')}"
    sources = observed.resolution.sources if isinstance(observed, ResolvedState) else ()
    repositories = [
        {"name": s.name, "kind": s.kind, "branch": s.link.branch or observed.manifest.odoo_version, "commit": s.commit}
        for s in sources
    ]
    if as_json:
        data = {
            "scenario": observed.scenario.name,
            "database": database,
            "url": url,
            "services": rows,
            "repositories": repositories,
        }
        return json.dumps(data, indent=2)
    lines = [f"scenario    {observed.scenario.name}, Odoo {observed.manifest.odoo_version}"]
    lines.append(f"web         {url}   database {database or '-'}")
    lines += [f"service     {c.service:<12} {c.state} {c.health:<9} {' '.join(c.ports)}".rstrip() for c in found]
    if not rows:
        lines.append("service     none is running: inv up")
    lines += [f"repository  {r['name']:<20} {r['branch']:<8} {r['commit'][:8]}  {r['kind']}" for r in repositories]
    if not sources:
        lines.append("repository  not resolved yet: inv lock")
    return "\n".join(lines)


def _web_port(found: Sequence[docker.Container]) -> str:
    """The port that Odoo's container publishes its pages on; empty where it does not run."""
    pages = [port for c in found if c.service == "odoo" for port in c.ports if port.endswith("->8069/tcp")]
    return pages[0].partition("->")[0].rpartition(":")[2] if pages else ""
