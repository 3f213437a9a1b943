"""Move all data to another major version of PostgreSQL: into a new volume, compared; the old one stays as it is.

The new volume has a mark until everything in it was compared. With the mark it holds no data: a run that was killed is started
again by the next one, and the old version can be used meanwhile. All functions need the project's lock.
"""

from __future__ import annotations

import contextlib
import json
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.adapters import command, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import engine_volumes
from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.config.paths import COMPOSE_FILE, ProjectPaths
from odpm_tasks.core.databases import clusters, sql
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack import services
from odpm_tasks.core.stack.compose_file import DATABASE, data_folder
from odpm_tasks.core.stack.database_volumes import DatabaseVolumes
from odpm_tasks.core.text import size
from odpm_tasks.databases.upgrade_servers import OLD_SOCKETS, SOCKETS, UpgradeServer, pipe, psql, running
from odpm_tasks.errors import DataLossError, DescriptionError, MachineError, OdpmError, ProgramError
from odpm_tasks.stack import compose, secrets
from odpm_tasks.stack.databases import volumes as found_volumes

# Loading is repeated after a crash, so that nothing is written twice for its sake.
_LOADING = ("synchronous_commit=off", "wal_level=minimal", "max_wal_senders=0", "max_wal_size=4GB", "autovacuum=off")

# The old version's programs write the dumps: a newer one can miss what only the old one knows. The new version's programs read them.
_DUMP = f'pg_dump -U postgres -Fc -Z1 -f {SOCKETS}/dump -d "$1"'
_ROLES = """\
sed '/^CREATE ROLE postgres;$/d' "$1/roles" | psql -U postgres -d postgres -v ON_ERROR_STOP=1 -Xqo /dev/null"""
# Data is loaded as the owner of each table: a check of a table can call a function of its owner.
_DATABASE = """\
old=$1 name=$2 create=$3 target=$4 jobs=$(nproc)
restore() { pg_restore -U postgres --exit-on-error "$@" "$old/dump"; }
restore $create --section=pre-data -d "$target"
psql -h "$old" -U postgres -d "$name" -v ON_ERROR_STOP=1 -XAtq -f - | psql -U postgres -d "$name" -v ON_ERROR_STOP=1 -XAtq
restore --section=data --use-set-session-authorization -j "$jobs" -d "$name"
restore --section=post-data -j "$jobs" -d "$name"
rm "$old/dump"
"""


@dataclass(frozen=True)
class PostgresUpgrade:
    """A move of the data. `source`: the volume with it, of the version `old`; `images`: of the old and the new version."""

    paths: ProjectPaths
    observed: RenderedState
    volumes: DatabaseVolumes
    images: tuple[str, str]

    @property
    def old(self) -> int:
        return self.volumes.newest

    @property
    def source(self) -> str:
        return self.volumes.complete[self.old]

    @property
    def project(self) -> str:
        return compose.compose_project(self.paths, self.observed.stack)


def prepare(paths: ProjectPaths, observed: RenderedState) -> PostgresUpgrade | None:
    """The move that `odpm.json` asks for; None where there is nothing to move. Errors: DescriptionError for an older version."""
    volumes = found_volumes.find(paths, observed)
    if volumes.newest in {0, volumes.asked}:
        return None
    if volumes.newest > volumes.asked:
        error = volumes.refusal()
        assert error is not None
        raise error
    described = _service(paths, observed)
    image = expand(str(described["image"]), paths.settings.get, COMPOSE_FILE)
    running = _database_container(compose.compose_project(paths, observed.stack))
    used = command.run(["docker", "inspect", "--format", "{{.Config.Image}}", running]).text.strip() if running else ""
    mounted = running and volumes.complete[volumes.newest] in _mounted(running)
    old = used if mounted else clusters.other_version(image, volumes.newest)
    return PostgresUpgrade(paths, observed, volumes, (old, image))


def upgrade(move: PostgresUpgrade, show: terminal.Activity) -> set[str]:
    """Stop Odoo and PostgreSQL, move the data, compare it. Returns the services that ran; their containers stay stopped.

    Errors: ProgramError where the data differs or a statement fails, MachineError for a full disk, DescriptionError for
    tablespaces. After an error everything is as before, and what ran is started again.
    """
    found_volumes.end_upgrade(move.project)
    _discard(move)
    stopped = _stop(move.project)
    try:
        labels = {"com.docker.compose.project": move.project}
        engine_volumes.create(move.volumes.mark, labels)
        engine_volumes.create(
            move.volumes.name,
            labels | {"com.docker.compose.volume": move.volumes.name.removeprefix(f"{move.project}_")},
        )
        _move(move, show)
    except BaseException:
        found_volumes.end_upgrade(move.project)
        _discard(move)
        _start(stopped)
        raise
    engine_volumes.remove([move.volumes.mark])  # from here on the data is in the new volume
    if secrets.missing(move.paths):
        secrets.mark_set(move.paths)
    return {one.service for one in stopped}


def drop_old(volumes: DatabaseVolumes) -> None:
    """Remove the volumes of older versions. Errors: ProgramError where a container still uses one."""
    try:
        engine_volumes.remove(volumes.older)
    except ProgramError as error:
        error.what, error.todo = "a volume is still in use", "inv up starts PostgreSQL on the new one"
        raise


def require_moved(volumes: DatabaseVolumes) -> None:
    """Check that the volumes of older versions are not needed. Errors: DataLossError."""
    if volumes.asked not in volumes.complete:
        raise DataLossError(
            f"the data is in the volume {volumes.complete[volumes.newest]}, which --drop-old would remove",
            where=volumes.where,
            todo=f"move it to PostgreSQL {volumes.asked} first: inv db.upgrade-postgres",
        )


def _service(paths: ProjectPaths, observed: RenderedState) -> Mapping[str, Any]:
    described: Mapping[str, Any] = services.load(observed.rendered.compose.decode())["services"][DATABASE]
    return described


def _database_container(project: str) -> str:
    found = (one for one in docker.containers(project) if one.service == DATABASE and not one.oneoff)
    return next((one.id for one in found), "")


def _mounted(container: str) -> list[str]:
    """The volumes of a container."""
    return command.run(["docker", "inspect", "--format", "{{range .Mounts}}{{.Name}} {{end}}", container]).text.split()


def _discard(move: PostgresUpgrade) -> None:
    """Remove what an earlier run left: only a volume with its mark is incomplete."""
    if engine_volumes.exists(move.volumes.mark):
        engine_volumes.remove([move.volumes.name])
        engine_volumes.remove([move.volumes.mark])


def _stop(project: str) -> list[docker.Container]:
    """Stop Odoo and PostgreSQL, and return what ran, PostgreSQL first."""
    ran = [one for one in docker.containers(project) if one.state == "running" and one.service in {DATABASE, "odoo"}]
    for service in ("odoo", DATABASE):
        names = [one.id for one in ran if one.service == service]
        if names:
            command.run(["docker", "stop", f"--time={found_volumes.STOP_TIMEOUT}", *names])
    return sorted((one for one in ran if not one.oneoff), key=lambda one: one.service)


def _start(stopped: Sequence[docker.Container]) -> None:
    with contextlib.suppress(Exception):
        for one in stopped:
            command.run(["docker", "start", one.id])
            while one.service == DATABASE and not docker.execute(one.id, "pg_isready", "--quiet", "-h127.0.0.1").ok:
                time.sleep(0.2)


@contextlib.contextmanager
def _servers(move: PostgresUpgrade) -> Iterator[str]:
    """Both servers; gives the container of the new one, in which the programs run."""
    described, volumes, paths = _service(move.paths, move.observed), move.volumes, move.paths
    secrets.make_secrets(paths, new_database=False)
    password = paths.secrets(move.observed.scenario.name) / "postgres_password"
    names = found_volumes.upgrade_containers(move.project)
    given = described.get("environment") or {}
    environment = {
        str(name): expand(str(value), paths.settings.get, COMPOSE_FILE)
        for name, value in given.items()
        if str(name) in {"POSTGRES_INITDB_ARGS", "PGDATA", "LANG", "POSTGRES_PASSWORD_FILE"}
    }
    given_words = described.get("command") or []
    words = shlex.split(given_words) if isinstance(given_words, str) else [str(word) for word in given_words]
    words = words[1:] if words[:1] == ["postgres"] else words
    loading = [word for setting in _LOADING for word in ("-c", setting)]
    old = UpgradeServer(
        names[0],
        move.images[0],
        [f"{move.source}:{data_folder(str(move.old))}", f"{volumes.mark}:{SOCKETS}"],
        [],
        {name: value for name, value in environment.items() if name == "PGDATA"},
    )
    new = UpgradeServer(
        names[1],
        move.images[1],
        [
            f"{volumes.name}:{data_folder(str(volumes.asked))}",
            f"{volumes.mark}:{OLD_SOCKETS}",
            f"{password}:{environment.get('POSTGRES_PASSWORD_FILE', '/run/secrets/postgres_password')}:ro",
        ],
        [*words, *loading],
        {"POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password", **environment},
    )
    with running(old), running(new) as container:
        yield container


def _move(move: PostgresUpgrade, show: terminal.Activity) -> None:
    line = f"PostgreSQL {move.volumes.asked}"
    show.note(line, "start both versions")
    with _servers(move) as container:
        databases = json.loads(psql(container, clusters.DATABASES, "postgres", old=True))
        _require_possible(move, container, databases)
        closed = [one["name"] for one in databases if not one["open"]]
        psql(container, sql.accept_connections(closed, True), "postgres", old=True)
        try:
            show.note(line, "roles")
            names = found_volumes.upgrade_containers(move.project)
            pipe(names[0], f"pg_dumpall -U postgres --globals-only -f {SOCKETS}/roles", what="dump the roles")
            pipe(container, _ROLES, OLD_SOCKETS, what="load the roles")
            done, total = 0, sum(one["size"] for one in databases)
            for one in sorted(databases, key=lambda one: str(one["name"]) not in clusters.INITIAL):
                percent = done * 100 // total
                show.note(line, f"database {one['name']} ({size(one['size'])})", percent, size=size(done))
                _move_database(names, one["name"])
                done += one["size"]
            for query in (clusters.INITIAL_PROPERTIES, *map(clusters.initial_properties, clusters.INITIAL)):
                psql(container, psql(container, query, "postgres", old=True), "postgres")
            show.note(line, "compare")
            _compare(container, [one["name"] for one in databases], move)
            show.note(line, "statistics")
            pipe(container, "vacuumdb -U postgres --all --analyze-only --quiet", what="compute the statistics")
        finally:
            with contextlib.suppress(OdpmError):  # snapshots that stay open do no harm, and the next run closes them
                psql(container, sql.accept_connections(closed, False), "postgres", old=True)
        psql(container, sql.accept_connections(closed, False), "postgres")
        psql(container, secrets.reset_sql(move.paths), "postgres")
        left = psql(container, clusters.SETTINGS, "postgres", old=True)
    if left:
        terminal.warn(f"settings of ALTER SYSTEM are not moved: {left}; they are in the old volume")
    show.done(line)


def _require_possible(move: PostgresUpgrade, container: str, databases: Sequence[Mapping[str, Any]]) -> None:
    """Errors: DescriptionError for tablespaces; MachineError where the data does not fit on the disk."""
    if tablespaces := psql(container, clusters.TABLESPACES, "postgres", old=True):
        raise DescriptionError(
            f"the tablespaces {tablespaces} are outside of the volume",
            where=f"volume {move.source}",
            todo="move their tables back: ALTER TABLE … SET TABLESPACE pg_default; then DROP TABLESPACE",
        )
    folder = data_folder(str(move.volumes.asked))
    listed = docker.execute(container, "df", "-Pk", folder, check=True).text.splitlines()
    free, sizes = int(listed[-1].split()[3]) * 1024, [one["size"] for one in databases]
    needed = sum(sizes) + max(sizes) // 4  # the dump of one database at a time
    if needed > free:
        raise MachineError(
            f"the move needs {size(needed)}, and there are {size(free)} free",
            where=f"volume {move.volumes.name}",
            todo="free some space: inv prune shows what is unused",
        )


def _move_database(containers: tuple[str, str], name: str) -> None:
    """Move a database; `containers`: of the old version and of the new one."""
    source, new = clusters.connection(name), name not in clusters.INITIAL
    create, target = ("--create", clusters.connection("postgres")) if new else ("", source)
    pipe(containers[0], _DUMP, source, what=f"dump the database {name}")
    words = (OLD_SOCKETS, source, create, target)
    pipe(containers[1], _DATABASE, *words, stdin=clusters.IMMUTABLE, what=f"load the database {name}")


def _compare(container: str, names: Sequence[str], move: PostgresUpgrade) -> None:
    """Errors: ProgramError naming what differs."""
    before, after = (psql(container, clusters.content(names), "postgres", old=old) for old in (True, False))
    if lines := clusters.compared(before, after, names):
        raise ProgramError(
            f"the data in PostgreSQL {move.volumes.asked} is not that of PostgreSQL {move.old}; nothing is changed",
            details=lines,
            todo="report this; the data stays where it was",
        )
