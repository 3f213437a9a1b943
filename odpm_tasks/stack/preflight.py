"""What prevents the services from starting, known before anything is built or stopped. Nothing is changed.

Another checkout of the same name, a volume of another PostgreSQL major version, files of another user, busy ports,
a certificate that cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import engine_volumes
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import COMPOSE_FILE, ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack import services
from odpm_tasks.core.stack.compose_file import database_volume
from odpm_tasks.core.stack.web.address import check, web_of
from odpm_tasks.errors import DescriptionError, MachineError, OdpmError
from odpm_tasks.stack import compose, ports
from odpm_tasks.stack.backups import files as backup_files
from odpm_tasks.stack.databases import volumes
from odpm_tasks.stack.web import certificates


def refusals(
    paths: ProjectPaths, observed: RenderedState, containers: Sequence[docker.Container], changed: bool
) -> Iterator[OdpmError]:
    """The errors that `up` would end with, the most important first. `containers`: those of the project.

    `changed`: the containers of database or Odoo are to be created; only then volumes are read.
    """
    project = compose.compose_project(paths, observed.stack)
    yield from _another_checkout(paths, project, containers)
    yield from backup_files.problems(paths, observed.manifest)
    yield from _renamed(paths, observed, project)
    if changed:
        yield from _volumes(paths, observed, project)
    if web := web_of(observed.scenario, observed.manifest):
        check(web, paths.settings.get)
        yield from certificates.problems(paths, observed.manifest)
    if (busy := ports.in_use_error(paths, observed, containers)) is not None:
        yield busy


def lost_files(paths: ProjectPaths, observed: RenderedState) -> str:
    """The name of the volume with Odoo's files, if an earlier run made it and it is gone while that of PostgreSQL exists."""
    project, scenario = compose.compose_project(paths, observed.stack), observed.scenario.name
    volume = f"{project}_odoo-{scenario}"
    if "project" not in observed.recorded.get("up", {}) or engine_volumes.exists(volume):
        return ""
    return volume if volumes.find(paths, observed).complete else ""


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
    left: tuple[str, ...] = ()
    if before and before != project and "ODPM_COMPOSE_PREFIX" not in paths.settings.merged():
        left = engine_volumes.named(f"{before}_{database_volume(scenario, '')}")
    if left:
        yield DescriptionError(
            f"this project was called {before} and is called {project} now; its database is in the volume {left[-1]}",
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
    kept = volumes.find(paths, observed)
    if error := kept.refusal():
        yield error
    unnumbered = f"{project}_db-{scenario}"  # of a development version of odpm 5
    if not kept.complete and engine_volumes.exists(unnumbered):
        copy = f"docker run --rm -v {unnumbered}:/from:ro -v {kept.name}:/to --entrypoint cp {images[0]} -a /from/. /to"
        yield DescriptionError(
            f"the data of PostgreSQL is in the volume {unnumbered}, which has no version in its name",
            where=kept.where,
            todo=f"copy it, then the same command again: {copy}",
        )
    asked = re.search(r"postgres[^/]*:(\d+)", images[0])
    found = engine_volumes.first_word(kept.name, ("PG_VERSION", "*/docker/PG_VERSION"), images)
    if asked and found and found.partition(".")[0] != asked[1]:  # an image of `service_patches`
        yield DescriptionError(
            f"the volume {kept.name} holds data of PostgreSQL {found}, and its image is {images[0]}",
            where=kept.where,
            todo=f"name an image of PostgreSQL {found}",
        )
    volume = f"{project}_odoo-{scenario}"
    owner, user = engine_volumes.owner(volume, ("sessions", "filestore"), images[::-1]), compose.compose_env(paths)
    if owner and owner[0] not in {0, int(user["ODPM_UID"])}:
        now, files = f"{user['ODPM_UID']}:{user['ODPM_GID']}", f"{owner[0]}:{owner[1]}"
        yield MachineError(
            f"Odoo would run as user {now}, and its files in the volume {volume} belong to {files}",
            where=f"the owner of {paths.root}" if "ODPM_UID" not in paths.settings.merged() else "ODPM_UID",
            details=[f"to keep that user: ODPM_UID={owner[0]} and ODPM_GID={owner[1]} in .env"],
            todo=f"docker run --rm --user 0 --entrypoint chown -v {volume}:/data {images[1]} -R {now} /data",
        )
