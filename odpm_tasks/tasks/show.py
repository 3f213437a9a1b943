"""How plans look: a table for people, data for programs."""

from __future__ import annotations

import difflib
import json
import sys
from contextlib import suppress
from itertools import groupby
from urllib.parse import quote

from odpm_tasks import running
from odpm_tasks.adapters import command, docker
from odpm_tasks.adapters.terminal import paint
from odpm_tasks.core.place import Place
from odpm_tasks.core.world import Plan, Step
from odpm_tasks.errors import MachineError, UsageError
from odpm_tasks.observe import Sight
from odpm_tasks.project import Project

_MARK = {"create": "+", "update": "~", "run": ">", "keep": "=", "skip": "-", "later": "?"}


def plan_text(plan: Plan, *, diff: bool = False, verbose: bool = False) -> str:
    """A line a step in the order of the run; what is kept or skipped is folded unless `verbose`."""
    lines = [f"{paint('plan', 'bold', sys.stdout)}  {plan.world.scenario.name}"]
    shown = [step for step in plan.steps if verbose or step.acts]
    later = [step for step in plan.steps if step.action == "later" and not verbose]
    for step_id, group in groupby(shown, key=lambda step: step.id):
        for number, step in enumerate(group):
            lines.append(_line(step, step_id if number == 0 else ""))
            if diff and step.acts:
                lines += _diff(plan, step)
    for detail, group in groupby(later, key=lambda step: step.detail):
        steps = list(group)
        several = f"{steps[0].id} … {steps[-1].id}" if len(steps) > 1 else steps[0].id
        lines.append(_line(Step(steps[0].id, "later", "", f"{detail}: {several}"), ""))
    folded = len(plan.steps) - len(shown) - len(later)
    if not shown and not later:
        lines.append("  nothing to do")
    lines.append(
        f"  {_summary(plan)}" + (f"; {folded} kept or skipped (--verbose shows them)" if folded and not verbose else "")
    )
    return "\n".join(lines)


def _line(step: Step, label: str) -> str:
    action = paint(f"{_MARK[step.action]} {step.action:<7}", step.action, sys.stdout)
    words = "  ".join(word for word in (step.target, step.detail) if word)
    return f"  {label:<19} {action} {words}".rstrip()


def _summary(plan: Plan) -> str:
    counts = {action: sum(step.action == action for step in plan.steps) for action in ("create", "update", "run")}
    said = ", ".join(f"{count} to {action}" for action, count in counts.items() if count)
    return said or "everything is as described"


def _diff(plan: Plan, step: Step) -> list[str]:
    rendered = plan.world.rendered
    if rendered is None or step.target not in rendered.files:
        return []
    old = (plan.world.current.get(step.target) or b"").decode(errors="replace").splitlines()
    new = rendered.files[step.target].decode(errors="replace").splitlines()
    styles = {"+": "create", "-": "bad", "@": "run"}
    return [
        "      " + (paint(text, styles[text[0]], sys.stdout) if text[:1] in styles else text)
        for text in difflib.unified_diff(old, new, f"a/{step.target}", f"b/{step.target}", lineterm="")
    ]


def plan_json(plan: Plan) -> str:
    """The plan as data: `{"scenario", "steps": [{"id", "action", "target", "detail"}], "drift": bool}`."""
    steps = [{"id": s.id, "action": s.action, "target": s.target, "detail": s.detail} for s in plan.steps]
    return json.dumps({"scenario": plan.world.scenario.name, "steps": steps, "drift": bool(plan.drift)}, indent=2)


def lock_diff(project: Project, ref: str, format: str) -> str:
    """What lies between the lock at a commit of the project and the lock now, in one of three formats. Errors: UsageError."""
    from odpm_tasks import lockdiff
    from odpm_tasks.core import lockdiff_markdown, lockdiff_text

    formats = {
        "text": lambda found: lockdiff_text.as_text(found, lambda text, style: paint(text, style, sys.stdout)),
        "json": lockdiff_text.as_json,
        "markdown": lockdiff_markdown.as_markdown,
    }
    if format not in formats:
        raise UsageError(f"unknown format {format!r}", todo="--format text, json or markdown")
    return formats[format](lockdiff.between(project.place, ref))


def greeting(place: Place, sight: Sight) -> list[str]:
    """Where to log in, told at the end of `up`. A generated password is shown only where its file is."""
    name = sight.world.database
    port = place.settings.port("ODOO_PORT")
    scenario = place.settings.scenario
    path = place.secrets(scenario.name) / "admin_password"
    password = "admin" if scenario.developer else f"in {path.relative_to(place.root)}"
    return [f"http://localhost:{port}/web/login?db={quote(name)}", f"user admin, password {password}, database {name}"]


def status(place: Place, sight: Sight, *, as_json: bool = False) -> str:
    """What runs and what it is made of."""
    world, whole = sight.world, sight.stack
    rows: list[dict[str, str]] = []
    if whole is not None and command.have("docker"):
        with suppress(MachineError):
            found = docker.containers(running.compose_project(place, whole))
            rows = [{"service": c.service, "state": c.state, "health": c.health} for c in found if not c.oneoff]
    sources = world.resolution.sources if world.resolution else ()
    repositories = [
        {"name": s.name, "kind": s.kind, "branch": s.link.branch or world.manifest.odoo_version, "commit": s.commit}
        for s in sources
    ]
    if as_json:
        data = {
            "scenario": world.scenario.name,
            "database": world.database,
            "url": f"http://localhost:{place.settings.port('ODOO_PORT')}",
            "services": rows,
            "repositories": repositories,
        }
        return json.dumps(data, indent=2)
    lines = [f"scenario    {world.scenario.name}, Odoo {world.manifest.odoo_version}"]
    lines.append(f"web         http://localhost:{place.settings.port('ODOO_PORT')}   database {world.database or '-'}")
    lines += [f"service     {row['service']:<12} {row['state']} {row['health']}".rstrip() for row in rows]
    if not rows:
        lines.append("service     none is running: inv up")
    lines += [f"repository  {r['name']:<20} {r['branch']:<8} {r['commit'][:8]}  {r['kind']}" for r in repositories]
    if not sources:
        lines.append("repository  not resolved yet: inv lock")
    return "\n".join(lines)
