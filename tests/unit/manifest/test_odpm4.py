"""Fields, references and settings of odpm 4.7 that do not exist here: each is named with its replacement."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.manifest.migrate import migrate
from odpm_tasks.core.manifest.odpm4 import secret_notes, settings_notes, with_variables
from odpm_tasks.core.manifest.reader import problems, read_manifest

NESTED: dict[str, Any] = {
    "manifest_schema": 2,
    "requires_odpm": "4.7.0",
    "platform": {"git": "https://github.com/odoo/odoo.git 19.0"},
    "python": "3.12",
    "distro": {"name": "debian", "version": "12"},
    "postgres": "16",
}
FLAT = {"odpm_version": "4.0", "odoo_version": "19.0", "python_version": "3.12"}


@pytest.mark.parametrize(
    ("keys", "path", "instead"),
    [
        ({"secrets": {"required": True, "keys": ["a"]}}, "secrets", ".env"),
        ({"extensions": {"local": ["mine"]}}, "extensions", "tasks.py"),
        ({"service_sources": {"api": "https://h/api"}}, "service_sources", "`build`"),
        ({"services": {"api": {"image": "api", "source": "api"}}}, "services.api.source", "`build`"),
        ({"scenarios": {"server": {"secrets": {"required": True}}}}, "scenarios.server.secrets", ".env"),
        ({"scenarios": {"ci": {"requirements": ["x"]}}}, "scenarios.ci.requirements", "top level"),
    ],
)
def test_a_field_of_odpm_4_is_refused_with_its_replacement(keys: dict[str, Any], path: str, instead: str) -> None:
    errors, _ = problems(json.dumps({**NESTED, **keys}), lambda name: None)
    assert len(errors) == 1, errors
    assert f" {path}: a field of odpm 4 that does not exist any more; " in f" {errors[0]}"
    assert instead in errors[0]


@pytest.mark.parametrize(
    ("keys", "instead"),
    [
        (
            {"odoo_conf": {"options": {"smtp_password": "${@secret:smtp.password}"}}},
            "write ${SMTP_PASSWORD}, and set it",
        ),
        ({"services": {"api": {"image": "a", "environment": {"HOST": "${@service:db}"}}}}, "write the name db"),
        ({"hooks": {"pre_up": [["make", "-C", "${@source:api}"]]}}, "the folder below .odpm/src"),
        ({"scenarios": {"ci": {"odoo_conf": {"x": {"y": "${@secret:a}"}}}}}, "write ${A}"),
    ],
)
def test_a_reference_of_odpm_4_is_refused(keys: dict[str, Any], instead: str) -> None:
    errors, _ = problems(json.dumps({**NESTED, **keys}), lambda name: None)
    assert len(errors) == 1, errors
    assert "is a reference of odpm 4" in errors[0]
    assert instead in errors[0]


def test_references_become_variables() -> None:
    value = {"a": ["${@secret:smtp.password} ${@service:db}", 1], "b": "${@source:api} ${NAME}"}
    new, replaced = with_variables(value)
    assert new == {"a": ["${SMTP_PASSWORD} db", 1], "b": "${@source:api} ${NAME}"}
    assert replaced == ("${@secret:smtp.password} -> ${SMTP_PASSWORD}", "${@service:db} -> db")


def test_personal_settings_are_named_with_their_replacement_and_without_secrets() -> None:
    settings = {
        "init_modules": ["sale", "crm"], "update_modules": "shop", "dev_mode": "reload", "check_system": True,
        "db_manager_password": "topsecret", "db_creation_data": {"create_demo": True}, "sql_queries": [], "colour": 1,
    }  # fmt: skip
    assert list(settings_notes(settings, "s")) == [
        "s: db_creation_data.create_demo: inv up --demo",
        "s: init_modules: inv up -i sale,crm",
        "s: update_modules: inv up -u shop",
        "s: dev_mode: inv up --dev=reload, or ODPM_DEV=reload in .env",
        "s: db_manager_password: the master password is generated, in .odpm/secrets",
        "s: colour: no effect",
    ]
    assert list(secret_notes({"smtp.password": "topsecret", "odpm.db_manager_password": "x"}, "f")) == [
        "f: write what you need into .env: smtp.password as SMTP_PASSWORD"
    ]


@pytest.mark.parametrize(
    ("written", "personal", "expected"), [(None, False, False), (True, False, True), (None, True, None)]
)
def test_use_oca_dependencies_is_that_of_the_file_or_of_the_person(
    written: bool | None, personal: bool, expected: bool | None
) -> None:
    flat = FLAT if written is None else {**FLAT, "use_oca_dependencies": written}
    moved = migrate(json.dumps(flat), user_settings=json.dumps({"use_oca_dependencies": personal}))
    new = json.loads(moved.new_text)
    assert new.get("use_oca_dependencies") is expected
    assert new["requires_odpm"] == ("4.4.0" if expected is None else "5.0.0")
    assert any("use_oca_dependencies" in note for note in moved.notes) == (written is None and not personal)


@pytest.mark.parametrize("broken", ["{", "[]", '{"secrets": 3}', '{"secrets": {"a": {"b": 1}}}'])
def test_odd_files_of_odpm_4(broken: str) -> None:
    for name in ("user_settings", "secrets"):
        try:
            migrate(json.dumps(FLAT), **{name: broken})
        except Exception as error:
            assert type(error).__name__ == "DescriptionError"  # noqa: PT017


def test_both_formats_know_trust_and_use_oca_dependencies() -> None:
    for raw in ({**FLAT, "odoo_git_link": "https://github.com/odoo/odoo.git"}, {**NESTED, "requires_odpm": "5.0.0"}):
        found = read_manifest(json.dumps({**raw, "trust": ["web"], "use_oca_dependencies": False}), lambda name: None)
        assert found.warnings == ()
        assert (found.manifest.trust, found.manifest.use_oca_dependencies) == (("web",), False)
