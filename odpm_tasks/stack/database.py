"""The database: create it, install and update add-ons, run tests."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from odpm_tasks.adapters import command, terminal
from odpm_tasks.adapters.docker import compose_cli
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases.sql import comment, identifier, insert_parameter, show
from odpm_tasks.core.odoo import log as odoo_logs
from odpm_tasks.core.odoo.conf import EMPTY_DATABASE, copies_empty_database, extensions_sql
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError
from odpm_tasks.project_state import read_state, write_state
from odpm_tasks.sources import project_names
from odpm_tasks.stack import compose, odoo_log
from odpm_tasks.stack.databases.contents import UNFINISHED
from odpm_tasks.stack.databases.full_disk import full_disk
from odpm_tasks.stack.databases.psql import drop, lock_holder, sql
from odpm_tasks.stack.secrets import admin_password, make_secrets
from odpm_tasks.stack.up import container, find_container

MAINTENANCE = "/run/odoo/maintenance"  # the same path as in templates/odoo_run.py

CHANGED = "changed"  # `-u changed`: the add-ons whose files changed since their update


def prepare_database(paths: ProjectPaths, observed: RenderedState, options: RunOptions, create: bool) -> None:
    """Create the database, or finish an interrupted creation, and install add-ons in it.

    An unfinished creation is marked in the database itself, and the next run finishes it. Errors: those of `run_odoo`.
    """
    name = observed.database
    database = container(paths, observed, "db")
    if create:
        create_database(observed, database.id, name)
        sql(database.id, comment(name, UNFINISHED))
    words = demo_options(observed.manifest.odoo_version, options.demo)
    if observed.manifest.language:
        words += [f"--load-language={observed.manifest.language}"]
    install = options.install or observed.modules or ("base",)
    with _maintenance(paths, observed):
        run_odoo(paths, observed, name, [*_arguments(install, options.update), *words])
        _record_hashes(paths, observed, database.id, (), install, options.update)
        _finish(paths, observed, database.id, name)
    _record_modules(paths, observed, observed.modules)


def update_database(paths: ProjectPaths, observed: RenderedState, options: RunOptions) -> None:
    """Install and update add-ons in an existing database, in a container of its own, while Odoo is stopped.

    The step `compose.up` starts Odoo again; where this step fails or is interrupted, Odoo is started here, as it was.
    Errors: DescriptionError for an add-on that is to be updated and is not installed; those of `run_odoo`.
    """
    from odpm_tasks.stack import addon_hashes

    database, name = container(paths, observed, "db").id, observed.database
    if CHANGED in options.update:
        changed = addon_hashes.read_hashes(paths, observed.stack, database, name).changed
        update = tuple(dict.fromkeys((*(addon for addon in options.update if addon != CHANGED), *changed)))
        options = replace(options, update=update)
        if not (update or options.install):
            terminal.message(f"no add-on of {name} changed since its last update")
            return
    require_installed(paths, observed, options)
    before = addon_hashes.installed(database, name)
    project = compose.command_line(paths)
    running = find_container(paths, observed, "odoo") is not None
    try:
        if running:  # no request meets a half-updated database
            compose_cli.run(project, "stop", "odoo")
        run_odoo(paths, observed, name, _arguments(options.install, options.update))
        _record_hashes(paths, observed, database, before, options.install, options.update)
    except BaseException:
        if running:
            with suppress(Exception):
                compose_cli.run(project, "start", "odoo")
        raise
    _record_modules(paths, observed, options.install)


def _arguments(install: Sequence[str], update: Sequence[str]) -> list[str]:
    """The arguments of Odoo that install and update add-ons."""
    return [f"-{letter}{','.join(names)}" for letter, names in (("i", install), ("u", update)) if names]


def _record_hashes(
    paths: ProjectPaths,
    observed: RenderedState,
    database_container: str,
    before: Collection[str],
    install: Collection[str],
    update: Collection[str],
) -> None:
    from odpm_tasks.stack import addon_hashes

    addon_hashes.record_hashes(
        paths,
        observed.stack,
        database_container,
        observed.database,
        before=before,
        install=install,
        update=update,
    )


def _record_modules(paths: ProjectPaths, observed: RenderedState, known: Sequence[str]) -> None:
    """Record add-ons of the project that are no longer new."""
    if last := read_state(paths).get("up", {}):
        names = {*last.get("modules", observed.modules), *known}
        write_state(paths, up={**last, "modules": [name for name in observed.modules if name in names]})


def require_installed(paths: ProjectPaths, observed: RenderedState, options: RunOptions) -> None:
    """Check that the add-ons to update are installed: Odoo ignores others. Errors: DescriptionError."""
    wanted = [name for name in options.update if name not in {"all", CHANGED, *options.install}]
    if not wanted:
        return
    query = "SELECT name FROM ir_module_module WHERE state IN ('installed', 'to upgrade', 'to install')"
    installed = set(sql(container(paths, observed, "db").id, query, observed.database).split())
    if missing := [name for name in wanted if name not in installed]:
        raise DescriptionError(
            f"{', '.join(missing)} cannot be updated: not installed in the database {observed.database}",
            where="-u",
            todo=f"install it: inv up -i {','.join(missing)}",
        )


def provide_template(paths: ProjectPaths, observed: RenderedState) -> None:
    """Create the database that Odoo's own creation copies, where odoo.conf names it and PostgreSQL lacks it."""
    if not copies_empty_database(observed.manifest.odoo_conf):
        return
    database = container(paths, observed, "db").id
    if EMPTY_DATABASE not in sql(database, "SELECT datname FROM pg_database WHERE datistemplate").splitlines():
        drop(database, [EMPTY_DATABASE])  # of a run that was killed
        create_database(observed, database, EMPTY_DATABASE)
        sql(database, show(EMPTY_DATABASE, visible=False))


def create_database(observed: RenderedState, database_container: str, name: str) -> None:
    """Create an empty database as Odoo does, with the extensions that Odoo's role has no right to set up.

    `unaccent` only where `odoo_conf` asks for it; Odoo uses it in indexes, so it must be immutable.
    """
    options = "OWNER odoo TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
    sql(database_container, f"CREATE DATABASE {identifier(name)} {options}")
    sql(database_container, extensions_sql(observed.manifest.odoo_conf), name, user="postgres")


@contextmanager
def _maintenance(paths: ProjectPaths, observed: RenderedState) -> Iterator[None]:
    """Mark an Odoo that runs as in maintenance: it is reported as healthy although it answers 500 for an unfinished database.

    The mark of a killed run stays until the next run removes it or the container is recreated.
    """
    odoo = find_container(paths, observed, "odoo")
    if odoo is None:
        yield
        return
    docker.execute(odoo.id, "touch", MAINTENANCE)
    try:
        yield
    finally:
        docker.execute(odoo.id, "rm", "-f", MAINTENANCE)


def demo_options(odoo_version: str, demo: bool) -> list[str]:
    """The options of Odoo that install demo data, or none."""
    facts = series(odoo_version)
    return list(facts.with_demo if demo else facts.no_demo)


def run_odoo(
    paths: ProjectPaths,
    observed: RenderedState,
    database: str,
    words: Sequence[str],
    on_line: Callable[[str], None] | None = None,
) -> None:
    """Run a second Odoo until it exits; its log is kept in `.odpm/logs/`.

    Errors: ProgramError with exception, add-on, file and line, or with the sessions of PostgreSQL that hold a lock; MachineError
    for a full disk.
    """
    words = ["-d", database, *words, "--stop-after-init", "--no-http"]
    outcome, lines, kept = run_program(paths, observed, database, words, on_line)
    if not outcome.ok:
        raise odoo_failure(paths, observed, database, outcome.code, lines, f"the whole log: {kept}")
    if error := ignored_addons_error(lines):
        raise error


def ignored_addons_error(lines: Sequence[str]) -> ProgramError | None:
    """The error where Odoo left out add-ons that it does not find: it ends without one."""
    line = odoo_logs.ignored_addons(lines)
    return ProgramError("Odoo does not find an add-on", details=[line], todo="inv mod.missing") if line else None


def run_program(
    paths: ProjectPaths,
    observed: RenderedState,
    database: str,
    words: Sequence[str],
    on_line: Callable[[str], None] | None = None,
) -> tuple[command.Outcome, list[str], str]:
    """Run Odoo's program in a second container until it exits. Returns its outcome, its log, and where that is kept."""
    lines: list[str] = []
    kept = ""
    with terminal.activity() as show:

        def note(line: str) -> None:
            lines.append(line)
            if "oading module" in line or "oading " in line:
                show.note(database, line.rsplit(": ", 1)[-1])
            if on_line:
                on_line(line)

        try:
            outcome = task_container(paths, observed, note, "odoo", *words)
        finally:
            if lines:
                kept = odoo_log.keep_log(paths, "odoo", database, lines)
    return outcome, lines, kept


def odoo_failure(
    paths: ProjectPaths, observed: RenderedState, database: str, code: int, lines: Sequence[str], log: str
) -> OdpmError:
    """The error for an Odoo that ended with `code`, from its log; MachineError for a full disk. `log`: where the whole log is."""
    lines = odoo_log.masked(paths, lines)
    if full := full_disk(paths, observed, database, lines, log):
        return full
    found = odoo_log.find_failure(observed, lines)
    if found is None:
        details = [*[line for line in lines if line.strip()][-1:], log]
        return ProgramError(
            f"odoo failed with exit code {code} on {database}",
            details=details,
            todo="fix what it reports, then run the same command again",
        )
    details, todo = [log], ""
    if found.locked:
        held, todo = lock_holder(container(paths, observed, "db").id, database)
        details = [*held, log]
    elif name := odoo_logs.missing_dependency(found):
        todo = f'add the Python package of {name} to "requirements" in odpm.json, then: inv up'
        if any(name in module.bin for facts in observed.stack.all_facts for module in facts.modules):
            todo = f'add the Debian package of {name} to "system_packages" in odpm.json, then: inv up'
    return odoo_log.failure_error(paths, observed, found, f"Odoo failed on {database}", details=details, todo=todo)


def remove_task_container(paths: ProjectPaths, observed: RenderedState) -> str:
    """Remove the container that a killed run left, in which its program goes on. Returns the name of such containers."""
    name = project_names.task_container(compose.compose_project(paths, observed.stack))
    docker.remove_containers([name])
    return name


def task_container(
    paths: ProjectPaths, observed: RenderedState, on_line: Callable[[str], None], *words: str, stdin: bytes = b""
) -> command.Outcome:
    """Run a program in a separate container of Odoo's service, see `compose.run_words`; it is removed when this process ends."""
    name = remove_task_container(paths, observed)
    try:
        return compose_cli.stream(compose.command_line(paths), on_line, *compose.run_words(name), *words, stdin=stdin)
    except BaseException:
        with suppress(Exception):
            docker.remove_containers([name])
        raise


_INITIAL_DATA = """\
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


# The PDF renderer reads style sheets and pictures from Odoo, in Odoo's container; `web.base.url` is the published address,
# which does not exist there. Since: Odoo 11, `ir.actions.report`.
_REPORT_URL = insert_parameter("report.url", "http://127.0.0.1:8069")


def _finish(paths: ProjectPaths, observed: RenderedState, database_container: str, name: str) -> None:
    """Set administrator's password, country and language of a new database, and remove the mark of its creation."""
    manifest = observed.manifest
    make_secrets(paths)  # the file of the administrator's password, where it was removed
    password = "" if paths.settings.scenario.developer else admin_password(paths)
    if password or manifest.country or manifest.language:
        script = _INITIAL_DATA.format(
            password=password, country=manifest.country or "", language=manifest.language or ""
        )
        lines: list[str] = []
        words = ("odoo", "shell", "-d", name, "--no-http")
        outcome = task_container(paths, observed, lines.append, *words, stdin=script.encode())
        if not outcome.ok or any("Traceback" in line for line in lines):
            raise command.failure(outcome, [password] if password else [])
    sql(database_container, _REPORT_URL, name)
    sql(database_container, comment(name, ""))
