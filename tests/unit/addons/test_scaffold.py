"""`mod.scaffold`: valid files for each series, templates of the project, nothing is overwritten."""

from __future__ import annotations

import ast
import csv
import tomllib
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from odpm_tasks.addons.scaffold import create
from odpm_tasks.core.addons.scaffold import NewAddon, check_destination, check_name
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.config.settings import Settings
from odpm_tasks.core.odoo.addons import read_module
from odpm_tasks.errors import DataLossError, DescriptionError, UsageError


@pytest.fixture
def paths(tmp_path: Path) -> ProjectPaths:
    return ProjectPaths(tmp_path, tmp_path / "cache", Settings(()))


@pytest.mark.parametrize(("series", "view"), [("16.0", "tree"), ("17.0", "tree"), ("18.0", "list"), ("19.0", "list")])
def test_every_file_is_valid(paths: ProjectPaths, series: str, view: str) -> None:
    addon = NewAddon("sale_limit", series, ("sale", "web"), 'A "limit" & more', "Ann O'Nym")
    folder = create(paths, addon, "addons")
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {
        "__init__.py", "__manifest__.py", "models/__init__.py", "models/sale_limit.py", "pyproject.toml",
        "readme/DESCRIPTION.md", "security/ir.model.access.csv", "tests/__init__.py", "tests/test_sale_limit.py",
        "views/sale_limit_views.xml",
    }  # fmt: skip
    for path in folder.rglob("*.py"):
        ast.parse(path.read_text(encoding="utf-8"))
    module = read_module("sale_limit", (folder / "__manifest__.py").read_bytes())
    assert module is not None
    assert (module.version, module.depends, module.summary) == (f"{series}.1.0.0", ("sale", "web"), 'A "limit" & more')
    root = ET.parse(folder / "views/sale_limit_views.xml").getroot()
    assert root.find(f".//arch/{view}") is None
    assert len(root.findall(f".//{view}")) == 1
    rows = list(csv.DictReader((folder / "security/ir.model.access.csv").read_text("utf-8").splitlines()))
    assert rows[0]["model_id:id"] == "model_sale_limit"
    assert tomllib.loads((folder / "pyproject.toml").read_text("utf-8"))["build-system"]
    assert (folder.stat().st_mode & 0o777) == 0o755


def test_templates_of_the_project_replace_all(paths: ProjectPaths) -> None:
    own = paths.odpm / "templates/addon"
    (own / "data").mkdir(parents=True)
    (own / "__manifest__.py.j2").write_text('{"name": "{{ addon.title }}"}\n', encoding="utf-8")
    (own / "data/__name__.txt").write_text("{{ unchanged }}\n", encoding="utf-8")
    folder = create(paths, NewAddon("my_addon", "19.0"), "")
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == {
        "__manifest__.py",
        "data/my_addon.txt",
    }
    assert (folder / "data/my_addon.txt").read_text("utf-8") == "{{ unchanged }}\n"
    assert (folder / "__manifest__.py").read_text("utf-8") == '{"name": "My addon"}\n'


def test_an_invalid_template_leaves_nothing(paths: ProjectPaths) -> None:
    (paths.odpm / "templates/addon").mkdir(parents=True)
    (paths.odpm / "templates/addon/x.j2").write_text("{{ addon.nothing }}", encoding="utf-8")
    with pytest.raises(DescriptionError, match=r"cannot render"):
        create(paths, NewAddon("my_addon", "19.0"), "addons")
    assert not (paths.root / "addons/my_addon").exists()


def test_what_exists_is_kept(paths: ProjectPaths) -> None:
    (paths.root / "addons/my_addon").mkdir(parents=True)
    with pytest.raises(DataLossError, match="this folder exists"):
        create(paths, NewAddon("my_addon", "19.0"), "addons")


@pytest.mark.parametrize("name", ["", "My-Mod", "1st", "a__b", "tail_", "../x", "a" * 61, "ä"])
def test_names_that_odoo_refuses(name: str) -> None:
    with pytest.raises(DescriptionError, match="is not a name for an add-on"):
        check_name(name)


@pytest.mark.parametrize(
    "words",
    [
        ["shop", "addons"],
        ["shop", "/src/project/addons/"],
        ["-t", "theme", "shop", "./addons"],
        ["shop", "addons/more"],
    ],
)
def test_odoo_s_scaffold_writes_into_folders_of_the_project(words: list[str]) -> None:
    assert check_destination(words, "/src/project", {"addons": "/src/project/addons"}) == "/src/project"
    assert check_destination(["shop"], "/src/project", {"": "/src/project"}) == "/src/project"


@pytest.mark.parametrize(
    "words", [["shop"], ["shop", "addons2"], ["shop", "/tmp"], ["-t", "addons", "shop"], ["shop", "addons/.."]]
)
def test_odoo_s_scaffold_is_refused_where_its_files_would_be_lost(words: list[str]) -> None:
    with pytest.raises(UsageError) as caught:
        check_destination(words, "/src/project", {"addons": "/src/project/addons"})
    assert caught.value.todo == "inv exec -- odoo scaffold shop addons"
    with pytest.raises(UsageError) as caught:
        check_destination(words, "/src/project", {})
    assert caught.value.todo == "inv mod.scaffold shop"
