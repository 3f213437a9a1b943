"""Return to an earlier release: its code, configuration and image; with its databases where that is asked for."""

from __future__ import annotations

from collections.abc import Sequence

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.docker import compose_cli
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.deployment.journal import Journal
from odpm_tasks.core.deployment.releases import Rollback, rollback
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.compose_file import DATABASE
from odpm_tasks.core.stack.services import load
from odpm_tasks.databases import snapshots
from odpm_tasks.databases.access import access
from odpm_tasks.deployment import deploy, releases
from odpm_tasks.errors import DataLossError, ProgramError
from odpm_tasks.project_files import deployments, write_deployment
from odpm_tasks.stack import compose
from odpm_tasks.stack.web import state


def choose(paths: ProjectPaths, name: str, *, databases: bool) -> Rollback:
    """The release to return to, the one before the current without a name.

    Errors: DescriptionError where there is none; DataLossError where a deployment since then updated a database and `databases`
    is not set; ProgramError where its image is gone.
    """
    chosen = rollback(deployments(paths), releases.existing(paths), name)
    if chosen.updates and not databases:
        raise DataLossError(
            f"since release {chosen.to.release} the database was updated: {', '.join(sorted(chosen.updates))}",
            details=["the earlier code may not work with it"],
            todo="inv up --rollback --database returns to the state before that update, too; what was entered since is in a snapshot",
        )
    now, then = (
        _database_mount(text) for text in (paths.compose.read_bytes(), releases.compose_text(paths, chosen.to.release))
    )
    if now != then:
        raise DataLossError(
            f"release {chosen.to.release} has its databases in {then}; they were moved to {now}",
            todo="inv db.upgrade-postgres moved them: deploy the earlier code with the present version of PostgreSQL in odpm.json",
        )
    image = str(releases.record_of(paths, chosen.to.release).get("image", ""))
    if docker.image_label(image, "") is None:
        raise ProgramError(
            f"the image of release {chosen.to.release} is gone: {image}",
            todo=f"git checkout {chosen.to.commit[:12]} && inv up",
        )
    return chosen


def _database_mount(text: bytes) -> str:
    """The volume of PostgreSQL in a compose file."""
    found = load(text.decode())["services"][DATABASE].get("volumes") or [""]
    return str(found[0]).partition(":")[0]


def describe(paths: ProjectPaths, observed: RenderedState, chosen: Rollback) -> Sequence[str]:
    """A line for each database that is restored, with the time of its snapshot. Errors: DataLossError where one is gone."""
    if not chosen.updates:
        return ()
    found = deploy.find_snapshots(access(paths, observed), chosen.updates)
    return [f"database {name} returns to its state of {one.created} ({one.name})" for name, one in found.items()]


def roll_back(paths: ProjectPaths, observed: RenderedState, chosen: Rollback) -> None:
    """Return to a release. The present state of each database that is restored is kept as a snapshot first.

    Where it fails, the current release serves again with its databases; a run after a kill returns to them, too.
    """
    current = releases.current_release(paths)
    taken: dict[str, str] = {}
    try:
        if chosen.updates:
            state.begin_maintenance(paths, observed)
            compose_cli.run(compose.command_line(paths), "stop", "odoo")
            reach = access(paths, observed)
            deploy.find_snapshots(reach, chosen.updates)
            with reach.while_odoo_is_stopped() as stopped:
                taken = {name: snapshots.take(stopped, name, kind="restore").id for name in chosen.updates}
            write_deployment(paths, Journal("updating", chosen.to.release, taken))
            deploy.restore(reach, chosen.updates)
        with terminal.activity() as show:
            deploy.serve(paths, observed, chosen.to.release, show)
    except BaseException:
        with terminal.activity() as show:
            if taken:
                deploy.restore(access(paths, observed), taken)
            write_deployment(paths, None)
            if current:
                deploy.serve(paths, observed, current.release, show)
        raise
    releases.record_deployment(paths, chosen.to.release, taken, rollback=True)
    write_deployment(paths, None)
