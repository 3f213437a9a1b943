"""Tasks that run the stack: up, down, restart, logs, status, shell, psql, exec."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.tasks.base import Context, check_format, remainder, task
from odpm_tasks.tasks.options import from_saved_plan, project_for, step_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odpm_tasks.adapters.docker.engine import Container
    from odpm_tasks.project import Project


@task(
    run_options="up",
    help={"plan": "Perform the plan in this file of `inv plan --out`; exit 2 when the observed state changed."},
)
def up(
    c: Context,
    plan: str = "",
    *,
    options: RunOptions,
) -> None:
    """Apply the description: sources, Python environment, files, services, database."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.planning.observed import RunningState, database_warnings, new_addons, require_rendered
    from odpm_tasks.core.stack.mailcatcher import mail_warning
    from odpm_tasks.project import ORDER
    from odpm_tasks.tasks import output

    if plan:
        project, until, before = from_saved_plan(plan, options)
        done = project.converge(until, before)
    else:
        until = step_ids(options)
        done = project_for(options).converge(until)
    if not done.changed:
        terminal.message("nothing to do")
    if new := new_addons(done.observed):
        terminal.message(f"new in this project: {', '.join(new)}; to install: inv up -i {','.join(new)}")
    for warning in database_warnings(done.observed):
        terminal.warn(warning)
    seen = done.observed
    if isinstance(seen, RunningState) and seen.running.mail_servers and seen.scenario.developer:
        terminal.warn(mail_warning(seen.database, seen.running.mail_servers))
    if until == ORDER:
        for text in output.greeting(done.paths, require_rendered(done.observed)):
            terminal.output(text)


@task(
    help={
        "volumes": "Also remove the volumes of this scenario: database and files are deleted (asks first).",
        "purge": "Remove everything of this project but sources and backups: volumes of every scenario, passwords, generated files.",
        "yes": "Do not ask for confirmation.",
    }
)
def down(c: Context, volumes: bool = False, purge: bool = False, yes: bool = False) -> None:
    """Stop and remove the containers; the database is kept."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.stack import down as stopping

    project = Project.find()
    what = stopping.removal(project.paths, volumes=volumes, purge=purge)
    option = "--purge" if purge else "--volumes"
    if what.texts:
        terminal.message(f"project   {what.project} in {project.root}, scenario {project.scenario.name}")
        for line in what.texts:
            terminal.message(line)
        question = f"Remove this of {what.project}?"
        strict = not project.scenario.developer
        agreed = yes or (terminal.confirm_name(question, what.project) if strict else terminal.confirm(question))
        if not agreed:
            raise UsageError("nothing is removed", todo=f"inv down {option} --yes")
    with project.exclusive():
        stopping.down(project.paths, what)
    terminal.message(what.result(data=volumes or purge))


@task(
    word="service",
    lists=["service"],
    short={"service": "s"},
    help={"service": "Services to restart (repeat or comma separate; default odoo)."},
)
def restart(c: Context, service: Sequence[str] = ()) -> None:
    """Restart Odoo (or other services) and wait until it is healthy."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.adapters.docker import engine as docker
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.stack import up as stack_services
    from odpm_tasks.stack.compose import command_line

    project = rendered_project()
    with project.exclusive(), terminal.activity() as show:
        names = tuple(service) or ("odoo",)
        for name in names:
            stack_services.require_own_folder(project.paths, _container(project, name))
        show.note(", ".join(names), "restart")
        docker.compose(command_line(project.paths), "restart", *names)
        stack_services.wait_until_healthy(project.paths, require_rendered(project.observe()), show)
    terminal.message(f"{', '.join(names)} restarted and healthy")


@task(
    word="service",
    lists=["service"],
    short={"follow": "f", "service": "s"},
    help={
        "service": "Only these services (repeat or comma separate; default: all).",
        "tail": "How many lines (default 100).",
        "follow": "Continue to show new lines.",
    },
)
def logs(c: Context, service: Sequence[str] = (), tail: int = 100, follow: bool = False) -> None:
    """Show the logs of the services."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.adapters.docker import engine as docker
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.stack import up as stack_services
    from odpm_tasks.stack.compose import command_line

    project = rendered_project()
    if service:
        stack_services.require_services(require_rendered(project.observe()), service)
    flags = [f"--tail={tail}", *(["--follow"] if follow else []), *service]
    if terminal.is_interactive() or follow:
        _leave(_foreground(project, "logs", *flags))
    else:
        # Compose moves the cursor also where there is none
        written = docker.compose(command_line(project.paths), "logs", "--no-color", *flags).text
        terminal.output(written.replace("\x1b[2K", "").rstrip("\n"))


@task(help={"format": "text or json."})
def status(c: Context, format: str = "text") -> None:
    """Show the services, the address of Odoo, and the repositories of the stack."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.stack import status as document
    from odpm_tasks.project import PREPARING, Project
    from odpm_tasks.stack.status import status

    check_format(format)
    project = Project.find()
    found, problem = status(project.paths, project.observe(PREPARING))
    terminal.output(document.as_json(found) if format == "json" else document.as_text(found))
    if problem:
        raise problem


@task(word="database", remainder=True, short={"database": "d"}, help={"database": "Database (default: the project's)."})
def shell(c: Context, database: str = "") -> None:
    """Open Odoo's Python shell on the database."""
    project = rendered_project()
    _container(project, "odoo")
    name = existing_database(project, database)
    _leave(
        _foreground(
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
    project = rendered_project()
    name = existing_database(project, database)
    words = ["psql", "-U", "postgres", "-d", name, *(["-c", command] if command else [])]
    _leave(_foreground(project, "exec", *_tty(), "db", *words, *remainder()))


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
    project = rendered_project()
    _container(project, service)
    options: list[str] = []
    if service == "odoo" and words[:2] == ["odoo", "scaffold"]:
        options = _scaffold_options(project, words[2:])
    _leave(_foreground(project, "exec", *_tty(), *options, service, *words))


def rendered_project() -> Project:
    """The project, which has a compose file of this scenario. Errors: ProgramError, UsageError."""
    from odpm_tasks.errors import ProgramError, UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.project_files import read_state

    project = Project.find()
    scenario = project.scenario.name
    if not project.paths.compose.exists():
        raise ProgramError(
            "this project was not started yet, or its generated files were removed",
            where=str(project.root),
            todo="inv up",
        )
    last = read_state(project.paths).get("scenario", scenario)
    if last != scenario:
        raise UsageError(
            f"the running services belong to the scenario {last}; the current scenario is {scenario}",
            where=project.paths.settings.where("ODPM_SCENARIO"),
            todo=f"ODPM_SCENARIO={last} inv …, or start this scenario: inv up",
        )
    return project


def _container(project: Project, service: str) -> Container:
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.stack import up as services

    return services.container(project.paths, require_rendered(project.observe()), service)


def _database(project: Project, database: str) -> str:
    from odpm_tasks.core.planning.observed import require_rendered

    return require_rendered(project.with_options(RunOptions(database=database)).observe()).database


def _scaffold_options(project: Project, words: Sequence[str]) -> list[str]:
    """`odoo scaffold` writes into the project: paths are relative to its folder, whose owner owns what it makes."""
    from odpm_tasks.core.addons.scaffold import check_destination
    from odpm_tasks.core.planning.observed import require_rendered

    stack = require_rendered(project.observe()).stack
    folders = {mount.host: mount.inside for mount in stack.mounts if mount.writable}
    inside = check_destination(words, stack.own_folder, folders)
    owner = project.root.stat()
    return ["--user", f"{owner.st_uid}:{owner.st_gid}", "--workdir", inside]


def existing_database(project: Project, database: str) -> str:
    """The name of the database. Errors: DescriptionError if there is none of this name."""
    from odpm_tasks.stack.database import require_database

    name = _database(project, database)
    require_database(_container(project, "db").id, name)
    return name


def _tty() -> list[str]:
    from odpm_tasks.adapters import terminal

    return [] if terminal.is_interactive() else ["-T"]


def _foreground(project: Project, *words: str) -> int:
    from odpm_tasks.adapters.docker import engine as docker
    from odpm_tasks.stack.compose import command_line

    code = docker.compose_foreground(command_line(project.paths), *words)
    if code:
        docker.require()  # reports a missing or unresponsive engine
    return code


def _leave(code: int) -> None:
    """Exit with the exit code of a program."""
    from invoke.exceptions import Exit

    if code:
        raise Exit(code=code)
