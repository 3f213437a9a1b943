"""The files of a new project: whole texts, defaults by series, and refused answers."""

from __future__ import annotations

from pathlib import Path

import pytest

import odpm_tasks
from odpm_tasks.core.init import new_project
from odpm_tasks.core.init.new_project import (
    ProjectDraft,
    completed,
    gitignore_text,
    manifest_text,
    series_of_addons,
    uses_odpm,
)
from odpm_tasks.core.manifest.reader import problems, read_manifest
from odpm_tasks.core.odoo.series import TABLE, Series, series
from odpm_tasks.errors import DescriptionError

EVERY_KEY = ProjectDraft(
    odoo="18.0",
    platform="https://github.com/OCA/OCB.git 18.0-fix",
    python="3.12",
    postgres="16",
    dependencies=("https://github.com/OCA/web.git", "git@git.example.org:a/b.git 18.0"),
    requirements=("requests==2.31.0",),
    system_packages=("ghostscript",),
    language="de_DE",
    odoo_conf={"options": {"workers": "4"}, "empty": {}},
)


def test_a_flat_file_with_every_key() -> None:
    assert manifest_text(completed(EVERY_KEY), 1) == (
        """{
  "odpm_version": "4.0",
  "odoo_version": "18.0",
  "odoo_git_link": "https://github.com/OCA/OCB.git 18.0-fix",
  "python_version": "3.12",
  "distro_version": "12",
  "postgres_version": "16",
  "dependencies": [
    "https://github.com/OCA/web.git",
    "git@git.example.org:a/b.git 18.0"
  ],
  "requirements_txt": [
    "requests==2.31.0"
  ],
  "database": {
    "language": "de_DE"
  },
  "odoo_conf": {
    "options": {
      "workers": "4"
    }
  }
}
"""
    )


def test_a_nested_file_with_every_key() -> None:
    assert manifest_text(completed(EVERY_KEY), 2) == (
        """{
  "manifest_schema": 2,
  "requires_odpm": "5.0.0",
  "odoo_version": "18.0",
  "platform": {
    "git": "https://github.com/OCA/OCB.git 18.0-fix"
  },
  "python": "3.12",
  "distro": {
    "name": "debian",
    "version": "12"
  },
  "postgres": "16",
  "dependencies": [
    "https://github.com/OCA/web.git",
    "git@git.example.org:a/b.git 18.0"
  ],
  "requirements": [
    "requests==2.31.0"
  ],
  "system_packages": [
    "ghostscript"
  ],
  "database": {
    "language": "de_DE"
  },
  "odoo_conf": {
    "options": {
      "workers": "4"
    }
  }
}
"""
    )


@pytest.mark.parametrize("schema", [1, 2])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_every_series_gives_a_manifest_without_problem_or_warning(row: Series, schema: int) -> None:
    text = manifest_text(completed(ProjectDraft(odoo=row.name)), schema)
    assert problems(text, lambda name: None) == ((), ())
    manifest = read_manifest(text, lambda name: None).manifest
    assert (manifest.odoo_version, manifest.python, manifest.postgres) == (row.name, row.python, row.postgres)
    assert manifest.distro_version == row.debian


def test_the_default_versions_never_decrease_from_series_to_series() -> None:
    rows = [(tuple(map(int, row.python.split("."))), int(row.debian), int(row.postgres)) for row in TABLE]
    for column in zip(*rows, strict=True):
        assert list(column) == sorted(column)


def test_a_set_version_overrides_the_default() -> None:
    assert completed(ProjectDraft(odoo="19.0", python="3.13")).python == "3.13"
    assert completed(ProjectDraft(odoo="saas-18.2")).postgres == series("18.0").postgres


def test_the_flat_format_drops_debian_packages() -> None:
    assert "ghostscript" in new_project.dropped_in_flat(EVERY_KEY)[0]
    assert new_project.dropped_in_flat(ProjectDraft()) == ()


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("odoo", "19", "19.0"),
        ("odoo", " 18.0 ", "18.0"),
        ("odoo", "saas-18.2", "saas-18.2"),
        ("python", "3.12", "3.12"),
        ("postgres", "16", "16"),
    ],
)
def test_versions(kind: str, text: str, expected: str) -> None:
    assert new_project.version(kind, text) == expected


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("odoo", "new"),
        ("odoo", "8.0"),
        ("odoo", "master"),
        ("odoo", ""),
        ("python", "3"),
        ("python", "3.11\n4"),
        ("postgres", "latest"),
    ],
)
def test_an_invalid_version_is_refused(kind: str, text: str) -> None:
    with pytest.raises(DescriptionError):
        new_project.version(kind, text)


def test_dependencies() -> None:
    assert new_project.dependency("  https://x.y/a.git \t 18.0 ") == "https://x.y/a.git 18.0"
    assert new_project.dependency("https://${TOKEN}@x.y/a.git") == "https://${TOKEN}@x.y/a.git"
    for text in ("../a", "ext::sh", "-x", "https://x.y/a.git a b c"):
        with pytest.raises(DescriptionError):
            new_project.dependency(text)


@pytest.mark.parametrize(("text", "expected"), [("addons", "addons"), ("./mine/", "mine"), (".", ""), ("", "")])
def test_folders(text: str, expected: str) -> None:
    assert new_project.folder(text) == expected


@pytest.mark.parametrize("text", ["a/b", "..", "/srv", ".git", "-x", "a b"])
def test_a_folder_where_add_ons_are_not_found_is_refused(text: str) -> None:
    with pytest.raises(DescriptionError, match="one folder below"):
        new_project.folder(text)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ".env\n.venv/\n__pycache__/\n"),
        ("*.pyc\n", "*.pyc\n.env\n.venv/\n__pycache__/\n"),
        ("*.pyc", "*.pyc\n.env\n.venv/\n__pycache__/\n"),
        ("/.env\r\n", "/.env\r\n.venv/\r\n__pycache__/\r\n"),
        ("__pycache__\n.venv\n.env\n", "__pycache__\n.venv\n.env\n"),
        ("# .env\n", "# .env\n.env\n.venv/\n__pycache__/\n"),
    ],
)
def test_gitignore(before: str | None, after: str) -> None:
    assert gitignore_text(before) == after
    assert gitignore_text(after) == after


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (new_project.TASKS_PY, True),
        ("import odpm_tasks\n", True),
        ("if True:\n    from odpm_tasks.project import Project\n", True),
        ("# odpm_tasks\nfrom invoke import task\n", False),
        ("from odpm_tasks_of_mine import x\n", False),
    ],
)
def test_uses_odpm(text: str, expected: bool) -> None:
    assert uses_odpm(text) == expected


def test_the_series_of_add_ons_is_the_most_frequent_one() -> None:
    versions = [
        "{'version': '17.0.1.0.0'}",
        '{"version": "18.0.2.0.1"}',
        "{'version' : '18.0.1.0'}",
        "{'version': '1.0'}",
        "",
        "{'version': '99.0.1.0.0'}",
    ]
    assert series_of_addons(versions) == "18.0"
    assert series_of_addons(["{}"]) == ""


def test_init_is_a_public_task() -> None:
    assert callable(odpm_tasks.init)
    assert "init" in odpm_tasks.__all__
    assert not (Path(odpm_tasks.__file__).parent / "init.py").exists()
