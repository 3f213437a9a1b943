"""Access to PostgreSQL and to the filestores of the running stack.

PostgreSQL: psql in the database container, through its socket. Filestores: a Python program in Odoo's container where it
runs, else in a container of its own with the same volume and user. Both work in every scenario.

Most tasks need the names of the stack only. What else is described is observed when it is first used, and imported then.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import engine_volumes
from odpm_tasks.adapters.docker.run_image import bind_mount
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases.snapshots import RecordedLock
from odpm_tasks.core.databases.sql import CLONING, literal
from odpm_tasks.core.odoo.conf import DATA_DIR
from odpm_tasks.databases.early import EarlyPrograms
from odpm_tasks.databases.sessions import FileSessions, PsqlSessions, file_words
from odpm_tasks.errors import OdpmError, ProgramError
from odpm_tasks.project_files import description
from odpm_tasks.sources.project_names import compose_name, database_name
from odpm_tasks.stack.databases.psql import check_locks, session_user, sql

if TYPE_CHECKING:
    from odpm_tasks.core.planning.observed import RenderedState

ARCHIVE = "/odpm-archive"
LARGE = 256 << 20  # bytes, from which on such a container is faster than the engine's streams
_HELPER_SECONDS = 3600


@dataclass(frozen=True)
class DatabaseAccess:
    """The databases of a running stack. `container`: that of PostgreSQL.

    `project`: the project name for Compose. `database`: the project's own. `observe`: observes the project, once.
    `helper`: a container with Odoo's data volume, see `while_odoo_is_stopped`. `sessions`: programs that run already, see `connected`.
    `early`: what was started before the description was read.
    """

    paths: ProjectPaths
    project: str
    database: str
    container: str
    observe: Callable[[], RenderedState]
    helper: str = ""
    sessions: tuple[PsqlSessions, FileSessions] | None = None
    early: EarlyPrograms | None = None

    @property
    def observed(self) -> RenderedState:
        """The project with its sources and its generated files as described. Errors: as `Project.observe`."""
        return self.observe()

    @property
    def volume(self) -> str:
        """The volume with Odoo's data."""
        return f"{self.project}_odoo-{self.paths.settings.scenario.name}"

    @property
    def user(self) -> str:
        """The owner of Odoo's files, as `UID:GID`."""
        from odpm_tasks.stack.compose import compose_env

        env = compose_env(self.paths)
        return f"{env['ODPM_UID']}:{env['ODPM_GID']}"

    @cached_property
    def lock(self) -> RecordedLock:
        """The lock on disk, which the code of the stack comes from. A lock that cannot be read prevents no snapshot and no restore:
        the commits are not known then.
        """
        from odpm_tasks.stack.addon_hashes import current_lock

        try:
            resolution = self.observed.resolution
        except OdpmError:
            return current_lock(self.paths, None)
        return current_lock(self.paths, resolution)

    @property
    def odoo(self) -> str:
        """The running container of Odoo; empty where none runs."""
        if self.helper:
            return self.helper
        found = docker.running_container(docker.containers(self.project), "odoo")
        return found.id if found else ""

    @cached_property
    def version(self) -> int:
        """The `server_version_num` of PostgreSQL."""
        return int(self.sql("SHOW server_version_num"))

    @cached_property
    def file_system(self) -> str:
        """The kind of file system that PostgreSQL's data is on, as `stat -f` calls it; empty where PostgreSQL cannot clone files."""
        if self.version < CLONING:
            return ""
        return docker.execute(self.container, "sh", "-c", 'stat -f -c %T "$PGDATA"').text.strip()

    @cached_property
    def has_files(self) -> bool:
        """Whether Odoo's data volume exists: it does from the first start of Odoo on."""
        runs = self.early and docker.running_container(self.early.containers(self.project), "odoo")
        return bool(runs) or engine_volumes.exists(self.volume)

    @cached_property
    def has_image(self) -> bool:
        """Whether the image of Odoo exists: its container can run without it."""
        return docker.image_label(self.observed.image, "") is not None

    def sql(self, *statements: str, database_name: str = "postgres") -> str:
        """Run SQL; several statements are one transaction. Errors: those of `stack.databases.psql.sql`."""
        text = ";\n".join(statements)
        script = f"BEGIN;\n{text};\nCOMMIT" if len(statements) > 1 else text
        if self.sessions is None:
            return sql(self.container, script, database_name)
        outcome = check_locks(self.sessions[0].run(script, database_name), self.container, database_name)
        if not outcome.ok:
            raise command.failure(outcome)
        return outcome.text.strip()

    def json(self, query: str, database_name: str = "postgres") -> Any:
        """The answer of a query that returns one JSON value; None where it returns no row."""
        text = self.sql(query, database_name=database_name)
        return json.loads(text) if text else None

    def psql(self, script: str, *, program: str = "odpm", database_name: str = "postgres") -> command.Outcome:
        """Run a script in psql that stops at the first error; `program`: the application name of its session."""
        if self.sessions is not None:
            settings = f"SET lock_timeout = 0; SET application_name = {literal(program)}"
            return self.sessions[0].run(script, database_name, settings)
        user = session_user(database_name)
        words = ("psql", "-U", user, "-d", database_name, "-v", "ON_ERROR_STOP=1", "-XAtq")
        return docker.execute(self.container, "env", f"PGAPPNAME={program}", *words, stdin=script.encode())

    def files(self, *words: str) -> Any:
        """Run a command of `templates/filestore.py` and return its answer. Errors: ProgramError, MachineError (disk full)."""
        if not self.has_files:
            return {}
        if self.sessions is not None:
            outcome = self.sessions[1].run(words)
        else:
            outcome = command.run(self.in_volume([*file_words(), *words]), check=False)
        if not outcome.ok:
            if docker.is_unreachable(outcome):
                raise docker.unreachable(outcome)
            error = command.failure(outcome)
            error.what = error.what if "disk" in error.what else f"cannot {words[0]} the files of a database"
            error.where = error.where or f"volume {self.volume}"
            raise error
        return json.loads(outcome.stdout)

    def in_volume(self, words: Sequence[str], *, interactive: bool = False) -> list[str]:
        """The command line that runs a program with Odoo's data volume, as the owner of the files; `interactive`: with stdin."""
        return self._in_volume(self.odoo, words, interactive)

    def beside(self, file: Path, words: Sequence[str], *, writes_file: bool) -> list[str]:
        """The same in a container of its own that has a file of this machine as `/odpm-archive`, without the engine's streams.

        It reads the volume and writes into the file, or the other way round (`writes_file`), with any owner of the file, and can take the
        owner of Odoo's files. It fails, or has another file, where the engine does not reach this one: on another machine, for example.
        """
        options = ["--interactive", f"--mount={bind_mount(file, ARCHIVE, writable=writes_file)}", "--cap-drop=ALL"]
        options += [f"--cap-add={one}" for one in ("DAC_OVERRIDE", "SETUID", "SETGID")]
        options += ["--security-opt=no-new-privileges"]
        return self._run(options, words, user="0:0", mode=":ro" if writes_file else "")

    def _in_volume(self, running: str, words: Sequence[str], interactive: bool) -> list[str]:
        options = ["--interactive"] if interactive else []
        return ["docker", "exec", *options, running, *words] if running else self._run(options, words)

    def _run(self, options: Sequence[str], words: Sequence[str], user: str = "", mode: str = "") -> list[str]:
        image = self.observed.image
        if not self.has_image:
            raise ProgramError(f"the image of Odoo does not exist: {image}", todo="inv build")
        fixed = ["--rm", "--network=none", "--no-healthcheck", "--pull=never", f"--user={user or self.user}"]
        fixed += [f"--volume={self.volume}:{DATA_DIR}{mode}", f"--entrypoint={words[0]}"]
        return ["docker", "run", *options, *fixed, image, *words[1:]]

    @contextmanager
    def connected(self) -> Iterator[DatabaseAccess]:
        """The same access with programs that keep running, instead of a new one for each answer."""
        if self.sessions is not None:
            yield self
            return
        psql = PsqlSessions(self.container)
        files = FileSessions(lambda: self.in_volume(file_words(), interactive=True))
        try:
            self._start(psql, files)
            yield replace(self, sessions=(psql, files))
        finally:
            psql.end()
            files.close()
            psql.close()

    def _start(self, psql: PsqlSessions, files: FileSessions) -> None:
        """Start both programs, unless that was done early."""
        if self.early and (program := self.early.program("db", self.container)):
            psql.adopt(program)
        else:
            psql.start()
        found = self.early.containers(self.project) if self.early else ()
        odoo = docker.running_container(found, "odoo")
        if self.early and odoo and not self.helper and (program := self.early.program("odoo", odoo.id)):
            files.adopt(program)
        elif self.has_files and self.odoo:
            files.start()

    @contextmanager
    def while_odoo_is_stopped(self) -> Iterator[DatabaseAccess]:
        """Connected access with one container for all work on files, instead of a new one for each program."""
        if self.odoo or not self.has_files:
            with self.connected() as reach:
                yield reach
            return
        name = f"{self.project}-files"
        docker.remove_containers([name])  # of a run that was killed; else it ends after an hour
        command.run(self._run(["--detach", f"--name={name}"], ["sleep", str(_HELPER_SECONDS)]))
        try:
            with replace(self, helper=name, sessions=None).connected() as reach:
                yield reach
        finally:
            docker.remove_containers([name])


def access(paths: ProjectPaths, observed: RenderedState) -> DatabaseAccess:
    """Access to the databases of a stack whose PostgreSQL runs. Errors: ProgramError where it does not."""
    from odpm_tasks.stack.compose import compose_project
    from odpm_tasks.stack.up import container

    found = container(paths, observed, "db").id
    return DatabaseAccess(paths, compose_project(paths, observed.stack), observed.database, found, lambda: observed)


def described_access(
    paths: ProjectPaths, observe: Callable[[], RenderedState], early: EarlyPrograms | None = None
) -> DatabaseAccess:
    """The same before the project is observed, from its description. Errors: as `access`, DescriptionError."""
    manifest, _ = description(paths)
    project = compose_name(paths, manifest)
    found = docker.running_container(early.containers(project) if early else docker.containers(project), "db")
    if not found:
        return access(paths, observe())  # says why
    database = database_name(paths, manifest)
    return DatabaseAccess(paths, project, database, found.id, functools.cache(observe), early=early)
