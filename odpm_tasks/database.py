"""The database: brought into being, filled with add-ons, tested in."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress

from odpm_tasks import engine, running
from odpm_tasks.adapters import command, docker, terminal
from odpm_tasks.core.place import Place
from odpm_tasks.core.series import series
from odpm_tasks.core.wished import Wishes
from odpm_tasks.credentials import admin_password
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.observe import Sight
from odpm_tasks.services import container, wait_until_healthy

MAINTENANCE = "/run/odoo/maintenance"  # as templates/odoo_run.py has it


def sql(database_container: str, statement: str, database: str = "postgres") -> str:
    """Run SQL as PostgreSQL's superuser, by the socket inside the container. Errors: ProgramError."""
    words = ("psql", "-U", "postgres", "-d", database, "-v", "ON_ERROR_STOP=1", "-Atq")
    return docker.execute(database_container, *words, feed=statement.encode(), check=True).text.strip()


def identifier(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def prepare_database(place: Place, sight: Sight, wishes: Wishes, create: bool) -> None:
    """Create the database and install add-ons, or install and update in one that is there.

    An interrupted creation is marked in the database itself, so that the next run finishes it; a finished one is never
    created again.
    """
    world, whole = sight.world, sight.stack
    assert whole is not None
    name = world.database
    unknown = [m for m in (*wishes.install, *wishes.update) if m not in whole.all_modules and m != "all"]
    if unknown:
        raise DescriptionError(
            f"there is no add-on {unknown[0]!r} in the sources",
            where="-i / -u",
            todo="inv status lists the repositories",
        )
    database = container(place, sight, "db")
    unfinished = engine.database_state(database.id, name) != "ready"
    if create:
        role = "OWNER odoo TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
        sql(database.id, f"CREATE DATABASE {identifier(name)} {role}")
        sql(database.id, f"COMMENT ON DATABASE {identifier(name)} IS '{engine.UNFINISHED}'")
    options = _options(world.manifest.odoo_version, wishes.demo) if unfinished else []
    if unfinished and world.manifest.language:
        options += [f"--load-language={world.manifest.language}"]
    install = wishes.install or (world.modules or ("base",) if unfinished else ())
    words = [f"-i{','.join(install)}"] if install else []
    words += [f"-u{','.join(wishes.update)}"] if wishes.update else []
    with _announced(container(place, sight, "odoo").id):
        run_odoo(place, sight, name, [*words, *options])
    if unfinished:
        _finish(place, sight, database.id, name)
    else:
        docker.compose(place.root, running.compose_env(place), "restart", "odoo")
        with terminal.activity() as show:
            wait_until_healthy(place, running.compose_project(place, whole), show)


@contextmanager
def _announced(odoo: str) -> Iterator[None]:
    """The serving Odoo counts as healthy meanwhile, although it answers 500 for a database in the making.

    The announcement of a killed run stays until the next one has finished its work, or until the container is started anew.
    """
    docker.execute(odoo, "touch", MAINTENANCE)
    try:
        yield
    finally:
        docker.execute(odoo, "rm", "-f", MAINTENANCE)


def _options(odoo_version: str, demo: bool) -> list[str]:
    facts = series(odoo_version)
    return list(facts.with_demo if demo else facts.no_demo)


def run_odoo(
    place: Place, sight: Sight, database: str, words: Sequence[str], on_line: Callable[[str], None] | None = None
) -> None:
    """Run Odoo beside the serving one until it stops by itself. Errors: ProgramError with its own last errors."""
    lines: list[str] = []
    with terminal.activity() as show:

        def note(line: str) -> None:
            lines.append(line)
            if "oading module" in line or "oading " in line:
                show.note(database, line.rsplit(": ", 1)[-1])
            if on_line:
                on_line(line)

        outcome = task_container(place, sight, note, "odoo", "-d", database, *words, "--stop-after-init", "--no-http")
    errors = [line for line in lines if " ERROR " in line or " CRITICAL " in line]
    if not outcome.ok:
        telling = errors[-2:] + [line for line in lines if line.strip()][-2:]
        raise ProgramError(
            f"odoo ended with code {outcome.code} on {database}",
            details=telling[-4:],
            todo="mend what it names, then run again",
        )
    missing = [line for line in lines if "invalid module names, ignored" in line]
    if missing:
        raise ProgramError(
            "Odoo does not find an add-on", details=missing[-1:], todo="inv status lists the repositories"
        )


def task_container(place: Place, sight: Sight, on_line: Callable[[str], None], *words: str) -> command.Outcome:
    """Run a program in a container of its own, like Odoo's service but without its ports; it ends with us."""
    assert sight.stack is not None
    name = f"{running.compose_project(place, sight.stack)}-task"
    command.run(["docker", "rm", "--force", name], check=False)  # a run that was killed may have left it
    try:
        return docker.compose_live(
            place.root,
            running.compose_env(place),
            on_line,
            "run",
            "--rm",
            "--no-deps",
            "-T",
            f"--name={name}",
            "--env=ODPM_TASK=1",
            "--env=ODPM_DEV=",
            "--env=ODPM_DEBUG=",
            "odoo",
            *words,
        )
    except BaseException:
        with suppress(Exception):
            command.run(["docker", "rm", "--force", name], check=False)
        raise


_SETTLE = """\
import os
user = env.ref("base.user_admin")
password = {password!r}
if password:
    user.password = password
company = env.ref("base.main_company")
country = {country!r}
if country:
    found = env["res.country"].search([("code", "ilike", country)], limit=1)
    company.country_id = found
    if found.currency_id:
        company.currency_id = found.currency_id
language = {language!r}
if language:
    user.lang = language
    company.partner_id.lang = language
env.cr.commit()
"""


def _finish(place: Place, sight: Sight, database_container: str, name: str) -> None:
    """Administrator's password, country and language of a new database; then it counts as made."""
    manifest = sight.world.manifest
    password = "" if place.settings.scenario.developer else admin_password(place)
    if password or manifest.country or manifest.language:
        script = _SETTLE.format(password=password, country=manifest.country or "", language=manifest.language or "")
        odoo = container(place, sight, "odoo")
        outcome = docker.execute(odoo.id, "odoo", "shell", "-d", name, "--no-http", feed=script.encode())
        if not outcome.ok or b"Traceback" in outcome.stderr:
            raise command.failure(outcome, [password] if password else [])
    sql(database_container, f"COMMENT ON DATABASE {identifier(name)} IS NULL")


def failures(log: Sequence[str]) -> list[str]:
    """What an Odoo log says of failures: errors with what follows them, up to the next ordinary line."""
    kept: list[str] = []
    telling = False
    for line in log:
        if re.match(r"\d{4}-\d\d-\d\d ", line):
            telling = " ERROR " in line or " CRITICAL " in line or " tests when loading database" in line
        if telling:
            kept.append(line)
    return kept


def run_tests(place: Place, sight: Sight, modules: Sequence[str], tags: str, keep: bool) -> None:
    """Install add-ons in a new database with their tests on. Errors: ProgramError where one fails."""
    whole = sight.stack
    if whole is None:
        raise ProgramError("the project is not prepared", todo="inv up")
    chosen = tuple(modules) or whole.modules
    if not chosen:
        raise DescriptionError("the developing project has no add-on to test", todo="inv test --modules NAME")
    database = container(place, sight, "db")
    name = f"{sight.world.database}-test-{os.getpid()}"
    sql(database.id, f"CREATE DATABASE {identifier(name)} OWNER odoo TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'")
    lines: list[str] = []
    try:
        wanted = tags or ",".join(f"/{module}" for module in chosen)
        words = [f"-i{','.join(chosen)}", "--test-enable", f"--test-tags={wanted}"]
        run_odoo(place, sight, name, [*words, *_options(sight.world.manifest.odoo_version, False)], lines.append)
        result = next((line for line in reversed(lines) if " tests when loading database" in line), "")
        terminal.tell(result.rsplit(": ", 1)[-1] or "no test ran")
    except ProgramError:
        for line in failures(lines):
            terminal.say(line)
        raise
    finally:
        if not keep:
            sql(database.id, f"DROP DATABASE IF EXISTS {identifier(name)} WITH (FORCE)")
