"""Deploy in the scenarios that enforce the lock: update databases while Odoo is stopped, check, start, or go back.

The old release serves until the databases are updated or the new one starts. A run that fails leaves code, image and
databases as before. One that is killed leaves a journal (`core.deployment.journal`), and the next one goes back or on by it.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import replace

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.docker import compose_cli, running
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.snapshots import Snapshot
from odpm_tasks.core.deployment.journal import Journal
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.planning.observed import RenderedState, RunningState
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.text import plural
from odpm_tasks.databases import copying, listing, snapshots
from odpm_tasks.databases.access import DatabaseAccess, access
from odpm_tasks.deployment import beside, checking, releases
from odpm_tasks.errors import DataLossError, OdpmError
from odpm_tasks.project_files import read_deployment, write_deployment
from odpm_tasks.project_state import read_state, write_state
from odpm_tasks.stack import compose, database, up
from odpm_tasks.stack.databases import postgres
from odpm_tasks.stack.web import base_url, state


def take_snapshots(paths: ProjectPaths, observed: RunningState, options: RunOptions) -> None:
    """Stop Odoo and take a snapshot of each database that is to be updated: nothing is written between it and the update.

    Errors: those of `snapshots.take`; Odoo then runs again.
    """
    names = [one.name for one in observed.updates]
    if observed.database in names:
        database.require_installed(paths, observed, options)
    with _odoo_stopped(paths, observed):
        with access(paths, observed).while_odoo_is_stopped() as reach:
            taken = [snapshots.take(reach, name, kind="update") for name in names]
        begun = read_deployment(
            paths
        )  # of a run that was killed after it updated: its snapshots have the state that is known to work
        earlier = begun.snapshots if begun else {}
        write_deployment(
            paths, Journal("updating", observed.rendered.release, {**{s.database: s.id for s in taken}, **earlier})
        )
    for one in taken:
        option = "" if one.database == observed.database else f" -d {one.database}"
        terminal.message(f"  the state before: inv db.restore-snapshot {one.name}{option}")


@contextmanager
def _odoo_stopped(paths: ProjectPaths, observed: RenderedState) -> Iterator[None]:
    """Stop Odoo, and start it again where the block fails."""
    runs = up.find_container(paths, observed, "odoo") is not None
    project = compose.command_line(paths)
    if runs:
        state.begin_maintenance(paths, observed)
        compose_cli.run(project, "stop", "odoo")
    try:
        yield
    except BaseException:
        if runs:
            compose_cli.run(project, "start", "odoo", check=False)
            state.end_maintenance(paths)
        raise


def update(paths: ProjectPaths, observed: RunningState, options: RunOptions) -> None:
    """Update the databases. Where one fails, all are as before and the old release serves. Errors: those of Odoo's run."""
    names = [one.name for one in observed.updates]
    begun = read_deployment(paths) or Journal("updating", observed.rendered.release, dict.fromkeys(names, ""))
    write_deployment(paths, replace(begun, phase="updating"))
    try:
        for one in observed.updates:
            main = one.name == observed.database
            chosen = replace(options, update=one.update, install=options.install if main else ())
            database.update_database(paths, replace(observed, database=one.name), chosen)
    except BaseException as error:
        _back(paths, observed, begun, error)
        raise
    write_deployment(paths, replace(begun, phase="updated"))


def recover(paths: ProjectPaths, observed: RunningState) -> None:
    """Return the databases to their state before a deployment that was interrupted while it updated them."""
    begun = read_deployment(paths)
    if begun is None:
        return
    database.remove_task_container(paths, observed)
    state.begin_maintenance(paths, observed)
    compose_cli.run(compose.command_line(paths), "stop", "odoo", check=False)
    reach = access(paths, observed)
    find_snapshots(reach, begun.restorable)
    with reach.while_odoo_is_stopped() as stopped:
        for name in begun.restorable:  # it may have been worked in since
            stopped.sql(sql.end_sessions(name))
            left = snapshots.take(stopped, name, kind="restore")
            terminal.message(f"  the state of {name} that the interrupted run left is kept: {left.name}")
        restore(stopped, begun.restorable)
    write_deployment(paths, None)


def start_database(paths: ProjectPaths, observed: RenderedState) -> None:
    """Start or change PostgreSQL. Where it is replaced, a running Odoo is stopped first and answers nothing with 500 meanwhile;
    the step `compose.up` starts it again.
    """
    changes = observed.running.postgres_cost.containers if isinstance(observed, RunningState) else ()
    with _odoo_stopped(paths, observed) if any(one.action == "recreate" for one in changes) else nullcontext():
        postgres.start_database(paths, observed)


def restore(reach: DatabaseAccess, taken: Mapping[str, str]) -> None:
    """Replace databases by copies of snapshots, name -> id. Their sessions are ended: with Odoo stopped, they are of a program
    that was killed. Errors: DataLossError where a snapshot is gone.
    """
    with reach.while_odoo_is_stopped() as stopped:
        for name, snapshot in find_snapshots(reach, taken).items():
            stopped.sql(sql.end_sessions(name))
            hidden = copying.copy_hidden(stopped, snapshot.id, with_files=False)
            before = copying.not_kept(name) if copying.exists(stopped, name) else None
            copying.replace(stopped, hidden, name, snapshot.comment, before, files=snapshot.id)


def find_snapshots(reach: DatabaseAccess, taken: Mapping[str, str]) -> dict[str, Snapshot]:
    """The snapshots by database. Errors: DataLossError where one is gone."""
    known = {one.id: one for one in listing.snapshots(reach)}
    gone = [name for name, identity in taken.items() if identity not in known]
    if gone:
        raise DataLossError(
            f"the snapshot of the state before is gone: {', '.join(gone)}",
            todo="restore another one (inv db.snapshots) or a backup, then: rm .odpm/deployment.json && inv up",
        )
    return {name: known[identity] for name, identity in taken.items()}


def start(paths: ProjectPaths, observed: RenderedState, options: RunOptions) -> None:
    """Check the new release, start it, and record it. Where that fails, code, image and databases are as before.

    Once requests or scheduled actions may have reached the new release, the databases stay: going back would lose them.
    """
    beside.tidy(paths, observed)
    begun, before = read_deployment(paths), releases.current_release(paths)
    if (before or begun) and _odoo_changes(observed):
        try:
            for name in _databases(observed, begun):
                checking.check(paths, observed, name)
        except BaseException as error:
            _back(paths, observed, begun, error)
            raise
    base_url.follow_domain(paths, observed)
    try:
        if _odoo_changes(observed) and not begun:
            beside.replace(paths, observed)
        up.up(paths, observed, options.settings)
    except BaseException as error:
        if begun and _reached(paths, observed):
            releases.record_deployment(paths, observed.rendered.release, begun.snapshots)
            write_deployment(paths, None)
            if isinstance(error, OdpmError):
                error.todo = f"{error.todo}; or return to the state before: inv up --rollback --database".lstrip("; ")
        elif before:
            _back(paths, observed, begun, error)
        raise
    releases.record_deployment(paths, observed.rendered.release, begun.snapshots if begun else {})
    write_deployment(paths, None)


def _odoo_changes(observed: RenderedState) -> bool:
    """Whether the start changes the container of Odoo; yes where that is not known."""
    changes = observed.running.start_cost.containers if isinstance(observed, RunningState) else ()
    return not changes or any(change.service == "odoo" and change.action != "keep" for change in changes)


def _databases(observed: RenderedState, begun: Journal | None) -> list[str]:
    if not isinstance(observed, RunningState):
        return []
    ready = [observed.database] if observed.running.database == "ready" else []
    return list(
        dict.fromkeys((*ready, *(one.name for one in observed.running.others), *(begun.snapshots if begun else ())))
    )


_REQUEST = re.compile(r'"(?:GET|POST|PUT|HEAD|DELETE|OPTIONS|PATCH) (?P<path>\S+) HTTP/')
_SCHEDULED = re.compile(r"odoo\.addons\.base\.models\.ir_cron: .*(?:[Ss]tarting|start)")


def _reached(paths: ProjectPaths, observed: RenderedState) -> bool:
    """Whether Odoo, in its present container, answered a request or started a scheduled action, by its log."""
    project = compose.compose_project(paths, observed.stack)
    health = series(observed.manifest.odoo_version).health_path
    for found in docker.containers(project):
        if (
            found.service == "odoo"
            and not found.oneoff
            and observed.rendered.release == running.label(found.id, "odpm.release")
        ):
            for line in docker.log_since_start(found.id):
                request = _REQUEST.search(line)
                if (request and request["path"].partition("?")[0] != health) or _SCHEDULED.search(line):
                    return True
    return False


def _back(paths: ProjectPaths, observed: RenderedState, begun: Journal | None, error: BaseException) -> None:
    """Restore databases from the journal's snapshots and start the release that served before. Reports what it did."""
    before = releases.current_release(paths)
    with terminal.activity() as show:
        show.note("deployment", "return to the state before")
        if begun and begun.restorable:
            compose_cli.run(compose.command_line(paths), "stop", "odoo", check=False)
            restore(access(paths, observed), begun.restorable)
        write_deployment(paths, None)
        if before:
            serve(paths, observed, before.release, show)
        else:
            compose_cli.run(compose.command_line(paths), "start", "odoo", check=False)
            state.end_maintenance(paths)
    done = []
    if begun and begun.restorable:
        done.append(f"{plural(len(begun.restorable), 'database')} restored")
    if before:
        done.append(f"release {before.release} serves")
    if done:
        terminal.message(f"  as before: {', '.join(done)}")
    if begun and len(begun.restorable) < len(begun.snapshots) and isinstance(error, OdpmError):
        error.details = (*error.details, "the database may be partly updated: --no-snapshot was given")


def serve(paths: ProjectPaths, observed: RenderedState, release: str, show: terminal.Activity) -> None:
    """Start the services as the compose file of a release describes them, which becomes that of the project."""
    text = releases.compose_text(paths, release)
    releases.restore_files(paths, release)
    if not beside.serves(paths, observed, release):
        beside.replace(paths, observed)
    state.lead_to_odoo(paths, observed)
    words, since = ("up", "--detach", "--remove-orphans", "--no-build"), time.time()
    outcome = compose_cli.stream(compose.command_line(paths), lambda line: show.note("compose", line), *words)
    if not outcome.ok:
        up.raise_failure(paths, observed, compose.compose_project(paths, observed.stack), outcome)
    started = up.wait_until_healthy(paths, observed, show, since=since)
    state.end_maintenance(paths)
    last = read_state(paths).get("up", {})
    digest, parts = compose.services_digest(paths, observed.stack, text), compose.parts(paths, observed.stack, text)
    running_now = {"digest": digest, "parts": parts, "containers": {one.service: one.id for one in started}}
    write_state(paths, up={**last, **running_now} if last else {})
