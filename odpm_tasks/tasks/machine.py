"""Tasks about this machine: doctor, projects, prune, open."""

from __future__ import annotations

from odpm_tasks.tasks.base import Context, check_format, task, write_report


@task(
    help={
        "fix": "Repair file modes of passwords, lock files of killed programs, and damaged stores of the cache.",
        "network": "Also query git hosts, package indexes and the registry.",
        "format": "text or json.",
    }
)
def doctor(c: Context, fix: bool = False, network: bool = False, format: str = "text") -> None:
    """Check this machine and the project; each finding names a command.

    Ends with 8 if there is an error that is not repaired.
    """
    import sys
    from pathlib import Path

    from odpm_tasks.core.audit.findings import as_json, as_text
    from odpm_tasks.diagnosis.checks import diagnose
    from odpm_tasks.errors import DescriptionError
    from odpm_tasks.project import Project

    check_format(format)
    try:
        found = Project.find()
    except DescriptionError:
        found = None
    findings, checks = diagnose(found, found or Project.at(Path.cwd()), fix=fix, with_network=network)
    write_report(format, lambda: as_json(findings, checks), lambda paint: as_text(findings, checks, paint))
    if any(one.level == "error" and not one.fixed for one in findings):
        sys.exit(8)


@task(help={"format": "text or json."})
def audit(c: Context, format: str = "text") -> None:
    """Check the running server for what makes it unsafe.

    Ends with 2 if a rule fails. `audit_waivers` in odpm.json accepts findings.
    """

    from odpm_tasks.core.audit.stack_audit import as_json, as_text, unused_waivers
    from odpm_tasks.core.text import plural
    from odpm_tasks.diagnosis.audit import audit as look
    from odpm_tasks.errors import DriftError
    from odpm_tasks.project import Project

    check_format(format)
    found = Project.find()
    findings = look(found)
    unused = unused_waivers(findings, found.manifest.audit_waivers)
    write_report(format, lambda: as_json(findings, unused), lambda paint: as_text(findings, unused, paint))
    if failing := sum(one.fails for one in findings):
        raise DriftError(
            f"the audit failed: {plural(failing, 'finding')}",
            todo="do what stands behind `next:`, or accept a finding with a reason: audit_waivers in odpm.json",
        )


@task(help={"format": "text or json."})
def projects(c: Context, format: str = "text") -> None:
    """Show all projects of this machine: folder, series, what runs, Odoo's address."""
    from pathlib import Path

    from odpm_tasks.core.stack.projects import as_json, as_text
    from odpm_tasks.project import Project
    from odpm_tasks.stack import projects as stacks

    check_format(format)
    found = stacks.projects(Project.at(Path.cwd()).paths)
    write_report(format, lambda: as_json(found), lambda paint: as_text(found, paint))


@task(
    help={
        "all": "Of every project of this machine, with the build cache and the shared cache.",
        "list_only": "Only show what would be removed.",
        "older_than": "Days without use after which build cache, logs and the last template are removed (default 7).",
        "yes": "Do not ask for confirmation.",
        "format": "text or json.",
    }
)
def prune(
    c: Context, all: bool = False, list_only: bool = False, older_than: int = 7, yes: bool = False, format: str = "text"
) -> None:
    """Remove images, logs and test databases that nothing uses; asks first.

    Volumes and other databases are listed and never removed.
    """
    import sys
    from pathlib import Path

    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.stack.pruning import as_json, as_text, summary
    from odpm_tasks.core.text import size
    from odpm_tasks.errors import UsageError
    from odpm_tasks.housekeeping import prune as housekeeping
    from odpm_tasks.project import Project

    check_format(format)
    if older_than < 0:
        raise UsageError(f"--older-than takes a number of days, not {older_than}", todo="inv prune --older-than 30")
    if format == "json" and not (list_only or yes):
        raise UsageError("--format json does not ask", todo="inv prune --format json --list-only, or with --yes")
    paths = (Project.at(Path.cwd()) if all else Project.find()).paths
    options = housekeeping.PruneOptions(all, older_than)
    found = housekeeping.find(paths, options)
    for note in found.notes:
        terminal.warn(note)
    if format == "text":
        terminal.output_text(as_text(found, lambda text, style: terminal.paint(text, style, sys.stdout)))
    removed = None
    if found.unused and not list_only:
        if not yes and not terminal.confirm("Remove this?"):
            raise UsageError("nothing is removed", todo="inv prune --yes")
        with terminal.activity() as show:
            show.note("prune", "remove")
            removed = housekeeping.remove(paths, options, found)
    if format == "json":
        terminal.output(as_json(found, removed.size if removed else None))
    elif removed:
        terminal.message(f"{size(removed.size)} freed: {summary(removed)}" if removed.unused else "nothing was removed")


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
