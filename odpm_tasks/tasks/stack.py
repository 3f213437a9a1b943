"""Tasks that run the stack: up, down, restart, logs, status."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.core.planning.options import ALL_DATABASES, RunOptions
from odpm_tasks.tasks.base import Context, check_format, task, write_report
from odpm_tasks.tasks.options import from_saved_plan, project_for, step_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from odpm_tasks.adapters.docker.engine import Container
    from odpm_tasks.project import Project


@task(
    run_options="up",
    optional=["rollback"],
    help={
        "plan": "Perform the plan in this file of `inv plan --out`; exit 2 when the observed state changed.",
        "rollback": "Return to this release, or to the one before the current (server); --database restores what it updated, too.",
        "yes": "With --rollback --database: do not ask for confirmation.",
    },
)
def up(
    c: Context,
    plan: str = "",
    rollback: str | bool = "",
    yes: bool = False,
    *,
    options: RunOptions,
) -> None:
    """Apply the description: sources, Python environment, files, services, database."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import ORDER

    if rollback:
        _roll_back(rollback if isinstance(rollback, str) else "", options, yes)
        return
    if options.database == ALL_DATABASES:
        raise UsageError("--database needs the name of a database", todo="inv up -d NAME")
    if plan:
        project, until, before = from_saved_plan(plan, options)
        done = project.converge(until, before)
    else:
        until = step_ids(options)
        done = project_for(options).converge(until)
    from odpm_tasks.core.planning.observed import RunningState, database_warnings, new_addons, require_rendered
    from odpm_tasks.core.stack.mailcatcher import mail_warning
    from odpm_tasks.tasks import output

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
            terminal.output_text(text)


def _roll_back(release: str, options: RunOptions, yes: bool) -> None:
    """Return to an earlier release. Errors: UsageError where that cannot be, those of `rollback.choose`."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.deployment import rollback
    from odpm_tasks.errors import UsageError

    databases = options.database == ALL_DATABASES
    others = [name for name in options.given() if name != "--database"]
    if others or (options.database and not databases):
        what = others[0] if others else "the name of a database"
        raise UsageError(f"--rollback cannot be combined with {what}", todo="inv up --rollback [RELEASE] [--database]")
    project = rendered_project()
    if not project.scenario.releases:
        raise UsageError(
            f"only the scenario server has releases, the scenario is {project.scenario.name}",
            where=project.paths.settings.where("ODPM_SCENARIO"),
            todo="git checkout COMMIT && inv up",
        )
    with project.exclusive():
        chosen = rollback.choose(project.paths, release, databases=databases)
        observed = require_rendered(project.observe())
        lines = rollback.describe(project.paths, observed, chosen)
        for line in lines:
            terminal.message(line)
        if (
            lines
            and not yes
            and not terminal.confirm_name("What was entered since is kept in a snapshot.", observed.database)
        ):
            raise UsageError("nothing is changed", todo="inv up --rollback --database --yes")
        rollback.roll_back(project.paths, observed, chosen)
    terminal.message(f"release {chosen.to.release} of {chosen.to.time} serves; inv up deploys the present commit again")


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
    import time

    from odpm_tasks.adapters import terminal
    from odpm_tasks.adapters.docker import compose_cli
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project_files import read_deployment
    from odpm_tasks.stack import up as stack_services
    from odpm_tasks.stack.compose import command_line

    project = rendered_project()
    names = tuple(service) or ("odoo",)
    if "odoo" in names and project.scenario.strict and read_deployment(project.paths):
        raise UsageError(
            "a deployment was interrupted, its databases may be half updated", todo="inv up goes back or on"
        )
    with project.exclusive(), terminal.activity() as show:
        for name in names:
            stack_services.require_own_folder(project.paths, container(project, name))
        show.note(", ".join(names), "restart")
        since = time.time()
        compose_cli.run(command_line(project.paths), "restart", *names)
        stack_services.wait_until_healthy(project.paths, require_rendered(project.observe()), show, since=since)
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
    from odpm_tasks.adapters.docker import compose_cli
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.stack import up as stack_services
    from odpm_tasks.stack.compose import command_line

    project = rendered_project()
    if service:
        stack_services.require_services(require_rendered(project.observe()), service)
    flags = [f"--tail={tail}", *(["--follow"] if follow else []), *service]
    if terminal.is_interactive() or follow:
        leave(foreground(project, "logs", *flags))
    else:
        written = compose_cli.run(command_line(project.paths), "logs", "--no-color", *flags).text
        terminal.output(compose_cli.plain_text(written))


@task(help={"format": "text or json."})
def status(c: Context, format: str = "text") -> None:
    """Show the services, the address of Odoo, and the repositories of the stack."""
    from odpm_tasks.core.stack import status as document
    from odpm_tasks.project import PREPARING, Project
    from odpm_tasks.stack.status import status

    check_format(format)
    project = Project.find()
    found, problem = status(project.paths, project.observe(PREPARING))
    write_report(format, lambda: document.as_json(found), lambda _: document.as_text(found))
    if problem:
        raise problem


def rendered_project() -> Project:
    """The project, which has a compose file of this scenario. Errors: ProgramError, UsageError."""
    from odpm_tasks.errors import ProgramError, UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.project_state import read_state

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


def container(project: Project, service: str) -> Container:
    """The running container of a service. Errors: UsageError for an unknown service, ProgramError where it does not run."""
    from odpm_tasks.adapters.docker import engine as docker
    from odpm_tasks.sources.project_names import compose_name

    found = docker.running_container(docker.containers(compose_name(project.paths, project.manifest)), service)
    if found:
        return found
    from odpm_tasks.core.planning.observed import require_rendered
    from odpm_tasks.project import PREPARING
    from odpm_tasks.stack import up as services

    return services.container(project.paths, require_rendered(project.observe(PREPARING)), service)


def existing_database(project: Project, database: str) -> str:
    """The name of the database. Errors: DescriptionError if there is none of this name."""
    from functools import partial

    from odpm_tasks.sources.project_names import database_name
    from odpm_tasks.stack.databases.contents import require_database
    from odpm_tasks.stack.databases.psql import sql

    name = database_name(project.paths, project.manifest, database)
    require_database(partial(sql, container(project, "db").id), name)
    return name


def foreground(project: Project, *words: str) -> int:
    """Run a Compose command on the user's terminal; returns its exit code. Errors: MachineError for a missing engine."""
    from odpm_tasks.adapters.docker import compose_cli
    from odpm_tasks.adapters.docker import engine as docker
    from odpm_tasks.stack.compose import command_line

    code = compose_cli.foreground(command_line(project.paths), *words)
    if code:
        docker.require()  # reports a missing or unresponsive engine
    return code


def leave(code: int) -> None:
    """Exit with the exit code of a program."""
    from invoke.exceptions import Exit

    if code:
        raise Exit(code=code)
