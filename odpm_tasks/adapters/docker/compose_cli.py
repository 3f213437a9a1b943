"""Docker Compose, through its command line. No decisions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.adapters import command, files, process
from odpm_tasks.adapters.docker import buildx
from odpm_tasks.adapters.docker import engine as docker


@dataclass(frozen=True)
class ComposeProject:
    """A project for the command line of Compose. `root`: the folder of the compose file; `env`: added to the environment.

    `described`: there is a compose file; without one Compose finds containers by their labels.
    """

    root: Path
    name: str
    env: Mapping[str, str]
    described: bool = True

    @property
    def words(self) -> list[str]:
        """The command: project and file are named, so that no variable and no other file in the folder changes them."""
        folder, file = str(self.root), str(self.root / "docker-compose.yml")
        words = ["docker", "compose", "--project-name", self.name]
        return [*words, "--project-directory", folder, "--file", file] if self.described else words


def run(project: ComposeProject, *words: str, check: bool = True, stdin: bytes = b"") -> command.Outcome:
    """Run a Compose command on the project's compose file and capture its output."""
    folder = project.root if project.described else Path("/")  # Compose must find no other file either
    outcome = command.run([*project.words, *words], cwd=folder, env=project.env, check=False, stdin=stdin)
    if check and not outcome.ok:
        raise docker.unreachable(outcome) if docker.is_unreachable(outcome) else command.failure(outcome)
    return outcome


def foreground(project: ComposeProject, *words: str) -> int:
    """Run a Compose command on the user's terminal; returns the exit code."""
    return process.foreground([*project.words, *words], cwd=project.root, env=project.env)


def plain_text(logs: str) -> str:
    """The output of `compose logs` without the codes that move the cursor: Compose writes them also where there is no terminal."""
    return logs.replace("\x1b[2K", "").rstrip("\n")


def stream(
    project: ComposeProject, progress: Callable[[str], None], *words: str, stdin: bytes = b""
) -> command.Outcome:
    """Run a Compose command; `progress` is called with each line of its output as it arrives."""
    argv = [*project.words, *words]
    if stdin:
        return command.run(argv, cwd=project.root, env=project.env, check=False, on_line=progress, stdin=stdin)
    # `up` goes on when this process is killed, and must not meet the next one
    with files.passed_on() if words[0] == "up" else nullcontext():
        return buildx.build_with_retry(argv, progress, cwd=project.root, env=project.env)
