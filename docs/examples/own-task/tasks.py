"""All tasks of odpm, and two of this project that use them."""

import ast
import json

import odpm_tasks
from invoke import Exit, task
from odpm_tasks import Project, collection

FORBIDDEN = {"OPL-1", "OEEL-1"}  # what we publish must not depend on proprietary add-ons


@task
def licences(c):
    """Write the licence of every add-on of our dependencies into a file; refuse proprietary ones."""
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
    # Odoo serves files below static/: /notes/static/licences.json
    target = project.root / "addons/notes/static/licences.json"
    target.parent.mkdir(exist_ok=True)
    target.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@task
def fresh(c):
    """Render, check the licences, then start the stack."""
    odpm_tasks.render(c)
    licences(c)
    odpm_tasks.up(c)


ns = collection()
ns.add_task(licences)
ns.add_task(fresh)
