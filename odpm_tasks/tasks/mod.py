"""Tasks that show the add-ons: mod.list, mod.explain, mod.graph, mod.missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odpm_tasks.core.planning.observed import ResolvedState
    from odpm_tasks.project import Project


@task(
    name="list",
    help={
        "all": "Also the add-ons of the platform that are not installed.",
        "format": "text or json.",
    },
)
def list_(c: Context, all: bool = False, format: str = "text") -> None:
    """Show the add-ons: repository, version on disk and in the database."""
    from odpm_tasks.addons import inventory
    from odpm_tasks.core.addons import text

    check_format(format)
    project, observed = observed_project()
    graph = inventory.addon_graph(project.paths, observed)
    installed = inventory.installed_addons(project.paths, observed)
    addons = text.listed(graph, installed=installed, all_platform=all)
    write_report(format, lambda: text.list_json(addons, installed), lambda _: text.list_text(addons, installed))


@task(word="name", help={"name": "The add-on.", "format": "text or json."})
def explain(c: Context, name: str, format: str = "text") -> None:
    """Show one add-on: file, repository, what depends on it, why it is installed."""
    from odpm_tasks.addons import inventory
    from odpm_tasks.core.addons import text
    from odpm_tasks.core.reports import report

    check_format(format)
    project, observed = observed_project()
    graph = inventory.addon_graph(project.paths, observed)
    graph.require(name)
    found = text.explanation(graph, name, inventory.installed_addons(project.paths, observed))
    write_report(format, lambda: report(found), lambda _: text.explanation_text(found))


@task(
    word="name",
    lists=["name"],
    help={
        "name": "The add-ons to begin with (repeat or comma separate; default: those of this project).",
        "platform": "Also what add-ons of the platform depend on.",
        "format": "text, mermaid or json.",
    },
)
def graph(c: Context, name: Sequence[str] = (), platform: bool = False, format: str = "text") -> None:
    """Show which add-on depends on which."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.addons import inventory
    from odpm_tasks.core.addons import text
    from odpm_tasks.errors import DescriptionError

    check_format(format, ("text", "mermaid", "json"))
    project, observed = observed_project()
    addons = inventory.addon_graph(project.paths, observed)
    roots = tuple(name) or addons.own
    for root in roots:
        addons.require(root)
    if not roots:
        raise DescriptionError("this project has no add-ons of its own", todo="inv mod.graph NAME")
    shapes = {"text": text.graph_text, "mermaid": text.graph_mermaid, "json": text.graph_json}
    terminal.output(shapes[format](addons, roots, below_platform=platform))


@task(
    help={
        "ask_index": "Query the package index for the repositories of missing add-ons.",
        "format": "text or json.",
    },
)
def missing(c: Context, ask_index: bool = False, format: str = "text") -> None:
    """Show the add-ons that are needed and in no source, and where they are."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.odoo.addon_checks import repository_lines
    from odpm_tasks.core.reports import report

    check_format(format)
    project, observed = observed_project()
    findings = project.check_addons(ask_index=True) if ask_index else observed.addons
    if findings is None:
        raise _unresolved()
    if format == "json":
        data = [
            {
                "name": addon.name,
                "required_by": list(addon.required_by),
                "reason": addon.reason or None,
                "repository": addon.repository or None,
            }
            for addon in findings.missing
        ]
        terminal.output(report({"missing": data}))
        return
    for addon in findings.missing:
        terminal.output_text(str(addon))
    for line in repository_lines(findings):
        terminal.output_text(line)
    if not findings.missing:
        terminal.message("nothing is missing")


def observed_project() -> tuple[Project, ResolvedState]:
    """The project and its state with the graph of repositories. Errors: LockError where pins or cache lack some."""
    from odpm_tasks.core.planning.observed import ResolvedState
    from odpm_tasks.project import PREPARING, Project

    project = Project.find()
    observed = project.observe(PREPARING)
    if not isinstance(observed, ResolvedState):
        raise _unresolved()
    return project, observed


def _unresolved() -> Exception:
    from odpm_tasks.errors import LockError

    return LockError("the lock or the cache lacks repositories of the graph", todo="inv lock")
