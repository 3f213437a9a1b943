"""`inv deploy.up` to a Swarm of one node: real images from a registry, a load client all the time."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

from tests.e2e.baked import Built
from tests.e2e.conftest import say
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker, eventually, git
from tests.e2e.targets.machines import Load, Target
from tests.e2e.targets.test_bundle import DOMAIN, describe
from tests.ports import claim_port
from tests.standins.images import ensure_images
from tests.standins.registry import Registry

pytestmark = [pytest.mark.docker, pytest.mark.long]


class SwarmTarget(Target):
    """A target on the engine of this machine, which is a Swarm of one node."""

    @property
    def name(self) -> str:
        return f"project-{self.target}"

    def containers(self, service: str = "") -> list[str]:
        """The healthy containers of a service."""
        label = f"label=com.docker.swarm.service.name={self.name}_{service}"
        return docker("ps", "-q", "--filter", label, "--filter", "health=healthy").split()

    def query(self, statement: str) -> str:
        return docker(
            "exec", self.containers("db")[0], "psql", "-U", "postgres", "-qAt", "-d", "shop", "-c", statement
        ).strip()

    def kill_deployment(self, image: str, reached: Callable[[], bool]) -> None:
        """Deploy, and kill that when it has reached a point."""
        with self.bench.running("deploy.up", self.target, "--image", image) as run:
            eventually(reached, 240)
            os.killpg(run.pid, signal.SIGKILL)

    def updating(self, service: str) -> bool:
        """Whether the Swarm replaces the containers of a service."""
        state = "{{if .UpdateStatus}}{{.UpdateStatus.State}}{{end}}"
        return docker("service", "inspect", "--format", state, f"{self.name}_{service}").strip() == "updating"

    def secrets(self) -> set[str]:
        listed = docker("secret", "ls", "--format", "{{.Name}}").split()
        return {name.removeprefix(f"{self.name}_") for name in listed}

    def headers(self) -> str:
        """Status and headers of the login page."""
        words = ["curl", "-s", "-o", "/dev/null", "-D", "-", "--max-time", "5", "-H", f"Host: {DOMAIN}"]
        done = subprocess.run(
            [*words, f"http://127.0.0.1:{self.port}/web/login"], capture_output=True, text=True, check=False
        )
        return done.stdout.lower()

    def label(self) -> None:
        docker("node", "update", "--label-add", "odpm.data=true", docker("node", "ls", "--format", "{{.ID}}").strip())


@pytest.fixture
def described(
    tmp_path: Path, clone: Callable[[Path], Bench], registry: Registry, engine: None
) -> Iterator[SwarmTarget]:
    """A project with a target, and no Swarm."""
    ensure_images(("caddy:2",), say)
    found = SwarmTarget(clone(tmp_path / "project"), registry)
    swarm = {
        "kind": "swarm", "domain": DOMAIN, "replicas": {"web": 3}, "database": {"name": "shop"},
        "secrets": {"MAIL_PASSWORD": {"file": str(tmp_path / "mail")}},
    }  # fmt: skip
    (tmp_path / "mail").write_text("first-4711", encoding="utf-8")
    describe(found.bench, targets={found.target: swarm}, web={"domain": DOMAIN, "tls": "off"})
    ports = f"ODPM_HTTP_PORT={found.port}\nODPM_HTTPS_PORT={claim_port()}\n"
    found.shell(f"mkdir -p /odpm/{found.name} && printf '{ports}' > /odpm/{found.name}/.env")
    yield found
    found.shell(f"rm -rf /odpm/{found.name}")
    built = docker("image", "ls", "--quiet", f"{registry.address}/{found.bench.prefix}/odoo").split()
    subprocess.run(["docker", "image", "rm", "--force", *built], capture_output=True, check=False)


@pytest.fixture
def target(described: SwarmTarget) -> Iterator[SwarmTarget]:
    """A target in a Swarm of one node, which ends with the test."""
    found = described
    # one Swarm at a time on this engine
    with FileLock(Path(tempfile.gettempdir(), "odpm-test-swarm.lock")):
        docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1")
        try:
            yield found
        finally:
            subprocess.run(["docker", "stack", "rm", found.name], capture_output=True, check=False)
            label = f"label=com.docker.stack.namespace={found.name}"
            try:
                eventually(lambda: not docker("ps", "-aq", "--filter", label).strip())
            finally:
                docker("swarm", "leave", "--force")
            volumes = docker("volume", "ls", "-q", "--filter", f"name={found.name}_").split()
            subprocess.run(["docker", "volume", "rm", "--force", *volumes], capture_output=True, check=False)


def broken(image: str, name: str) -> str:
    """An image whose web servers end at once; pushed, its name with the digest."""
    text = (
        f"FROM {image}\nUSER root\nRUN p=$(command -v odoo-run) && mv $p $p-kept && printf "
        '\'#!/bin/sh\\n[ "$1" != web ] || { echo planted >&2; exit 9; }\\nexec %s-kept "$@"\\n\' $p > $p && chmod 755 $p\n'
        "USER 1000:1000\n"
    )
    subprocess.run(
        ["docker", "build", "--quiet", "--tag", name, "-"], input=text, text=True, capture_output=True, check=True
    )
    pushed = docker("push", name)
    found = re.search(r"digest: (sha256:\w+)", pushed)
    assert found is not None, pushed
    return f"{name.rpartition(':')[0]}@{found[1]}"


def test_an_engine_without_a_swarm_is_named(described: SwarmTarget, ci_image: Built) -> None:
    bench, image = described.bench, ci_image.out.split()[-1]
    for task in ("deploy.up", "deploy.plan"):
        failure(bench.inv(task, described.target, "--image", image), 8, "is no Swarm", "docker swarm init")
    failure(bench.inv("deploy.status", described.target), 8, "is no Swarm")


def test_a_secret_that_the_swarm_does_not_have_is_named(target: SwarmTarget, ci_image: Built) -> None:
    target.label()
    bench, image = target.bench, ci_image.out.split()[-1]
    targets = json.loads((bench.root / "odpm.json").read_text(encoding="utf-8"))["targets"]
    targets[target.target]["secrets"] = {"MAIL_PASSWORD": {"existing": "shared_mail"}}
    describe(bench, targets=targets)
    failure(bench.inv("deploy.up", target.target, "--image", image), 4, "no secret shared_mail", "docker secret create")
    failure(bench.inv("deploy.status", target.target), 5, "nothing was deployed")


def test_a_swarm_is_deployed_and_changed_without_a_failed_request(
    target: SwarmTarget, ci_image: Built, tmp_path: Path
) -> None:
    bench, image = target.bench, ci_image.out.split()[-1]
    failure(bench.inv("deploy.up", target.target, "--image", image), 8, "odpm.data", "node update --label-add")
    target.label()
    planned = bench.ok("deploy.plan", target.target, "--image", image, "--format", "json").out
    assert json.loads(planned)["nodes"].startswith("one node")
    first = target.up(image)
    eventually(lambda: target.get() == "200")
    assert len(target.containers("web")) == 3
    generated = {"db_password_v1", "odoo_master_password_v1", "postgres_password_v1", "admin_password_v1"}
    assert target.secrets() == {*generated, "MAIL_PASSWORD_v1"}
    assert first in bench.ok("deploy.status", target.target).out
    assert "19.0" in bench.ok("deploy.exec", "--target", target.target, "--", "odoo", "--version").out
    assert "odoo" in bench.ok("deploy.logs", "web", "--target", target.target, "--tail", "5").output
    assert target.query("SELECT count(*) FROM ir_module_module WHERE state = 'installed'") != "0"
    kept = docker(
        "run", "--rm", "--volume", f"/var/lib/odpm/{target.name}:/t:ro", "debian:bookworm-slim", "ls", "/t/secrets"
    )
    assert kept.split() == ["admin_password"]

    # a container that is killed is replaced
    victim = target.containers("web")[0]
    docker("kill", victim)
    eventually(lambda: len(target.containers("web")) == 3 and victim not in target.containers("web"), 120)

    # a release without an update, with a new value of a secret: no failed request
    describe(bench, odoo_conf={"options": {"limit_request": "9000"}})
    (tmp_path / "mail").write_text("second-4711", encoding="utf-8")
    planned = bench.ok("deploy.plan", target.target, "--image", image).out
    assert all(text in planned for text in ("update   files", "update   secrets    MAIL_PASSWORD", "one node")), planned
    before = set(target.containers("web"))
    with Load(target) as load:
        second = target.up(image)
    assert second != first
    assert len(load.seen) > 20
    assert set(load.seen) == {"200"}
    assert not before & set(target.containers("web"))
    assert target.secrets() == {*generated, "MAIL_PASSWORD_v2"}
    assert "keep     files" in bench.ok("deploy.plan", target.target, "--image", image, "--strict").out

    # two at once: the second one is refused
    with bench.running("deploy.up", target.target, "--image", image) as run:
        eventually(lambda: docker("ps", "-q", "--filter", f"name={target.name}-deployment").strip())
        failure(bench.inv("deploy.up", target.target, "--image", image), 6, "another deployment")
        run.wait()

    # web servers that do not start: the Swarm returns to those before, and no request fails
    name = f"{target.registry.address}/{bench.prefix}/odoo:broken"
    bad = broken(image, name)
    with Load(target) as load:
        failure(
            bench.inv("deploy.up", target.target, "--image", bad), 5, "web does not become healthy", "non-zero exit (9)"
        )
    assert set(load.seen) == {"200"}
    assert target.history()[0]["id"] == second
    images = {docker("inspect", "--format", "{{.Config.Image}}", each).strip() for each in target.containers("web")}
    assert images == {image}
    docker("image", "rm", "--force", name)

    with Load(target) as load:
        assert bench.ok("deploy.rollback", "--target", target.target).out.strip() == first
    assert set(load.seen) == {"200"}
    assert [(entry["id"], entry["rollback"]) for entry in target.history()][:2] == [(first, True), (second, False)]


def test_an_update_of_a_swarm_is_taken_back_and_continued(target: SwarmTarget, ci_image: Built) -> None:
    bench = target.bench
    target.label()
    image = ci_image.out.split()[-1]
    # killed while Odoo is installed: the next one installs it again
    target.kill_deployment(image, lambda: f"{target.name}_update" in docker("service", "ls", "--format", "{{.Name}}"))
    first = target.up(image)
    assert target.get() == "200"
    bench.ok("deploy.exec", "--target", target.target, "--", "odoo", "-d", "shop", "-i", "stack_info",
             "--stop-after-init", "--workers=0", "--no-http")  # fmt: skip
    bench.set_version("19.0.2.0.0")
    script = bench.root / "addons/stack_info/migrations/19.0.2.0.0/pre-migrate.py"
    script.parent.mkdir(parents=True)
    begins = "import time\n\n\ndef migrate(cr, version):\n    cr.execute('DELETE FROM ir_config_parameter')\n    cr.commit()\n"
    script.write_text(f"{begins}    raise ValueError('planted')\n", encoding="utf-8")
    git("add", "-A", cwd=bench.root)
    failing = target.build("2")
    assert "stack_info 19.0.1.0.0 -> 19.0.2.0.0" in bench.ok("deploy.plan", target.target, "--image", failing).out
    version = "SELECT latest_version FROM ir_module_module WHERE name = 'stack_info'"
    parameters = "SELECT count(*) FROM ir_config_parameter"
    count = target.query(parameters)
    failure(bench.inv("deploy.up", target.target, "--image", failing), 5, "update of stack_info", "planted")
    assert (target.query(version), target.query(parameters)) == ("19.0.1.0.0", count)
    assert target.history()[0]["id"] == first
    eventually(lambda: target.get() == "200", 10)

    # killed while it updates; the next one goes back, and updates
    script.write_text(f"{begins}    time.sleep(20)\n", encoding="utf-8")
    slow = target.build("3")
    target.kill_deployment(slow, lambda: target.query(parameters) == "0")
    page = target.headers()
    assert " 503 " in page
    assert "retry-after: 30" in page
    script.write_text("def migrate(cr, version):\n    pass\n", encoding="utf-8")
    with Load(target) as load:
        ran = bench.ok("deploy.up", target.target, "--image", target.build("4"))
    assert "interrupted" in ran.err
    assert set(load.seen) == {"200", "503"}
    assert (target.query(version), target.query(parameters)) == ("19.0.2.0.0", count)
    assert target.get() == "200"
    databases = target.query(
        "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate"
    )
    assert databases == "postgres shop"
    failure(bench.inv("deploy.rollback", "--target", target.target), 7, "stack_info")

    # killed while containers are replaced: the next one goes on
    describe(bench, odoo_conf={"options": {"limit_request": "9000"}})
    image = target.build("5")
    with Load(target) as load:
        target.kill_deployment(image, lambda: target.updating("web"))
        last = target.up(image)
    assert set(load.seen) == {"200"}
    assert target.history()[0]["id"] == last
