"""What a process in a container of the scenario server cannot do, and what still works there."""

from __future__ import annotations

import threading
import urllib.request
from pathlib import Path

import pytest

from tests.e2e.harness import Bench, docker

pytestmark = pytest.mark.docker

PYTHON = "/opt/odoo/venv/bin/python"
# Start processes until the kernel refuses one, at most 5,000, then end them all.
FORK = """
import os, signal, sys
children = []
try:
    for _ in range(5000):
        child = os.fork()
        if not child:
            signal.pause()
        children.append(child)
except BlockingIOError:
    print("refused")
finally:
    for child in children:
        os.kill(child, signal.SIGKILL)
"""
SLEEP = "env.cr.execute('SELECT pg_sleep(13)')"


def test_the_containers_have_the_restrictions(server_stack: Bench) -> None:
    found = server_stack.containers()
    for service in ("db", "odoo"):
        host = found[service]["HostConfig"]
        assert host["CapDrop"] == ["ALL"], service
        assert host["ReadonlyRootfs"], service
        assert "no-new-privileges:true" in host["SecurityOpt"], service
        assert host["PidsLimit"] > 0, service
        assert host["Memory"] > 0, service
        assert found[service]["Config"]["StopTimeout"] >= 60, service
    for service, container in found.items():
        log = container["HostConfig"]["LogConfig"]
        assert log == {"Type": "json-file", "Config": {"max-file": "5", "max-size": "10m"}}, service


@pytest.mark.parametrize("service", ["db", "odoo"])
def test_root_in_a_container_has_no_rights_to_gain(server_stack: Bench, service: str) -> None:
    container = str(server_stack.containers()[service]["Id"])

    def as_root(*words: str) -> str:
        return docker("exec", "--user=0", container, "sh", "-c", *words)

    status = dict(line.split(":\t", 1) for line in as_root("cat /proc/self/status").splitlines() if ":\t" in line)
    assert status["NoNewPrivs"] == "1"
    allowed = {"odoo": 0, "db": 0b11001011}  # CHOWN, DAC_OVERRIDE, FOWNER, SETGID, SETUID
    assert int(status["CapEff"], 16) == allowed[service]
    assert as_root("touch /usr/bin/acme 2>&1 || :").endswith("Read-only file system")
    assert as_root("touch /tmp/acme && rm /tmp/acme && echo written") == "written"
    assert "ermission denied" in as_root("cp /bin/true /tmp/acme && /tmp/acme 2>&1; rm /tmp/acme")


def test_the_image_has_no_program_with_the_rights_of_another_user(server_stack: Bench) -> None:
    image = server_stack.containers()["odoo"]["Image"]
    query = "find / -xdev -type f -perm /6000; test -e /bin/su && echo found"
    assert docker("run", "--rm", "--user=0", "--entrypoint=sh", str(image), "-c", query) == "found"


def test_a_fork_bomb_ends_at_the_limit(server_stack: Bench) -> None:
    assert server_stack.inside(PYTHON, "-c", FORK).out == "refused\n"
    assert server_stack.call("project", "res.users", "search_count", [], password=password(server_stack)) > 0


def test_a_running_request_is_answered_when_odoo_stops(server_stack: Bench) -> None:
    """Docker's usual ten seconds would end it."""
    model = server_stack.call(
        "project", "ir.model", "search", [("model", "=", "res.partner")], password=password(server_stack)
    )
    values = {"name": "Sleep", "model_id": model[0], "state": "code", "code": SLEEP}
    action = server_stack.call("project", "ir.actions.server", "create", values, password=password(server_stack))
    results: list[object] = []

    def request() -> None:
        try:
            results.append(
                server_stack.call("project", "ir.actions.server", "run", [action], password=password(server_stack))
            )
        except Exception as error:
            results.append(error)

    thread = threading.Thread(target=request)
    thread.start()
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(13)%'"
    while thread.is_alive() and server_stack.sql(waiting) == "0":
        pass
    server_stack.ok("restart")
    thread.join()
    assert results == [False]
    server_stack.call("project", "ir.actions.server", "unlink", [action], password=password(server_stack))


def test_odoo_is_not_healthy_without_its_database(server_stack: Bench) -> None:
    # Odoo's own answer depends on the database only where it serves a single one
    health = ("env", "ODOO_HEALTH_PATH=", "odoo-run", "health")
    assert server_stack.inside(*health).code == 0
    database = str(server_stack.containers()["db"]["Id"])
    docker("pause", database)
    try:
        ran = server_stack.inside(*health)
    finally:
        docker("unpause", database)
    assert (ran.code, "not healthy: PostgreSQL" in ran.err) == (1, True)
    assert server_stack.inside(*health).code == 0


def test_a_forged_address_has_no_effect(server_stack: Bench) -> None:
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "shop.example", "X-Forwarded-Proto": "https"}
    with urllib.request.urlopen(
        urllib.request.Request(server_stack.url("/web/login?forged"), headers=headers)
    ) as answer:
        assert answer.status == 200
    log = server_stack.ok("logs", "-s", "odoo").out
    assert "/web/login?forged" in log
    assert "203.0.113.9" not in log


def test_programs_still_work(server_stack: Bench) -> None:
    assert server_stack.inv("psql", feed="SELECT 40 + 2 AS answer").out.split()[2:3] == ["42"]
    assert server_stack.ok("exec", "--", "odoo", "--version").out.startswith("Odoo Server 19.0")
    assert (
        "Read-only"
        not in server_stack.ok("exec", "--", "odoo", "shell", "-d", "project", "--no-http", feed="exit()").err
    )


def password(bench: Bench) -> str:
    return Path(bench.root, ".odpm/secrets/server/admin_password").read_text(encoding="utf-8")
