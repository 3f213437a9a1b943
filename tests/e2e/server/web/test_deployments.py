"""Deployments behind the reverse proxy, while clients send requests: none fails where nothing is updated."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import pytest

from tests.e2e.harness import Bench, docker, eventually, git
from tests.e2e.server.web.load import Load
from tests.e2e.server.web.site import Site

pytestmark = [pytest.mark.docker, pytest.mark.long]

ADDON = "addons/stack_info"


def edit(bench: Bench, word: str) -> None:
    """Commit a change of code that needs no update."""
    controller = next((bench.root / ADDON / "controllers").glob("[!_]*.py"))
    controller.write_text(controller.read_text(encoding="utf-8") + f"\n# {word}\n", encoding="utf-8")
    bench.commit(word)


def odoos(bench: Bench) -> list[str]:
    """The containers of Odoo's service that exist, without those of tasks."""
    names = {"project": bench.prefix, "service": "odoo", "oneoff": "False"}
    labels = [f"label=com.docker.compose.{name}={value}" for name, value in names.items()]
    return docker("ps", "-a", "-q", *(word for one in labels for word in ("--filter", one))).split()


def releases(bench: Bench) -> list[str]:
    return [one["release"] for one in json.loads(bench.ok("status", "--format", "json").out)["releases"]]


def deployed(bench: Bench) -> str:
    """The release of Odoo's only container."""
    (only,) = odoos(bench)
    found: str = json.loads(docker("inspect", only))[0]["Config"]["Labels"]["odpm.release"]
    return found


def check_written(bench: Bench, load: Load, word: str) -> None:
    """Every call that was answered has written once, and none that was not answered."""
    names = bench.sql(f"SELECT name FROM res_partner WHERE name LIKE '{word} %' ORDER BY name", "project").split("\n")
    assert len(load.created) > 5
    assert names == sorted(load.created)


def test_without_an_update_no_request_fails(web_stack: Bench, web_site: Site) -> None:
    before = deployed(web_stack)
    edit(web_stack, "first")
    load = Load(web_site)
    with load.running("deploy"):
        planned = web_stack.ok("plan").out
        web_stack.ok("up")
    assert "down meanwhile" not in planned
    assert set(load.seen) == {200}, load.explain()
    assert load.seen[200] > 50
    assert deployed(web_stack) == releases(web_stack)[0] != before
    check_written(web_stack, load, "deploy")
    assert "nothing to do" in web_stack.ok("up").err


def test_a_rollback_without_a_database_fails_no_request(web_stack: Bench, web_site: Site) -> None:
    before = releases(web_stack)[1]
    load = Load(web_site)
    with load.running("rollback"):
        web_stack.ok("up", "--rollback")
    assert set(load.seen) == {200}, load.explain()
    assert deployed(web_stack) == before
    check_written(web_stack, load, "rollback")


def test_a_release_that_does_not_start_fails_no_request(web_stack: Bench, web_site: Site) -> None:
    before = deployed(web_stack)
    web_stack.edit(service_patches={"odoo": {"command": ["odoo", "--no-such-option"]}})
    web_stack.commit("A command that ends")
    load = Load(web_site)
    with load.running("broken"):
        ran = web_stack.inv("up")
    assert ran.code == 5, ran.output
    assert set(load.seen) == {200}, load.explain()
    assert deployed(web_stack) == before
    git("reset", "-q", "--hard", "HEAD~1", cwd=web_stack.root)
    web_stack.ok("up")


@pytest.mark.parametrize("reverted", [False, True])
def test_killed_while_two_run(web_stack: Bench, web_site: Site, reverted: bool) -> None:
    """The next run goes on, or back where the commit was reverted; no request fails meanwhile."""
    before = deployed(web_stack)
    edit(web_stack, f"killed-{reverted}")
    load = Load(web_site)
    argv, quiet = [sys.executable, "-m", "invoke", "up"], subprocess.DEVNULL
    with load.running(f"killed-{reverted}"):
        started = subprocess.Popen(
            argv, cwd=web_stack.root, env=web_stack.environment(), stdin=quiet, stdout=quiet, stderr=quiet,
            start_new_session=True,
        )  # fmt: skip
        try:
            eventually(lambda: len(odoos(web_stack)) == 2, 180)
        finally:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()
        if reverted:
            git("reset", "-q", "--hard", "HEAD~1", cwd=web_stack.root)
        web_stack.ok("up")
    assert set(load.seen) == {200}, load.explain()
    assert deployed(web_stack) == releases(web_stack)[0]
    assert (deployed(web_stack) == before) is reverted
    check_written(web_stack, load, f"killed-{reverted}")
    assert "nothing to do" in web_stack.ok("up").err


def test_during_an_update_there_is_a_maintenance_page(web_stack: Bench, web_site: Site) -> None:
    web_stack.set_version("19.0.2.0.0")
    web_stack.commit("Raise the version")
    load = Load(web_site)
    with load.running("update"):
        web_stack.ok("up")
    assert set(load.seen) == {200, 503}, load.explain()
    assert load.retry_after == {"30"}
    assert "being updated" in load.pages[503]
    assert web_site.ask("/web/login").status == 200
    check_written(web_stack, load, "update")
    with load.running("back"):
        web_stack.ok("up", "--rollback", "--database", "--yes")
    assert set(load.seen) == {200, 503}, load.explain()
    assert web_site.ask("/web/login").status == 200


def test_a_failing_update_ends_the_maintenance_page(web_stack: Bench, web_site: Site) -> None:
    script = web_stack.root / ADDON / "migrations/19.0.3.0.0/post-fail.py"
    script.parent.mkdir(parents=True)
    script.write_text('def migrate(cr, version):\n    raise ValueError("cannot convert")\n', encoding="utf-8")
    web_stack.set_version("19.0.3.0.0")
    web_stack.commit("A migration that fails")
    load = Load(web_site)
    with load.running("failing"):
        assert web_stack.inv("up").code == 5
    assert set(load.seen) == {200, 503}, load.explain()
    assert web_site.ask("/web/login").status == 200
    git("reset", "-q", "--hard", "HEAD~1", cwd=web_stack.root)
