"""The rendered stack of a target runs in a real Swarm of one node."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.baked import Built
from tests.e2e.conftest import say
from tests.e2e.harness import Bench, docker, eventually
from tests.e2e.targets.test_bundle import DOMAIN, describe
from tests.standins.images import ensure_images

pytestmark = [pytest.mark.docker, pytest.mark.long]

NAME = "project-swarm"


class Stack:
    """A stack on the test engine. The proxy publishes no port here: a port of a node is open on every address of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def deploy(self) -> None:
        file = self.folder / "stack.yml"
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
        data["services"]["proxy"].pop("ports", None)
        file.write_text(yaml.safe_dump(data), encoding="utf-8")
        words = ["docker", "stack", "deploy", "--detach=true", "--resolve-image=never", "-c", "stack.yml", NAME]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "unsupported" not in done.stderr.lower(), done.stderr

    def containers(self, service: str) -> list[str]:
        label = f"label=com.docker.swarm.service.name={NAME}_{service}"
        return docker("ps", "-q", "--filter", label, "--filter", "health=healthy").split()

    def get(self, path: str) -> str:
        """The status of a page behind the proxy, asked from inside its container."""
        proxy = docker("ps", "-q", "--filter", f"label=com.docker.swarm.service.name={NAME}_proxy").split()
        if not proxy:
            return "no proxy"
        words = ["exec", proxy[0], "wget", "-S", "-O", "/dev/null", "--header", f"Host: {DOMAIN}"]
        done = subprocess.run(
            ["docker", *words, f"http://127.0.0.1:80{path}"], capture_output=True, text=True, check=False
        )
        statuses: list[str] = re.findall(r"HTTP/1\.\d (\d+)", done.stderr)
        return statuses[-1] if statuses else done.stderr

    def state(self) -> str:
        return docker("stack", "ps", "--no-trunc", "--format", "{{.Name}} {{.CurrentState}} {{.Error}}", NAME)


@pytest.fixture
def stack(tmp_path: Path, clone: Callable[[Path], Bench], ci_image: Built, engine: None) -> Iterator[Stack]:
    ensure_images(("caddy:2",), say)
    bench = clone(tmp_path / "project")
    target = {"kind": "swarm", "domain": DOMAIN, "replicas": {"web": 3}, "database": {"name": "shop"}}
    describe(bench, targets={"swarm": target}, web={"domain": DOMAIN, "tls": "off"}, services={})
    bench.ok("deploy.render", "--output", str(tmp_path / "machine"), "--image", ci_image.out.split()[-1])
    docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1")
    try:
        docker("node", "update", "--label-add", "odpm.data=true", docker("node", "ls", "--format", "{{.ID}}").strip())
        for name in ("db_password", "odoo_master_password", "postgres_password", "admin_password"):
            (tmp_path / name).write_text(f"{name}-4711", encoding="utf-8")
            docker("secret", "create", f"{NAME}_{name}_v1", str(tmp_path / name))
        yield Stack(tmp_path / "machine")
    finally:
        docker("stack", "rm", NAME)
        eventually(lambda: not docker("ps", "-aq", "--filter", f"label=com.docker.stack.namespace={NAME}").strip())
        docker("swarm", "leave", "--force")
        volumes = docker("volume", "ls", "-q", "--filter", f"name={NAME}_").split()
        docker("volume", "rm", "--force", *volumes)


def test_a_stack_starts_heals_and_is_replaced_without_a_failed_request(stack: Stack) -> None:
    stack.deploy()
    try:
        eventually(lambda: len(stack.containers("web")) == 3 and stack.get("/web/login") == "200", 300)
    except AssertionError:
        pytest.fail(stack.state() + docker("service", "logs", "--tail", "30", f"{NAME}_update"))
    assert stack.get("/web/database/manager") == "404"
    assert len(stack.containers("websocket")) == len(stack.containers("cron")) == 1

    first = stack.containers("web")[0]
    docker("kill", first)
    eventually(lambda: len(stack.containers("web")) == 3 and first not in stack.containers("web"), 120)

    # another configuration: one web server after the other is replaced, and no request fails
    before, seen, ended = set(stack.containers("web")), [], threading.Event()

    def load() -> None:
        while not ended.is_set():
            seen.append(stack.get("/web/login"))
            time.sleep(0.1)

    reader = threading.Thread(target=load)
    reader.start()
    try:
        conf = (stack.folder / "odoo.conf").read_text(encoding="utf-8")
        (stack.folder / "odoo.conf").write_text(f"{conf}\nlog_db_level = warning\n", encoding="utf-8")
        text = (stack.folder / "stack.yml").read_text(encoding="utf-8")
        (stack.folder / "stack.yml").write_text(text.replace("_odoo_conf_", "_odoo_conf_2_"), encoding="utf-8")
        stack.deploy()
        eventually(lambda: len(stack.containers("web")) == 3 and not before & set(stack.containers("web")), 240)
    finally:
        ended.set()
        reader.join()
    assert len(seen) > 20
    assert set(seen) == {"200"}
