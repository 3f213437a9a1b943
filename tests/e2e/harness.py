"""Helpers for end-to-end tests: a test bench, that is a project in its own folder, used by its command line."""

from __future__ import annotations

import atexit
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
import xmlrpc.client
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from odpm_tasks.errors import ProgramError
from tests.e2e.inv_server import InvServer, plain

REPOSITORY = Path(__file__).resolve().parents[2]
PORTS = ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT", "MAIL_PORT")
LAYERS = ("ODPM_", "ODOO_", "GEVENT_", "POSTGRES_", "DEBUGGER_", "MAIL_", "COMPOSE_", "BACKUP_")


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    code: int
    out: str
    err: str

    @property
    def output(self) -> str:
        return self.out + self.err


@cache
def _server() -> InvServer:
    server = InvServer()
    atexit.register(server.close)
    return server


def inv_programs() -> Path:
    """A folder for PATH that has an `inv` which starts quickly."""
    return _server().programs


@dataclass
class Bench:
    """A test bench: a project on disk with its own environment. `inv` runs a task in it."""

    root: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def prefix(self) -> str:
        return self.env["ODPM_COMPOSE_PREFIX"]

    def inv(
        self, *words: str, timeout: float = 900, cwd: Path | None = None, feed: str = "", **env: str
    ) -> CommandResult:
        """Run a task and wait for it. Environment: that of the machine without variables that configure odpm, then `env`."""
        environment = self.environment(env)
        if not plain(environment):
            return CommandResult(*_server().run(words, cwd or self.root, environment, feed, timeout))
        argv = [sys.executable, "-m", "invoke", *words]
        done = subprocess.run(
            argv, cwd=cwd or self.root, env=environment, capture_output=True, text=True, timeout=timeout,
            input=feed, check=False,
        )  # fmt: skip
        return CommandResult(done.returncode, done.stdout, done.stderr)

    @contextmanager
    def running(self, *words: str) -> Iterator[subprocess.Popen[bytes]]:
        """A task in the background, in its own process group, which is killed at the end of the block."""
        argv = [sys.executable, "-m", "invoke", *words]
        quiet = subprocess.DEVNULL
        started = subprocess.Popen(
            argv, cwd=self.root, env=self.environment(), stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            yield started
        finally:
            with suppress(ProcessLookupError):
                os.killpg(started.pid, signal.SIGKILL)
            started.wait()

    def ok(self, *words: str, **env: Any) -> CommandResult:
        """Like `inv`, and check that the exit code is 0. Where the machine loses its name server, wait and run it again."""
        ran = self.inv(*words, **env)
        for pause in (10, 30, 60):
            if ran.code != ProgramError.exit_code or "its name cannot be resolved" not in ran.output:
                break
            time.sleep(pause)
            ran = self.inv(*words, **env)
        assert ran.code == 0, f"inv {' '.join(words)} ended with {ran.code}\n{ran.output}"
        return ran

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(LAYERS)}
        return {**clean, "ODPM_WKHTMLTOPDF": "distribution", **self.env, **(more or {})}

    def url(self, path: str = "/web/login") -> str:
        return f"http://localhost:{self.env['ODOO_PORT']}{path}"

    def authenticate(self, database: str, user: str, password: str) -> int | bool:
        """Log in over XML-RPC; returns the id of the user, or False."""
        answer = xmlrpc.client.ServerProxy(self.url("/xmlrpc/2/common")).authenticate(database, user, password, {})
        assert isinstance(answer, int)
        return answer

    def call(self, database: str, model: str, method: str, *words: Any, password: str = "admin") -> Any:
        """Call a method of a model as administrator over XML-RPC."""
        user = self.authenticate(database, "admin", password)
        return xmlrpc.client.ServerProxy(self.url("/xmlrpc/2/object")).execute_kw(
            database, user, password, model, method, words
        )

    def sql(self, query: str, database: str = "postgres") -> str:
        """Run a query in the PostgreSQL container as superuser."""
        return docker(
            "exec", str(self.containers()["db"]["Id"]), "psql", "-U", "postgres", "-d", database, "-Atc", query
        )

    def inside(self, *words: str, service: str = "odoo") -> CommandResult:
        """Run a program in the container of a service with `docker exec`."""
        argv = ["docker", "exec", str(self.containers()[service]["Id"]), *words]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def log(self, service: str) -> str:
        """What the container of a service has written."""
        argv = ["docker", "logs", str(self.containers()[service]["Id"])]
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=True)
        return done.stdout + done.stderr

    def commit(self, message: str) -> None:
        """Commit everything in the project's folder."""
        git("add", "-A", cwd=self.root)
        git("commit", "-q", "--allow-empty", "-m", message, cwd=self.root)

    def edit(self, **keys: object) -> None:
        """Set top-level keys of odpm.json; None removes a key."""
        path = self.root / "odpm.json"
        data = json.loads(path.read_text(encoding="utf-8"))
        for key, value in keys.items():
            data.pop(key, None)
            if value is not None:
                data[key] = value
        path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")

    def set_version(self, version: str, addon: str = "addons/stack_info") -> None:
        """Set the version in the manifest of an add-on of the project."""
        path = self.root / addon / "__manifest__.py"
        text, count = re.subn(r'("version": )"[^"]*"', rf'\g<1>"{version}"', path.read_text(encoding="utf-8"))
        assert count == 1, text
        path.write_text(text, encoding="utf-8")

    def template(self, change: Callable[[str], str]) -> Path:
        """Give the project its own Dockerfile template: the built-in one, changed."""
        own = self.root / ".odpm/templates/Dockerfile.j2"
        own.parent.mkdir(parents=True, exist_ok=True)
        own.write_text(change((REPOSITORY / "odpm_tasks/templates/Dockerfile.j2").read_text(encoding="utf-8")), "utf-8")
        return own

    def containers(self) -> dict[str, dict[str, Any]]:
        """Service -> `docker inspect` of its container."""
        label = f"label=com.docker.compose.project={self.prefix}"
        ids = docker("ps", "--all", "--quiet", "--filter", label).split()
        found = json.loads(docker("inspect", *ids)) if ids else []
        return {entry["Config"]["Labels"]["com.docker.compose.service"]: entry for entry in found}

    def remove(self) -> None:
        """Remove all containers, volumes and networks of this project."""
        for kind, lister in (
            ("container", ("ps", "--all")),
            ("volume", ("volume", "ls")),
            ("network", ("network", "ls")),
        ):
            label = f"label=com.docker.compose.project={self.prefix}"
            names = docker(*lister, "--quiet", "--filter", label).split()
            if names:
                docker(kind, "rm", "--force", *names) if kind != "network" else docker(kind, "rm", *names)


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"docker {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


def get(url: str, timeout: float = 30) -> tuple[int, str]:
    """Status and text of a page. Connection errors are retried for `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        try:
            with urllib.request.urlopen(url, timeout=30) as answer:
                return answer.status, answer.read().decode(errors="replace")
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace")
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def eventually(true: Callable[[], object], timeout: float = 60) -> None:
    """Wait for a condition; fails after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while not true():
        assert time.monotonic() < deadline, f"condition not met after {timeout:.0f} s"
        time.sleep(0.2)


class Snapshot(dict[str, tuple[bytes, int]]):
    """Path -> content and modification time. A failed comparison lists the paths that differ, not a gigabyte of content."""

    def __repr__(self) -> str:
        return f"<{len(self)} files and folders>"

    def changed(self, root: Path) -> list[str]:
        """The paths below a root that are not as they were, with what changed."""
        now = snapshot(root)
        found = []
        for path in sorted(self.keys() | now.keys()):
            if path not in now or path not in self:
                found.append(f"{path}: {'removed' if path not in now else 'new'}")
            elif self[path] != now[path]:
                found.append(f"{path}: {'content' if self[path][0] != now[path][0] else 'modification time'}")
        return found


def snapshot(root: Path) -> Snapshot:
    """Path -> content and modification time of every file and folder below a root, `.git` included."""

    def content(path: Path) -> bytes:
        if path.is_symlink():
            return str(path.readlink()).encode()
        return path.read_bytes() if path.is_file() else b""

    return Snapshot(
        (str(path.relative_to(root)), (content(path), path.lstat().st_mtime_ns)) for path in sorted(root.rglob("*"))
    )


def git(*words: str, cwd: Path) -> str:
    env = {
        **os.environ,
        "GIT_AUTHOR_NAME": "t",
        "GIT_AUTHOR_EMAIL": "t@t",
        "GIT_COMMITTER_NAME": "t",
        "GIT_COMMITTER_EMAIL": "t@t",
    }
    done = subprocess.run(["git", *words], cwd=cwd, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(words)}: {done.stderr}"
    return done.stdout.strip()


def demo_project(root: Path) -> Path:
    """The demo project of this repository (description and add-on) with the shortest tasks.py, as one commit."""
    root.mkdir(parents=True)
    shutil.copy(REPOSITORY / "odpm.json", root)
    shutil.copytree(REPOSITORY / "addons", root / "addons", ignore=shutil.ignore_patterns("__pycache__"))
    (root / "tasks.py").write_text("from odpm_tasks import collection\n\nns = collection()\n", encoding="utf-8")
    git("init", "-q", "-b", "main", cwd=root)
    git("add", "-A", cwd=root)
    git("commit", "-qm", "A project", cwd=root)
    return root
