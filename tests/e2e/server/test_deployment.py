"""Deployments of the scenario `server`, seen by a client that sends requests all the time."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.e2e.harness import REPOSITORY, Bench, docker, eventually, git
from tests.e2e.polling import Client

pytestmark = pytest.mark.docker

ADDON = "addons/stack_info"
DATABASES = ("project", "branch")
COLUMN = """\
from odoo import fields, models


class Partner(models.Model):
    _inherit = "res.partner"

    stack_note = fields.Char()
"""
SLOW = """

class Slow(http.Controller):
    @http.route("/stack_info/slow", type="http", auth="none")
    def slow(self):
        __import__("time").sleep(6)
        return "done"
"""
FAILING = """\
def migrate(cr, version):
    cr.execute("CREATE TABLE half_done (id int)")
    cr.commit()
    cr.execute("SELECT pg_sleep({seconds})")
    raise ValueError("cannot convert the notes")
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench], engine: None) -> Bench:
    """A server with two databases. The tests of this module deploy to it, one after the other."""
    bench = clone(tmp_path_factory.mktemp("deployment") / "project")
    bench.env["ODPM_SCENARIO"] = "server"
    bench.ok("up")
    bench.ok("db.copy", "project", "branch")
    return bench


def login_page(bench: Bench) -> str:
    return bench.url("/web/login?db=project")


def write(bench: Bench, path: str, text: str) -> None:
    target = bench.root / ADDON / path
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding="utf-8")


def versions(bench: Bench) -> list[str]:
    query = "SELECT latest_version FROM ir_module_module WHERE name = 'stack_info'"
    return [bench.sql(query, name) for name in DATABASES]


def has_table(bench: Bench, name: str, table: str) -> bool:
    """Whether a database has a table; a deployment ends the sessions of a database, and this query with them."""
    try:
        return bench.sql(f"SELECT to_regclass('{table}') IS NOT NULL", name) == "t"
    except AssertionError as error:
        if "terminating connection" in str(error):
            return False
        raise


def releases(bench: Bench) -> list[dict[str, object]]:
    found: list[dict[str, object]] = json.loads(bench.ok("status", "--format", "json").out)["releases"]
    return found


def mounts(bench: Bench) -> list[str]:
    """Where Odoo's sources and configuration come from, relative to the project."""
    found = bench.containers()["odoo"]["Mounts"]
    inside = ("/opt/odoo/src/", "/etc/odoo/")
    return [os.path.relpath(one["Source"], bench.root) for one in found if one["Destination"].startswith(inside)]


def started_up(bench: Bench) -> subprocess.Popen[bytes]:
    """`inv up` in the background, in a process group of its own."""
    argv, quiet = [sys.executable, "-m", "invoke", "up"], subprocess.DEVNULL
    return subprocess.Popen(
        argv, cwd=bench.root, env=bench.environment(), stdin=quiet, stdout=quiet, stderr=quiet, start_new_session=True
    )


def journal(bench: Bench) -> str:
    path = bench.root / ".odpm/deployment.json"
    return path.read_text(encoding="utf-8") if path.exists() else ""


def odoo_state(bench: Bench) -> tuple[str, str]:
    """The release in the label of Odoo's container, and the container's state; empty while containers are replaced."""
    try:
        odoo = bench.containers().get("odoo")
    except AssertionError:  # one was removed between the two questions
        odoo = None
    return (odoo["Config"]["Labels"]["odpm.release"], odoo["State"]["Status"]) if odoo else ("", "")


def test_only_what_is_committed_is_deployed_and_no_request_fails(shop: Bench) -> None:
    """Without an update, connections are refused at most while Odoo is replaced."""
    before = releases(shop)[0]["release"]
    controller = next((shop.root / ADDON / "controllers").glob("[!_]*.py"))
    text = controller.read_text(encoding="utf-8")
    controller.write_text(text + SLOW, encoding="utf-8")
    ran = shop.ok("up")
    assert f"not deployed, because it is not committed: {controller.relative_to(shop.root)}" in ran.err
    assert "nothing to do" in ran.err
    shop.commit("Edit")
    with Client(login_page(shop)).sending() as client:
        ran = shop.ok("up")
    assert "db.update" not in ran.err
    assert set(client.seen) <= {200, 0}, client.seen
    assert client.seen[0] == client.seen[-1] == 200
    now = releases(shop)
    assert [one["release"] for one in now][1] == before
    assert {folder.split("/")[2] for folder in mounts(shop)} == {now[0]["release"]}
    file = shop.inside("cat", f"/opt/odoo/src/project/{controller.relative_to(shop.root)}")
    assert "stack_info/slow" in file.out
    assert shop.ok("plan", "--strict").code == 0


def test_code_that_needs_an_update_is_refused_and_the_old_release_serves(shop: Bench) -> None:
    before = releases(shop)[0]["release"]
    write(shop, "models/__init__.py", "from . import partner\n")
    write(shop, "models/partner.py", COLUMN)
    init = shop.root / ADDON / "__init__.py"
    init.write_text(init.read_text(encoding="utf-8") + "from . import models\n", encoding="utf-8")
    shop.commit("A column")
    with Client(login_page(shop)).sending() as client:
        ran = shop.inv("up")
    assert ran.code == 5, ran.output
    assert "column res_partner.stack_note does not exist" in ran.err
    assert "raise the version in the manifest" in ran.err
    assert set(client.seen) == {200}, client.seen
    assert releases(shop)[0]["release"] == before
    assert {folder.split("/")[2] for folder in mounts(shop)} == {before}


def test_an_update_of_two_databases_answers_nothing_with_500(shop: Bench) -> None:
    shop.set_version("19.0.2.0.0")
    shop.commit("Raise the version")
    planned = [
        step for step in json.loads(shop.ok("plan", "--format", "json").out)["steps"] if step["id"] == "db.update"
    ]
    assert [(step["action"], step["target"]) for step in planned] == [("update", "project"), ("update", "branch")]
    slow = Client(shop.url("/stack_info/slow"), login_page(shop))
    with Client(login_page(shop)).sending() as client, slow.sending():
        ran = shop.ok("up")
    assert set(client.seen) == {200, 0}, client.seen
    assert client.seen[-1] == 200
    assert 200 in slow.seen
    assert slow.cut < 4  # a request that runs when Odoo is stopped is answered
    assert versions(shop) == ["19.0.2.0.0", "19.0.2.0.0"]
    updated = releases(shop)[0]["updates"]
    assert isinstance(updated, list)
    assert sorted(updated) == ["branch", "project"]
    assert ran.err.count("the state before: inv db.restore-snapshot") == 2


def test_a_failing_update_leaves_code_and_databases_as_before(shop: Bench) -> None:
    before = releases(shop)[0]["release"]
    shop.set_version("19.0.3.0.0")
    write(shop, "migrations/19.0.3.0.0/post-fail.py", FAILING.format(seconds=0))
    shop.commit("A migration that fails")
    with Client(login_page(shop)).sending() as client:
        ran = shop.inv("up")
    assert ran.code == 5, ran.output
    assert "ValueError: cannot convert the notes" in ran.err
    assert f"as before: 2 databases restored, release {before} serves" in ran.err
    assert set(client.seen) == {200, 0}, client.seen
    assert versions(shop) == ["19.0.2.0.0", "19.0.2.0.0"]
    assert not has_table(shop, "project", "half_done")
    assert releases(shop)[0]["release"] == before
    assert {folder.split("/")[2] for folder in mounts(shop)} == {before}


def test_a_deployment_that_was_killed_is_taken_back_by_the_next_run(shop: Bench) -> None:
    """Killed while a migration runs, which goes on in its container; then the commit is reverted."""
    write(shop, "migrations/19.0.3.0.0/post-fail.py", FAILING.format(seconds=300))
    shop.commit("A migration that takes long")
    started = started_up(shop)
    try:
        eventually(lambda: has_table(shop, "project", "half_done"), 180)
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    assert "was interrupted" in shop.ok("status").out
    assert shop.inv("restart").code == 1  # the old code would meet a database that is half updated
    assert "return to the state before the interrupted update" in shop.ok("plan").out
    git("reset", "-q", "--hard", "HEAD~2", cwd=shop.root)
    ran = shop.ok("up")
    assert "return to the state before the interrupted update" in ran.err
    assert versions(shop) == ["19.0.2.0.0", "19.0.2.0.0"]
    assert not has_table(shop, "project", "half_done")
    assert Client(login_page(shop)).ask() == 200
    assert "was interrupted" not in shop.ok("status").out
    assert "nothing to do" in shop.ok("up").err


def test_rollback(shop: Bench) -> None:
    """The release before: refused without its database, then with it; what was entered since is in a snapshot."""
    before = releases(shop)[1]["release"]
    shop.sql("CREATE TABLE entered_since AS SELECT 1 AS one", "project")
    ran = shop.inv("up", "--rollback")
    assert ran.code == 7, ran.output
    assert "inv up --rollback --database" in ran.err
    assert shop.inv("up", "--rollback", "--database").code == 1  # not confirmed
    assert shop.inv("up", "--rollback", "nosuch").code == 4
    with Client(login_page(shop)).sending() as client:
        shop.ok("up", "--rollback", "--database", "--yes")
    assert set(client.seen) == {200, 0}, client.seen
    assert versions(shop) == ["19.0.1.0.0", "19.0.1.0.0"]
    assert not has_table(shop, "project", "entered_since")
    current = releases(shop)[0]
    assert (current["release"], current["rollback"], current["current"]) == (before, True, True)
    assert {folder.split("/")[2] for folder in mounts(shop)} == {before}
    kept = json.loads(shop.ok("db.snapshots", "--format", "json").out)["snapshots"]
    assert any(one["name"].startswith("before-restore-") for one in kept)
    assert not docker("ps", "-aq", "--filter", f"name={shop.prefix}-task", "--filter", f"name={shop.prefix}-files")


@pytest.mark.long
@pytest.mark.parametrize("moment", ["exported", "stopped", "snapshots", "updating", "updated", "replaced", "recorded"])
def test_killed_between_the_steps(shop: Bench, moment: str) -> None:
    """The next run ends with the new release, its databases updated once."""
    before, number = odoo_state(shop)[0], int(versions(shop)[0].split(".")[2]) + 1
    shop.set_version(f"19.0.{number}.0.0")
    script = f'def migrate(cr, version):\n    cr.execute("CREATE TABLE migrated_{number} (id int)")\n'
    write(shop, f"migrations/19.0.{number}.0.0/pre-once.py", script)
    shop.commit(f"Version {number}")
    known, history = len([*(shop.root / ".odpm/releases").glob("[!.]*/")]), shop.root / ".odpm/releases/history.json"
    recorded = history.read_text(encoding="utf-8")
    reached = {
        "exported": lambda: len([*(shop.root / ".odpm/releases").glob("[!.]*/")]) > known,
        "stopped": lambda: odoo_state(shop)[1] == "exited",
        "snapshots": lambda: '"updating"' in journal(shop),
        "updating": lambda: has_table(shop, "project", f"migrated_{number}"),
        "updated": lambda: '"updated"' in journal(shop),
        "replaced": lambda: odoo_state(shop)[0] not in {"", before},
        "recorded": lambda: history.read_text(encoding="utf-8") != recorded,
    }[moment]
    started = started_up(shop)
    try:
        eventually(reached, 180)
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()
    shop.ok("up")
    assert versions(shop) == [f"19.0.{number}.0.0"] * 2
    assert all(has_table(shop, name, f"migrated_{number}") for name in DATABASES)
    assert odoo_state(shop) == (releases(shop)[0]["release"], "running")
    assert Client(login_page(shop)).ask() == 200
    assert not journal(shop)
    assert "nothing to do" in shop.ok("up").err


def blocks_of_the_page() -> list[list[str]]:
    """The commands of docs/server.md."""
    page = (REPOSITORY / "docs/server.md").read_text(encoding="utf-8")
    return [block.splitlines() for block in re.findall(r"```bash\n(.*?)```", page, re.DOTALL)]


@pytest.mark.long
def test_a_server_from_nothing(tmp_path: Path, locked: Path, make_bench: Callable[[Path], Bench], engine: None) -> None:
    """The first commands of the page, with the team's repository and this checkout instead of the package of the index."""
    bench = make_bench(tmp_path / "shop")
    script = "\n".join(blocks_of_the_page()[0])
    for name, ours in (("https://github.com/acme/shop.git", f"{locked} shop"), ("odpm-tasks", str(REPOSITORY))):
        assert name in script
        script = script.replace(name, ours)
    done = subprocess.run(
        ["bash", "-ec", script], check=False, cwd=tmp_path, env=bench.environment(), capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "password in .odpm/secrets/server/admin_password" in done.stdout
    assert Client(bench.url("/web/login?db=shop")).ask() == 200


@pytest.mark.long
def test_the_commands_of_the_page(shop: Bench) -> None:
    """Those after the installation: deploy, look, return."""
    blocks = blocks_of_the_page()
    expected = {"inv up --rollback": 7}
    shop.set_version("19.0.90.0.0")
    shop.commit("A version for the page")
    for line in [line for block in blocks[1:] for line in block]:
        words = line.split()
        if words[0] == "git":
            git(*words[1:], cwd=shop.root)
        else:
            more = ["--yes"] if "--database" in words else []
            assert shop.inv(*words[1:], *more).code == expected.get(line, 0), line
    assert releases(shop)[0]["rollback"] is True


@pytest.mark.long
def test_killed_at_any_time(shop: Bench) -> None:
    """Deployments and rollbacks, each killed at a random time: the next run ends in the release that it is to reach."""
    dice, times = random.Random(), 10
    begun = time.monotonic()
    raise_and_deploy(shop)
    longest = time.monotonic() - begun
    for number in range(times):
        version = raised(shop)
        back = number % 3 == 2
        words = ("up", "--rollback", "--database", "--yes") if back else ("up",)
        known = versions(shop)
        seconds = dice.uniform(0, longest)
        with shop.running(*words) as run, suppress(subprocess.TimeoutExpired):
            run.wait(seconds)
        shop.ok("up")
        after = f"{'rollback' if back else 'deployment'} from {known} killed after {seconds:.3f} s"
        assert versions(shop) == [version] * 2, after
        assert odoo_state(shop) == (releases(shop)[0]["release"], "running"), after
        assert Client(login_page(shop)).ask() == 200, after
        assert not journal(shop), after
        assert not docker(
            "ps", "-aq", "--filter", f"name={shop.prefix}-task", "--filter", f"name={shop.prefix}-files"
        ), after
    assert "nothing to do" in shop.ok("up").err


def raised(bench: Bench) -> str:
    """The next version of the add-on, committed."""
    version = f"{int(versions(bench)[0].split('.')[2]) + 1}.0.0"
    bench.set_version(f"19.0.{version}")
    bench.commit(f"Version {version}")
    return f"19.0.{version}"


def raise_and_deploy(bench: Bench) -> None:
    raised(bench)
    bench.ok("up")
