"""All of odpm's tasks, and two of this project's own that are made of them."""

import ast
import json

import odpm_tasks
from invoke import Exit, task
from odpm_tasks import Project, collection

FORBIDDEN = {"OPL-1", "OEEL-1"}  # what we publish must not rest on proprietary add-ons


@task
def licences(c):
    """Write down the licence of every add-on we depend on; refuse proprietary ones."""
    project = Project.find()
    found = {}
    for source in project.resolve().sources:
        if source.kind != "dependency":
            continue
        for module in source.facts.modules:
            manifest = project.root / ".odpm/src" / source.name / module.path / "__manifest__.py"
            found[module.name] = ast.literal_eval(manifest.read_text(encoding="utf-8")).get("license", "LGPL-3")
    refused = sorted(name for name, licence in found.items() if licence in FORBIDDEN)
    if refused:
        raise Exit(f"proprietary: {', '.join(refused)}", 1)
    # below static/, so that Odoo serves it: /notes/static/licences.json
    target = project.root / "addons/notes/static/licences.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@task
def fresh(c):
    """Render, check the licences, then bring everything up."""
    odpm_tasks.render(c)
    licences(c)
    odpm_tasks.up(c)


ns = collection()
ns.add_task(licences)
ns.add_task(fresh)
