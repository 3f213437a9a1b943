"""The database of a target: installed, updated, and copied before an update."""

from __future__ import annotations

import json

from odpm_tasks.adapters import terminal
from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.sql import identifier, literal
from odpm_tasks.core.odoo.installed_addons import AddonVersion, compare
from odpm_tasks.deployment.targets import kinds, services
from odpm_tasks.deployment.targets.machine import Machine
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.deployment.targets.target_stack import JOURNAL, TargetStack
from odpm_tasks.errors import ProgramError

_EXISTS = "SELECT 1 FROM pg_database WHERE datname = {name}"
INSTALLED = "SELECT name, latest_version FROM ir_module_module WHERE state IN ('installed', 'to upgrade', 'to remove')"


def start(stack: TargetStack, show: terminal.Activity) -> None:
    """Start PostgreSQL, and install Odoo in a database that is empty."""
    show.note("database", "start")
    stack.start_database(show)
    outcome = stack.run_update((), show)
    if not outcome.ok:
        raise ProgramError(
            "Odoo could not be installed in the database",
            details=outcome.tail()[-4:],
            todo=services.logs(stack.machine),
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


def raised_there(machine: Machine, wanted: TargetDeployment, release: str) -> tuple[AddonVersion, ...]:
    """The same of the release that runs on the machine; none where no web server does. Errors: those of `raised`."""
    found = [each for each in kinds.containers(machine) if each["service"] == "web" and each["state"] == "running"]
    here = next((each["id"] for each in found if each["id"]), "")
    if here:
        words = ("exec", here, "odoo-run", "psql", "-d", wanted.database, "-qAt", "-c", INSTALLED)
        return raised(wanted, machine.run(*words).text)
    if not found or not release:
        return ()
    with kinds.opened(machine, release) as stack:  # every container is on another node of the Swarm
        return raised(wanted, stack.query(wanted.database, INSTALLED))


def update(stack: TargetStack, wanted: TargetDeployment, begun: str, show: terminal.Activity) -> tuple[str, ...]:
    """Update add-ons while no Odoo runs; a copy of the database has the state before. Returns their names.

    `begun`: the time of the deployment, by which a journal belongs to it.
    """
    rows = stack.query(wanted.database, INSTALLED)
    names = tuple(addon.name for addon in raised(wanted, rows))
    if not names:
        return ()
    if not stack.own_database:
        terminal.warn("PostgreSQL is not the target's own: no copy of the database is made before the update")
    show.note("database", f"update {', '.join(names)}")
    stack.show_maintenance()
    stack.stop_odoo()
    if stack.own_database:
        _copy(stack, wanted.database)
    journal = {"begun": begun, "release": wanted.release, "database": wanted.database}
    stack.machine.put({JOURNAL: json.dumps(journal).encode()})
    outcome = stack.run_update(("-u", ",".join(names)), show)
    if not outcome.ok:
        raise ProgramError(
            f"the update of {', '.join(names)} failed on the target {stack.machine.target.name}",
            details=[line for line in outcome.tail() if line.strip()][-4:],
            todo=services.logs(stack.machine),
        )
    return names


def _copy_name(database: str) -> str:
    return f"odpm.before.{database}"[:63]


def _copy(stack: TargetStack, database: str) -> None:
    """Copy the database; a copy that an interrupted run left is replaced only if it is not needed any more."""
    copied = _copy_name(database)
    stack.admin(
        sql.end_sessions(database),
        f"DROP DATABASE IF EXISTS {identifier(copied)}",
        f"CREATE DATABASE {identifier(copied)} TEMPLATE {identifier(database)}",
    )


def restore(stack: TargetStack, database: str) -> None:
    """Replace the database by its copy. A run that was killed half way is finished by the next one."""
    copied = _copy_name(database)
    if not stack.admin(_EXISTS.format(name=literal(copied))).strip():
        return
    stack.admin(
        sql.end_sessions(database),
        f"DROP DATABASE IF EXISTS {identifier(database)}",
        f"ALTER DATABASE {identifier(copied)} RENAME TO {identifier(database)}",
    )


def forget_copy(stack: TargetStack, database: str) -> None:
    """Remove the copy of a database whose update has succeeded."""
    if stack.own_database:
        stack.admin(f"DROP DATABASE IF EXISTS {identifier(_copy_name(database))}")
