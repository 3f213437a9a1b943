"""The database of a target: installed, updated, copied before an update; its add-ons and passwords as a deployment finds them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from odpm_tasks.adapters import terminal
from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.sql import identifier, literal
from odpm_tasks.core.odoo.installed_addons import AddonVersion, compare
from odpm_tasks.core.stack.compose_file import DATABASE
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.targets.history import TargetRelease
from odpm_tasks.core.targets.services import POSTGRES_PASSWORD, UPDATE
from odpm_tasks.deployment.targets import kinds, services
from odpm_tasks.deployment.targets.release import TargetDeployment
from odpm_tasks.deployment.targets.target_stack import JOURNAL, TargetStack
from odpm_tasks.errors import DescriptionError, ProgramError

_EXISTS = "SELECT 1 FROM pg_database WHERE datname = {name}"
INSTALLED = "SELECT name, latest_version FROM ir_module_module WHERE state IN ('installed', 'to upgrade', 'to remove')"

_PASSWORDS = {"db_password": "odoo", POSTGRES_PASSWORD: "postgres"}
# by the address of the container: PostgreSQL asks for no password on its loopback
_LOGIN = """IFS= read -r PGPASSWORD; export PGPASSWORD
exec psql -h "$(hostname -i | cut -d' ' -f1)" -U "$1" -d postgres -qAtc 'SELECT 1'"""


def start(stack: TargetStack, show: terminal.Activity, *, empty: bool = True) -> None:
    """Start PostgreSQL, and install Odoo in a database that is empty. `empty`: whether it may be."""
    show.note("database", "start")
    stack.start_database(show)
    if not empty:
        return
    outcome = stack.run_update((), show)
    if not outcome.ok:
        raise ProgramError(
            "Odoo could not be installed in the database",
            details=outcome.tail()[-4:],
            todo=services.logs(stack.machine),
        )


def raised(wanted: TargetDeployment, installed: Mapping[str, str]) -> tuple[AddonVersion, ...]:
    """The installed add-ons (name -> version in the database) whose version is raised in the image.

    Errors: DescriptionError for a database that does not fit the image.
    """
    findings = compare(installed, wanted.versions, wanted.odoo_version)
    for error in findings.errors(wanted.database, wanted.odoo_version):
        raise error
    return findings.raised


def installed_there(
    wanted: TargetDeployment,
    known: Sequence[TargetRelease],
    running: str | None,
    show: terminal.Activity | None = None,
) -> dict[str, str] | None:
    """The installed add-ons of the database of a release, asked with the release that runs; None where that cannot tell.

    It can where both have the same database. `running`: its services; `show`: where PostgreSQL may be started for the question.
    """
    machine = wanted.machine
    if running is None or _connection(running) != _connection(wanted.stack_file.decode()):
        return None
    found = [each for each in kinds.containers(machine) if each["state"] == "running"]
    web = next((each["id"] for each in found if each["service"] == "web" and each["id"]), "")
    if web:
        words = ("exec", web, "odoo-run", "psql", "-d", wanted.database, "-qAt", "-c", INSTALLED)
        outcome = machine.run(*words, check=False)
        if outcome.ok:
            return _versions(outcome.text)
        _warn(wanted)
        return None
    try:
        with kinds.opened(machine, known[-1].id) as stack:
            if stack.own_database and DATABASE not in {each["service"] for each in found}:
                if show is None:
                    return None
                stack.start_database(show)
            return _versions(stack.query(wanted.database, INSTALLED))
    except ProgramError:
        _warn(wanted)
        return None


def require_passwords(wanted: TargetDeployment) -> None:
    """Refuse passwords of roles that the target's own PostgreSQL, if it runs, does not accept: it keeps those that it has.

    Errors: DescriptionError naming the command that changes one.
    """
    machine = wanted.machine
    given = [(name, role, wanted.secrets[name]) for name, role in _PASSWORDS.items() if name in wanted.secrets]
    if not given or machine.target.database.host:
        return
    found = [each for each in kinds.containers(machine) if each["service"] == DATABASE and each["state"] == "running"]
    for container in (each["id"] for each in found if each["id"]):
        for name, role, password in given:
            words = ("exec", "--interactive", container, "sh", "-euc", _LOGIN, "sh", role)
            outcome = machine.run(*words, check=False, stdin=password.rstrip(b"\n") + b"\n")
            if outcome.ok or b"password authentication failed" not in outcome.stderr:
                continue
            raise DescriptionError(
                f"PostgreSQL of the target {machine.target.name} has another password of its role {role} than the secret {name}",
                where=f"odpm.json: targets.{machine.target.name}.secrets.{name}",
                todo=f"change it there, and deploy at once: {' '.join(machine.words)} exec -it {container[:12]} "
                f"psql -U postgres -c '\\password {role}'",
            )


def _connection(services: str) -> list[str]:
    """Server and name of the database in a file that describes services."""
    environment = load(services)["services"].get(UPDATE, {}).get("environment", {})
    return [str(environment.get(name, "")) for name in ("PGHOST", "PGPORT", "PGDATABASE")]


def _versions(rows: str) -> dict[str, str]:
    """Name -> version of add-ons. `rows`: the output of `INSTALLED`."""
    return dict(line.split("|", 1) for line in rows.splitlines() if "|" in line)


def _warn(wanted: TargetDeployment) -> None:
    terminal.warn(
        f"the installed add-ons of the target {wanted.machine.target.name} cannot be read before the deployment"
    )


def update(
    stack: TargetStack,
    wanted: TargetDeployment,
    installed: Mapping[str, str] | None,
    begun: str,
    show: terminal.Activity,
) -> tuple[str, ...]:
    """Update add-ons while no Odoo runs; a copy of the database has the state before. Returns their names.

    `installed`: the add-ons of the database, None to ask; `begun`: the time of the deployment, by which a journal belongs to it.
    """
    if installed is None:
        installed = _versions(stack.query(wanted.database, INSTALLED))
    names = tuple(addon.name for addon in raised(wanted, installed))
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
