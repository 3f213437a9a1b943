"""A target on the engine of this machine, and a client that asks for a page all the time."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import pytest

from tests.e2e.conftest import say
from tests.e2e.harness import Bench, docker, git
from tests.e2e.targets.test_bundle import DOMAIN, describe
from tests.ports import claim_port
from tests.standins.images import ensure_images
from tests.standins.registry import Registry
from tests.standins.second_engine import SecondEngine


class Target:
    """A target on the engine of this machine or on another one: the project, the port of its proxy, and what a client sees."""

    def __init__(self, bench: Bench, registry: Registry, machine: SecondEngine | None = None) -> None:
        self.bench, self.registry = bench, registry
        self.target = f"t{uuid.uuid4().hex[:8]}"
        self.port = claim_port()
        self.address = machine.there if machine else "127.0.0.1"
        self.host = ["--host", f"unix://{machine.socket}"] if machine else []
        self.image = ""  # what was deployed

    def docker(self, *words: str) -> str:
        return docker(*self.host, *words)

    def shell(self, script: str) -> str:
        volume = ("--volume", "/var/lib/odpm:/odpm")
        return self.docker("run", "--rm", "--network=none", *volume, "debian:bookworm-slim", "sh", "-c", script)

    def get(self, path: str = "/web/login") -> str:
        words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "60", "-H", f"Host: {DOMAIN}"]
        done = subprocess.run(
            [*words, f"http://{self.address}:{self.port}{path}"], capture_output=True, text=True, check=False
        )
        return done.stdout

    def build(self, tag: str) -> str:
        """An image of what is committed, pushed; its name with the digest."""
        git("commit", "-qam", tag, cwd=self.bench.root)
        name = f"{self.registry.address}/{self.bench.prefix}/odoo:{tag}"
        return self.bench.ok("build-image", "--tag", name, "--push", ODPM_SCENARIO="ci").out.split()[-1]

    def up(self, image: str) -> str:
        return self.bench.ok("deploy.up", self.target, "--image", image).out.strip()

    def containers(self, service: str = "") -> list[str]:
        """The containers of the target or of one of its services, sorted."""
        labels = [f"project=project-{self.target}", *([f"service={service}"] if service else [])]
        filters = [word for label in labels for word in ("--filter", f"label=com.docker.compose.{label}")]
        return sorted(self.docker("ps", "--all", "--quiet", "--no-trunc", *filters).split())

    def history(self) -> list[dict[str, Any]]:
        found = json.loads(self.bench.ok("deploy.history", self.target, "--format", "json").out)
        return list(found["deployments"])

    def query(self, statement: str) -> str:
        db = self.docker("ps", "-q", "--filter", f"label=com.docker.compose.project=project-{self.target}",
                    "--filter", "label=com.docker.compose.service=db").strip()  # fmt: skip
        return self.docker("exec", db, "psql", "-U", "postgres", "-qAt", "-d", "shop", "-c", statement).strip()


class Load:
    """A client that asks for a page all the time; its statuses."""

    def __init__(self, target: Target) -> None:
        self.target, self.seen, self._ended = target, list[str](), threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        while not self._ended.is_set():
            self.seen.append(self.target.get())
            time.sleep(0.1)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


@contextmanager
def made(bench: Bench, registry: Registry, machine: SecondEngine | None = None, **described: Any) -> Iterator[Target]:
    """A target of a project, removed at the end. `described`: further keys of it."""
    ensure_images(("caddy:2",), say)
    found = Target(bench, registry, machine)
    of_target = {"kind": "compose", "domain": DOMAIN, "replicas": {"web": 2}, "database": {"name": "shop"}}
    describe(
        bench, targets={found.target: {**of_target, **described}}, web={"domain": DOMAIN, "tls": "off"}, services={}
    )
    ports = f"ODPM_HTTP_PORT={found.port}\nODPM_HTTPS_PORT={claim_port()}\nODPM_WEB_BIND={found.address}\n"
    found.shell(f"mkdir -p /odpm/project-{found.target} && printf '{ports}' > /odpm/project-{found.target}/.env")
    try:
        yield found
    finally:
        words = [
            "docker",
            *found.host,
            "compose",
            "--project-name",
            f"project-{found.target}",
            "down",
            "--volumes",
            "--timeout=5",
        ]
        subprocess.run(words, capture_output=True, check=False)
        found.shell(f"rm -rf /odpm/project-{found.target}")


@pytest.fixture
def target(tmp_path: Path, clone: Callable[[Path], Bench], registry: Registry, engine: None) -> Iterator[Target]:
    with made(clone(tmp_path / "project"), registry) as found:
        yield found
