"""Start the services as described, and wait until they are healthy."""

from __future__ import annotations

import math
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote

from odpm_tasks.adapters import command, http, terminal
from odpm_tasks.adapters.docker import compose_cli, running
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.manifest.model import UNAWAITED
from odpm_tasks.core.odoo import log as odoo_logs
from odpm_tasks.core.odoo.log import OdooFailure
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.planning.observed import RenderedState, RunningState
from odpm_tasks.core.stack.compose_file import DATABASE
from odpm_tasks.core.stack.published_ports import WEB, published_port
from odpm_tasks.core.stack.services import load
from odpm_tasks.core.text import nearest
from odpm_tasks.errors import MachineError, ProgramError, UsageError
from odpm_tasks.image import inputs
from odpm_tasks.project_state import record_duration, record_image_inputs, write_state
from odpm_tasks.stack import compose, odoo_log, preflight
from odpm_tasks.stack.backups import files as backup_files
from odpm_tasks.stack.secrets import passwords
from odpm_tasks.stack.web import state

HEALTH_TIMEOUT = 600.0
_POLL_INTERVAL = 0.25
_LOG_INTERVAL = 1.0
_PAGE_TIMEOUT = 300.0


def up(paths: ProjectPaths, observed: RenderedState, switches: Mapping[str, str]) -> None:
    """Start or change the services, wait until each is healthy, and record what is running.

    `switches`: `--dev` and `--debug` of this run, which later runs remember.
    """
    docker.require()
    project = compose.compose_project(paths, observed.stack)
    before = docker.containers(project)
    for error in preflight.refusals(paths, observed, before, changed=False):
        raise error
    state.prepare(paths, observed)
    backup_files.prepare(paths, observed.manifest)
    text = observed.rendered.compose
    downtime = Downtime("-odoo-")
    with terminal.activity() as show:

        def on_line(line: str) -> None:
            downtime.on_line(line)
            show.note("compose", line)

        # images of other services are built here, where something changed, not on every start
        summary = compose.services_summary(paths, text)
        build = "--build" if summary.builds else "--no-build"
        words = ["up", "--detach", "--remove-orphans", build]
        if must_recreate(paths, observed, before):  # not PostgreSQL, which is up to date
            words += ["--force-recreate", *(name for name in summary.active if name != DATABASE)]
        since = time.time()
        outcome = compose_cli.stream(compose.command_line(paths), on_line, *words)
        if not outcome.ok:
            raise_failure(paths, observed, project, outcome)
        started = wait_until_healthy(paths, observed, show, since=since)
    state.end_maintenance(paths)
    if isinstance(observed, RunningState) and observed.running.start_cost.odoo_down:
        record_duration(paths, "odoo down", downtime.seconds)
    record_image_inputs(paths, inputs.input_digests(paths, observed.stack))
    write_state(
        paths,
        switches=paths.settings.remembered_switches(switches),
        up={
            "project": project,
            "folder": str(paths.root),
            "image": observed.image,
            "database": observed.database,
            "modules": _known_modules(observed),
            "digest": compose.services_digest(paths, observed.stack, text),
            "containers": {c.service: c.id for c in started},
            "finished": sorted(c.service for c in started if c.state != "running"),
            "parts": compose.parts(paths, observed.stack, text),
        },
    )


def must_recreate(paths: ProjectPaths, observed: RenderedState, before: Sequence[docker.Container]) -> bool:
    """Whether containers have to be recreated although Compose sees no change.

    Compose does not notice folders and files that were removed and made again: containers still mount the old ones.
    """
    moved = any(c.folder not in {"", str(paths.root)} for c in before)
    return moved or "digest" not in observed.recorded.get("up", {})


def _known_modules(observed: RenderedState) -> list[str]:
    """The add-ons of the project that are no longer new: those of the last start, of the first one all."""
    before = observed.recorded.get("up", {}).get("modules")
    return [name for name in observed.modules if before is None or name in before]


class Downtime:
    """How long a container is down, by the output of Compose: from its stop or recreation until now."""

    def __init__(self, name: str) -> None:
        self._name, self._since, self._named = name, time.monotonic(), False

    def on_line(self, line: str) -> None:
        if self._name in line and not self._named:
            self._since, self._named = time.monotonic(), True

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._since


def wait_until_healthy(
    paths: ProjectPaths,
    observed: RenderedState,
    show: terminal.Activity,
    services: Collection[str] = (),
    *,
    since: float = math.inf,
) -> tuple[docker.Container, ...]:
    """Wait until every service runs, is healthy if it has a health check, or exited with code 0.

    While Odoo starts, the last line of its log is shown. Errors: ProgramError, also as soon as Odoo answers 500: then with
    exception, file and line of its log. `services`: wait for these only. `since`: a time of `time.time()`; an Odoo that
    was started after it must have loaded the add-ons. Containers of inactive profiles, started by the user, are ignored.
    """
    project = compose.compose_project(paths, observed.stack)
    deadline = time.monotonic() + HEALTH_TIMEOUT
    expected = services or compose.services_summary(paths, paths.compose.read_bytes()).active
    log = _StartLog(paths, observed, since)
    while True:
        found = [c for c in docker.containers(project) if not c.oneoff and c.service in expected]
        waiting = []
        for container in found:
            if container.state in {"exited", "dead"}:
                if code := docker.exit_code(container.id):
                    raise _broken(paths, container, f"ended with code {code}", observed)
            elif (
                container.health == "unhealthy" and container.service not in UNAWAITED
            ) or container.state == "restarting":
                how = "is restarting" if container.state == "restarting" else "is unhealthy"
                raise _broken(paths, container, how, observed)
            elif container.state != "running" or (
                container.health == "starting" and container.service not in UNAWAITED
            ):
                waiting.append(container)
                show.note(container.service, log.state(container) or container.health or container.state)
            else:
                log.check(container)
                show.done(container.service)
        if found and not waiting:
            return tuple(found)
        if time.monotonic() > deadline:
            raise _broken(
                paths, waiting[0] if waiting else None, f"is not healthy after {HEALTH_TIMEOUT:.0f} s", observed
            )
        time.sleep(_POLL_INTERVAL)


def page_status(found: docker.Container, database: str) -> int:
    """The status of the login page of a database; 0 without an answer or without a published port. Odoo loads the database for it.

    Where Odoo has several databases, its health check loads none of them. From 19.0 the header selects the database without a
    session; before, the page does, with a session.
    """
    port = int(published_port(found.ports, WEB) or 0)
    path = f"/web/login?db={quote(database)}"
    return port and http.local_status(port, path, _PAGE_TIMEOUT, headers={"X-Odoo-Database": database})


class _StartLog:
    """The log of Odoo while it starts, read at most once per second."""

    def __init__(self, paths: ProjectPaths, observed: RenderedState, since: float) -> None:
        self._paths, self._observed, self._since = paths, observed, since
        self._read_at, self._last = 0.0, ""

    def state(self, container: docker.Container) -> str:
        """The last line of the log. Errors: ProgramError where Odoo answers 500 to its health check."""
        if container.service != "odoo" or container.state != "running":
            return ""
        if time.monotonic() - self._read_at > _LOG_INTERVAL:
            lines = self._lines(container)
            self._last = odoo_logs.last_line(lines)
            health = series(self._observed.manifest.odoo_version).health_path
            platform = odoo_log.platform_folder(self._observed)
            self._raise(odoo_logs.answered_with_error(lines, health, platform), lines, "Odoo answers with an error")
        return self._last

    def check(self, container: docker.Container) -> None:
        """Check that an Odoo that is healthy now has loaded the add-ons. Errors: ProgramError."""
        if container.service == "odoo" and (self._read_at or running.started_at(container.id) >= self._since):
            if self._observed.scenario.developer:
                page_status(container, self._observed.database)
            lines = self._lines(container)
            self._read_at = 0.0
            database, platform = self._observed.database, odoo_log.platform_folder(self._observed)
            failed = odoo_logs.registry_failure(lines, database, platform)
            self._raise(failed, lines, f"Odoo cannot load the add-ons of the database {database}")

    def _lines(self, container: docker.Container) -> list[str]:
        lines = odoo_log.masked(self._paths, docker.log_since_start(container.id))
        self._read_at = time.monotonic()
        return lines

    def _raise(self, failed: OdooFailure | None, lines: Sequence[str], context: str) -> None:
        if failed:
            kept = odoo_log.keep_log(self._paths, "start", self._observed.database, lines)
            details = [f"the whole log: {kept}"]
            raise odoo_log.failure_error(
                self._paths, self._observed, failed, context, details=details, todo="fix it, then: inv restart"
            )


def _broken(paths: ProjectPaths, container: docker.Container | None, how: str, observed: RenderedState) -> ProgramError:
    service = container.service if container else "no service"
    todo = f"inv logs --service {service}"
    if container and service == "odoo":
        lines = odoo_log.masked(paths, docker.log_since_start(container.id))
        if failed := odoo_log.find_failure(observed, lines):
            return odoo_log.failure_error(
                paths, observed, failed, f"odoo {how}", todo=f"fix it, or see the log: {todo}"
            )
    details = docker.last_lines(container.id, passwords(paths)) if container else ()
    return ProgramError(f"{service} {how}", details=details[-3:], todo=todo)


def raise_failure(paths: ProjectPaths, observed: RenderedState, project: str, outcome: command.Outcome) -> None:
    """Raise the error of a failed `docker compose up`, with the command to type next."""
    output = outcome.stderr.decode(errors="replace")
    if docker.is_unreachable(outcome):
        raise docker.unreachable(outcome)
    if "port is already allocated" in output or "address already in use" in output:
        raise MachineError(
            "a port that the services publish is in use",
            details=outcome.tail()[-1:],
            todo="inv up --free-ports chooses others; or set one in .env, or run inv down in the other project",
        )
    if "non-overlapping IPv4 address pool" in output:
        raise MachineError(
            "Docker has no addresses left for another network",
            details=outcome.tail()[-1:],
            todo="docker network prune removes networks that no container uses; or set default-address-pools of the engine",
        )
    for container in docker.containers(project):
        if (container.health == "unhealthy" and container.service not in UNAWAITED) or (
            container.state == "exited" and not container.oneoff and docker.exit_code(container.id)
        ):
            raise _broken(paths, container, "does not start", observed)
    raise command.failure(outcome)


def require_own_folder(paths: ProjectPaths, found: docker.Container) -> None:
    """Check that a container mounts this folder. Errors: ProgramError: a restart would make empty folders at the old path."""
    if found.folder not in {"", str(paths.root)}:
        raise ProgramError(
            f"{found.service} was started in another folder"
            + ("" if Path(found.folder).exists() else ", which has moved"),
            where=found.folder,
            todo="inv up starts it from this folder",
        )


def require_services(observed: RenderedState, names: Sequence[str]) -> None:
    """Check that the compose file has these services. Errors: UsageError naming the nearest."""
    known = load(observed.rendered.compose.decode())["services"]
    for name in names:
        if name not in known:
            raise UsageError(
                f"there is no service {name!r}{nearest(name, known)}", todo=f"one of: {', '.join(sorted(known))}"
            )


def container(paths: ProjectPaths, observed: RenderedState, service: str) -> docker.Container:
    """The running container of a service. Errors: UsageError for an unknown service, ProgramError where it does not run."""
    require_services(observed, [service])
    if found := find_container(paths, observed, service):
        return found
    raise ProgramError(f"{service} is not running", todo="start it: inv up")


def find_container(paths: ProjectPaths, observed: RenderedState, service: str) -> docker.Container | None:
    """The running container of a service; None where it does not run."""
    return docker.running_container(docker.containers(compose.compose_project(paths, observed.stack)), service)
