"""Bringing the services to what the description says, and the database into being."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from odpm_tasks import observe
from odpm_tasks.adapters import command, docker, files, listeners, terminal
from odpm_tasks.core.credentials import role_password_sql, scram_verifier
from odpm_tasks.core.place import Place
from odpm_tasks.core.series import series
from odpm_tasks.errors import DescriptionError, MachineError, ProgramError
from odpm_tasks.observe import Sight, Wishes
from odpm_tasks.state import remember

PATIENCE = 600.0
_LOOK_EVERY = 0.25


def up(place: Place, sight: Sight) -> None:
    """Start or change the services, wait until each is healthy, and record what is running."""
    docker.demand()
    assert sight.stack is not None
    assert sight.world.rendered is not None
    project = observe.compose_project(place, sight.stack)
    before = docker.containers(project)
    _same_checkout(place, project, before)
    _ports_are_free(place, sight, before)
    env = observe.compose_env(place)
    text = sight.world.rendered.files["docker-compose.yml"]
    with terminal.activity() as show:
        outcome = docker.compose_live(
            place.root, env, lambda line: show.note("compose", line), "up", "--detach", "--remove-orphans", "--no-build"
        )
        if not outcome.ok:
            _explain(place, project, outcome)
        running = wait_until_healthy(place, project, show)
    remember(
        place,
        up={
            "digest": observe.services_digest(place, text),
            "containers": {c.service: c.id for c in running},
            "finished": sorted(c.service for c in running if c.state != "running"),
        },
    )


def _same_checkout(place: Place, project: str, found: Sequence[docker.Container]) -> None:
    """Two checkouts with one project name would fight over the same containers. Errors: DescriptionError."""
    for container in found:
        other = container.folder
        if other and other != str(place.root) and container.state == "running" and Path(other).is_dir():
            raise DescriptionError(
                f"the containers of {project} belong to another checkout",
                where=other,
                todo="inv down there, or give this one a name of its own in .env: ODPM_COMPOSE_PREFIX="
                + project
                + "-2",
            )


def _ports_are_free(place: Place, sight: Sight, found: Sequence[docker.Container]) -> None:
    """See that nobody else has the ports we publish. Errors: MachineError naming the port and who has it."""
    names = ["ODOO_PORT", "GEVENT_PORT"]
    if place.settings.scenario.publish_database:
        names += ["POSTGRES_PORT", "DEBUGGER_PORT"]
    running = {c.id for c in found if c.state == "running"}
    for name in names:
        port = place.settings.port(name)
        if not listeners.busy(port) or (running and docker.publishes(running, port)):
            continue
        who = docker.publisher(port) or listeners.holder(port) or "another program"
        raise MachineError(
            f"port {port} is in use by {who}",
            where=place.settings.where(name),
            todo=f"choose another one in .env: {name}={listeners.free_port(port + 1)}",
        )


def wait_until_healthy(place: Place, project: str, show: terminal.Activity) -> tuple[docker.Container, ...]:
    """Wait for every service to be up, healthy where it says so, or finished without error. Errors: ProgramError."""
    deadline = time.monotonic() + PATIENCE
    while True:
        found = [c for c in docker.containers(project) if not c.oneoff]
        waiting = []
        for container in found:
            if container.state in {"exited", "dead"}:
                if code := docker.exit_code(container.id):
                    raise _broken(place, container, f"ended with code {code}")
            elif container.health == "unhealthy" or container.state == "restarting":
                raise _broken(place, container, "is restarting" if container.state == "restarting" else "is unhealthy")
            elif container.state != "running" or container.health == "starting":
                waiting.append(container)
                show.note(container.service, container.health or container.state)
            else:
                show.done(container.service)
        if found and not waiting:
            return tuple(found)
        if time.monotonic() > deadline:
            raise _broken(place, waiting[0] if waiting else None, f"is not healthy after {PATIENCE:.0f} s")
        time.sleep(_LOOK_EVERY)


def _broken(place: Place, container: docker.Container | None, how: str) -> ProgramError:
    service = container.service if container else "no service"
    details = docker.last_lines(container.id, _passwords(place)) if container else ()
    return ProgramError(f"{service} {how}", details=details[-3:], todo=f"inv logs --service {service}")


def _passwords(place: Place) -> tuple[str, ...]:
    folder = place.secrets(place.settings.scenario.name)
    texts = (files.read_text(path) for path in sorted(folder.glob("*_password")))
    return tuple(text for text in texts if text and len(text) > 8)


def _explain(place: Place, project: str, outcome: command.Outcome) -> None:
    """Turn a failed `docker compose up` into the error that says what to do."""
    said = outcome.stderr.decode(errors="replace")
    if docker.is_unreachable(outcome):
        raise docker.unreachable(outcome)
    if "port is already allocated" in said or "address already in use" in said:
        raise MachineError(
            "a port that the services publish is in use",
            details=outcome.tail()[-1:],
            todo="choose another one in .env, or inv down the other project",
        )
    for container in docker.containers(project):
        if container.health == "unhealthy" or (
            container.state == "exited" and not container.oneoff and docker.exit_code(container.id)
        ):
            raise _broken(place, container, "does not start")
    raise command.failure(outcome)


def container(place: Place, sight: Sight, service: str) -> docker.Container:
    assert sight.stack is not None
    project = observe.compose_project(place, sight.stack)
    for found in docker.containers(project):
        if found.service == service and found.state == "running" and not found.oneoff:
            return found
    raise ProgramError(f"{service} is not running", todo="start it: inv up")


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
    unfinished = observe.database_state(database.id, name) != "ready"
    if create:
        role = "OWNER odoo TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'C'"
        sql(database.id, f"CREATE DATABASE {identifier(name)} {role}")
        sql(database.id, f"COMMENT ON DATABASE {identifier(name)} IS '{observe.UNFINISHED}'")
    options = _options(world.manifest.odoo_version, wishes.demo) if unfinished else []
    if unfinished and world.manifest.language:
        options += [f"--load-language={world.manifest.language}"]
    install = wishes.install or (world.modules or ("base",) if unfinished else ())
    words = [f"-i{','.join(install)}"] if install else []
    words += [f"-u{','.join(wishes.update)}"] if wishes.update else []
    run_odoo(place, sight, name, [*words, *options])
    if unfinished:
        _finish(place, sight, database.id, name)
    else:
        docker.compose(place.root, observe.compose_env(place), "restart", "odoo")
        with terminal.activity() as show:
            wait_until_healthy(place, observe.compose_project(place, whole), show)


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
    name = f"{observe.compose_project(place, sight.stack)}-task"
    command.run(["docker", "rm", "--force", name], check=False)  # a run that was killed may have left it
    try:
        return docker.compose_live(
            place.root,
            observe.compose_env(place),
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


def admin_password(place: Place) -> str:
    return (files.read_text(place.secrets(place.settings.scenario.name) / "admin_password") or "").strip()


def renew_role(place: Place, database_container: str) -> None:
    """Give Odoo's role the password of the secrets, for a volume that was made with another."""
    import secrets

    password = (files.read_text(place.secrets(place.settings.scenario.name) / "db_password") or "").strip()
    sql(database_container, role_password_sql(scram_verifier(password, secrets.token_bytes(16))))


def greeting(place: Place, sight: Sight) -> list[str]:
    """Where to log in, told at the end of `up`. A generated password is shown only where its file is."""
    name = sight.world.database
    port = place.settings.port("ODOO_PORT")
    scenario = place.settings.scenario
    path = place.secrets(scenario.name) / "admin_password"
    password = "admin" if scenario.developer else f"in {path.relative_to(place.root)}"
    return [f"http://localhost:{port}/web/login?db={quote(name)}", f"user admin, password {password}, database {name}"]


def status(place: Place, sight: Sight, *, as_json: bool = False) -> str:
    """What runs and what it is made of."""
    world, whole = sight.world, sight.stack
    rows: list[dict[str, str]] = []
    if whole is not None and command.have("docker"):
        with suppress(MachineError):
            found = docker.containers(observe.compose_project(place, whole))
            rows = [{"service": c.service, "state": c.state, "health": c.health} for c in found if not c.oneoff]
    sources = world.resolution.sources if world.resolution else ()
    repositories = [
        {"name": s.name, "kind": s.kind, "branch": s.link.branch or world.manifest.odoo_version, "commit": s.commit}
        for s in sources
    ]
    if as_json:
        data = {
            "scenario": world.scenario.name,
            "database": world.database,
            "url": f"http://localhost:{place.settings.port('ODOO_PORT')}",
            "services": rows,
            "repositories": repositories,
        }
        return json.dumps(data, indent=2)
    lines = [f"scenario    {world.scenario.name}, Odoo {world.manifest.odoo_version}"]
    lines.append(f"web         http://localhost:{place.settings.port('ODOO_PORT')}   database {world.database or '-'}")
    lines += [f"service     {row['service']:<12} {row['state']} {row['health']}".rstrip() for row in rows]
    if not rows:
        lines.append("service     none is running: inv up")
    lines += [f"repository  {r['name']:<20} {r['branch']:<8} {r['commit'][:8]}  {r['kind']}" for r in repositories]
    if not sources:
        lines.append("repository  not resolved yet: inv lock")
    return "\n".join(lines)


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
