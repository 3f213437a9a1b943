"""One shard: Odoo with its tests in a container of its own, on a database of its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker import compose_cli
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.testing.results import event, picture, test_id
from odpm_tasks.stack import compose
from odpm_tasks.testing.databases import FILESTORE
from odpm_tasks.testing.tools import TOOLS

INSIDE = "/run/odpm-test"
RUNNER = "odoo_test.py"
DEBUGGER_PORT = 5678  # in the container


@dataclass(frozen=True)
class ShardJob:
    """What one shard does. `words`: arguments of Odoo. `folder`: on this machine, writable for the container.

    `publish`: the port of this machine for the debugger; 0: no debugger. `coverage`: the folders to measure, in the container.
    `tools`: the folder with packages for the tests.
    """

    number: int
    database: str
    template: str
    words: tuple[str, ...]
    folder: Path
    timeout: float
    keep: bool = False
    known: tuple[str, ...] = ()
    publish: int = 0
    coverage: tuple[str, ...] = ()
    tools: Path | None = None


@dataclass
class ShardOutcome:
    """The events of the tests and the log of Odoo, without the lines of events."""

    job: ShardJob
    events: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)
    code: int = 0


def run_shard(
    paths: ProjectPaths, observed: RenderedState, job: ShardJob, progress: Callable[[ShardJob, str], None]
) -> ShardOutcome:
    """Run the container of a shard until it exits. `progress` is called with the test or add-on that begins."""
    outcome = ShardOutcome(job)

    def on_line(line: str) -> None:
        if found := event(line):
            outcome.events.append(found)
            if found.get("kind") == "start":
                test = test_id(str(found.get("id")))
                progress(job, f"{test.addon} {test.name}")
        else:
            outcome.log.append(line)
            if name := picture(line):
                outcome.events.append({"kind": "picture", "file": name})
            if "oading module " in line:
                progress(job, line.rsplit(": ", 1)[-1])

    done = compose_cli.stream(compose.command_line(paths), on_line, *_words(paths, observed, job))
    outcome.code = done.code
    return outcome


def _words(paths: ProjectPaths, observed: RenderedState, job: ShardJob) -> Sequence[str]:
    name = f"{compose.compose_project(paths, observed.stack)}-test-{job.number}"
    settings = {
        "program": observed.stack.image.odoo_bin,
        "database": job.database,
        "timeout": job.timeout,
        "filestore": FILESTORE,
        "template": job.template,
        "remove": [f"{job.database.rpartition('-test-')[0]}-test-*", "odpm-template-*"],
        "keep": list(job.known),
        "keep_own": job.keep,
        "tools": TOOLS if job.tools else "",
        "coverage": {
            "data": f"{INSIDE}/{job.folder.name}/coverage",
            "source": list(job.coverage),
            "omit": ["*/tests/*", "*/__manifest__.py", "*/migrations/*"],
        }
        if job.coverage
        else None,
    }
    own = observed.stack.own_folder if observed.stack.own.addons else ""
    options = [
        f"--env=ODOO_BIN={INSIDE}/{RUNNER}",
        f"--env=ODPM_TEST={json.dumps(settings)}",
        f"--volume={job.folder.parent}:{INSIDE}",
        *([f"--volume={job.tools}:{TOOLS}:ro"] if job.tools else []),
        *([f"--workdir={own}"] if own else []),
        *([f"--publish=127.0.0.1:{job.publish}:{DEBUGGER_PORT}"] if job.publish else []),
    ]
    return [
        *compose.run_words(name, *options, debug="wait" if job.publish else "", limited=not job.publish),
        "odoo",
        "-d",
        job.database,
        *job.words,
        f"--screenshots={INSIDE}/{job.folder.name}",
        "--stop-after-init",
        "--no-http",
        "--workers=0",
        "--max-cron-threads=0",
    ]


def remove_filestores(paths: ProjectPaths, observed: RenderedState, databases: Sequence[str]) -> None:
    """Remove the files of databases in the data volume: Odoo's process does it itself, unless it was killed."""
    words = compose.run_words(f"{compose.compose_project(paths, observed.stack)}-test-tool")
    folders = [f"{FILESTORE}/{name}" for name in databases]
    compose_cli.run(compose.command_line(paths), *words, "rm", "-rf", *folders, check=False)


def in_container(
    paths: ProjectPaths, observed: RenderedState, folder: Path, tools: Path, *words: str
) -> command.Outcome:
    """Run a program in a container of Odoo's service that has the folder of the run, in the folder of the project."""
    project = compose.compose_project(paths, observed.stack)
    mounts = [f"--volume={folder}:{INSIDE}", f"--volume={tools}:{TOOLS}:ro", f"--workdir={observed.stack.own_folder}"]
    return compose_cli.run(compose.command_line(paths), *compose.run_words(f"{project}-test-tool", *mounts), *words)
