"""The database of a target: installed, updated, and copied before an update."""

from __future__ import annotations

import json
from pathlib import Path

from odpm_tasks.adapters import terminal
from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.sql import identifier, literal
from odpm_tasks.core.odoo.installed_addons import AddonVersion, compare
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets.services import UPDATE
from odpm_tasks.deployment.targets import services
from odpm_tasks.deployment.targets.machine import Machine, containers
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.errors import ProgramError

JOURNAL, MAINTENANCE = "deployment.json", "web/maintenance"
_EXISTS = "SELECT 1 FROM pg_database WHERE datname = {name}"
INSTALLED = "SELECT name, latest_version FROM ir_module_module WHERE state IN ('installed', 'to upgrade', 'to remove')"


def start(machine: Machine, file: Path, show: terminal.Activity) -> None:
    """Start PostgreSQL, and install Odoo in a database that is empty."""
    show.note("database", "start")
    if is_own(file):
        services.compose(machine, file, "up", "--detach", "--wait", "db", show=show)
    outcome = machine.compose(
        file, "run", "--rm", UPDATE, check=False, on_line=lambda line: show.note("database", line)
    )
    if not outcome.ok:
        raise ProgramError(
            "Odoo could not be installed in the database", details=outcome.tail()[-4:], todo=services.logs(machine)
        )


def raised(wanted: TargetDeployment, rows: str) -> tuple[AddonVersion, ...]:
    """The installed add-ons whose version is raised in the image. `rows`: the output of `INSTALLED`.

    Errors: DescriptionError for a database that does not fit the image.
    """
    installed = dict(line.split("|", 1) for line in rows.splitlines() if "|" in line)
    findings = compare(installed, wanted.versions, wanted.odoo_version)
    for error in findings.errors(wanted.database, wanted.odoo_version):
        raise error
    return findings.raised


def raised_there(machine: Machine, wanted: TargetDeployment) -> tuple[AddonVersion, ...]:
    """The same of the release that runs on the machine; none where no web server does. Errors: those of `raised`."""
    found = (each for each in containers(machine) if each["service"] == "web" and each["state"] == "running")
    web = next(found, None)
    if web is None:
        return ()
    words = ("exec", web["id"], "odoo-run", "psql", "-d", wanted.database, "-qAt", "-c", INSTALLED)
    return raised(wanted, machine.run(*words).text)


def update(
    machine: Machine, file: Path, wanted: TargetDeployment, begun: str, show: terminal.Activity
) -> tuple[str, ...]:
    """Update add-ons while no Odoo runs; a copy of the database has the state before. Returns their names.

    `begun`: the time of the deployment, by which a journal belongs to it.
    """
    rows = _query(machine, file, wanted.database, INSTALLED)
    names = tuple(addon.name for addon in raised(wanted, rows))
    if not names:
        return ()
    if not is_own(file):
        terminal.warn("PostgreSQL is not the target's own: no copy of the database is made before the update")
    show.note("database", f"update {', '.join(names)}")
    machine.shell(f'mkdir -p web; touch "{MAINTENANCE}"')
    services.stop_odoo(machine)
    if is_own(file):
        _copy(machine, file, wanted.database)
    journal = {"begun": begun, "release": wanted.release, "database": wanted.database}
    machine.put({JOURNAL: json.dumps(journal).encode()})
    words = ("run", "--rm", UPDATE, "-u", ",".join(names))
    outcome = machine.compose(file, *words, check=False, on_line=lambda line: show.note("database", line))
    if not outcome.ok:
        raise ProgramError(
            f"the update of {', '.join(names)} failed on the target {machine.target.name}",
            details=[line for line in outcome.tail() if line.strip()][-4:],
            todo=services.logs(machine),
        )
    return names


def _copy_name(database: str) -> str:
    return f"odpm.before.{database}"[:63]


def _copy(machine: Machine, file: Path, database: str) -> None:
    """Copy the database; a copy that an interrupted run left is replaced only if it is not needed any more."""
    copied = _copy_name(database)
    _admin(machine, file, sql.end_sessions(database))
    _admin(machine, file, f"DROP DATABASE IF EXISTS {identifier(copied)}")
    _admin(machine, file, f"CREATE DATABASE {identifier(copied)} TEMPLATE {identifier(database)}")


def restore(machine: Machine, file: Path, database: str) -> None:
    """Replace the database by its copy. A run that was killed half way is finished by the next one."""
    copied = _copy_name(database)
    if not _admin(machine, file, _EXISTS.format(name=literal(copied))).strip():
        return
    _admin(machine, file, sql.end_sessions(database))
    _admin(machine, file, f"DROP DATABASE IF EXISTS {identifier(database)}")
    _admin(machine, file, f"ALTER DATABASE {identifier(copied)} RENAME TO {identifier(database)}")


def forget_copy(machine: Machine, file: Path, database: str) -> None:
    """Remove the copy of a database whose update has succeeded."""
    if is_own(file):
        _admin(machine, file, f"DROP DATABASE IF EXISTS {identifier(_copy_name(database))}")


def is_own(file: Path) -> bool:
    """Whether the target runs PostgreSQL itself."""
    return "db" in load(file.read_text(encoding="utf-8"))["services"]


def _admin(machine: Machine, file: Path, statement: str) -> str:
    words = ("exec", "--no-TTY", "db", "psql", "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-qAt", "-c", statement)
    return machine.compose(file, *words).text


def _query(machine: Machine, file: Path, database: str, statement: str) -> str:
    """A query with the access of Odoo, also of a PostgreSQL that is not the target's own."""
    words = ("run", "--rm", "--no-deps", "--entrypoint", "odoo-run", UPDATE, "psql", "-d", database)
    return machine.compose(file, *words, "-qAt", "-c", statement).text
