"""What prevents the services from starting, known before anything is built or stopped. Nothing is changed.

Another checkout of the same name, a volume of another PostgreSQL major version, files of another user, busy ports.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import COMPOSE_FILE, ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack import services
from odpm_tasks.errors import DescriptionError, MachineError, OdpmError
from odpm_tasks.stack import compose, ports


def refusals(
    paths: ProjectPaths, observed: RenderedState, containers: Sequence[docker.Container], changed: bool
) -> Iterator[OdpmError]:
    """The errors that `up` would end with, the most important first. `containers`: those of the project.

    `changed`: the containers of database or Odoo are to be created; only then volumes are read.
    """
    project = compose.compose_project(paths, observed.stack)
    yield from _another_checkout(paths, project, containers)
    yield from _renamed(paths, observed, project)
    if changed:
        yield from _volumes(paths, observed, project)
    if (busy := ports.in_use_error(paths, observed, containers)) is not None:
        yield busy


def _another_checkout(
    paths: ProjectPaths, project: str, containers: Sequence[docker.Container]
) -> Iterator[DescriptionError]:
    """Containers of the same project name that another checkout runs."""
    for container in containers:
        other = container.folder
        if other and other != str(paths.root) and container.state == "running" and is_project(Path(other)):
            yield DescriptionError(
                f"the containers of {project} belong to another checkout",
                where=other,
                todo="run inv down there, or set another name in .env: ODPM_COMPOSE_PREFIX=" + project + "-2",
            )
            return


def is_project(folder: Path) -> bool:
    """Whether a folder holds a project: Docker creates an empty folder at the path of a mount that has moved away."""
    return (folder / "odpm.json").is_file()


def _renamed(paths: ProjectPaths, observed: RenderedState, project: str) -> Iterator[DescriptionError]:
    """Another name of project or database than in the last run, which no setting asks for: the data would stay behind.

    `.odpm/state.toml` moves with the folder and knows the earlier names.
    """
    last = observed.recorded.get("up", {})
    before, database = last.get("project", ""), last.get("database", "")
    scenario = observed.scenario.name
    same_scenario = observed.last_scenario in {None, scenario}
    volume = f"{before}_db-{scenario}"
    if (
        before
        and before != project
        and "ODPM_COMPOSE_PREFIX" not in paths.settings.merged()
        and docker.has_volume(volume)
    ):
        yield DescriptionError(
            f"this project was called {before} and is called {project} now; its database is in the volume {volume}",
            where=str(paths.root),
            todo=f"to go on with it: ODPM_COMPOSE_PREFIX={before} in .env; for a new one: ODPM_COMPOSE_PREFIX={project} in .env",
        )
    elif (
        same_scenario
        and not observed.database_chosen
        and database not in {"", observed.database}
        and Path(last.get("folder", "")).name == database
    ):
        yield DescriptionError(
            f"the folder was renamed, so the database {database} would stay behind and a new one be made",
            where=str(paths.root),
            todo=f"to go on with it: ODPM_DATABASE={database} in .env; for a new one: inv up -d {observed.database}",
        )


def _volumes(paths: ProjectPaths, observed: RenderedState, project: str) -> Iterator[OdpmError]:
    """Errors of the data in the volumes of this scenario."""
    scenario = observed.scenario.name
    described = services.load(observed.rendered.compose.decode())["services"]
    images = [
        expand(str(described[name].get("image", "")), paths.settings.get, COMPOSE_FILE) for name in ("db", "odoo")
    ]
    asked = re.search(r"postgres[^/]*:(\d+)", images[0])
    volume = f"{project}_db-{scenario}"
    found = docker.volume_file(volume, ("PG_VERSION", "*/docker/PG_VERSION"), images)
    if asked and found and found.partition(".")[0] != asked[1]:
        yield DescriptionError(
            f"the volume {volume} holds data of PostgreSQL {found}, and odpm.json asks for {asked[1]}",
            where="odpm.json: postgres" if observed.manifest.format == 2 else "odpm.json: postgres_version",
            todo=f"write {found} there to keep the data; docs/troubleshooting.md says how to move it"
            " (db.upgrade-postgres will do that)",
        )
    volume = f"{project}_odoo-{scenario}"
    owner, user = docker.volume_owner(volume, ("sessions", "filestore"), images[::-1]), compose.compose_env(paths)
    if owner and owner[0] not in {0, int(user["ODPM_UID"])}:
        now, files = f"{user['ODPM_UID']}:{user['ODPM_GID']}", f"{owner[0]}:{owner[1]}"
        yield MachineError(
            f"Odoo would run as user {now}, and its files in the volume {volume} belong to {files}",
            where=f"the owner of {paths.root}" if "ODPM_UID" not in paths.settings.merged() else "ODPM_UID",
            details=[f"to keep that user: ODPM_UID={owner[0]} and ODPM_GID={owner[1]} in .env"],
            todo=f"docker run --rm --user 0 --entrypoint chown -v {volume}:/data {images[1]} -R {now} /data",
        )
