"""Tasks that run a program in a container of the stack: Odoo's shell, psql, any other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks import stack
from odpm_tasks.tasks.base import Context, remainder, task

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odpm_tasks.project import Project


@task(word="database", remainder=True, short={"database": "d"}, help={"database": "Database (default: the project's)."})
def shell(c: Context, database: str = "") -> None:
    """Open Odoo's Python shell on the database."""
    project = stack.rendered_project()
    stack.container(project, "odoo")
    name = stack.existing_database(project, database)
    stack.leave(
        stack.foreground(
            project,
            "exec",
            *_tty(),
            "odoo",
            "odoo",
            "shell",
            "-d",
            name,
            "--no-http",
            *remainder(),
        )
    )


@task(
    word="database",
    remainder=True,
    short={"database": "d", "command": "c"},
    help={"database": "Database (default: the project's).", "command": "Run this SQL and exit."},
)
def psql(c: Context, database: str = "", command: str = "") -> None:
    """Open psql on the database; arguments after -- are passed to psql."""
    from odpm_tasks.stack.databases.psql import session_user

    project = stack.rendered_project()
    name = stack.existing_database(project, database)
    words = ["psql", "-U", session_user(name), "-d", name, *(["-c", command] if command else [])]
    stack.leave(stack.foreground(project, "exec", *_tty(), "db", *words, *remainder()))


@task(
    name="exec",
    word="service",
    remainder=True,
    short={"service": "s"},
    help={"service": "The service to run it in (default odoo)."},
)
def exec_(c: Context, service: str = "odoo") -> None:
    """Run a program in a service: inv exec -- odoo --version."""
    from odpm_tasks.errors import UsageError

    words = remainder()
    if not words:
        raise UsageError("nothing to run", todo="inv exec -- odoo --version")
    project = stack.rendered_project()
    stack.container(project, service)
    options: list[str] = []
    if service == "odoo" and words[:2] == ["odoo", "scaffold"]:
        options = _scaffold_options(project, words[2:])
    stack.leave(stack.foreground(project, "exec", *_tty(), *options, service, *words))


def _scaffold_options(project: Project, words: Sequence[str]) -> list[str]:
    """`odoo scaffold` writes into the project: paths are relative to its folder, whose owner owns what it makes."""
    from odpm_tasks.core.addons.scaffold import check_destination
    from odpm_tasks.core.planning.observed import require_rendered

    stack = require_rendered(project.observe()).stack
    folders = {mount.host: mount.inside for mount in stack.mounts if mount.writable}
    inside = check_destination(words, stack.own_folder, folders)
    owner = project.root.stat()
    return ["--user", f"{owner.st_uid}:{owner.st_gid}", "--workdir", inside]


def _tty() -> list[str]:
    from odpm_tasks.adapters import terminal

    return [] if terminal.is_interactive() else ["-T"]
