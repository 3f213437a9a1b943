"""Problems of services, with the path in the description where each can be fixed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest.checks import SERVICE_KEYS
from odpm_tasks.core.manifest.compose_schema import specification
from odpm_tasks.core.manifest.json_document import spell
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.stack.compose_errors import compose_problem, schema_problems, undefined_names, written_at
from odpm_tasks.core.stack.compose_file import compose
from odpm_tasks.core.stack.dependency_services import Fragments, fragments
from tests.unit.builders import OCA, manifest, resolution, source
from tests.unit.stack.test_compose_file import EACH, case_spec, spec


def told(found: Any) -> list[str]:
    return [f"{spell(problem.path)}: {problem.text}" for problem in found]


def composed(**services: Any) -> dict[str, Any]:
    return compose(spec(manifest(services=services), "server"))


@pytest.mark.parametrize(("case", "scenario"), EACH)
def test_generated_services_match_the_specification(case: str, scenario: str) -> None:
    data = compose(case_spec(case, scenario))
    assert list(schema_problems(data)) == []
    assert list(undefined_names(data)) == []


def test_the_merged_services_are_checked() -> None:
    data = compose(spec(manifest(), "server"))
    data["services"]["odoo"]["cpus"] = [1]
    assert told(schema_problems(data)) == ["services.odoo.cpus: must be a number or a string"]


def test_every_key_of_the_specification_is_known() -> None:
    definitions = specification()["$defs"]

    def keys(part: dict[str, Any]) -> set[str]:
        found = set(part.get("properties", ()))
        for below in part.get("allOf", ()):
            found |= keys(definitions[below["$ref"].rsplit("/", 1)[-1]] if "$ref" in below else below)
        if "$ref" in part:
            found |= keys(definitions[part["$ref"].rsplit("/", 1)[-1]])
        return found

    assert keys(definitions["service"]) - SERVICE_KEYS == set()
    assert SERVICE_KEYS - keys(definitions["service"]) == set()


def test_undefined_names() -> None:
    found = undefined_names(
        composed(
            web={
                "image": "x",
                "depends_on": {
                    "dv": {"condition": "service_started"},
                    "gone": {"condition": "service_started", "required": False},
                },
                "secrets": ["db_password", "mine"],
            },
            job={"image": "x", "depends_on": ["web"], "configs": [{"source": "conf", "target": "/c"}]},
        )
    )
    mount = 'mount a file instead, "volumes": ["./FILE:/path/in/it:ro"]'
    assert told(found) == [
        "services.web.depends_on: there is no service `dv`; the nearest is `db`",
        f"services.web.secrets: there is no secret `mine`, only db_password, odoo_master_password, postgres_password; {mount}",
        f"services.job.configs: `conf` cannot be declared here; {mount}",
    ]


@pytest.mark.parametrize(
    ("said", "path", "words"),
    [
        (
            "validating /p/x.yml: services.web.cpus must be a number or string",
            "services.web.cpus",
            "must be a number or string",
        ),
        (
            "validating /p/x.yml: services.web Additional property foo is not allowed",
            "services.web",
            "Additional property foo is not allowed",
        ),
        (
            'service "web" refers to undefined network front: invalid compose project',
            "services.web.networks",
            "undefined network front",
        ),
        (
            'service "web" depends on undefined service "x": invalid compose project',
            "services.web.depends_on",
            "undefined service",
        ),
        (
            "error decoding 'services[web].deploy.resources.limits.cpus': strconv.ParseFloat",
            "services.web.deploy.resources.limits.cpus",
            "ParseFloat",
        ),
        ("Invalid containerPort: b", "", "Invalid containerPort: b"),
    ],
)
def test_the_field_of_a_compose_message(said: str, path: str, words: str) -> None:
    problem = compose_problem((said,))
    assert spell(problem.path) == path
    assert words in problem.text
    assert "/p/" not in problem.text


def test_the_origin_of_a_field() -> None:
    described = manifest(
        f"{OCA}/queue",
        services={"web": {"image": "x", "cpus": 1}},
        service_patches={"odoo": {"cpus": 1}, "web": {"mem_limit": "1g"}},
        scenarios={"server": {"services": {"web": {"scale": 2}}}},
        trust=["queue"],
    ).for_scenario("server")
    theirs = {"manifest_schema": 2, "services": {"redis": {"image": "x"}}, "service_patches": {"odoo": {"tty": True}}}
    held = source(f"{OCA}/queue 19.0", facts=Facts(odpm_json=json.dumps(theirs)))
    found = fragments(described, resolution(held), SCENARIOS["server"])

    def where(*path: str) -> str:
        return written_at(("services", *path), described, found, "server")

    assert where("web", "cpus") == "odpm.json: services.web.cpus"
    assert where("web", "scale") == "odpm.json: scenarios.server.services.web.scale"
    assert where("web", "mem_limit") == "odpm.json: service_patches.web.mem_limit"
    assert where("odoo", "cpus") == "odpm.json: service_patches.odoo.cpus"
    assert where("odoo", "tty") == "queue: odpm.json: service_patches.odoo.tty"
    assert where("redis", "image") == "queue: odpm.json: services.redis.image"
    assert where("db", "image") == "docker-compose.yml: services.db.image"
    assert written_at((), described, Fragments(), "server") == "odpm.json: services, service_patches"
