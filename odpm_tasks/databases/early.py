"""Answers of Docker and programs that a task about databases needs, started in threads while the description is read.

They are those of the containers that the last run started. An answer or a program is used only where the description names the
same project and containers; else it is discarded, and the task asks and starts again.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.databases.sessions import FileSessions, PsqlSessions, Sessions, file_program
from odpm_tasks.project_state import read_state


class EarlyPrograms:
    """What was started early; `early_programs` starts it. Each program is handed out once.

    `recorded`: the containers of the last run, by service.
    """

    def __init__(self, project: str, recorded: Mapping[str, str]) -> None:
        self._project = project
        pool = ThreadPoolExecutor(len(_SESSIONS) + 1)
        self._programs = {
            service: (found, pool.submit(_start, found, sessions))
            for service, sessions in _SESSIONS.items()
            if re.fullmatch(r"[0-9a-f]{64}", found := recorded.get(service, ""))
        }
        self._containers = pool.submit(docker.containers, project)
        pool.shutdown(wait=False)

    def containers(self, project: str) -> tuple[docker.Container, ...]:
        """All containers of a Compose project. Errors: those of `docker.containers`."""
        return self._containers.result() if project == self._project else docker.containers(project)

    def program(self, service: str, container: str) -> Sessions | None:
        """A program that runs in this container of a service; None where there is none."""
        if self._programs.get(service, ("", None))[0] != container:
            return None
        with contextlib.suppress(Exception):  # the engine says it again
            return self._programs.pop(service)[1].result()
        return None

    def close(self) -> None:
        """End the programs that were not handed out."""
        for _, started in self._programs.values():
            with contextlib.suppress(Exception):
                started.result().close()


_SESSIONS: dict[str, Callable[[str], Sessions]] = {
    "db": PsqlSessions,
    "odoo": lambda found: FileSessions(lambda: file_program(found)),
}


def _start(container: str, sessions: Callable[[str], Sessions]) -> Sessions:
    made = sessions(container)
    made.start()
    return made


@contextlib.contextmanager
def early_programs(paths: ProjectPaths) -> Iterator[EarlyPrograms | None]:
    """Start what the last run's containers are needed for; nothing before the first run."""
    last = read_state(paths).get("up", {})
    project = last.get("project")
    if not project or not command.is_installed("docker"):
        yield None
        return
    programs = EarlyPrograms(project, last.get("containers", {}))
    try:
        yield programs
    finally:
        programs.close()
