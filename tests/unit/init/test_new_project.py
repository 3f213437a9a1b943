"""The files of a new project: whole texts, defaults by series, and what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

import odpm_tasks
from odpm_tasks.core.init import new_project
from odpm_tasks.core.init.new_project import ProjectDraft, filled, gitignore_text, manifest_text, series_of, uses_odpm
from odpm_tasks.core.manifest.reader import problems, read_manifest
from odpm_tasks.core.odoo import series, series_defaults
from odpm_tasks.errors import DescriptionError

EVERYTHING = ProjectDraft(
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


def test_the_flat_file_of_everything() -> None:
    assert manifest_text(filled(EVERYTHING), 1) == (
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


def test_the_nested_file_of_everything() -> None:
    assert manifest_text(filled(EVERYTHING), 2) == (
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
@pytest.mark.parametrize("name", series_defaults.TABLE)
def test_every_series_gives_a_description_without_problem_or_warning(name: str, schema: int) -> None:
    text = manifest_text(filled(ProjectDraft(odoo=name)), schema)
    assert problems(text, lambda name: None) == ((), ())
    manifest = read_manifest(text, lambda name: None).manifest
    row = series_defaults.defaults(name)
    assert (manifest.odoo_version, manifest.python, manifest.postgres) == (name, row.python, row.postgres)
    assert manifest.distro_version == row.debian


def test_the_table_has_every_series_and_they_never_go_back() -> None:
    assert list(series_defaults.TABLE) == [row.name for row in series.TABLE]
    assert list(series_defaults.TABLE)[-1] == series_defaults.NEWEST
    rows = [
        (tuple(map(int, row.python.split("."))), int(row.debian), int(row.postgres))
        for row in series_defaults.TABLE.values()
    ]
    for column in zip(*rows, strict=True):
        assert list(column) == sorted(column)


def test_what_is_said_wins_over_the_default() -> None:
    assert filled(ProjectDraft(odoo="19.0", python="3.13")).python == "3.13"
    assert filled(ProjectDraft(odoo="saas-18.2")).postgres == series_defaults.TABLE["18.0"].postgres


def test_only_the_flat_format_loses_debian_packages() -> None:
    assert "ghostscript" in new_project.lost_in_flat(EVERYTHING)[0]
    assert new_project.lost_in_flat(ProjectDraft()) == ()


@pytest.mark.parametrize(
    ("kind", "text", "wanted"),
    [
        ("odoo", "19", "19.0"),
        ("odoo", " 18.0 ", "18.0"),
        ("odoo", "saas-18.2", "saas-18.2"),
        ("python", "3.12", "3.12"),
        ("postgres", "16", "16"),
    ],
)
def test_versions(kind: str, text: str, wanted: str) -> None:
    assert new_project.version(kind, text) == wanted


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
def test_what_is_no_version_is_refused(kind: str, text: str) -> None:
    with pytest.raises(DescriptionError):
        new_project.version(kind, text)


def test_dependencies() -> None:
    assert new_project.dependency("  https://x.y/a.git \t 18.0 ") == "https://x.y/a.git 18.0"
    assert new_project.dependency("https://${TOKEN}@x.y/a.git") == "https://${TOKEN}@x.y/a.git"
    for text in ("../a", "ext::sh", "-x", "https://x.y/a.git a b c"):
        with pytest.raises(DescriptionError):
            new_project.dependency(text)


@pytest.mark.parametrize(("text", "wanted"), [("addons", "addons"), ("./mine/", "mine"), (".", ""), ("", "")])
def test_folders(text: str, wanted: str) -> None:
    assert new_project.folder(text) == wanted


@pytest.mark.parametrize("text", ["a/b", "..", "/srv", ".git", "-x", "a b"])
def test_folders_where_add_ons_are_not_found(text: str) -> None:
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
    ("text", "wanted"),
    [
        (new_project.TASKS_PY, True),
        ("import odpm_tasks\n", True),
        ("if True:\n    from odpm_tasks.project import Project\n", True),
        ("# odpm_tasks\nfrom invoke import task\n", False),
        ("from odpm_tasks_of_mine import x\n", False),
    ],
)
def test_whether_a_tasks_py_brings_our_tasks(text: str, wanted: bool) -> None:
    assert uses_odpm(text) == wanted


def test_the_series_of_add_ons_is_that_of_most() -> None:
    versions = [
        "{'version': '17.0.1.0.0'}",
        '{"version": "18.0.2.0.1"}',
        "{'version' : '18.0.1.0'}",
        "{'version': '1.0'}",
        "",
        "{'version': '99.0.1.0.0'}",
    ]
    assert series_of(versions) == "18.0"
    assert series_of(["{}"]) == ""


def test_it_is_a_public_task() -> None:
    assert callable(odpm_tasks.init)
    assert "init" in odpm_tasks.__all__
    assert not (Path(odpm_tasks.__file__).parent / "init.py").exists()
