"""Services of the description and of dependencies, started by a real engine."""

from __future__ import annotations

import json
import socket
from typing import Any

import pytest
import yaml

from tests.e2e.failures import WEB, Workspace, failure
from tests.e2e.harness import docker
from tests.e2e.services import BUILT, IMAGE, SLEEP, compose_file, describe_services, manifest, state
from tests.ports import claim_port

pytest_plugins = ["tests.e2e.workspaces", "tests.e2e.docker_workspaces"]
pytestmark = pytest.mark.docker


def put(workspace: Workspace, path: str, text: str) -> None:
    file = workspace.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_a_service_is_built_and_built_again_when_its_folder_changes(docker_workspace: Workspace) -> None:
    describe_services(
        docker_workspace, {"site": {**BUILT, "build": {"context": "./site"}, "volumes": ["pages:/pages"]}}
    )
    put(docker_workspace, "site/Dockerfile", f"FROM {IMAGE}\nCOPY page /page\n")
    put(docker_workspace, "site/page", "one")
    docker_workspace.bench.ok("services")
    assert docker_workspace.bench.inside("cat", "/page", service="site").out == "one"
    docker_workspace.bench.inside("touch", "/pages/kept", service="site")
    before = docker_workspace.bench.containers()
    assert docker_workspace.bench.ok("services").out == "nothing to do\n"
    assert docker_workspace.bench.containers()["site"]["Id"] == before["site"]["Id"]

    put(docker_workspace, "site/page", "two")
    assert docker_workspace.bench.ok("services").out == "changed\n"
    assert docker_workspace.bench.inside("cat", "/page", service="site").out == "two"
    assert docker_workspace.bench.inside("ls", "/pages", service="site").out == "kept\n"
    assert docker_workspace.bench.containers()["db"]["Id"] == before["db"]["Id"]


def test_a_missing_folder_is_named_before_anything_starts(docker_workspace: Workspace) -> None:
    describe_services(docker_workspace, {"site": {"build": "./site"}})
    failure(docker_workspace.bench.inv("services"), 4, "odpm.json: services.site.build", "there is no folder ./site")
    assert state(docker_workspace) == {}


def test_a_service_of_a_profile_is_started_when_the_profile_is_named(docker_workspace: Workspace) -> None:
    describe_services(docker_workspace, {"debug": {**SLEEP, "profiles": ["debug"]}})
    docker_workspace.bench.ok("services")
    assert state(docker_workspace) == {"db": "running", "odoo": "running"}
    assert docker_workspace.bench.ok("awaited").out.startswith("keep db, odoo\n")

    docker_workspace.bench.ok("services", COMPOSE_PROFILES="other,debug")
    assert state(docker_workspace) == {"db": "running", "odoo": "running", "debug": "running"}
    assert docker_workspace.bench.ok("awaited", COMPOSE_PROFILES="other,debug").out == "keep db, debug, odoo\n"

    docker("kill", str(docker_workspace.bench.containers()["debug"]["Id"]))
    docker_workspace.bench.ok("services")  # not started here, so not waited for
    assert docker_workspace.bench.ok("services").out == "nothing to do\n"
    docker_workspace.bench.ok("down")
    assert state(docker_workspace) == {}


def test_a_service_that_exits_is_done_and_a_failing_one_is_reported(docker_workspace: Workspace) -> None:
    once = {"image": IMAGE, "command": ["sh", "-c", "sleep 1; echo done > /shared/done"], "volumes": ["work:/shared"]}
    after = {
        **SLEEP,
        "volumes": ["work:/shared"],
        "depends_on": {"once": {"condition": "service_completed_successfully"}},
    }
    slow = {"image": IMAGE, "command": ["sleep", "3"], "restart": "no"}
    describe_services(docker_workspace, {"once": once, "after": after, "slow": slow})
    docker_workspace.bench.ok("services")
    assert docker_workspace.bench.inside("cat", "/shared/done", service="after").out == "done\n"
    docker("wait", str(docker_workspace.bench.containers()["slow"]["Id"]))
    assert state(docker_workspace)["once"] == state(docker_workspace)["slow"] == "exited"
    assert docker_workspace.bench.ok("services").out == "nothing to do\n"

    describe_services(
        docker_workspace, {"once": {**once, "command": ["sh", "-c", "echo the reason; exit 3"]}, "after": after}
    )
    failure(docker_workspace.bench.inv("services"), 5, "once", "the reason")


def test_networks_of_services_are_created_and_isolated(docker_workspace: Workspace) -> None:
    describe_services(
        docker_workspace,
        {
            "front": {**SLEEP, "networks": ["front", "back"]},
            "back": {**SLEEP, "networks": {"back": {"aliases": ["store"]}}},
        },
        service_patches={"odoo": {"networks": ["front"]}},
    )
    docker_workspace.bench.ok("services")
    assert docker_workspace.bench.inside("getent", "hosts", "store", service="front").code == 0
    assert docker_workspace.bench.inside("getent", "hosts", "front").code == 0
    assert (
        docker_workspace.bench.inside("getent", "hosts", f"{docker_workspace.bench.prefix}-db").code == 0
    )  # a patch adds, it takes nothing away
    assert docker_workspace.bench.inside("getent", "hosts", "store").code == 2


def test_two_projects_share_an_existing_network(
    shared: str, docker_workspace: Workspace, second_docker_workspace: Workspace
) -> None:
    both = (docker_workspace, second_docker_workspace)
    joined = {"ODPM_COMPOSE_NETWORK": shared, "ODPM_COMPOSE_NETWORK_EXTERNAL": "yes"}
    for workspace in both:
        describe_services(workspace, {"mail": SLEEP})
        workspace.bench.env |= joined
    message = failure(docker_workspace.bench.inv("services"), 8, shared)
    assert f"  next:  docker network create {shared}" in message
    assert state(docker_workspace) == {}

    docker("network", "create", shared)
    for workspace in both:
        workspace.bench.ok("services")
        assert workspace.bench.ok("services").out == "nothing to do\n"
    assert compose_file(docker_workspace) == compose_file(second_docker_workspace)
    for here, there in (both, both[::-1]):
        seen = here.bench.inside("getent", "hosts", f"{there.bench.prefix}-odoo").out.split()[0]
        assert seen == there.bench.containers()["odoo"]["NetworkSettings"]["Networks"][shared]["IPAddress"]
        # the database is nobody else's, whatever it is called there
        host = here.bench.inside("printenv", "PGHOST").out.strip()
        database = here.bench.containers()["db"]["NetworkSettings"]["Networks"]
        assert list(database) == [f"{here.bench.prefix}_database"]
        found = here.bench.inside("getent", "hosts", host).out.split()[0]
        assert found == database[f"{here.bench.prefix}_database"]["IPAddress"]
        assert here.bench.inside("getent", "hosts", f"{there.bench.prefix}-db").code == 2
    docker_workspace.bench.ok("down")
    assert second_docker_workspace.bench.inside("getent", "hosts", "mail").code == 0


def test_a_network_of_another_project_is_refused(
    shared: str, docker_workspace: Workspace, second_docker_workspace: Workspace
) -> None:
    for workspace in (docker_workspace, second_docker_workspace):
        describe_services(workspace, {})
        workspace.bench.env["ODPM_COMPOSE_NETWORK"] = shared
    docker_workspace.bench.ok("services")
    failure(
        second_docker_workspace.bench.inv("services"),
        4,
        shared,
        docker_workspace.bench.prefix,
        "ODPM_COMPOSE_NETWORK_EXTERNAL=true",
    )
    assert state(second_docker_workspace) == {}
    second_docker_workspace.bench.env["ODPM_COMPOSE_NETWORK_EXTERNAL"] = "maybe"
    failure(second_docker_workspace.bench.inv("services"), 4, "'maybe'", "ODPM_COMPOSE_NETWORK_EXTERNAL")


def test_the_database_answers_to_the_name_of_the_environment(docker_workspace: Workspace) -> None:
    describe_services(docker_workspace, {})
    docker_workspace.bench.env["POSTGRES_SERVICE_NAME"] = "pg"
    docker_workspace.bench.ok("services")
    assert docker_workspace.bench.inside("printenv", "PGHOST").out == "pg\n"
    for name in ("pg", "db"):
        assert docker_workspace.bench.inside("getent", "hosts", name).code == 0


def brings(workspace: Workspace, **keys: Any) -> None:
    """Publish this in the dependency and update the lock."""
    files = {
        "web_thing/__manifest__.py": "{}",
        "svc/Dockerfile": f"FROM {IMAGE}\nCOPY page /page\n",
        "svc/page": "theirs",
    }
    workspace.publish(WEB, {**files, "conf/hello": "from the checkout", "odpm.json": manifest(**keys)})


def test_a_dependencys_service_is_started_and_can_be_disabled(docker_workspace: Workspace) -> None:
    brings(docker_workspace, services={"redis": {**SLEEP, "volumes": ["redis:/data"]}})
    describe_services(docker_workspace, {})
    docker_workspace.bench.ok("services")
    assert state(docker_workspace) == {"db": "running", "odoo": "running", "redis": "running"}
    plan = json.loads(docker_workspace.bench.ok("plan", "--format", "json").out)
    told = [step for step in plan["steps"] if step["id"] == "compose.fragments"]
    assert [(step["action"], step["target"]) for step in told] == [("keep", "web: redis")]
    describe_services(docker_workspace, {"redis": None})
    docker_workspace.bench.ok("services")
    assert state(docker_workspace) == {"db": "running", "odoo": "running"}


def test_a_dependencys_files_reach_a_service_where_the_project_trusts_it(docker_workspace: Workspace) -> None:
    site = {**BUILT, "build": "./svc", "volumes": ["./conf:/conf:ro"]}
    brings(docker_workspace, services={"site": site}, service_patches={"odoo": {"volumes": ["/:/host"]}})
    describe_services(docker_workspace, {})
    ran = docker_workspace.bench.ok("services")
    assert "web: site is ignored: it needs `build`, and odpm.json does not trust web" in ran.err
    assert "web: patch of odoo is ignored" in ran.err
    assert state(docker_workspace) == {"db": "running", "odoo": "running"}
    assert docker_workspace.bench.inside("ls", "/host").code != 0

    describe_services(docker_workspace, {}, trust=["web"])
    docker_workspace.bench.ok("services")
    assert docker_workspace.bench.inside("cat", "/page", service="site").out == "theirs"
    assert docker_workspace.bench.inside("cat", "/conf/hello", service="site").out == "from the checkout"
    assert docker_workspace.bench.inside("ls", "/host").code == 0
    mounts = yaml.safe_load(compose_file(docker_workspace))["services"]["site"]["volumes"]
    assert mounts == ["./.odpm/src/web/conf:/conf:ro"]


LISTEN = (
    "use IO::Socket::INET; my $server = IO::Socket::INET->new(LocalPort => 80, Listen => 1, ReuseAddr => 1);"
    " while (my $client = $server->accept) { print $client qq(theirs\\n); close $client }"
)


def address_of(workspace: Workspace, service: str, network: str) -> str:
    """The address of a service's container in a network of the project."""
    networks = workspace.bench.containers()[service]["NetworkSettings"]["Networks"]
    return str(networks[f"{workspace.bench.prefix}_{network}"]["IPAddress"])


def test_no_service_of_an_untrusted_dependency_answers_for_another_or_reaches_it(docker_workspace: Workspace) -> None:
    """In `server`: Odoo finds its own database; a service finds Odoo and nothing else; its port is open on 127.0.0.1."""
    bench, port = docker_workspace.bench, claim_port()
    taken = [f"{bench.prefix}-db", f"{bench.prefix}-odoo", "ODOO", "DB", "pg", "smtp.gmail.com", "FILES"]
    published = {**SLEEP, "command": ["perl", "-e", LISTEN.replace("$", "$$")], "ports": [f"127.0.0.1:{port}:80"]}
    beyond: dict[str, dict[str, Any]] = {
        "h": {"hostname": "api.stripe.com"},
        "v": {"volumes": ["files-data:/h"]},
        "n": {"networks": ["backend"]},
        "d": {"networks": ["database"]},
        "l": {"labels": {"traefik.enable": "true"}},
    }
    brings(
        docker_workspace,
        services={
            **dict.fromkeys(taken, SLEEP),
            **{name: {**SLEEP, **keys} for name, keys in beyond.items()},
            "redis": SLEEP,
            "page": published,
        },
    )
    files = {**SLEEP, "volumes": ["files-data:/d"], "networks": ["default", "backend"]}
    describe_services(docker_workspace, {"files": files})
    locked = bench.ok("lock").err
    bench.env |= {"ODPM_SCENARIO": "server", "POSTGRES_SERVICE_NAME": "pg"}
    warned = bench.ok("services").err
    assert set(state(docker_workspace)) == {"db", "odoo", "files", "redis", "page"}
    for name in (*taken, *beyond):
        assert f"web: {name} is ignored: " in warned
        assert f"web: {name} is ignored: " in locked or name == "pg"  # the setting came after the lock

    database = address_of(docker_workspace, "db", "database")
    for name in ("pg", "db", "DB"):
        assert bench.inside("getent", "ahostsv4", name).out.split()[0] == database
    assert bench.inside("getent", "hosts", "redis", service="odoo").code == 0
    for service in ("redis", "page"):
        assert bench.inside("getent", "hosts", "odoo", service=service).code == 0
        for name in ("db", "pg", "files"):
            assert bench.inside("getent", "hosts", name, service=service).code != 0, name
        for other in (database, address_of(docker_workspace, "files", "default")):
            tried = bench.inside("timeout", "2", "bash", "-c", f"echo >/dev/tcp/{other}/9", service=service)
            assert tried.code != 0
            assert "refused" not in tried.output  # nothing answered, not even to refuse
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        assert connection.recv(100) == b"theirs\n"
