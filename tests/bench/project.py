"""Shared by the benchmarks: a project with repositories of a given server, the demo project, timed programs."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.e2e.harness import LAYERS, Bench, demo_project
from tests.ports import claim_port
from tests.standins import common
from tests.standins.engine import ensure_engine
from tests.standins.githost import ensure_git_host
from tests.standins.images import DEFAULT, ensure_images

PYTHON_LOCKS = ("requirements.lock", "requirements.developer.lock")
LOCK = "deps.lock.json"
PRINT_MODULES = (
    "import atexit, json, sys; atexit.register(lambda: print(json.dumps(sorted(sys.modules)), file=sys.stderr))\n"
)
RUN = "from invoke.main import program\nprogram.run(['inv', *{task!r}.split()])\n"


def write_project(
    root: Path,
    platform: str,
    dependencies: Sequence[str],
    locks: Mapping[str, bytes] | None = None,
    merges: Sequence[str] = (),
) -> None:
    """Write a project without git: a description with these URLs, all at 19.0, and locks (file name -> content) in `.odpm`.

    `merges`: those of every dependency.
    """
    (root / ".odpm").mkdir(parents=True)
    for path, content in (locks or {}).items():
        (root / ".odpm" / path).write_bytes(content)
    (root / "tasks.py").write_text("from odpm_tasks import collection\nns = collection()\n", encoding="utf-8")
    manifest = {
        "manifest_schema": 2,
        "requires_odpm": "5.0.0",
        "odoo_version": "19.0",
        "platform": {"git": f"{platform} 19.0"},
        "python": "3.11",
        "distro": {"name": "debian", "version": "12"},
        "postgres": "15",
        "dependencies": [
            {"git": f"{url} 19.0", "merges": [*merges]} if merges else f"{url} 19.0" for url in dependencies
        ],
    }
    (root / "odpm.json").write_text(json.dumps(manifest), encoding="utf-8")


def locks_of(root: Path, names: Sequence[str]) -> dict[str, bytes]:
    return {name: (root / ".odpm" / name).read_bytes() for name in names}


def environment(cache: Path, **more: str) -> dict[str, str]:
    """The environment of the machine without variables that configure odpm. Byte code is cached beside the stand-ins."""
    left_out = (*LAYERS, "PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    ours = {"ODPM_CACHE_DIR": str(cache), "ODPM_SCENARIO": "developer"}
    return {**clean, "PYTHONPYCACHEPREFIX": str(common.root() / "bytecode"), **ours, **more}


@dataclass(frozen=True)
class Timing:
    """Elapsed seconds and processor seconds of a program and the child processes that it waited for."""

    wall: float
    processor: float
    output: str = ""


def run_timed(words: Sequence[str], cwd: Path, env: Mapping[str, str] | None = None) -> Timing:
    """Run a program; returns its times and its standard output. A failure ends the benchmark with its last output."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as error:
        begun = time.perf_counter()
        process = subprocess.Popen(words, cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=error)
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        output = [_all(stream) for stream in (out, error)]
    if process.returncode:
        sys.exit(f"{' '.join(words[:4])} ended with {process.returncode}\n{output[1][-2000:]}")
    return Timing(wall, used.ru_utime + used.ru_stime, output[0])


def _all(stream: IO[bytes]) -> str:
    stream.seek(0)
    return stream.read().decode(errors="replace")


def task(root: Path, cache: Path, *words: str, **env: str) -> Timing:
    """Run a task; returns its times."""
    return run_timed([sys.executable, "-m", "invoke", *words], root, environment(cache, **env))


def modules(root: Path, env: Mapping[str, str], task: str) -> list[str]:
    """The modules that a task has imported at its end and that can be imported by name."""
    words = [sys.executable, "-c", PRINT_MODULES + RUN.format(task=task)]
    done = subprocess.run(words, cwd=root, env=env, capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stderr.splitlines()[-1])
    return [name for name in names if name != "tasks" and not name.startswith("_") and _importable(name)]


def _importable(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        return False


def demo(folder: Path) -> Bench:
    """The demo project with its own ports and prefix; engine, base images and git host exist or are stand-ins."""
    ensure_engine(print)
    ensure_images(DEFAULT, print)
    root = demo_project(folder)
    description = json.loads((root / "odpm.json").read_text(encoding="utf-8"))
    urls = [description["platform"]["git"], *description["dependencies"]]
    rule = ensure_git_host([url.split()[0] for url in urls], print)
    ports = ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT", "MAIL_PORT")
    env = {**{name: str(claim_port()) for name in ports}, "ODPM_COMPOSE_PREFIX": f"odpm-bench-{os.getpid()}"}
    return Bench(root, env | ({"ODPM_GIT_MIRROR": rule} if rule else {}))
