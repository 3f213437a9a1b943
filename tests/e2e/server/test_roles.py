"""The roles of the image: containers beside each other on one database."""

from __future__ import annotations

import json
import subprocess
import threading
import xmlrpc.client
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.harness import Bench, docker, eventually

pytestmark = [pytest.mark.docker, pytest.mark.long]

DATABASE = "project"
GET = (
    "import sys, urllib.request as r; a = r.urlopen(sys.argv[1], timeout=60); print(a.status, a.read().decode()[:200])"
)
CRON = """
env["ir.cron"].search([("id", "!=", env.ref("base.autovacuum_job").id)]).active = False
env.ref("base.autovacuum_job").write({"active": True, "nextcall": "2020-01-01 00:00:00"})
env.cr.commit()
"""

Role = Callable[..., str]


@pytest.fixture
def role(server_stack: Bench) -> Iterator[Role]:
    """Starts a container of a role; returns its name."""
    names: list[str] = []

    def start(*words: str) -> str:
        name = f"{server_stack.prefix}-role-{len(names)}"
        names.append(name)
        argv = [
            "docker",
            "compose",
            "--project-name",
            server_stack.prefix,
            "run",
            "--detach",
            "--no-deps",
            "--name",
            name,
            "odoo",
        ]
        done = subprocess.run(
            [*argv, *words],
            cwd=server_stack.root,
            env=server_stack.environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return name

    yield start
    docker("rm", "--force", *names)


def inside(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["docker", "exec", name, *words], capture_output=True, text=True, check=False)


def healthy(name: str, as_role: str) -> bool:
    return inside(name, "odoo-run", "health", as_role).returncode == 0


def next_call(bench: Bench) -> str:
    return bench.sql("SELECT nextcall > now() FROM ir_cron JOIN ir_model_data d ON d.res_id = ir_cron.id"
                     " WHERE d.module = 'base' AND d.name = 'autovacuum_job'", DATABASE)  # fmt: skip


def test_each_role_does_its_work_and_nothing_else(server_stack: Bench, role: Role) -> None:
    """The stack's own Odoo is stopped, so what happens is done by the containers of the roles."""
    first, second = role("web"), role("web")
    websocket = role("websocket")
    eventually(lambda: all(healthy(name, "web") for name in (first, second)), 120)
    eventually(lambda: healthy(websocket, "websocket"), 120)
    own = str(server_stack.containers()["odoo"]["Id"])
    docker("stop", own)
    try:
        for name in (first, second):
            assert inside(name, "python", "-c", GET, "http://127.0.0.1:8069/web/health").stdout.startswith("200")
        assert inside(websocket, "python", "-c", GET, "http://127.0.0.1:8072/websocket/health").stdout.startswith("200")
        assert not healthy(websocket, "web")
        done = subprocess.run(
            ["docker", "exec", "-i", first, "odoo-run", "odoo", "shell", "-d", DATABASE, "--no-http"],
            input=CRON, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        assert next_call(server_stack) == "f"
        crons = [role("cron"), role("cron")]
        eventually(lambda: all(healthy(name, "cron") for name in crons), 120)
        eventually(lambda: next_call(server_stack) == "t", 180)
        assert not any(healthy(name, "web") for name in crons)
        update = role("update", "-d", DATABASE, "-u", "stack_info")
        assert docker("wait", update).strip() == "0"
        assert (
            "Modules loaded"
            in subprocess.run(["docker", "logs", update], capture_output=True, text=True, check=True).stderr
        )
        for name in (first, second, websocket, *crons):
            docker("stop", "--time=60", name)
            # the process for websockets ends at once: browsers connect again
            code = docker("inspect", "--format", "{{.State.ExitCode}}", name).strip()
            assert code == ("143" if name == websocket else "0"), name
    finally:
        docker("start", own)
        server_stack.ok("up")


def test_sigterm_answers_the_request_that_runs(server_stack: Bench, role: Role) -> None:
    password = (server_stack.root / ".odpm/secrets/server/admin_password").read_text(encoding="utf-8")
    (model,) = server_stack.call(DATABASE, "ir.model", "search", [("model", "=", "res.partner")], password=password)
    code = "env.cr.execute('SELECT pg_sleep(8)')"
    values = {"name": "Sleep", "model_id": model, "state": "code", "code": code}
    action = server_stack.call(DATABASE, "ir.actions.server", "create", values, password=password)
    web = role("web")
    eventually(lambda: healthy(web, "web"), 120)
    networks = json.loads(docker("inspect", "--format", "{{json .NetworkSettings.Networks}}", web))
    address = next(network["IPAddress"] for name, network in networks.items() if name.endswith("_default"))
    odoo = xmlrpc.client.ServerProxy(f"http://{address}:8069/xmlrpc/2/object", allow_none=True)
    answers: list[object] = []
    words = (DATABASE, 2, password, "ir.actions.server", "run", [action])
    thread = threading.Thread(target=lambda: answers.append(odoo.execute_kw(*words)))
    thread.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(8)%'"
    eventually(lambda: server_stack.sql(waiting) == "1", 60)
    docker("stop", "--time=60", web)
    thread.join(60)
    assert answers == [False]
    assert docker("inspect", "--format", "{{.State.ExitCode}}", web).strip() == "0"
    server_stack.call(DATABASE, "ir.actions.server", "unlink", [action], password=password)
