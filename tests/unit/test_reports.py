"""The JSON of tasks has one shape and fits its schema."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, validate

from odpm_tasks.core.config.version import VERSION
from odpm_tasks.core.report_models.schemas import REPORTS, schema
from odpm_tasks.core.reports import report

COMMIT = "a" * 40


def test_every_document_begins_with_its_version_and_that_of_odpm() -> None:
    found = json.loads(report({"x": "y\x9b"}))
    assert list(found) == ["schema_version", "odpm", "x"]
    assert (found["schema_version"], found["odpm"]) == (1, VERSION)
    assert "\x9b" not in report({"x": "y\x9b"})


@pytest.mark.parametrize("name", REPORTS)
def test_a_schema_is_valid_and_requires_both_versions(name: str) -> None:
    Draft202012Validator.check_schema(schema(name))
    assert {"schema_version", "odpm"} <= set(schema(name)["required"])


def test_every_task_with_a_format_has_a_schema() -> None:
    from odpm_tasks.tasks.namespace import TASKS

    named = {"lock": "lock-diff"}
    with_format = {
        named.get(name, name)
        for name, declared in TASKS.items()
        if any(argument.names[0] == "format" for argument in declared.get_arguments())
    }
    folder = Path(__file__).parents[2] / "docs" / "schema"
    assert {path.name.removesuffix(".v1.json") for path in folder.glob("*.json")} >= with_format


def test_validate_reports_problems_in_this_form() -> None:
    validate(json.loads(report({"valid": False, "errors": ["line 1: x"], "warnings": []})), schema("validate"))
