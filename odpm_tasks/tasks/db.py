"""Tasks about databases: db.list."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task

if TYPE_CHECKING:
    from odpm_tasks.databases.access import DatabaseAccess
    from odpm_tasks.project import Project


@task(name="list", help={"format": "text or json."})
def list_(c: Context, format: str = "text") -> None:
    """Show the databases: sizes, series, add-ons, whether neutralised."""
    import sys

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.databases import listing as shown
    from odpm_tasks.databases import listing

    check_format(format)
    _, access = opened()
    found, now = listing.databases(access), listing.current_lock(access.paths, access.observed)
    if format == "json":
        terminal.output(shown.databases_json(found, now))
    else:
        terminal.output(shown.databases_text(found, now, lambda text, style: terminal.paint(text, style, sys.stdout)))


def opened() -> tuple[Project, DatabaseAccess]:
    """The project and access to its databases. Errors: those of tasks that need running services."""
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.databases.access import access
    from odpm_tasks.tasks.stack import rendered_project

    project = rendered_project()
    return project, access(project.paths, require_rendered(project.observe()))
