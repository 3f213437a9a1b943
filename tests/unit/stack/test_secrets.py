"""The password files of a scenario: created once, missing ones noticed, an interrupted change of passwords repeated."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import Layer, Settings
from odpm_tasks.stack import secrets

ALL = {"db_password", "odoo_master_password", "postgres_password", "admin_password", "roles.sql"}


@pytest.fixture(params=["developer", "server"])
def paths(request: pytest.FixtureRequest, tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path, tmp_path / "cache", Settings((Layer(".env", {"ODPM_SCENARIO": request.param}),)))


def folder(paths: ProjectPaths) -> Path:
    return paths.secrets(paths.settings.scenario.name)


def test_passwords_are_made_once_and_kept(paths: ProjectPaths) -> None:
    assert secrets.missing(paths)
    secrets.make_secrets(paths)
    before = {path.name: path.read_bytes() for path in folder(paths).iterdir()}
    assert set(before) == ALL
    assert stat.S_IMODE(folder(paths).stat().st_mode) == 0o700
    assert not secrets.missing(paths)
    secrets.make_secrets(paths)
    assert {path.name: path.read_bytes() for path in folder(paths).iterdir()} == before


@pytest.mark.parametrize("name", sorted(ALL - {"admin_password"}))
def test_a_password_that_is_gone_is_noticed(paths: ProjectPaths, name: str) -> None:
    secrets.make_secrets(paths)
    (folder(paths) / name).unlink()
    assert secrets.missing(paths)
    secrets.make_secrets(paths, new_database=False)
    assert not secrets.missing(paths)


def test_existing_data_gets_no_new_password_of_the_administrator(paths: ProjectPaths) -> None:
    secrets.make_secrets(paths, new_database=False)
    assert {path.name for path in folder(paths).iterdir()} == ALL - {"admin_password"}
    assert not secrets.missing(paths)


def test_a_run_that_is_killed_before_the_data_has_the_passwords_is_repeated(paths: ProjectPaths) -> None:
    secrets.mark_unset(paths)
    assert stat.S_IMODE(folder(paths).stat().st_mode) == 0o700
    secrets.make_secrets(paths, new_database=False)
    assert secrets.missing(paths)
    secrets.mark_set(paths)
    assert not secrets.missing(paths)


def test_the_sql_for_existing_data_has_no_password(paths: ProjectPaths) -> None:
    secrets.make_secrets(paths)
    text = secrets.reset_sql(paths)
    assert [line.split()[:3] for line in text.splitlines()] == [
        ["ALTER", "ROLE", role] for role in ("odoo", "postgres")
    ]
    assert "SCRAM-SHA-256$" in text
    assert (folder(paths) / "postgres_password").read_text(encoding="utf-8") not in text
