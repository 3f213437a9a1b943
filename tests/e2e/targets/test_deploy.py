"""`inv deploy.up`, `.status`, `.history`, `.rollback`: a machine with Docker, real images from a registry, a load client all the time."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.baked import Built
from tests.e2e.failures import failure
from tests.e2e.harness import docker, eventually, git
from tests.e2e.targets.machines import Load, Target
from tests.e2e.targets.test_bundle import describe
from tests.standins.sshd import SshServer

pytestmark = [pytest.mark.docker, pytest.mark.long]
pytest_plugins = ["tests.e2e.targets.machines"]


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
        path = json.loads((bench.root / "odpm.json").read_text(encoding="utf-8"))["targets"]
        path[target.target]["host"] = server.url("").rstrip("/")
        describe(bench, targets=path)
        bench.env["PATH"] = f"{server.client(tmp_path / 'bin')}:{os.environ['PATH']}"
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
