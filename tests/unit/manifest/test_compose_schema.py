"""The types of the keys of a service: the same verdict as a validator of JSON Schema, and messages that name the field."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from odpm_tasks.core.manifest.checks import SERVICE_KEYS
from odpm_tasks.core.manifest.compose_schema import specification, type_problems
from odpm_tasks.core.manifest.json_document import spell
from odpm_tasks.core.manifest.reader import problems
from tests.unit.builders import MINIMAL

WORDS = ("a", "1", "10s", "service_started", "sync", "all", "x-a", "path", "action", "type", "source", "image", "soft")
KEYS = (
    *WORDS, "hard", "test", "retries", "context", "args", "watch", "condition", "target", "published", "volume", "limits",
    "resources", "restart_policy", "aliases", "driver", "options", "capabilities", "rate", "weight", "exec", "command",
    "provider", "file", "service",
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.integers(-2, 70_000) | st.floats(0, 5) | st.sampled_from(WORDS)
ODD = st.recursive(
    SCALARS,
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS), below, max_size=3),
    max_leaves=6,
)


@given(key=st.sampled_from(sorted(SERVICE_KEYS)), value=ODD)
def test_the_verdict_is_that_of_a_validator(key: str, value: Any) -> None:
    schema = {**specification(), "required": []}
    valid = Draft202012Validator(schema).is_valid({"services": {"web": {key: value}}})
    if key == "pre_start":  # its own keys are checked by Compose
        return
    found = list(type_problems({key: value}, ("services", "web")))
    assert (not found) == valid, [f"{spell(problem.path)}: {problem.text}" for problem in found]


@pytest.mark.parametrize(
    ("service", "message"),
    [
        ({"profiles": 3}, "profiles: must be a list"),
        ({"develop": {"watch": True}}, "develop.watch: must be a list"),
        ({"develop": {"watch": [{"path": "a", "action": "sing"}]}}, 'develop.watch[0].action: "sing" is not one of: rebuild, '),
        ({"cpus": [1]}, "cpus: must be a number or a string"),
        ({"environment": {"A": [1]}}, "environment.A: must be a string, a number, true or false or null"),
        ({"environment": 1}, "environment: must be an object or a list"),
        ({"ports": {"80": 80}}, "ports: must be a list"),
        ({"ports": [[]]}, "ports[0]: must be "),
        ({"depends_on": {"db": {"condition": "service_finished"}}}, "depends_on.db.condition: "),
        ({"depends_on": {"db": None}}, "depends_on.db: must be an object"),
        ({"restart": {}}, "restart: must be a string"),
        ({"build": {"contxt": "."}}, "build.contxt: unknown key; the nearest is `context`"),
        ({"healthcheck": {"retries": "many", "tries": 1}}, "healthcheck.tries: unknown key; the nearest is `retries`"),
        ({"profiles": ["a", "a"]}, "profiles[1]: occurs twice in the list"),
        ({"extends": {"file": "a"}}, "extends.service: is required"),
        ({"blkio_config": {"weight": None}}, "blkio_config.weight: must be an integer or a string"),
    ],
)  # fmt: skip
def test_a_wrong_type_is_an_error_of_the_file(service: dict[str, Any], message: str) -> None:
    for block in ("services", "service_patches"):
        keys = {block: {"odoo" if block == "service_patches" else "web": {"image": "x", **service}}}
        for text in ({**MINIMAL, **keys}, {**MINIMAL, "scenarios": {"ci": keys}}):
            errors, _ = problems(json.dumps(text), lambda name: None)
            assert len(errors) == 1
            assert message in errors[0], errors


@pytest.mark.parametrize(
    "service",
    [
        {"depends_on": {"db": {"condition": "${HOW:-service_started}", "restart": "${AGAIN}"}}},
        {"develop": {"watch": [{"path": "a", "action": "sync", "initial_sync": "${FIRST}"}]}},
        {"scale": "${COPIES}", "cpus": 0.5, "init": "true", "deploy": None, "command": None, "x-a": {"b": [1]}},
    ],
)
def test_a_variable_replaces_any_scalar(service: dict[str, Any]) -> None:
    assert list(type_problems(service, ())) == []


def test_names_of_built_in_services_have_no_case() -> None:
    errors, _ = problems(json.dumps({**MINIMAL, "services": {"DB": {"image": "x"}}}), lambda name: None)
    assert "services.DB: is built in" in errors[0]
