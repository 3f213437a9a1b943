"""`inv deploy.*` to another machine: an engine with a network of its own behind ssh, images from a registry with login and TLS."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.baked import Built
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker, eventually, git
from tests.e2e.targets.machines import Load, Target, made
from tests.e2e.targets.test_bundle import describe
from tests.standins.registry import Registry
from tests.standins.second_engine import SecondEngine

pytestmark = [pytest.mark.docker, pytest.mark.long]

PASSWORD = "planted-in-a-login"
VERSION = "SELECT latest_version FROM ir_module_module WHERE name = 'stack_info'"
SLOW = """\
import time


def migrate(cr, version):
    cr.execute("UPDATE res_users SET signature = 'half'")
    cr.commit()
    time.sleep(20)
"""


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, engine: None) -> Iterator[SecondEngine]:
    with SecondEngine(tmp_path_factory.mktemp("machine")) as found:
        found.load("caddy:2", "postgres:15", "debian:bookworm-slim")
        yield found


@pytest.fixture(scope="module")
def remote(
    tmp_path_factory: pytest.TempPathFactory,
    clone: Callable[[Path], Bench],
    machine: SecondEngine,
    ci_image: Built,
) -> Iterator[Target]:
    """A target on the second engine with the add-on of the project; its images are in a registry that requires a login."""
    folder = tmp_path_factory.mktemp("remote")
    bench = clone(folder / "project")
    bench.env["PATH"] = f"{machine.ssh.client(folder / 'bin')}:{os.environ['PATH']}"
    with Registry(login=("team", PASSWORD)) as registry, made(bench, registry, machine, host=machine.url) as found:
        with connected(found, machine):
            name = f"{registry.address}/team/odoo:1"
            docker("tag", ci_image.tag, name)
            found.image = f"{name}@{ci_image.out.split('@')[-1].strip()}"
            try:
                refused = bench.inv("deploy.up", found.target, "--image", found.image)
                failure(refused, 5, "cannot pull", f"docker login {registry.address}")
                words = ["docker", "login", "--username", "team", "--password-stdin", registry.address]
                env = bench.environment()
                subprocess.run(words, input=PASSWORD, text=True, env=env, check=True, capture_output=True)
                subprocess.run(["docker", "push", "--quiet", name], env=env, check=True, capture_output=True)
                found.up(found.image)
                eventually(lambda: found.get() == "200")
                words = ["deploy.exec", "--target", found.target, "--", "odoo", "-d", "shop", "-i", "stack_info"]
                bench.ok(*words, "--stop-after-init", "--workers=0", "--no-http")
            finally:
                docker("image", "rm", "--force", name)
        yield found


@pytest.fixture
def target(remote: Target, machine: SecondEngine) -> Iterator[Target]:
    """The target, which is reached and reaches its registry."""
    with connected(remote, machine):
        yield remote


@contextmanager
def connected(remote: Target, machine: SecondEngine) -> Iterator[None]:
    if not machine.ssh.runs:
        machine.ssh.__enter__()
    with machine.reaching(int(remote.registry.address.split(":")[1])):
        yield


def migration(bench: Bench, version: str, script: str) -> None:
    """A commit with the next version of the add-on, and what it does to the data."""
    bench.set_version(version)
    path = bench.root / f"addons/stack_info/migrations/{version}/pre-migrate.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(script, encoding="utf-8")
    git("add", "-A", cwd=bench.root)


def test_the_machine_pulls_by_digest_and_gets_no_sources(target: Target, machine: SecondEngine) -> None:
    digest = target.image.partition("@")[2]
    assert digest in machine.docker("images", "--digests", "--format", "{{.Digest}}")
    assert "Accepted publickey" in machine.ssh.log.read_text(encoding="utf-8")
    assert not docker("ps", "--quiet", "--filter", f"label=com.docker.compose.project=project-{target.target}")
    found = target.shell(f"find /odpm/project-{target.target} -name '*.py' -o -name '__manifest__*' -o -name .git")
    assert found == ""
    mounts = target.docker("inspect", "--format", "{{json .Mounts}}", *target.containers())
    assert "stack_info" not in mounts
    assert PASSWORD not in target.shell(f"grep -r {PASSWORD} /odpm/project-{target.target} || :")


def test_a_release_without_update_and_the_way_back_fail_no_request(target: Target) -> None:
    bench = target.bench
    first = target.history()[0]["id"]
    describe(bench, odoo_conf={"options": {"limit_request": "9000"}})
    with Load(target) as load:
        second = target.up(target.image)
        assert second != first
        assert bench.ok("deploy.rollback", "--target", target.target).out.strip() == first
    assert len(load.seen) > 20
    assert set(load.seen) == {"200"}
    assert target.history()[0]["rollback"]


def test_an_update_shows_the_maintenance_page_and_is_not_rolled_back(target: Target) -> None:
    bench = target.bench
    migration(bench, "19.0.2.0.0", "def migrate(cr, version):\n    pass\n")
    target.image = target.build("2")
    with Load(target) as load:
        target.up(target.image)
    assert set(load.seen) == {"200", "503"}
    assert target.query(VERSION) == "19.0.2.0.0"
    failure(bench.inv("deploy.rollback", "--target", target.target), 7, "stack_info")
    assert target.get() == "200"


def test_a_connection_that_breaks_during_an_update_is_taken_back_by_the_next_run(
    target: Target, machine: SecondEngine
) -> None:
    bench = target.bench
    signature = "SELECT coalesce(max(signature), '') FROM res_users"
    before = target.query(signature)
    migration(bench, "19.0.3.0.0", SLOW)
    image = target.build("3")
    with bench.running("deploy.up", target.target, "--image", image) as run:
        eventually(lambda: target.query(signature) == "half", 180)
        machine.ssh.cut_off()
        assert run.wait(120) in (5, 8)
    assert target.get() == "503"
    failure(bench.inv("deploy.up", target.target, "--image", image), 8, "does not answer")
    migration(bench, "19.0.3.0.0", "def migrate(cr, version):\n    pass\n")
    with connected(target, machine):
        target.image = target.build("4")
        ran = bench.ok("deploy.up", target.target, "--image", target.image)
        assert "interrupted" in ran.err
        assert target.query(signature) == before
        assert target.query(VERSION) == "19.0.3.0.0"
        assert target.get() == "200"


@pytest.mark.parametrize("number", range(3))
def test_a_deployment_that_is_killed_between_its_steps_is_continued(target: Target, number: int) -> None:
    """Killed when its files are there, when a new web server runs beside the old ones, and when an old one has been removed."""
    bench = target.bench
    describe(bench, odoo_conf={"options": {"limit_request": str(9100 + number)}})
    old = set(target.containers("web"))
    folder = f"/odpm/project-{target.target}"
    points: list[Callable[[], object]] = [
        lambda: f"{9100 + number}" in target.shell(f"cat {folder}/odoo.conf"),
        lambda: set(target.containers("web")) - old,
        lambda: old - set(target.containers("web")),
    ]
    with Load(target) as load:
        with bench.running("deploy.up", target.target, "--image", target.image) as run:
            eventually(points[number], 180)
            os.killpg(run.pid, signal.SIGKILL)
        release = target.up(target.image)
    assert set(load.seen) == {"200"}
    assert target.history()[0]["id"] == release
    assert release in bench.ok("deploy.status", target.target).out
