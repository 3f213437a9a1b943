"""What `plan` and `up` take alike: the wishes of a command line beyond the description, and a plan saved earlier."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from odpm_tasks.tasks.base import AS_FOUND, words

if TYPE_CHECKING:
    from odpm_tasks.bringing import Before
    from odpm_tasks.core.wished import Wished
    from odpm_tasks.project import Project

SHORT = {"database": "d", "install": "i", "update": "u"}
HELP = {
    "database": "Database to create and show (default: odoo_conf.options.db_name, else the folder's name).",
    "install": "Add-ons to install (default for a new database: those of the developing project).",
    "update": "Add-ons to update in the database.",
    "demo": "With demo data, for a new database.",
    "dev": "Odoo's --dev features, for instance reload,qweb,xml or all (developer).",
    "debug": "Start Odoo under debugpy, waiting for nobody (developer).",
    "skip_start": "Stop before anything of Docker.",
    "no_git_update": AS_FOUND,
}


def wished(
    database: str, install: str, update: str, demo: bool, dev: str, debug: bool, skip_start: bool, no_git_update: bool
) -> Wished:
    from odpm_tasks.core.wished import Wished

    return Wished(
        database=database, install=words(install), update=words(update), demo=demo, touch_git=not no_git_update,
        dev=dev, debug=debug, skip_start=skip_start,
    )  # fmt: skip


def project_for(wishes: Wished, *, free_ports: bool = False) -> Project:
    """The project you stand in, with these wishes. Errors: UsageError for what only developer has."""
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project

    switches = {"ODPM_DEV": wishes.dev, "ODPM_DEBUG": "1" if wishes.debug else ""}
    project = Project.find(None, **{name: value for name, value in switches.items() if value})
    if (wishes.dev or wishes.debug) and not project.scenario.developer:
        raise UsageError(
            f"--dev and --debug belong to developer, this is {project.scenario.name}",
            todo="ODPM_SCENARIO=developer inv up …",
        )
    return project.wishing(
        database=wishes.database, install=wishes.install, update=wishes.update, demo=wishes.demo,
        touch_git=wishes.touch_git, free_ports=free_ports,
    )  # fmt: skip


def as_saved(file: str, options: Mapping[str, object]) -> tuple[Project, Sequence[str], Before]:
    """The project with the wishes of a saved plan, the steps to do, and what holds a run to them.

    Errors: UsageError where the plan does not fit.
    """
    from odpm_tasks import saved_plans
    from odpm_tasks.core.saved_plan import see_it_fits
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project

    given = [f"--{name.replace('_', '-')}" for name, value in options.items() if value]
    if given:
        raise UsageError(
            f"--plan does what the file says and takes no wish beside it: {given[0]}",
            todo=f"leave it out, or save a plan with it: inv plan {given[0]} … --out {file}",
        )
    path = Path(file)
    saved = saved_plans.load(path)
    found = Project.find()
    see_it_fits(saved, saved_plans.whose(found.place), found.scenario.name, file)
    project = project_for(saved.wishes)
    until = steps(saved.wishes)
    return project, until, saved_plans.guard(project.place, until, project.wishes, saved, path)


def steps(wishes: Wished) -> Sequence[str]:
    """The steps of a run with these wishes."""
    from odpm_tasks.project import ORDER, PREPARING

    return PREPARING if wishes.skip_start else ORDER
