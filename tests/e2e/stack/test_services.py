"""Services of the description and of dependencies, started by a real engine."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml

from tests.e2e.failures import WEB, Ground, failure
from tests.e2e.harness import docker
from tests.e2e.services import BUILT, IMAGE, SLEEP, compose_file, manifest, served, state

pytest_plugins = ["tests.e2e.grounds", "tests.e2e.stages"]
pytestmark = pytest.mark.docker


def put(ground: Ground, path: str, text: str) -> None:
    file = ground.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def test_a_service_is_built_and_built_again_when_its_folder_changes(stage: Ground) -> None:
    served(stage, {"site": {**BUILT, "build": {"context": "./site"}, "volumes": ["pages:/pages"]}})
    put(stage, "site/Dockerfile", f"FROM {IMAGE}\nCOPY page /page\n")
    put(stage, "site/page", "one")
    stage.bench.ok("services")
    assert stage.bench.inside("cat", "/page", service="site").out == "one"
    stage.bench.inside("touch", "/pages/kept", service="site")
    before = stage.bench.containers()
    assert stage.bench.ok("services").out == "nothing to do\n"
    assert stage.bench.containers()["site"]["Id"] == before["site"]["Id"]

    put(stage, "site/page", "two")
    assert stage.bench.ok("services").out == "changed\n"
    assert stage.bench.inside("cat", "/page", service="site").out == "two"
    assert stage.bench.inside("ls", "/pages", service="site").out == "kept\n"
    assert stage.bench.containers()["db"]["Id"] == before["db"]["Id"]


def test_a_missing_folder_is_named_before_anything_starts(stage: Ground) -> None:
    served(stage, {"site": {"build": "./site"}})
    failure(stage.bench.inv("services"), 4, "odpm.json: services.site.build", "there is no folder ./site")
    assert state(stage) == {}


def test_a_service_of_a_profile_is_started_when_the_profile_is_named(stage: Ground) -> None:
    served(stage, {"debug": {**SLEEP, "profiles": ["debug"]}})
    stage.bench.ok("services")
    assert state(stage) == {"db": "running", "odoo": "running"}
    assert stage.bench.ok("awaited").out.startswith("keep db, odoo\n")

    stage.bench.ok("services", COMPOSE_PROFILES="other,debug")
    assert state(stage) == {"db": "running", "odoo": "running", "debug": "running"}
    assert stage.bench.ok("awaited", COMPOSE_PROFILES="other,debug").out == "keep db, debug, odoo\n"

    docker("kill", str(stage.bench.containers()["debug"]["Id"]))
    stage.bench.ok("services")  # not started here, so not waited for
    assert stage.bench.ok("services").out == "nothing to do\n"
    stage.bench.ok("down")
    assert state(stage) == {}


def test_a_service_that_ends_is_done_and_one_that_fails_is_told(stage: Ground) -> None:
    once = {"image": IMAGE, "command": ["sh", "-c", "sleep 1; echo done > /work/done"], "volumes": ["work:/work"]}
    after = {
        **SLEEP,
        "volumes": ["work:/work"],
        "depends_on": {"once": {"condition": "service_completed_successfully"}},
    }
    slow = {"image": IMAGE, "command": ["sleep", "3"], "restart": "no"}
    served(stage, {"once": once, "after": after, "slow": slow})
    stage.bench.ok("services")
    assert stage.bench.inside("cat", "/work/done", service="after").out == "done\n"
    docker("wait", str(stage.bench.containers()["slow"]["Id"]))
    assert state(stage)["once"] == state(stage)["slow"] == "exited"
    assert stage.bench.ok("services").out == "nothing to do\n"

    served(stage, {"once": {**once, "command": ["sh", "-c", "echo the reason; exit 3"]}, "after": after})
    failure(stage.bench.inv("services"), 5, "once", "the reason")


def test_networks_of_services_are_made_and_keep_others_out(stage: Ground) -> None:
    served(
        stage,
        {
            "front": {**SLEEP, "networks": ["front", "back"]},
            "back": {**SLEEP, "networks": {"back": {"aliases": ["store"]}}},
        },
        service_patches={"odoo": {"networks": ["front"]}},
    )
    stage.bench.ok("services")
    assert stage.bench.inside("getent", "hosts", "store", service="front").code == 0
    assert stage.bench.inside("getent", "hosts", "front").code == 0
    assert (
        stage.bench.inside("getent", "hosts", f"{stage.bench.prefix}-db").code == 0
    )  # a patch adds, it takes nothing away
    assert stage.bench.inside("getent", "hosts", "store").code == 2


def test_two_projects_meet_on_a_network_that_exists(shared: str, stage: Ground, second_stage: Ground) -> None:
    both = (stage, second_stage)
    joined = {"ODPM_COMPOSE_NETWORK": shared, "ODPM_COMPOSE_NETWORK_EXTERNAL": "yes"}
    for ground in both:
        served(ground, {"mail": SLEEP})
        ground.bench.env |= joined
    message = failure(stage.bench.inv("services"), 8, shared)
    assert f"  next:  docker network create {shared}" in message
    assert state(stage) == {}

    docker("network", "create", shared)
    for ground in both:
        ground.bench.ok("services")
        assert ground.bench.ok("services").out == "nothing to do\n"
    assert compose_file(stage) == compose_file(second_stage)
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
    stage.bench.ok("down")
    assert second_stage.bench.inside("getent", "hosts", "mail").code == 0


def test_a_network_of_another_project_is_not_taken(shared: str, stage: Ground, second_stage: Ground) -> None:
    for ground in (stage, second_stage):
        served(ground, {})
        ground.bench.env["ODPM_COMPOSE_NETWORK"] = shared
    stage.bench.ok("services")
    failure(second_stage.bench.inv("services"), 4, shared, stage.bench.prefix, "ODPM_COMPOSE_NETWORK_EXTERNAL=true")
    assert state(second_stage) == {}
    second_stage.bench.env["ODPM_COMPOSE_NETWORK_EXTERNAL"] = "maybe"
    failure(second_stage.bench.inv("services"), 4, "'maybe'", "ODPM_COMPOSE_NETWORK_EXTERNAL")


def test_the_database_answers_to_the_name_of_the_environment(stage: Ground) -> None:
    served(stage, {})
    stage.bench.env["POSTGRES_SERVICE_NAME"] = "pg"
    stage.bench.ok("services")
    assert stage.bench.inside("printenv", "PGHOST").out == "pg\n"
    for name in ("pg", "db"):
        assert stage.bench.inside("getent", "hosts", name).code == 0


def brings(ground: Ground, **keys: Any) -> None:
    """Let the dependency bring this, and follow it there."""
    files = {
        "web_thing/__manifest__.py": "{}",
        "svc/Dockerfile": f"FROM {IMAGE}\nCOPY page /page\n",
        "svc/page": "theirs",
    }
    ground.publish(WEB, {**files, "conf/hello": "from the checkout", "odpm.json": manifest(**keys)})


def test_a_dependencys_service_is_brought_up_and_left_out_on_demand(stage: Ground) -> None:
    brings(stage, services={"redis": {**SLEEP, "volumes": ["redis:/data"]}})
    served(stage, {})
    stage.bench.ok("services")
    assert state(stage) == {"db": "running", "odoo": "running", "redis": "running"}
    plan = json.loads(stage.bench.ok("plan", "--format", "json").out)
    told = [step for step in plan["steps"] if step["id"] == "compose.fragments"]
    assert [(step["action"], step["target"]) for step in told] == [("keep", "web: redis")]
    served(stage, {"redis": None})
    stage.bench.ok("services")
    assert state(stage) == {"db": "running", "odoo": "running"}


def test_a_dependencys_files_reach_a_service_where_the_project_trusts_it(stage: Ground) -> None:
    site = {**BUILT, "build": "./svc", "volumes": ["./conf:/conf:ro"]}
    brings(stage, services={"site": site}, service_patches={"odoo": {"volumes": ["/:/host"]}})
    served(stage, {})
    ran = stage.bench.ok("services")
    assert "web: site is left out: it wants `build`, and odpm.json does not trust web" in ran.err
    assert "web: patch of odoo is left out" in ran.err
    assert state(stage) == {"db": "running", "odoo": "running"}
    assert stage.bench.inside("ls", "/host").code != 0

    served(stage, {}, trust=["web"])
    stage.bench.ok("services")
    assert stage.bench.inside("cat", "/page", service="site").out == "theirs"
    assert stage.bench.inside("cat", "/conf/hello", service="site").out == "from the checkout"
    assert stage.bench.inside("ls", "/host").code == 0
    mounts = yaml.safe_load(compose_file(stage))["services"]["site"]["volumes"]
    assert mounts == ["./.odpm/src/web/conf:/conf:ro"]
