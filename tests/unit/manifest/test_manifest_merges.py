"""`merges` and `oca_dependencies` in both formats of odpm.json and in that of a dependency."""

from __future__ import annotations

import json
from typing import Any

import pytest

from odpm_tasks.core.manifest.migrate import migrate
from odpm_tasks.core.manifest.reader import problems, read_dependency_manifest, read_manifest
from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.core.sources.merges import MergeRequest
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import MINIMAL

WEB = "https://github.com/OCA/web.git 19.0"
FLAT = {"odpm_version": "4.0", "odoo_version": "19.0", "dependencies": ["https://h/x", {"git": WEB, "merges": ["#1"]}]}


def entry(*merges: Any, **keys: Any) -> dict[str, Any]:
    return {"git": WEB, "merges": list(merges), **keys}


def faults(*dependencies: Any, **keys: Any) -> list[str]:
    lines, _ = problems(json.dumps({**MINIMAL, "dependencies": list(dependencies), **keys}), lambda name: None)
    return [line.partition(": ")[2] for line in lines]


def test_an_object_with_merges() -> None:
    raw = {
        **MINIMAL,
        "platform": {"git": "https://github.com/odoo/odoo.git 19.0", "merges": ["#7"]},
        "dependencies": [entry("#1", "https://${USER}@h/acme/web 19.0-fix", oca_dependencies=False), "https://h/x"],
    }
    read = read_manifest(json.dumps(raw), {"USER": "me"}.get).manifest
    assert read.platform.merges == (MergeRequest("#7"),)
    web, other = read.dependencies
    assert (web.url, web.branch, web.oca_dependencies) == ("https://github.com/OCA/web.git", "19.0", False)
    fix = parse_link("https://me@h/acme/web 19.0-fix")
    assert web.merges == (MergeRequest("#1"), MergeRequest("19.0-fix", fix))
    assert web.merges[1].link is not None
    assert web.merges[1].link.variables == {"USER"}
    assert other == Link("https://h/x")


@pytest.mark.parametrize(
    ("dependency", "expected"),
    [
        ({"git": WEB, "merge": ["#1"]}, "dependencies[0].merge: unknown key; the nearest is `merges`"),
        ({"merges": ["#1"]}, "dependencies[0].git: is required"),
        ({"git": WEB, "merges": "#1"}, "dependencies[0].merges: must be a list"),
        ({"git": WEB, "merges": [1]}, "dependencies[0].merges[0]: must be a string: put it in quotes"),
        ({"git": WEB, "oca_dependencies": "no"}, "dependencies[0].oca_dependencies: must be true or false"),
        (
            {"git": "ext::x"},
            "dependencies[0].git: link `ext::x` is refused: it would make git run a program (`helper::`)",
        ),
        (
            entry("#1", "19.0-fix"),
            "dependencies[0].merges[1]: merge `19.0-fix` is refused: it is not #N, refs/… or a link",
        ),
        (entry("#1", "#2", "refs/pull/1/head"), "dependencies[0].merges[2]: `refs/pull/1/head` occurs twice"),
        (
            {"git": "file:///srv/x", "merges": ["#1"]},
            "dependencies[0].merges: a file:// source is used as it is; merge in that folder",
        ),
        (3, "dependencies[0]: must be a string: put it in quotes"),
        ("", "dependencies[0]: must not be empty"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(dependency: Any, expected: str) -> None:
    assert faults(dependency) == [expected]


def test_every_problem_is_listed_also_beside_a_wrong_type() -> None:
    assert faults(
        entry("1", "x"),
        {"git": "ext::x", "merges": ["y"]},
        python=3,
        platform={"git": "https://h/o 19.0", "merges": ["z"]},
    ) == [
        "python: must be a string: put it in quotes",
        "platform.merges[0]: merge `z` is refused: it is not #N, refs/… or a link",
        "dependencies[0].merges[0]: merge `1` is refused: it is not #N, refs/… or a link",
        "dependencies[0].merges[1]: merge `x` is refused: it is not #N, refs/… or a link",
        "dependencies[1].git: link `ext::x` is refused: it would make git run a program (`helper::`)",
        "dependencies[1].merges[0]: merge `y` is refused: it is not #N, refs/… or a link",
    ]


def test_the_developing_project_has_no_merges() -> None:
    assert faults(developing={"git": WEB, "merges": ["#1"]}) == ["developing.merges: unknown key; known keys: git"]


def test_a_variable_that_is_not_set() -> None:
    raw = {**MINIMAL, "dependencies": [entry("https://${TOKEN}@h/acme/web 19.0-fix")]}
    with pytest.raises(DescriptionError, match=r"dependencies\[0\]\.merges\[0\]: the variable TOKEN is not set"):
        read_manifest(json.dumps(raw), lambda name: None)


def test_merges_need_odpm_5() -> None:
    raw = {**MINIMAL, "requires_odpm": "4.7.0", "dependencies": ["https://h/x", entry("#1")]}
    raw["platform"] = {**raw["platform"], "merges": ["#1"]}
    errors, warnings = problems(json.dumps(raw), lambda name: None)
    assert errors == ()
    assert [line.partition(": ")[2] for line in warnings] == [
        f"{path}: needs odpm 5.0.0, but requires_odpm is 4.7.0" for path in ("platform.merges", "dependencies[1]")
    ]


def test_the_flat_format_refuses_them_and_its_advice_works() -> None:
    errors, _ = problems(json.dumps(FLAT), lambda name: None)
    assert errors == ("line 1: dependencies[1]: an object with merges needs the nested format: inv migrate --write",)
    nested = json.loads(migrate(json.dumps(FLAT)).new_text)
    assert nested["dependencies"] == FLAT["dependencies"]
    assert nested["requires_odpm"] == "5.0.0"


def test_the_manifest_of_a_dependency_can_have_them() -> None:
    text = json.dumps({**FLAT, "dependencies": [{**entry("#1"), "later": 1}, "https://h/x"]})
    found = read_dependency_manifest(text, lambda name: None, "shop: odpm.json").dependencies
    assert [(link.name, link.merges) for link in found] == [("web", (MergeRequest("#1"),)), ("x", ())]


@pytest.mark.parametrize(
    ("dependency", "expected"),
    [
        ({"git": WEB, "merges": [1]}, "dependencies[0].merges[0]: must be a string"),
        ({"git": WEB, "merges": ["x"]}, "dependencies[0].merges[0]: merge `x` is refused"),
        ({"merges": ["#1"]}, "dependencies[0].git: is required"),
        (1, "dependencies[0]: must be a string"),
    ],
)
def test_the_manifest_of_a_dependency_with_a_wrong_entry(dependency: Any, expected: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        read_dependency_manifest(json.dumps({"dependencies": [dependency]}), lambda name: None, "shop: odpm.json")
    assert expected in str(caught.value)
