"""Tasks that run the stack: up, down, restart, logs, status, shell, psql, exec, test."""

from __future__ import annotations

from typing import TYPE_CHECKING

from odpm_tasks.tasks import wishes
from odpm_tasks.tasks.base import Context, remainder, task, words

if TYPE_CHECKING:
    from odpm_tasks.adapters.docker import Container
    from odpm_tasks.project import Project


@task(
    short=wishes.SHORT,
    help={
        **wishes.HELP,
        "free_ports": "Pick free ports for those that are in use, and keep to them from now on.",
        "plan": "Do exactly what this file of `inv plan --out` says, or refuse (exit 2) because the world moved.",
    },
)
def up(
    c: Context,
    database: str = "",
    install: str = "",
    update: str = "",
    demo: bool = False,
    dev: str = "",
    debug: bool = False,
    free_ports: bool = False,
    skip_start: bool = False,
    no_git_update: bool = False,
    plan: str = "",
) -> None:
    """Bring everything to the description: sources, Python environment, files, services, database."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.project import ORDER
    from odpm_tasks.tasks import show

    if plan:
        given = {
            "database": database, "install": install, "update": update, "demo": demo, "dev": dev, "debug": debug,
            "free_ports": free_ports, "skip_start": skip_start, "no_git_update": no_git_update,
        }  # fmt: skip
        project, until, before = wishes.as_saved(plan, given)
        done = project.bring(until, before)
    else:
        wished = wishes.wished(database, install, update, demo, dev, debug, skip_start, no_git_update)
        until = wishes.steps(wished)
        done = wishes.project_for(wished, free_ports=free_ports).bring(until)
    if not done.changed:
        terminal.say("nothing to do")
    if until == ORDER:
        for text in show.greeting(done.place, done.sight):
            terminal.tell(text)


@task(
    help={
        "volumes": "Also remove the volumes of this scenario: database and files are gone (asks first).",
        "yes": "Do not ask.",
    }
)
def down(c: Context, volumes: bool = False, yes: bool = False) -> None:
    """Stop and remove the containers; the database stays."""
    from odpm_tasks.adapters import docker, terminal
    from odpm_tasks.errors import UsageError
    from odpm_tasks.running import compose_env

    project = _rendered(same_scenario=volumes)
    words = ["down", "--remove-orphans"]
    if volumes:
        scenario = project.scenario.name
        if not yes and not (
            docker.interactive() and input(f"Remove the database and files of {scenario}? [y/N] ").lower() == "y"
        ):
            raise UsageError("nothing is removed", todo="inv down --volumes --yes")
        words.append("--volumes")
    with project.exclusive():
        docker.demand()
        # containers of every profile: one may have been active when they were started
        docker.compose(project.root, {**compose_env(project.place), "COMPOSE_PROFILES": "*"}, *words)
    terminal.say("containers are removed" + (", and their volumes" if volumes else "; the database stays"))


@task(help={"services": "Services to restart (comma separated; default odoo)."})
def restart(c: Context, services: str = "odoo") -> None:
    """Restart Odoo (or other services) and wait until it is healthy."""
    from odpm_tasks import services as stack_services
    from odpm_tasks.adapters import docker, terminal
    from odpm_tasks.running import compose_env, compose_project

    project = _rendered()
    with project.exclusive(), terminal.activity() as show:
        names = words(services)
        for name in names:
            _container(project, name)
        show.note(", ".join(names), "restart")
        docker.compose(project.root, compose_env(project.place), "restart", *names)
        stack = project.sight().stack
        assert stack is not None
        stack_services.wait_until_healthy(project.place, compose_project(project.place, stack), show)
    terminal.say(f"{', '.join(names)} restarted and healthy")


@task(
    short={"follow": "f", "service": "s"},
    help={
        "service": "One service (default: all).",
        "tail": "How many lines (default 100).",
        "follow": "Go on showing new lines.",
    },
)
def logs(c: Context, service: str = "", tail: int = 100, follow: bool = False) -> None:
    """Show what the services wrote."""
    from odpm_tasks.adapters import docker, terminal
    from odpm_tasks.running import compose_env

    project = _rendered()
    flags = [f"--tail={tail}", *(["--follow"] if follow else []), *([service] if service else [])]
    if docker.interactive() or follow:
        _leave(_foreground(project, "logs", *flags))
    else:
        # Compose moves the cursor also where there is none
        written = docker.compose(project.root, compose_env(project.place), "logs", "--no-color", *flags).text
        terminal.tell(written.replace("\x1b[2K", "").rstrip("\n"))


@task(help={"format": "text or json."})
def status(c: Context, format: str = "text") -> None:
    """Show what is running, where, and which repositories it is made of."""
    from odpm_tasks.adapters import terminal
    from odpm_tasks.errors import UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.tasks import show

    if format not in {"text", "json"}:
        raise UsageError(f"unknown format {format!r}", todo="--format text or --format json")
    project = Project.find()
    terminal.tell(show.status(project.place, project.sight(), as_json=format == "json"))


@task(short={"database": "d"}, help={"database": "Database (default: the project's)."})
def shell(c: Context, database: str = "") -> None:
    """Open Odoo's Python shell on the database."""
    project = _rendered()
    _container(project, "odoo")
    _leave(
        _foreground(
            project,
            "exec",
            *_tty(),
            "odoo",
            "odoo",
            "shell",
            "-d",
            _database(project, database),
            "--no-http",
            *remainder(),
        )
    )


@task(
    short={"database": "d", "command": "c"},
    help={"database": "Database (default: the project's).", "command": "Run this SQL and leave."},
)
def psql(c: Context, database: str = "", command: str = "") -> None:
    """Open psql on the database; what follows a lone -- goes to psql."""
    project = _rendered()
    _container(project, "db")
    words = ["psql", "-U", "postgres", "-d", _database(project, database), *(["-c", command] if command else [])]
    _leave(_foreground(project, "exec", *_tty(), "db", *words, *remainder()))


@task(name="exec", short={"service": "s"}, help={"service": "Where to run it (default odoo)."})
def exec_(c: Context, service: str = "odoo") -> None:
    """Run a program in a service: inv exec -- odoo --version."""
    from odpm_tasks.errors import UsageError

    words = remainder()
    if not words:
        raise UsageError("nothing to run", todo="inv exec -- odoo --version")
    project = _rendered()
    _container(project, service)
    _leave(_foreground(project, "exec", *_tty(), service, *words))


@task(
    short={"modules": "m"},
    help={
        "modules": "Add-ons to test (default: those of the developing project).",
        "tags": "Odoo's --test-tags.",
        "keep": "Keep the test database.",
    },
)
def test(c: Context, modules: str = "", tags: str = "", keep: bool = False) -> None:
    """Run the add-ons' Odoo tests in a database of their own, dropped afterwards."""
    from odpm_tasks import database
    from odpm_tasks.project import Project

    project = _rendered()
    _container(project, "db")
    database.run_tests(project.place, Project.find().sight(), words(modules), tags, keep)


def _rendered(same_scenario: bool = True) -> Project:
    """The project, with a compose file of this scenario to speak to. Errors: ProgramError, UsageError."""
    from odpm_tasks.errors import ProgramError, UsageError
    from odpm_tasks.project import Project
    from odpm_tasks.state import recall

    project = Project.find()
    scenario = project.scenario.name
    if not project.place.compose.exists():
        raise ProgramError("this project has not been brought up yet", where=str(project.root), todo="inv up")
    last = recall(project.place).get("scenario", scenario)
    if same_scenario and last != scenario:
        raise UsageError(
            f"what runs here is of the scenario {last}, and you are in {scenario}",
            where=project.place.settings.where("ODPM_SCENARIO"),
            todo=f"ODPM_SCENARIO={last} inv …, or bring this one up: inv up",
        )
    return project


def _container(project: Project, service: str) -> Container:
    from odpm_tasks import services

    return services.container(project.place, project.sight(), service)


def _database(project: Project, database: str) -> str:
    return project.wishing(database=database).sight().world.database


def _tty() -> list[str]:
    from odpm_tasks.adapters import docker

    return [] if docker.interactive() else ["-T"]


def _foreground(project: Project, *words: str) -> int:
    from odpm_tasks.adapters import docker
    from odpm_tasks.running import compose_env

    code = docker.compose_foreground(project.root, compose_env(project.place), *words)
    if code:
        docker.demand()  # where Docker itself is the reason, it is told in our words
    return code


def _leave(code: int) -> None:
    """End with a program's own exit code."""
    from invoke.exceptions import Exit

    if code:
        raise Exit(code=code)
