"""What the tasks about databases share: access, names, questions."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from odpm_tasks.core.planning.observed import RenderedState
    from odpm_tasks.databases.access import DatabaseAccess
    from odpm_tasks.project import Project

DATABASE = "Database (default: the project's)."
# The options of every task that restores a database
RESTORING = {
    "replace": "Replace an existing database, after a snapshot of it.",
    "no_neutralize": "Keep scheduled actions, mail and payments, and the uuid, as they are.",
    "yes": "Do not ask for confirmation.",
}


def existing(access: DatabaseAccess, database: str) -> str:
    """The name of an existing database that tasks may work on; `database`: empty for the project's.

    What a killed run left is finished first: it may be a database that has a new name. Needs the project's lock. Errors:
    DescriptionError.
    """
    from odpm_tasks.core.databases.names import check_name
    from odpm_tasks.databases.copying import remove_leftovers
    from odpm_tasks.stack.databases.contents import require_database

    name = check_name(database or access.database)
    remove_leftovers(access)
    require_database(access.sql, name)
    return name


def new_name(name: str) -> str:
    """The name for a new database. Errors: DescriptionError where a user may not give it."""
    from odpm_tasks.core.databases.names import check_name

    return check_name(name, "TARGET")


def for_database(access: DatabaseAccess, database: str) -> str:
    """The option that names a database in a command to type; empty for the project's."""
    from shlex import quote

    return "" if database == access.database else f" -d {quote(database)}"


def confirm(project: Project, database: str, yes: bool, what: str) -> None:
    """Ask before something is destroyed; outside of developer for the name of the database. Errors: UsageError."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import UsageError

    agreed = yes or (
        terminal.confirm(f"{what}?") if project.scenario.developer else terminal.confirm_name(f"{what}.", database)
    )
    if not agreed:
        raise UsageError("nothing is changed", todo="the same command with --yes")


@contextmanager
def opened() -> Iterator[tuple[Project, DatabaseAccess]]:
    """The project and connected access to its databases. Errors: those of tasks that need running services."""
    from odpm_tasks.databases.early import early_programs
    from odpm_tasks.tasks.stack import rendered_project

    project = rendered_project()
    with early_programs(project.paths) as early:  # the imports below take as long as Docker's answers
        from odpm_tasks.databases.access import described_access

        def observe() -> RenderedState:
            from odpm_tasks.core.planning.observed import require_rendered
            from odpm_tasks.core.planning.steps import PREPARING

            return require_rendered(project.observe(PREPARING))

        with described_access(project.paths, observe, early).connected() as connected:
            yield project, connected
