"""The task that moves all databases to another major version of PostgreSQL."""

from __future__ import annotations

from odpm_tasks.tasks.base import Context, task
from odpm_tasks.tasks.databases.common import confirm


@task(
    name="upgrade-postgres",
    help={
        "drop_old": "Remove the volumes of older versions, which an upgrade has kept.",
        "yes": "Do not ask for confirmation.",
    },
)
def upgrade_postgres(c: Context, drop_old: bool = False, yes: bool = False) -> None:
    """Move all databases to the PostgreSQL of odpm.json; the old volume stays."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.adapters.docker import engine as docker
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.databases import upgrade
    from odpm_tasks.project import ORDER, PREPARING
    from odpm_tasks.stack.compose import compose_project
    from odpm_tasks.stack.databases import volumes
    from odpm_tasks.tasks.stack import rendered_project

    docker.require()
    project = rendered_project()
    with project.exclusive(wait=True):
        observed = require_rendered(project.observe())
        name = compose_project(project.paths, observed.stack)
        if drop_old:
            found = volumes.find(project.paths, observed)
            if not found.older:
                terminal.message("there is no volume of an older version")
                return
            upgrade.require_moved(found)
            confirm(project, name, yes, f"Remove the volumes of {name}: {', '.join(found.older)}")
            upgrade.drop_old(found)
            terminal.message(f"removed: {', '.join(found.older)}")
            return
        move = upgrade.prepare(project.paths, observed)
        if move is None:
            terminal.message("nothing to do: there is no data of another version of PostgreSQL")
            return
        asked = move.volumes.asked
        what = f"Move all databases of {name} from PostgreSQL {move.old} to {asked}; Odoo is stopped meanwhile"
        confirm(project, name, yes, what)
        with terminal.activity() as show:
            ran = upgrade.upgrade(move, show)
        terminal.message(f"the databases are in PostgreSQL {asked}, compared; the old volume is kept: {move.source}")
        if ran:
            project.converge(ORDER if "odoo" in ran else (*PREPARING, "compose.database"))
        terminal.message(
            f"remove it when everything works: inv db.upgrade-postgres --drop-old{'' if ran else '; start: inv up'}"
        )
