"""Tasks that change add-ons: mod.install, mod.update, mod.uninstall, mod.scaffold, mod.pot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import Context, check_format, task, write_report

if TYPE_CHECKING:
    from collections.abc import Sequence

_MODULES = {
    "modules": "The add-ons (repeat or comma separate).",
    "database": "Database (default: the project's).",
}


@task(word="modules", lists=["modules"], short={"modules": "m", "database": "d"}, help=_MODULES)
def install(c: Context, modules: Sequence[str] = (), database: str = "") -> None:
    """Install add-ons: inv up -i."""
    from odpm_tasks.tasks import stack

    stack.up(c, install=_named(modules, "install"), database=database)


@task(
    word="modules",
    lists=["modules"],
    short={"modules": "m", "database": "d"},
    help={
        **_MODULES,
        "changed": "The add-ons whose files changed since their last update.",
        "list_only": "Show the add-ons and those that depend on them; update nothing.",
        "format": "text or json, of --list-only.",
    },
)
def update(
    c: Context,
    modules: Sequence[str] = (),
    database: str = "",
    changed: bool = False,
    list_only: bool = False,
    format: str = "text",
) -> None:
    """Update add-ons, and those that depend on them: inv up -u.

    --changed compares the files of each installed add-on with the hash of its
    last update, as click-odoo-update does.
    """
    from odpm_tasks.adapters import terminal
    from odpm_tasks.addons.updates import updates
    from odpm_tasks.core.addons.updates import as_json, as_text
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.tasks import stack

    check_format(format)
    if not (changed or list_only):
        stack.up(c, update=_named(modules, "update"), database=database)
        return
    project = stack.rendered_project()
    name = stack.existing_database(project, database)
    found = updates(project.paths, require_rendered(project.observe()), name, modules, changed=changed or not modules)
    if list_only:
        write_report(format, lambda: as_json(found), lambda _: as_text(found))
    elif found.chosen:
        stack.up(c, update=found.chosen, database=name)
    else:
        terminal.message(f"no add-on of {name} changed since its last update")


@task(
    word="modules",
    lists=["modules"],
    short={"modules": "m", "database": "d"},
    help={**_MODULES, "yes": "Do not ask for confirmation."},
)
def uninstall(c: Context, modules: Sequence[str] = (), database: str = "", yes: bool = False) -> None:
    """Uninstall add-ons, and those that depend on them, with their data; asks first."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.addons import uninstall as addons
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project

    names = _named(modules, "uninstall")
    project = Project.find()
    with project.exclusive():
        observed = require_rendered(project.observe())
        name = database or observed.database
        also = addons.dependents(project.paths, observed, name, names)
        if also:
            terminal.message(f"these depend on them and are uninstalled, too: {', '.join(also)}")
        confirmed = yes or (
            terminal.confirm(f"Uninstall {', '.join(names)} from {name}, with their data?")
            if project.scenario.developer
            else terminal.confirm_name(f"Uninstall {', '.join(names)} with their data from the database {name}.", name)
        )
        if not confirmed:
            raise UsageError("nothing is uninstalled", todo=f"inv mod.uninstall {','.join(names)} --yes")
        addons.uninstall(project.paths, observed, name, names)
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


@task(
    word="modules",
    lists=["modules"],
    short={"modules": "m", "database": "d"},
    help={
        **_MODULES,
        "modules": "The add-ons (repeat or comma separate; default: the installed ones of this project).",
        "po": "Also update the existing translations (.po): new terms, removed terms, places.",
        "purge": "With --po: remove translations of terms that no longer exist, instead of keeping them as comments.",
    },
)
def pot(c: Context, modules: Sequence[str] = (), database: str = "", po: bool = False, purge: bool = False) -> None:
    """Write the template for translations of add-ons: i18n/NAME.pot."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.addons import translations
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.errors import UsageError
    from odpm_tasks.tasks import stack

    if purge and not po:
        raise UsageError("--purge is for translations", todo="inv mod.pot --po --purge")
    project = stack.rendered_project()
    if not project.scenario.developer:
        raise UsageError(
            f"templates are written in developer only, the scenario is {project.scenario.name}",
            todo="ODPM_SCENARIO=developer inv mod.pot",
        )
    name = stack.existing_database(project, database)
    with project.exclusive():
        observed = require_rendered(project.observe())
        for line in translations.write(project.paths, observed, name, modules, merge=po, purge=purge):
            terminal.output(line)
