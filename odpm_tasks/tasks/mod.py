"""Tasks about add-ons: mod.list, mod.explain, mod.graph, mod.missing, mod.install, mod.update, mod.uninstall, mod.scaffold."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task

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
    from odpm_tasks.adapters import terminal
    from odpm_tasks.addons import inventory
    from odpm_tasks.core.addons import text

    check_format(format)
    project, observed = _observed()
    graph = inventory.addon_graph(project.paths, observed)
    installed = inventory.installed_addons(project.paths, observed)
    addons = text.listed(graph, installed=installed, all_platform=all)
    terminal.output(text.list_json(addons, installed) if format == "json" else text.list_text(addons, installed))


@task(word="name", help={"name": "The add-on.", "format": "text or json."})
def explain(c: Context, name: str, format: str = "text") -> None:
    """Show one add-on: file, repository, what depends on it, why it is installed."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.addons import inventory
    from odpm_tasks.core.addons import text
    from odpm_tasks.core.reports import report

    check_format(format)
    project, observed = _observed()
    graph = inventory.addon_graph(project.paths, observed)
    graph.require(name)
    found = text.explanation(graph, name, inventory.installed_addons(project.paths, observed))
    terminal.output(report(found) if format == "json" else text.explanation_text(found))


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
    project, observed = _observed()
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
    project, observed = _observed()
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
        terminal.output(str(addon))
    for line in repository_lines(findings):
        terminal.output(line)
    if not findings.missing:
        terminal.message("nothing is missing")


_MODULES = {
    "modules": "The add-ons (repeat or comma separate).",
    "database": "Database (default: the project's).",
}


@task(word="modules", lists=["modules"], short={"modules": "m", "database": "d"}, help=_MODULES)
def install(c: Context, modules: Sequence[str] = (), database: str = "") -> None:
    """Install add-ons: inv up -i."""
    from odpm_tasks.tasks import stack

    stack.up(c, install=_named(modules, "install"), database=database)


@task(word="modules", lists=["modules"], short={"modules": "m", "database": "d"}, help=_MODULES)
def update(c: Context, modules: Sequence[str] = (), database: str = "") -> None:
    """Update add-ons: inv up -u."""
    from odpm_tasks.tasks import stack

    stack.up(c, update=_named(modules, "update"), database=database)


@task(
    word="modules",
    lists=["modules"],
    short={"modules": "m", "database": "d"},
    help={**_MODULES, "yes": "Do not ask for confirmation."},
)
def uninstall(c: Context, modules: Sequence[str] = (), database: str = "", yes: bool = False) -> None:
    """Uninstall add-ons, and those that depend on them, with their data; asks first."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.stack import uninstall as stack

    names = _named(modules, "uninstall")
    project = Project.find()
    with project.exclusive():
        observed = require_rendered(project.observe())
        name = database or observed.database
        also = stack.dependents(project.paths, observed, name, names)
        if also:
            terminal.message(f"these depend on them and are uninstalled, too: {', '.join(also)}")
        confirmed = yes or (
            terminal.confirm(f"Uninstall {', '.join(names)} from {name}, with their data?")
            if project.scenario.developer
            else terminal.confirm_name(f"Uninstall {', '.join(names)} with their data from the database {name}.", name)
        )
        if not confirmed:
            raise UsageError("nothing is uninstalled", todo=f"inv mod.uninstall {','.join(names)} --yes")
        stack.uninstall(project.paths, observed, name, names)
    terminal.message(f"uninstalled: {', '.join((*names, *also))}")


def _named(modules: Sequence[str], task_name: str) -> tuple[str, ...]:
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project

    Project.find()
    if not modules:
        raise UsageError("no add-on is named", todo=f"inv mod.{task_name} NAME,NAME")
    return tuple(modules)


@task(
    word="name",
    lists=["depends"],
    help={
        "name": "The name of the add-on.",
        "depends": "The add-ons that it depends on (repeat or comma separate; default base).",
        "folder": "Where to create it (default: the folder of the project's add-ons, else addons).",
        "summary": "One line about it.",
        "author": "Its author (default: your name in git).",
    },
)
def scaffold(
    c: Context, name: str, depends: Sequence[str] = (), folder: str = "", summary: str = "", author: str = ""
) -> None:
    """Create an add-on in this project, as the OCA lays it out.

    Manifest, model, view, access rights, test.
    """
    from odpm_tasks.adapters import terminal
    from odpm_tasks.addons import scaffold as addons
    from odpm_tasks.core.addons.scaffold import NewAddon, check_name
    from odpm_tasks.core.odoo.series import series
    from odpm_tasks.errors import DescriptionError
    from odpm_tasks.project import Project
    from odpm_tasks.sources.facts import folder_facts

    check_name(name)
    project = Project.find()
    facts = folder_facts(project.root)
    taken = next((module.path for module in facts.modules if module.name == name), None)
    if taken:
        raise DescriptionError("this project has an add-on of that name", where=taken, todo="choose another name")
    new = NewAddon(
        name,
        series(project.manifest.odoo_version).name,
        tuple(depends) or ("base",),
        summary,
        author or addons.author(project.root),
    )
    made = addons.create(project.paths, new, folder or next((path for path in facts.addons if path), "addons"))
    terminal.output(str(made.relative_to(project.root)))
    terminal.message(f"install it: inv up -i {name}")


def _observed() -> tuple[Project, ResolvedState]:
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
