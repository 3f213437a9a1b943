"""Access to PostgreSQL and to the filestores of the running stack.

PostgreSQL: psql in the database container, through its socket. Filestores: a Python program in Odoo's container where it
runs, else in a container of its own with the same volume and user. Both work in every scenario.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker.run_image import PYTHON
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo.conf import DATA_DIR
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.errors import ProgramError
from odpm_tasks.stack import compose, database
from odpm_tasks.stack.up import container

_PROGRAM = Path(__file__).parents[1] / "templates" / "filestore.py"


@dataclass(frozen=True)
class DatabaseAccess:
    """The databases of a running stack. `container`: that of PostgreSQL; `version`: its `server_version_num`."""

    paths: ProjectPaths
    observed: RenderedState
    container: str
    version: int

    @property
    def volume(self) -> str:
        """The volume with Odoo's data."""
        return f"{compose.compose_project(self.paths, self.observed.stack)}_odoo-{self.observed.scenario.name}"

    @property
    def user(self) -> str:
        """The owner of Odoo's files, as `UID:GID`."""
        env = compose.compose_env(self.paths)
        return f"{env['ODPM_UID']}:{env['ODPM_GID']}"

    @property
    def odoo(self) -> str:
        """The running container of Odoo; empty where none runs."""
        project = compose.compose_project(self.paths, self.observed.stack)
        found = (
            c.id for c in docker.containers(project) if c.service == "odoo" and c.state == "running" and not c.oneoff
        )
        return next(found, "")

    @cached_property
    def has_files(self) -> bool:
        """Whether Odoo's data volume exists: it does from the first start of Odoo on."""
        return docker.has_volume(self.volume)

    def sql(self, *statements: str, database_name: str = "postgres") -> str:
        """Run SQL as PostgreSQL's superuser; several statements are one transaction. Errors: those of `stack.database.sql`."""
        text = ";\n".join(statements)
        return database.sql(self.container, f"BEGIN;\n{text};\nCOMMIT" if len(statements) > 1 else text, database_name)

    def json(self, query: str, database_name: str = "postgres") -> Any:
        """The answer of a query that returns one JSON value; None where it returns no row."""
        text = self.sql(query, database_name=database_name)
        return json.loads(text) if text else None

    def psql(self, script: str, *, program: str = "odpm", database_name: str = "postgres") -> command.Outcome:
        """Run a script in psql that stops at the first error; `program`: the application name of its session."""
        words = ("psql", "-U", "postgres", "-d", database_name, "-v", "ON_ERROR_STOP=1", "-XAtq")
        return docker.execute(self.container, "env", f"PGAPPNAME={program}", *words, stdin=script.encode())

    def files(self, *words: str) -> Any:
        """Run a command of `templates/filestore.py` and return its answer. Errors: ProgramError, MachineError (disk full)."""
        if not self.has_files:
            return {}
        argv = self.in_volume([PYTHON, "-I", "-c", _PROGRAM.read_text(encoding="utf-8"), *words])
        outcome = command.run(argv, check=False)
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
        options = ["--interactive"] if interactive else []
        if running := self.odoo:
            return ["docker", "exec", *options, running, *words]
        image = self.observed.image
        if docker.image_label(image, "") is None:
            raise ProgramError(f"the image of Odoo does not exist: {image}", todo="inv build")
        options += ["--rm", "--network=none", "--no-healthcheck", "--pull=never", f"--user={self.user}"]
        options += [f"--volume={self.volume}:{DATA_DIR}", f"--entrypoint={words[0]}"]
        return ["docker", "run", *options, image, *words[1:]]


def access(paths: ProjectPaths, observed: RenderedState) -> DatabaseAccess:
    """Access to the databases of a stack whose PostgreSQL runs. Errors: ProgramError where it does not."""
    made = DatabaseAccess(paths, observed, container(paths, observed, "db").id, 0)
    return replace(made, version=int(made.sql("SHOW server_version_num")))
