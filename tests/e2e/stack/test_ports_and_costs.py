"""Two projects on one machine with the same ports, and the changes of containers in a plan."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import failure
from tests.e2e.harness import PORTS, Bench, docker, get

pytestmark = pytest.mark.docker


def state(bench: Bench) -> dict[str, Any]:
    return tomllib.loads((bench.root / ".odpm/state.toml").read_text(encoding="utf-8"))


def status(bench: Bench, **env: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(bench.ok("status", "--format", "json", **env).out)
    return data


def planned(bench: Bench, step: str, **env: str) -> dict[str, Any]:
    """One step of the plan, as data."""
    steps = json.loads(bench.ok("plan", "--format", "json", **env).out)["steps"]
    found: dict[str, Any] = next(entry for entry in steps if entry["id"] == step)
    return found


def test_two_projects_with_default_ports_both_start(two: tuple[Bench, Bench]) -> None:
    second = two[1]
    urls = [status(bench)["url"] for bench in two]
    assert len(set(urls)) == 2
    for bench, url in zip(two, urls, strict=True):
        assert get(f"{url}/web/login")[0] == 200
        assert url in bench.ok("status").out
        assert not (bench.root / ".env").exists()
    published = [
        {
            int(b["HostPort"])
            for c in bench.containers().values()
            for p in c["NetworkSettings"]["Ports"].values()
            for b in p or ()
        }
        for bench in two
    ]
    assert len(published[0] | published[1]) == 2 * len(PORTS)
    assert {int(port) for port in state(second)["ports"].values()} == published[1]
    compose = [(bench.root / "docker-compose.yml").read_bytes() for bench in two]
    assert compose[0] == compose[1]


def test_every_later_command_uses_the_chosen_ports(two: tuple[Bench, Bench]) -> None:
    _, second = two
    url = status(second)["url"]
    assert "nothing to do" in second.ok("up").err
    second.ok("plan", "--strict")
    assert f"{url}/web/login" in second.ok("up", "--free-ports").out
    second.ok("restart")
    assert get(f"{url}/web/login")[0] == 200
    second.ok("down")
    second.ok("up")
    assert status(second)["url"] == url
    assert status(second, ODOO_PORT="9")["url"] == url  # what runs, not what would


def test_a_port_that_the_user_names_is_not_replaced(two: tuple[Bench, Bench]) -> None:
    first, second = two
    port = status(first)["url"].rpartition(":")[2]
    running = second.containers()["odoo"]["Id"]
    (second.root / ".env").write_text(f"ODOO_PORT={port}\n", encoding="utf-8")
    try:
        told = (f"port {port} is in use by container", first.prefix, str(first.root), "ODOO_PORT in .env")
        failure(second.inv("up", "--free-ports"), 8, *told)
    finally:
        (second.root / ".env").unlink()
    failure(second.inv("up", "--free-ports", ODOO_PORT=port), 8, "ODOO_PORT in the process environment")
    assert second.containers()["odoo"]["Id"] == running
    assert "nothing to do" in second.ok("up").err


def test_without_the_option_a_port_in_use_is_reported_with_it(two: tuple[Bench, Bench]) -> None:
    first, second = two
    wanted = int(status(first)["url"].rpartition(":")[2])
    file = second.root / ".odpm/state.toml"
    before = file.read_text(encoding="utf-8")
    file.write_text(before.replace(state(second)["ports"]["ODOO_PORT"], str(wanted)), encoding="utf-8")
    failure(
        second.inv("up"), 8, f"port {wanted} is in use", "chosen by --free-ports", "inv up --free-ports chooses others"
    )
    ran = second.ok("up", "--free-ports")
    chosen = state(second)["ports"]["ODOO_PORT"]
    assert f"ODOO_PORT={chosen}: port {wanted} is in use by" in ran.err
    assert int(chosen) != wanted
    assert get(f"http://localhost:{chosen}/web/login")[0] == 200


def test_all_ports_in_use_are_named_at_once_by_plan_and_up_before_an_image_is_built(two: tuple[Bench, Bench]) -> None:
    first, second = two
    second.ok("down")
    wanted = (
        ("ODOO_PORT", "odoo", "8069/tcp"),
        ("GEVENT_PORT", "odoo", "8072/tcp"),
        ("POSTGRES_PORT", "db", "5432/tcp"),
    )
    theirs = {service: entry["NetworkSettings"]["Ports"] for service, entry in first.containers().items()}
    busy: dict[str, Any] = {name: str(theirs[service][inside][0]["HostPort"]) for name, service, inside in wanted}
    step = planned(second, "compose.database", **busy)
    assert step["action"] == "blocked"
    assert all(port in step["detail"] for port in busy.values())
    second.ok("plan", "--strict", **busy)
    ran = second.inv("up", **busy)
    failure(ran, 8, *(f"{port} ({name})" for name, port in busy.items()), first.prefix, str(first.root))
    second.ok("build", **busy)  # starts nothing
    second.ok("up")


def test_data_of_another_postgresql_or_user_is_named_before_anything_is_stopped(two: tuple[Bench, Bench]) -> None:
    _, second = two
    running = second.containers()["db"]["Id"]
    described = (second.root / "odpm.json").read_bytes()
    second.edit(postgres="16")
    try:
        assert planned(second, "compose.database")["action"] == "blocked"
        failure(second.inv("up"), 4, "holds data of PostgreSQL 15", "asks for 16", "odpm.json: postgres")
    finally:
        (second.root / "odpm.json").write_bytes(described)
    assert second.containers()["db"]["Id"] == running
    failure(second.inv("up", ODPM_UID="1234"), 8, "Odoo would run as user 1234", "ODPM_UID=1000", "chown")
    second.ok("up")


def test_a_plan_shows_each_containers_change_before_writing(two: tuple[Bench, Bench]) -> None:
    first, _ = two
    before = {service: entry["Id"] for service, entry in first.containers().items()}
    described = (first.root / "odpm.json").read_bytes()
    compose = (first.root / "docker-compose.yml").read_bytes()
    first.edit(service_patches={"odoo": {"environment": {"EXTRA": "1"}}, "mail": {"labels": {"x": "y"}}})
    step = planned(first, "compose.up")
    assert step["action"] == "update"
    assert step["detail"].startswith("recreate mail (configuration); recreate odoo (environment); Odoo is down")
    assert {c["service"]: (c["action"], c["reasons"]) for c in step["cost"]["containers"]} == {
        "odoo": ("recreate", ["environment"]),
        "mail": ("recreate", ["configuration"]),
    }
    assert step["cost"]["odoo_down"] is True
    assert (first.root / "docker-compose.yml").read_bytes() == compose
    assert step["detail"] in first.ok("plan").out

    ran = first.ok("up")
    assert step["detail"] in ran.err
    after = {service: entry["Id"] for service, entry in first.containers().items()}
    assert {service for service in before if before[service] != after[service]} == {"odoo", "mail"}
    seconds = state(first)["durations"]["odoo down"]
    assert 0 < seconds < 120

    (first.root / "odpm.json").write_bytes(described)
    step = planned(first, "compose.up")
    assert f"Odoo is down meanwhile ({seconds:.0f} s last time)" in step["detail"]
    assert step["cost"]["seconds"] == seconds
    first.ok("up")
    assert planned(first, "compose.up")["cost"] is None


def test_a_plan_shows_reasons_for_ports_and_stopped_services(two: tuple[Bench, Bench]) -> None:
    first, _ = two
    assert "recreate odoo (ports); keep mail" in planned(first, "compose.up", ODOO_PORT="18099")["detail"]
    docker("stop", str(first.containers()["mail"]["Id"]))
    step = planned(first, "compose.up")
    assert step["detail"] == "start mail; keep odoo"
    assert step["cost"]["odoo_down"] is False
    first.ok("up")


def test_a_plan_shows_why_an_image_is_built(two: tuple[Bench, Bench]) -> None:
    first, _ = two
    described = (first.root / "odpm.json").read_bytes()
    first.edit(system_packages=["jq"])
    step = planned(first, "image.build")
    (first.root / "odpm.json").write_bytes(described)
    assert step["action"] == "create"
    assert step["detail"].startswith("system packages changed")
    assert step["cost"]["reasons"] == ["system packages"]
    assert planned(first, "image.build")["cost"] is None


def test_containers_of_another_checkout_are_no_drift_and_named(
    two: tuple[Bench, Bench], clone: Any, tmp_path: Path
) -> None:
    first, _ = two
    third = clone(tmp_path / "third")
    third.env["ODPM_COMPOSE_PREFIX"] = first.prefix
    third.ok("plan", "--strict")
    third.ok("render")
    assert str(first.root) in planned(third, "compose.database")["detail"]
    failure(third.inv("up"), 4, "belong to another checkout", str(first.root), most=6)
