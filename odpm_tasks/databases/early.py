"""Answers of Docker and programs that a task about databases needs, started in threads while the description is read.

They are those of the containers that the last run started. An answer or a program is used only where the description names the
same project, volume and containers; else it is discarded, and the task asks and starts again.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.docker import engine_volumes
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.databases.sessions import FileSessions, PsqlSessions, Sessions, file_program
from odpm_tasks.project_files import read_state


def odoo_volume(project: str, scenario: str) -> str:
    """The volume with Odoo's data."""
    return f"{project}_odoo-{scenario}"


class EarlyPrograms:
    """What was started early; `early_programs` starts it. Each program is handed out once."""

    def __init__(self, project: str, volume: str) -> None:
        self._project, self._volume = project, volume
        pool = ThreadPoolExecutor(3)
        self._containers = pool.submit(docker.containers, project)
        self._has_volume = pool.submit(engine_volumes.exists, volume)
        self._programs: dict[str, Future[tuple[str, Sessions]]] = {
            "db": pool.submit(self._start, "db", PsqlSessions),
            "odoo": pool.submit(self._start, "odoo", lambda found: FileSessions(lambda: file_program(found))),
        }
        pool.shutdown(wait=False)

    def containers(self, project: str) -> tuple[docker.Container, ...]:
        """All containers of a Compose project. Errors: those of `docker.containers`."""
        return self._containers.result() if project == self._project else docker.containers(project)

    def has_volume(self, name: str) -> bool:
        """Whether a volume exists."""
        return self._has_volume.result() if name == self._volume else engine_volumes.exists(name)

    def program(self, service: str, container: str) -> Sessions | None:
        """A program that runs in this container of a service; None where there is none."""
        future = self._programs.get(service)
        with contextlib.suppress(Exception):  # the engine says it again
            if future is not None and future.result()[0] == container:
                return self._programs.pop(service).result()[1]
        return None

    def close(self) -> None:
        """End the programs that were not handed out."""
        for service in [*self._programs]:
            with contextlib.suppress(Exception):
                self._programs.pop(service).result()[1].close()

    def _start(self, service: str, sessions: Callable[[str], Sessions]) -> tuple[str, Sessions]:
        found = docker.running_container(self._containers.result(), service)
        if found is None:
            raise LookupError(service)
        made = sessions(found.id)
        made.start()
        return found.id, made


@contextlib.contextmanager
def early_programs(paths: ProjectPaths) -> Iterator[EarlyPrograms | None]:
    """Start what the last run's containers are needed for; nothing before the first run."""
    project = read_state(paths).get("up", {}).get("project")
    if not project or not command.is_installed("docker"):
        yield None
        return
    programs = EarlyPrograms(project, odoo_volume(project, paths.settings.scenario.name))
    try:
        yield programs
    finally:
        programs.close()
