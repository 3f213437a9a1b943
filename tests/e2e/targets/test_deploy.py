"""`inv deploy.up`, `.status`, `.history`, `.rollback`: a machine with Docker, real images from a registry, a load client all the time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest

from tests.e2e.baked import Built
from tests.e2e.conftest import say
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker, eventually, git
from tests.e2e.targets.test_bundle import DOMAIN, describe
from tests.ports import claim_port
from tests.standins.images import ensure_images
from tests.standins.registry import Registry
from tests.standins.sshd import SshServer

pytestmark = [pytest.mark.docker, pytest.mark.long]


class Target:
    """A target on the engine of this machine: the project, the port of its proxy, and what a client sees."""

    def __init__(self, bench: Bench, registry: Registry) -> None:
        self.bench, self.registry = bench, registry
        self.target = f"t{uuid.uuid4().hex[:8]}"
        self.port = claim_port()

    def shell(self, script: str) -> str:
        return docker(
            "run",
            "--rm",
            "--network=none",
            "--volume",
            "/var/lib/odpm:/odpm",
            "debian:bookworm-slim",
            "sh",
            "-c",
            script,
        )

    def get(self, path: str = "/web/login") -> str:
        words = ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--max-time", "60", "-H", f"Host: {DOMAIN}"]
        done = subprocess.run(
            [*words, f"http://127.0.0.1:{self.port}{path}"], capture_output=True, text=True, check=False
        )
        return done.stdout

    def build(self, tag: str) -> str:
        """An image of what is committed, pushed; its name with the digest."""
        git("commit", "-qam", tag, cwd=self.bench.root)
        name = f"{self.registry.address}/{self.bench.prefix}/odoo:{tag}"
        return self.bench.ok("build-image", "--tag", name, "--push", ODPM_SCENARIO="ci").out.split()[-1]

    def up(self, image: str) -> str:
        return self.bench.ok("deploy.up", self.target, "--image", image).out.strip()

    def history(self) -> list[dict[str, Any]]:
        found = json.loads(self.bench.ok("deploy.history", self.target, "--format", "json").out)
        return list(found["deployments"])

    def query(self, statement: str) -> str:
        db = docker("ps", "-q", "--filter", f"label=com.docker.compose.project=project-{self.target}",
                    "--filter", "label=com.docker.compose.service=db").strip()  # fmt: skip
        return docker("exec", db, "psql", "-U", "postgres", "-qAt", "-d", "shop", "-c", statement).strip()


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


@pytest.fixture
def target(tmp_path: Path, clone: Callable[[Path], Bench], registry: Registry, engine: None) -> Iterator[Target]:
    ensure_images(("caddy:2",), say)
    found = Target(clone(tmp_path / "project"), registry)
    described = {"kind": "compose", "domain": DOMAIN, "replicas": {"web": 2}, "database": {"name": "shop"}}
    describe(found.bench, targets={found.target: described}, web={"domain": DOMAIN, "tls": "off"}, services={})
    ports = f"ODPM_HTTP_PORT={found.port}\nODPM_HTTPS_PORT={claim_port()}\nODPM_WEB_BIND=127.0.0.1\n"
    found.shell(f"mkdir -p /odpm/project-{found.target} && printf '{ports}' > /odpm/project-{found.target}/.env")
    yield found
    words = ["docker", "compose", "--project-name", f"project-{found.target}", "down", "--volumes", "--timeout", "5"]
    subprocess.run(words, capture_output=True, check=False)
    found.shell(f"rm -rf /odpm/project-{found.target}")


def test_a_target_is_deployed_updated_and_returned_without_a_failed_request(target: Target, ci_image: Built) -> None:
    bench = target.bench
    first = target.up(target.build("1"))
    eventually(lambda: target.get() == "200")
    assert first in bench.ok("deploy.status", target.target).out
    assert "19.0" in bench.ok("deploy.exec", "--target", target.target, "--", "odoo", "--version").out
    assert target.query("SELECT count(*) FROM ir_module_module WHERE state = 'installed'") != "0"

    # a release without an update: no failed request
    describe(bench, odoo_conf={"options": {"limit_request": "9000"}})
    second_image = target.build("2")
    with Load(target) as load:
        second = target.up(second_image)
    assert second != first
    assert len(load.seen) > 20
    assert set(load.seen) == {"200"}

    # two at once: the second one is refused and names the first
    with bench.running("deploy.up", target.target, "--image", second_image) as run:
        eventually(lambda: docker("ps", "-q", "--filter", f"name=project-{target.target}-deployment").strip())
        failure(bench.inv("deploy.up", target.target, "--image", second_image), 6, "another deployment")
        run.wait()

    # an update that fails: code and data are as before
    docker("compose", "--project-name", f"project-{target.target}", "ps", "-q")
    bench.ok("deploy.exec", "--target", target.target, "--", "odoo", "-d", "shop", "-i", "stack_info",
             "--stop-after-init", "--workers=0", "--no-http")  # fmt: skip
    bench.set_version("19.0.2.0.0")
    (bench.root / "addons/stack_info/migrations/19.0.2.0.0").mkdir(parents=True)
    script = bench.root / "addons/stack_info/migrations/19.0.2.0.0/pre-migrate.py"
    script.write_text(
        "def migrate(cr, version):\n    cr.execute('UPDATE res_users SET signature = NULL')\n    raise ValueError('planted')\n",
        encoding="utf-8",
    )
    git("add", "-A", cwd=bench.root)
    broken = target.build("3")
    version = "SELECT latest_version FROM ir_module_module WHERE name = 'stack_info'"
    before = target.query(version)
    failure(bench.inv("deploy.up", target.target, "--image", broken), 5, "stack_info")
    assert target.get() == "200"
    assert target.query(version) == before
    assert target.history()[0]["id"] == second

    # mended: the update runs, and a rollback behind it is refused
    script.write_text("def migrate(cr, version):\n    pass\n", encoding="utf-8")
    target.up(target.build("4"))
    assert target.query(version) == "19.0.2.0.0"
    assert "updated stack_info" in bench.ok("deploy.history", target.target).out
    failure(bench.inv("deploy.rollback", "--target", target.target), 7, "stack_info")
    assert target.get() == "200"


def test_a_deployment_that_was_killed_while_it_updated_is_taken_back_and_repeated(
    target: Target, ci_image: Built
) -> None:
    bench = target.bench
    target.up(ci_image.out.split()[-1])
    bench.ok("deploy.exec", "--target", target.target, "--", "odoo", "-d", "shop", "-i", "stack_info",
             "--stop-after-init", "--workers=0", "--no-http")  # fmt: skip
    bench.set_version("19.0.2.0.0")
    script = bench.root / "addons/stack_info/migrations/19.0.2.0.0/pre-migrate.py"
    script.parent.mkdir(parents=True)
    script.write_text(
        "import time\n\n\ndef migrate(cr, version):\n    cr.execute('DELETE FROM ir_config_parameter')\n    cr.commit()\n"
        "    time.sleep(15)\n",
        encoding="utf-8",
    )
    git("add", "-A", cwd=bench.root)
    image = target.build("2")
    planned = bench.ok("deploy.plan", target.target, "--image", image).out
    assert "stack_info 19.0.1.0.0 -> 19.0.2.0.0" in planned
    strict = bench.inv("deploy.plan", target.target, "--image", image, "--strict")
    assert (strict.code, strict.out) == (2, planned)
    count = target.query("SELECT count(*) FROM ir_config_parameter")
    with bench.running("deploy.up", target.target, "--image", image) as run:
        eventually(lambda: target.query("SELECT count(*) FROM ir_config_parameter") == "0", 120)
        assert target.get() == "503"
        os.killpg(run.pid, signal.SIGKILL)
    script.write_text("def migrate(cr, version):\n    pass\n", encoding="utf-8")
    ran = bench.ok("deploy.up", target.target, "--image", target.build("3"))
    assert "interrupted" in ran.err
    assert target.query("SELECT count(*) FROM ir_config_parameter") == count
    assert target.query("SELECT latest_version FROM ir_module_module WHERE name = 'stack_info'") == "19.0.2.0.0"
    assert target.get() == "200"
    databases = target.query(
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate"
    )
    assert databases == "postgres shop"


def test_a_machine_is_reached_by_ssh_with_the_users_own_settings(
    target: Target, ci_image: Built, tmp_path: Path
) -> None:
    bench = target.bench
    with SshServer(tmp_path / "sshd") as server:
        config = tmp_path / "ssh_config"
        config.write_text(
            f"Host 127.0.0.1\n  IdentityFile {server.key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {server.known_hosts}\n"
            "  StrictHostKeyChecking yes\n  BatchMode yes\n",
            encoding="utf-8",
        )
        (tmp_path / "bin").mkdir()
        ssh = tmp_path / "bin/ssh"
        ssh.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n', encoding="utf-8")
        ssh.chmod(0o755)
        path = json.loads((bench.root / "odpm.json").read_text(encoding="utf-8"))["targets"]
        path[target.target]["host"] = server.url("").rstrip("/")
        describe(bench, targets=path)
        bench.env["PATH"] = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
        release = target.up(ci_image.out.split()[-1])
        assert target.get() == "200"
        assert release in bench.ok("deploy.status", target.target).out
        assert "Accepted publickey" in server.log.read_text(encoding="utf-8")
    failure(bench.inv("deploy.status", target.target), 8, "does not answer", "docker version")


def test_a_rollback_returns_image_and_files(target: Target, ci_image: Built) -> None:
    bench = target.bench
    first = target.up(ci_image.out.split()[-1])
    describe(bench, odoo_conf={"options": {"limit_request": "9000"}})
    second = target.up(ci_image.out.split()[-1])
    with Load(target) as load:
        assert bench.ok("deploy.rollback", "--target", target.target).out.strip() == first
    assert set(load.seen) == {"200"}
    assert [(entry["id"], entry["rollback"]) for entry in target.history()] == [
        (first, True),
        (second, False),
        (first, False),
    ]
    failure(bench.inv("deploy.rollback", "nosuch", "--target", target.target), 1, "nosuch")
