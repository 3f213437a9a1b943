"""The rules of the layout: folders, names, layers, and the picture of docs/develop.md."""

from __future__ import annotations

import ast
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "odpm_tasks"
FOLDERS = sorted(
    {path.parent for tree in (PACKAGE, ROOT / "tests/unit", ROOT / "tests/e2e") for path in tree.rglob("*.py")}
)


def public_classes() -> Counter[str]:
    names: Counter[str] = Counter()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names.update(node.name for node in tree.body if isinstance(node, ast.ClassDef) and node.name[0] != "_")
    return names


def contracts() -> list[dict[str, Any]]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return [contract for contract in settings["contracts"] if contract["type"] == "layers"]


def children(folder: Path) -> set[str]:
    found = {path.stem for path in folder.glob("*.py")} | {path.parent.name for path in folder.glob("*/__init__.py")}
    return found - {"__init__", "__main__"}


def test_the_root_has_at_most_eight_modules() -> None:
    assert len([*PACKAGE.glob("*.py")]) <= 8


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.relative_to(ROOT).as_posix())
def test_a_folder_has_at_most_twenty_files(folder: Path) -> None:
    assert len([path for path in folder.glob("*") if path.is_file()]) <= 20


def test_no_public_class_name_occurs_twice() -> None:
    assert {name for name, count in public_classes().items() if count > 1} == set()


def test_layers_are_at_most_eleven_and_one_contract_is_inside_core() -> None:
    inside = [contract for contract in contracts() if contract.get("containers") == ["odpm_tasks.core"]]
    assert len(contracts()) == 2
    assert len(inside) == 1
    assert all(len(contract["layers"]) <= 11 for contract in contracts())


@pytest.mark.parametrize("contract", contracts(), ids=lambda contract: contract["name"].replace(" ", "-"))
def test_every_folder_and_module_is_in_a_layer(contract: dict[str, Any]) -> None:
    named = {word.rpartition(".")[2] for layer in contract["layers"] for word in re.split(r"\s*[|:]\s*", layer)}
    assert named == children(PACKAGE / "core" if "containers" in contract else PACKAGE)


def test_the_picture_of_the_docs_shows_every_folder() -> None:
    page = (ROOT / "docs/develop.md").read_text(encoding="utf-8")
    picture = next(text for text in re.findall(r"```\n(.*?)```", page, re.DOTALL) if text.startswith("odpm_tasks/\n"))
    shown: set[str] = set()
    for block in re.split(r"\n(?=\S)", picture.strip()):
        root, *lines = block.splitlines()
        base = root.split()[0].rstrip("/")
        shown.add(base)
        for line in filter(str.strip, lines):
            names = re.match(r"  ((?:[\w.]+(?:/|\.py)\s*)+)", line)
            assert names is not None, line
            shown |= {f"{base}/{name.rstrip('/')}" for name in names[1].split()}
    templates = PACKAGE / "templates"
    folders = [path for path in [PACKAGE, *PACKAGE.rglob("*")] if path.is_dir() and templates not in path.parents]
    modules = [*PACKAGE.glob("*.py"), *(PACKAGE / "core").glob("*.py")]
    assert shown == {path.relative_to(ROOT).as_posix() for path in [*folders, *modules] if "__" not in path.name}
