"""`docker-compose.yml`: complete files by description and scenario, and what no such file may contain.

`tests/golden/compose/CASE/odpm.json` is the description, `NAME/odpm.json` beside it that of the dependency NAME,
`SCENARIO.yml` what has to come out. After a change that is meant:
`ODPM_GOLDEN=write pytest tests/unit/stack/test_compose_file.py`, then read the difference.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.stack.compose_file import (
    ComposeSpec,
    Mount,
    compose,
    compose_text,
    conf_references,
    lockable_images,
)
from odpm_tasks.core.stack.dependency_services import fragments
from odpm_tasks.core.stack.services import apply_patch
from tests.unit.builders import manifest, resolution, source, texts

GOLDEN = Path(__file__).parents[2] / "golden" / "compose"
CASES = sorted(folder.name for folder in GOLDEN.iterdir() if (folder / "odpm.json").exists())
NAMES = tuple(SCENARIOS)
EACH = [(case, scenario) for case in CASES for scenario in NAMES]
SOURCES = (Mount(".odpm/src/web", "/opt/odoo/src/web"), Mount(".odpm/src/odoo", "/opt/odoo/src/odoo"))


def spec(described: Manifest, scenario: str, **changes: Any) -> ComposeSpec:
    """A stack called acme whose developing project has its add-ons in `addons`."""
    by_name = SCENARIOS[scenario]
    given: dict[str, Any] = {
        "name": "acme",
        "scenario": by_name,
        "manifest": described.for_scenario(scenario),
        "image": f"odpm/environment:19.0-{by_name.target}-0123456789abcdef" if by_name.mounts else "${ODPM_IMAGE:-acme:ci}",
        "conf_digest": "fedcba9876543210",
        "mounts": (Mount("addons", "/opt/odoo/src/acme/addons", writable=by_name.developer), *SOURCES),
        **changes,
    }  # fmt: skip
    return ComposeSpec(**given)


def case_spec(case: str, scenario: str) -> ComposeSpec:
    """The stack of a case; each dependency has a folder with its name."""
    text = (GOLDEN / case / "odpm.json").read_text(encoding="utf-8")
    described = read_manifest(text, {"HERE": "/home/somebody"}.get).manifest.for_scenario(scenario)
    held = {
        link.name: Facts(odpm_json=file.read_text(encoding="utf-8") if file.exists() else None)
        for link in described.dependencies
        for file in [GOLDEN / case / link.name / "odpm.json"]
    }
    graph = resolution(*(source(link.url, facts=held[link.name]) for link in described.dependencies))
    brought = fragments(described, graph, SCENARIOS[scenario])
    return replace(spec(described, scenario), manifest=brought.merge_into(described))


def parsed(case: str, scenario: str) -> dict[str, Any]:
    data: dict[str, Any] = yaml.safe_load(compose_text(case_spec(case, scenario)))
    return data


def small(scenario: str, **keys: Any) -> dict[str, Any]:
    """The compose file of a small description, read back."""
    data: dict[str, Any] = yaml.safe_load(compose_text(spec(manifest(**keys), scenario)))
    return data


@pytest.mark.parametrize(("case", "scenario"), EACH)
def test_whole_file(case: str, scenario: str) -> None:
    golden = GOLDEN / case / f"{scenario}.yml"
    text = compose_text(case_spec(case, scenario))
    if os.environ.get("ODPM_GOLDEN") == "write":
        golden.write_text(text, encoding="utf-8")
    assert text == golden.read_text(encoding="utf-8")


@pytest.mark.parametrize(("case", "scenario"), EACH)
def test_the_text_parses_to_the_data(case: str, scenario: str) -> None:
    assert parsed(case, scenario) == compose(case_spec(case, scenario))


@pytest.mark.parametrize(("case", "scenario"), EACH)
def test_no_path_of_one_machine(case: str, scenario: str) -> None:
    data = parsed(case, scenario)
    for service in data["services"].values():
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            assert not source.startswith(("/", "~"))
    assert all(secret["file"].startswith("./.odpm/secrets/") for secret in data["secrets"].values())
    assert not any("/home/somebody" in text for text in texts(data))


@pytest.mark.parametrize(("case", "scenario"), EACH)
def test_no_password(case: str, scenario: str) -> None:
    """A secret is a file or a variable that Compose passes on; its value is never in this file."""
    services = parsed(case, scenario)["services"]
    for name in ("db", "odoo"):
        for variable, value in services[name]["environment"].items():
            if "PASSWORD" in variable:
                assert value is None or (variable.endswith("_FILE") and value.startswith("/run/secrets/"))


@pytest.mark.parametrize(("case", "scenario"), EACH)
def test_every_named_thing_is_declared(case: str, scenario: str) -> None:
    data = parsed(case, scenario)
    for service in data["services"].values():
        assert set(service.get("secrets", [])) <= set(data["secrets"])
        assert set(service.get("networks", [])) <= {"default", *data.get("networks", {})}
        for volume in service.get("volumes", []):
            source = volume["source"] if isinstance(volume, dict) else volume.split(":")[0]
            assert source.startswith(".") or source in data["volumes"]


@pytest.mark.parametrize(("case", "scenario"), EACH)
def test_built_in_services_are_published_on_loopback_only(case: str, scenario: str) -> None:
    services = parsed(case, scenario)["services"]
    for name in ("db", "odoo"):
        for port in services[name].get("ports", []):
            assert port.startswith(("127.0.0.1:", "${ODOO_BIND:-127.0.0.1}:"))


def test_postgres_is_published_for_a_developer_only() -> None:
    assert small("developer")["services"]["db"]["ports"] == ["127.0.0.1:${POSTGRES_PORT:-5432}:5432"]
    for scenario in ("server", "ci"):
        data = small(scenario)
        assert "ports" not in data["services"]["db"]
        assert list(data["services"]["db"]["networks"]) == ["database"]
        assert list(data["services"]["odoo"]["networks"]) == ["default", "database"]
        assert data["networks"]["database"] == {"internal": True}
    assert small("developer")["networks"]["database"] == {}


def test_the_debugger_is_reachable_for_a_developer_only() -> None:
    assert [port for port in small("developer")["services"]["odoo"]["ports"] if "5678" in port] == [
        "127.0.0.1:${DEBUGGER_PORT:-5678}:5678"
    ]
    for scenario in ("server", "ci"):
        assert small(scenario)["services"]["odoo"]["ports"] == [
            "${ODOO_BIND:-127.0.0.1}:${ODOO_PORT:-8069}:8069",
            "${ODOO_BIND:-127.0.0.1}:${GEVENT_PORT:-8072}:8072",
        ]
        assert not any("DEBUG" in text for text in texts(small(scenario)))


def test_only_server_restarts_services_after_a_reboot() -> None:
    extra = {"mail": {"image": "mailpit"}, "once": {"image": "job", "restart": "no"}}
    for scenario in ("developer", "ci"):
        assert not any(
            "restart" in service
            for name, service in small(scenario, services=extra)["services"].items()
            if name != "once"
        )
    services = small("server", services=extra)["services"]
    assert {name: service["restart"] for name, service in services.items()} == {
        "db": "unless-stopped",
        "odoo": "unless-stopped",
        "mail": "unless-stopped",
        "once": "no",
    }  # fmt: skip


def test_both_services_have_a_health_check_and_odoo_waits() -> None:
    for scenario in NAMES:
        services = small(scenario)["services"]
        assert services["odoo"]["depends_on"] == {"db": {"condition": "service_healthy"}}
        assert all(services[name]["healthcheck"]["test"] for name in ("db", "odoo"))


def test_volumes_and_secrets_are_the_scenarios_own() -> None:
    for scenario in NAMES:
        data = small(scenario)
        assert set(data["volumes"]) == {f"db-{scenario}-16", f"odoo-{scenario}"}
        assert {secret["file"] for secret in data["secrets"].values()} == {
            f"./.odpm/secrets/{scenario}/{name}"
            for name in ("db_password", "odoo_master_password", "postgres_password")
        }
        assert "postgres_password" not in data["services"]["odoo"]["secrets"]


def test_an_image_with_sources_gets_no_mounts() -> None:
    assert small("ci")["services"]["odoo"]["volumes"] == ["odoo-ci:/var/lib/odoo"]
    assert small("server")["services"]["odoo"]["volumes"] == [
        "odoo-server:/var/lib/odoo",
        "./.odpm/build/odoo.conf:/etc/odoo/odoo.conf:ro",
        "./addons:/opt/odoo/src/acme/addons:ro",
        "./.odpm/src/web:/opt/odoo/src/web:ro",
        "./.odpm/src/odoo:/opt/odoo/src/odoo:ro",
    ]
    assert "./addons:/opt/odoo/src/acme/addons" in small("developer")["services"]["odoo"]["volumes"]


@pytest.mark.parametrize(
    ("version", "folder"),
    [
        ("13", "/var/lib/postgresql/data"),
        ("9.6", "/var/lib/postgresql/data"),
        ("17.2", "/var/lib/postgresql/data"),
        ("18", "/var/lib/postgresql"),
        ("19.1", "/var/lib/postgresql"),
    ],
)
def test_where_postgres_keeps_its_data(version: str, folder: str) -> None:
    service = small("server", postgres=version)["services"]["db"]
    assert service["image"] == f"${{ODPM_IMAGE_MIRROR:-}}postgres:{version}"
    assert service["volumes"][0] == f"db-server-{version.partition('.')[0]}:{folder}"


def test_a_changed_configuration_changes_the_file() -> None:
    before = compose_text(spec(manifest(), "server"))
    after = compose_text(spec(manifest(), "server", conf_digest="0" * 16))
    changed = [new for old, new in zip(before.splitlines(), after.splitlines(), strict=True) if old != new]
    assert [line.strip() for line in changed] == ["odpm.odoo-conf: '0000000000000000'"]


def test_odoo_gets_the_variables_of_its_configuration() -> None:
    conf = {"options": {"smtp_server": "${SMTP:-mail}", "x": "$$ $1 ${A}${B:-${C}}"}, "queue": {"y": "${A}"}}
    assert conf_references(manifest(odoo_conf=conf)) == ("A", "B", "C", "SMTP")
    environment = small("server", odoo_conf=conf)["services"]["odoo"]["environment"]
    assert {name: environment[name] for name in ("A", "B", "C", "SMTP")} == dict.fromkeys(("A", "B", "C", "SMTP"))


@pytest.mark.parametrize(
    ("base", "patch", "result"),
    [
        ({"a": 1}, {"b": 2}, {"a": 1, "b": 2}),
        ({"a": 1}, {"a": 2}, {"a": 2}),
        ({"a": {"x": 1, "y": 2}}, {"a": {"y": 3, "z": 4}}, {"a": {"x": 1, "y": 3, "z": 4}}),
        ({"a": [1, 2]}, {"a": [2, 3]}, {"a": [1, 2, 2, 3]}),
        ({"a": [1]}, {"a": "x"}, {"a": "x"}),
        ({"a": "x"}, {"a": [1]}, {"a": [1]}),
        ({"a": {"x": 1}}, {"a": None}, {"a": None}),
        ({}, {"a": {"b": [1]}}, {"a": {"b": [1]}}),
    ],
)
def test_patches(base: dict[str, Any], patch: dict[str, Any], result: dict[str, Any]) -> None:
    before = repr((base, patch))
    assert apply_patch(base, patch) == result
    assert repr((base, patch)) == before


def test_patches_reach_built_in_and_extra_services() -> None:
    data = small(
        "server",
        services={"mail": {"image": "mailpit", "environment": {"A": "1"}}},
        service_patches={
            "db": {"shm_size": "1gb", "environment": {"TZ": "UTC"}},
            "odoo": {"ports": ["127.0.0.1:9999:9999"]},
            "mail": {"environment": {"A": "2"}},
        },
    )
    services = data["services"]
    assert services["db"]["shm_size"] == "1gb"
    assert services["db"]["environment"] == {
        "POSTGRES_PASSWORD_FILE": "/run/secrets/postgres_password",
        "TZ": "UTC",
    }
    assert services["odoo"]["ports"][-1] == "127.0.0.1:9999:9999"
    assert len(services["odoo"]["ports"]) == 3
    assert services["mail"]["environment"] == {"A": "2"}


def test_named_volumes_of_extra_services_are_declared() -> None:
    mounts: list[Any] = ["mail:/data", "./local:/x", "/anonymous", "${HERE}/y:/y", "second:/z:ro"]
    mounts += [{"type": "volume", "source": "third", "target": "/t"}, {"type": "bind", "source": "./b", "target": "/b"}]
    data = small("ci", services={"mail": {"image": "x", "volumes": mounts}})
    assert set(data["volumes"]) == {"db-ci-16", "odoo-ci", "mail", "second", "third"}


def test_the_projects_own_values_are_not_shared_with_the_file() -> None:
    found = manifest(services={"mail": {"image": "x", "volumes": ["a:/a"]}})
    compose(spec(found, "server"))["services"]["mail"]["volumes"].append("changed")
    assert found.services["mail"] == {"image": "x", "volumes": ["a:/a"]}


def test_the_same_value_twice_is_written_twice() -> None:
    shared = {"image": "x", "environment": ["A=1"]}
    text = compose_text(spec(manifest(services={"a": shared, "b": shared}), "ci"))
    assert "&id" not in text
    assert "*id" not in text


def test_volumes_of_a_patch_are_declared() -> None:
    document = small("ci", service_patches={"odoo": {"volumes": ["filestore:/mnt"]}})
    assert "filestore" in document["volumes"]


def test_locked_images_have_their_digest() -> None:
    digests = {"postgres:16": "sha256:1", "redis:7": "sha256:2"}
    services = {"queue": {"image": "redis:7"}, "other": {"image": "redis:6"}}
    data = compose(spec(manifest(services=services), "server", digests=digests))["services"]
    assert {name: data[name]["image"] for name in ("db", "queue", "other")} == {
        "db": "${ODPM_IMAGE_MIRROR:-}postgres:16@sha256:1",
        "queue": "redis:7@sha256:2",
        "other": "redis:6",
    }
    assert "@" not in data["odoo"]["image"]


def test_images_that_are_built_have_a_digest_or_a_variable_are_not_locked() -> None:
    services = {
        "queue": {"image": "redis:7"},
        "built": {"image": "acme:1", "build": "."},
        "only-built": {"build": "."},
        "fixed": {"image": f"redis:6@sha256:{'1' * 64}"},
        "variable": {"image": "${IMAGE:-redis:5}"},
        "absent": None,
    }
    described = manifest(services=services, service_patches={"db": {"image": "postgis:16"}})
    assert lockable_images(described, SCENARIOS["server"]) == {"postgis:16": False, "redis:7": False}
    assert lockable_images(manifest(), SCENARIOS["ci"]) == {"postgres:16": True}


def test_a_service_set_to_null_does_not_exist_and_is_not_patched() -> None:
    described = manifest(services={"queue": None}, service_patches={"queue": {"restart": "always"}})
    assert set(compose(spec(described, "developer"))["services"]) == {"db", "odoo", "mailcatcher"}


def test_folders_with_odd_names_are_mounted() -> None:
    mounts = (Mount("a$b", "/opt/a$b"), Mount("c:d", "/opt/c", writable=True), Mount("e:f", "/opt/e"))
    volumes = compose(spec(manifest(), "developer", mounts=mounts))["services"]["odoo"]["volumes"]
    assert volumes[-3:] == [
        "./a$$b:/opt/a$$b:ro",
        {"type": "bind", "source": "./c:d", "target": "/opt/c", "read_only": False},
        {"type": "bind", "source": "./e:f", "target": "/opt/e", "read_only": True},
    ]


def test_masked_folders_are_empty_in_the_container() -> None:
    services = compose(spec(manifest(), "developer", masked=("/opt/odoo/src/acme/.odpm",)))["services"]
    assert services["odoo"]["tmpfs"] == ["/opt/odoo/src/acme/.odpm"]
    assert "tmpfs" not in compose(spec(manifest(), "developer"))["services"]["odoo"]
