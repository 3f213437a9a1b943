"""The rendered files of a target run: plain Docker, no checkout, the real image."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.baked import Built
from tests.e2e.conftest import say
from tests.e2e.harness import Bench, docker, eventually
from tests.ports import claim_port
from tests.standins.images import ensure_images

pytestmark = [pytest.mark.docker, pytest.mark.long]

DOMAIN = "shop.localhost"


class Bundle:
    """A folder with the files of a target, on its own: commands run there without the project's environment.

    `env`: added to that of the commands. `within`: words that start a program on the machine.
    """

    def __init__(
        self, folder: Path, name: str, env: Mapping[str, str] | None = None, within: Sequence[str] = ()
    ) -> None:
        self.folder, self.name, self.env, self.within = folder, name, env or {}, within
        self.port = claim_port()
        (folder / ".env").write_text(
            f"ODPM_HTTP_PORT={self.port}\nODPM_HTTPS_PORT={claim_port()}\nODPM_WEB_BIND=127.0.0.1\n", encoding="utf-8"
        )

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        env = {key: value for key, value in os.environ.items() if not key.startswith("ODPM_")}
        return subprocess.run(
            words, cwd=self.folder, env={**env, **self.env}, capture_output=True, text=True, check=False
        )

    def ok(self, *words: str) -> str:
        done = self.run(*words)
        assert done.returncode == 0, (
            done.stdout + done.stderr + self.run("docker", "compose", "logs", "--tail=30").stdout
        )
        return done.stdout

    def get(self, path: str) -> str:
        """The status of a page behind the proxy."""
        words = ["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H", f"Host: {DOMAIN}"]
        return self.run(*self.within, "curl", *words, f"http://127.0.0.1:{self.port}{path}").stdout


def describe(bench: Bench, **changes: Any) -> None:
    path = bench.root / "odpm.json"
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


@pytest.fixture
def bundle(tmp_path: Path, clone: Callable[[Path], Bench], ci_image: Built) -> Iterator[Bundle]:
    """The bundle of a target with two web servers, rendered in a clone of the team's project."""
    ensure_images(("caddy:2",), say)
    bench = clone(tmp_path / "project")
    target = {"kind": "compose", "domain": DOMAIN, "replicas": {"web": 2}, "database": {"name": "shop"}}
    describe(bench, targets={"production": target}, web={"domain": DOMAIN, "tls": "off"})
    bench.ok("deploy.render", "--output", str(tmp_path / "machine"), "--image", ci_image.out.split()[-1])
    found = Bundle(tmp_path / "machine", "project-production")
    yield found
    found.run("docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "5")


def test_the_bundle_starts_with_plain_compose_and_is_not_open_to_the_default_password(bundle: Bundle) -> None:
    refused = bundle.run("docker", "compose", "up", "--detach")
    assert refused.returncode != 0  # there are no secrets yet
    assert "secrets/admin_password" in bundle.ok("./make-secrets.sh")
    made = {path.name: path.read_text(encoding="utf-8") for path in (bundle.folder / "secrets").iterdir()}
    bundle.ok("./make-secrets.sh")
    assert {path.name: path.read_text(encoding="utf-8") for path in (bundle.folder / "secrets").iterdir()} == made
    bundle.ok("docker", "compose", "up", "--detach", "--wait")
    eventually(lambda: bundle.get("/web/login") == "200")
    assert bundle.get("/web/database/manager") == "404"
    running = json.loads("[" + ",".join(bundle.ok("docker", "compose", "ps", "--format", "json").split()) + "]")
    assert sorted(each["Service"] for each in running) == ["cron", "db", "mail", "proxy", "web", "web", "websocket"]
    script = (
        "import xmlrpc.client, sys; s = xmlrpc.client.ServerProxy('http://127.0.0.1:8069/xmlrpc/2/common');"
        "print(bool(s.authenticate('shop', 'admin', sys.stdin.read(), {})))"
    )
    for password, allowed in (("admin", "False"), (made["admin_password"], "True")):
        done = subprocess.run(
            ["docker", "compose", "exec", "-T", "web", "python3", "-c", script],
            cwd=bundle.folder, input=password, capture_output=True, text=True, check=True,
        )  # fmt: skip
        assert done.stdout.strip() == allowed

    # one web server ends: the other one answers
    first = bundle.ok("docker", "compose", "ps", "-q", "web").split()[0]
    docker("kill", first)
    assert [bundle.get("/web/login") for _ in range(20)] == ["200"] * 20

    # the documented update, and the maintenance page meanwhile
    (bundle.folder / "web/maintenance").touch()
    bundle.ok("docker", "compose", "stop", "web", "websocket", "cron")
    assert bundle.get("/web/login") == "503"
    assert "Modules loaded" in bundle.run("docker", "compose", "run", "--rm", "update", "-u", "base").stderr
    bundle.ok("docker", "compose", "up", "--detach", "--wait")
    assert bundle.get("/web/login") == "503"
    (bundle.folder / "web/maintenance").unlink()
    eventually(lambda: bundle.get("/web/login") == "200")
    for name in made.values():
        assert name not in bundle.ok("docker", "compose", "logs")
