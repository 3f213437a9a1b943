"""Tasks about this machine: projects, open."""

from __future__ import annotations

from odpm_tasks.tasks.base import Context, check_format, task


@task(help={"format": "text or json."})
def projects(c: Context, format: str = "text") -> None:
    """Show all projects of this machine: folder, series, what runs, Odoo's address."""
    import sys
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.stack.projects import as_json, as_text
    from odpm_tasks.project import Project
    from odpm_tasks.stack import projects as stacks

    check_format(format)
    found = stacks.projects(Project.at(Path.cwd()).paths)
    if format == "json":
        terminal.output(as_json(found))
    else:
        terminal.output(as_text(found, lambda text, style: terminal.paint(text, style, sys.stdout)))


@task(
    name="open",
    word="service",
    short={"service": "s"},
    help={"service": "The service whose page to open (default odoo).", "print": "Only print the address."},
)
def open_(c: Context, service: str = "odoo", print: bool = False) -> None:
    """Open the page of a service in the browser."""
    import webbrowser

    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import MachineError
    from odpm_tasks.project import Project
    from odpm_tasks.stack import projects as stacks

    project = Project.find()
    address = stacks.address_of(project.paths, project.manifest, service)
    terminal.output(address)
    if not print and not webbrowser.open(address):
        raise MachineError("there is no browser on this machine", todo="open the address above, or: inv open --print")
