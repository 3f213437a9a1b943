"""Start PostgreSQL, before everything else, and set its passwords where they were lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.docker import compose_cli, engine_volumes
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases.sql import accept_connections
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.compose_file import DATABASE
from odpm_tasks.project_state import read_state, write_state
from odpm_tasks.stack import compose, preflight, secrets
from odpm_tasks.stack.databases import volumes
from odpm_tasks.stack.databases.psql import sql
from odpm_tasks.stack.up import container, must_recreate, raise_failure, wait_until_healthy


def start_database(paths: ProjectPaths, observed: RenderedState) -> None:
    """Start or change PostgreSQL alone, wait until it is healthy, and record it. Passwords that are missing are made."""
    docker.require()
    project = compose.compose_project(paths, observed.stack)
    before = docker.containers(project)
    for error in preflight.refusals(paths, observed, before, changed=False):
        raise error
    renewed = secrets.missing(paths)
    interrupted = volumes.end_upgrade(project)
    has_data = engine_volumes.exists(volumes.find(paths, observed).name)
    if volume := preflight.lost_files(paths, observed):
        terminal.warn(
            f"the volume {volume} with the files of Odoo is gone, so attachments of the databases are missing; "
            "restore it, or start with an empty database: inv down --volumes"
        )
    if renewed and has_data:
        secrets.mark_unset(paths)
    secrets.make_secrets(paths, new_database=not has_data)
    force = renewed or must_recreate(paths, observed, before)
    with terminal.activity() as show:
        text = observed.rendered.compose
        build = "--build" if DATABASE in compose.contexts(paths, text) else "--no-build"
        words = ("up", "--detach", build, *(["--force-recreate"] if force else []), DATABASE)
        outcome = compose_cli.stream(compose.command_line(paths), lambda line: show.note("compose", line), *words)
        if not outcome.ok:
            raise_failure(paths, observed, project, outcome)
        wait_until_healthy(paths, observed, show, (DATABASE,))
    started = container(paths, observed, DATABASE)
    if interrupted:
        sql(started.id, accept_connections((), False))
    if renewed and has_data:
        _set_passwords(paths, observed, started.id)
    write_state(paths, **record(paths, observed, started.id))


def record(paths: ProjectPaths, observed: RenderedState, container_id: str) -> Mapping[str, Any]:
    """The entry of the recorded state for the container of PostgreSQL."""
    parts = compose.parts(paths, observed.stack, observed.rendered.compose)[DATABASE]
    return {"postgres": {"container": container_id, "parts": parts}}


def _set_passwords(paths: ProjectPaths, observed: RenderedState, container_id: str) -> None:
    """Give the roles of PostgreSQL the new passwords: the data has those that are gone. The next step recreates Odoo."""
    last = read_state(paths).get("up", {})
    if last:  # without the digest the other services are recreated: they mount the files that are gone
        write_state(paths, up={name: value for name, value in last.items() if name != "digest"})
    sql(container_id, secrets.reset_sql(paths))
    secrets.mark_set(paths)
    folder = paths.secrets(observed.scenario.name).relative_to(paths.root)
    terminal.message(
        f"  {folder} was missing: PostgreSQL has new passwords; the one of Odoo's administrator is unchanged"
    )
