"""The services beside a test run: PostgreSQL, and the port of the debugger."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.docker import compose_cli, engine_volumes
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.errors import ProgramError
from odpm_tasks.stack import compose, secrets
from odpm_tasks.stack.databases import volumes
from odpm_tasks.stack.up import wait_until_healthy
from odpm_tasks.testing.shard import DEBUGGER_PORT


@contextmanager
def database_container(paths: ProjectPaths, observed: RenderedState) -> Iterator[str]:
    """The id of the container of PostgreSQL; where it does not run, it is started for this block. The volume stays."""
    project, called = compose.compose_project(paths, observed.stack), compose.command_line(paths)
    before = [one for one in docker.containers(project) if not one.oneoff]
    running = next((one for one in before if one.service == "db" and one.state == "running"), None)
    if running:
        yield running.id
        return
    kept = volumes.find(paths, observed)
    if error := kept.refusal():
        raise error
    volumes.end_upgrade(project)
    has_data = engine_volumes.exists(kept.name)
    if has_data and secrets.missing(paths):
        raise ProgramError("db is not running, and its passwords are missing", todo="start it: inv up")
    secrets.make_secrets(paths, new_database=not has_data)
    terminal.message("starting PostgreSQL for the tests")
    try:
        compose_cli.run(called, "up", "--detach", "--wait", "--no-deps", "db")
        started = next(one for one in docker.containers(project) if one.service == "db" and one.state == "running")
        yield started.id
    finally:
        compose_cli.run(called, *(["rm", "--stop", "--force", "db"] if before else ["down"]), check=False)


@contextmanager
def free_debugger_port(paths: ProjectPaths, observed: RenderedState, debug: bool) -> Iterator[int]:
    """The port of this machine for the debugger of the tests; 0 without `debug`.

    It is that of Odoo's own debugger, so that the configuration of the editor fits: a running Odoo is stopped for this block.
    """
    if not debug:
        yield 0
        return
    port, called = paths.settings.port("DEBUGGER_PORT"), compose.command_line(paths)
    project = compose.compose_project(paths, observed.stack)
    odoo = next(
        (c for c in docker.containers(project) if c.service == "odoo" and not c.oneoff and c.state == "running"), None
    )
    holds = odoo is not None and any(f":{port}->{DEBUGGER_PORT}" in one for one in odoo.ports)
    if holds:
        terminal.message(f"Odoo is stopped while the tests use port {port} of its debugger")
        compose_cli.run(called, "stop", "odoo")
    terminal.message(f"the tests wait for a debugger: attach to port {port} (VS Code: Odoo: attach)")
    try:
        yield port
    finally:
        if holds:
            docker.remove_containers(docker.names_with_prefix(f"{project}-test-"))
            compose_cli.run(called, "start", "odoo")
            with terminal.activity() as show:
                wait_until_healthy(paths, observed, show)
