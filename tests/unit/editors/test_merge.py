"""Merging values of odpm into settings of the user.

A case is a folder of `tests/golden/editors`: before.json, wanted.json, recorded.json where odpm wrote the file before, and
what has to come out, after.json. After a change that is meant: `ODPM_GOLDEN=write pytest tests/unit/editors/test_merge.py`.
"""

from __future__ import annotations

import json
import os
import random
import re
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.core.editors import jsonc, odools
from odpm_tasks.core.editors.merge import MISSING, Merge, merge
from odpm_tasks.errors import DescriptionError

GOLDEN = Path(__file__).parents[2] / "golden" / "editors"
CASES = sorted(path.parent.name for path in GOLDEN.glob("*/before.json"))


def text_of(case: str, name: str) -> str:
    return (GOLDEN / case / name).read_bytes().decode()


def values(case: str, name: str) -> Any:
    return json.loads(text_of(case, name)) if (GOLDEN / case / name).exists() else MISSING


def merged(text: str, wanted: Any, recorded: Any = MISSING) -> tuple[str, Merge]:
    result = merge(jsonc.read(text, "settings.json"), wanted, recorded)
    after = jsonc.edited(text, "settings.json", result.edits)
    assert jsonc.read(after, "settings.json") == result.value
    return after, result


@pytest.mark.parametrize("case", CASES)
def test_golden_cases(case: str) -> None:
    after, result = merged(text_of(case, "before.json"), values(case, "wanted.json"), values(case, "recorded.json"))
    if os.environ.get("ODPM_GOLDEN") == "write":
        (GOLDEN / case / "after.json").write_bytes(after.encode())
    assert after == text_of(case, "after.json")
    again, twice = merged(after, values(case, "wanted.json"), result.written)
    assert (again, twice.edits, twice.kept, twice.written) == (after, [], result.kept, result.written)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("indent", ["  ", "\t"])
def test_line_ends_and_indent_of_the_file_are_used(newline: str, indent: str) -> None:
    text = "{\n@'a': {\n@@'b': 1 // c\n@}\n}\n".replace("'", '"').replace("@", indent).replace("\n", newline)
    after, _ = merged(text, {"a": {"d": [2]}})
    expected = "{\n@'a': {\n@@'b': 1, // c\n@@'d': [\n@@@2\n@@]\n@}\n}\n"
    assert after == expected.replace("'", '"').replace("@", indent).replace("\n", newline)


@pytest.mark.parametrize("text", ["", " \n", "{}", "{ }", "{\n}", "{ // c\n}", "/* c */ {}", "{}\n// end"])
def test_an_empty_file_or_object(text: str) -> None:
    after, result = merged(text, {"a": {"b": [1, {"c": None}]}})
    assert result.value == {"a": {"b": [1, {"c": None}]}}
    assert all(comment in after for comment in ("// c", "/* c */", "// end") if comment in text)


def test_the_value_of_the_user_is_named_and_is_not_ours() -> None:
    _, result = merged('{"a": {"b": 1}, "c": [{"name": "x", "d": 2}]}', {"a": {"b": 3}, "c": [{"name": "x", "d": 4}]})
    assert result.kept == [("a", "b"), ("c", "x", "d")]
    assert result.written == {"a": {}, "c": [{"name": "x"}]}


def test_a_value_of_another_type_stays() -> None:
    text = '{"a": "text", "b": 1, "c": true}'
    after, result = merged(text, {"a": ["x"], "b": True, "c": 1})
    assert after == text
    assert result.kept == [("a",), ("b",), ("c",)]


def test_a_value_that_the_user_changed_and_deleted_is_ours_again() -> None:
    _, changed = merged('{"a": 2, "b": 1}', {"a": 1, "b": 1})
    after, _ = merged('{"b": 1}', {"a": 1, "b": 1}, changed.written)
    assert json.loads(after) == {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{\n  "a": 1\n  "b": 2\n}', "line 3, column 3: expecting ',' delimiter"),
        ('{"a": 1', "line 1, column 8"),
        ('{"a": /* open', "line 1, column 7"),
        ('{"a": 1, "a": 2}', 'the key "a" occurs twice'),
        ("{'a': 1}", "line 1, column 2"),
    ],
)
def test_broken_json_names_the_line(text: str, reason: str) -> None:
    with pytest.raises(DescriptionError) as raised:
        jsonc.read(text, ".vscode/settings.json")
    assert reason.lower() in raised.value.what.lower()
    assert raised.value.todo == "fix it, or move the file elsewhere, then: inv ide"


def blanks(chance: random.Random) -> str:
    return chance.choice(["", "", " ", "\n  ", "\r\n\t"]) + chance.choice(
        ["", "", "/* a, } */", "// b ]\n", "/* c\n */ "]
    )


def written(chance: random.Random, value: Any) -> str:
    """A value as JSON with comments, trailing commas and line ends at any place."""
    if not isinstance(value, dict | list):
        return json.dumps(value)
    named = isinstance(value, dict)
    items = [
        f"{blanks(chance)}{json.dumps(key) + ':' + blanks(chance) if named else ''}{written(chance, item)}{blanks(chance)}"
        for key, item in (value.items() if isinstance(value, dict) else enumerate(value))
    ]
    end = "," + blanks(chance) if items and chance.random() < 0.4 else ""
    return ("{%s}" if named else "[%s]") % (",".join(items) + end + blanks(chance))


def anything(chance: random.Random, depth: int = 0) -> Any:
    kind = chance.random()
    if depth == 0 or (depth < 4 and kind < 0.35):
        return {chance.choice("abcde"): anything(chance, depth + 1) for _ in range(chance.randint(0, 4))}
    if depth < 4 and kind < 0.5:
        return [{"name": f"n{i}", "v": anything(chance, depth + 2)} for i in range(chance.randint(0, 3))]
    if depth < 4 and kind < 0.7:
        return chance.sample(["p", "q", "s, ]", "// t", 'u"/*'], chance.randint(0, 4))
    return chance.choice([1, True, None, "x", "y // z", 2.5])


@pytest.mark.parametrize("seed", range(300))
def test_any_document(seed: int) -> None:
    """The text has the merged value and every comment, and a second merge changes nothing."""
    chance = random.Random(seed)
    current, wanted = anything(chance), anything(chance)
    text = blanks(chance) + written(chance, current) + blanks(chance)
    assert jsonc.read(text, "settings.json") == current
    added, result = merged(text, wanted)
    assert sorted(re.findall(r"/\* [ac].*?\*/|// b \]", added, re.DOTALL)) == sorted(
        re.findall(r"/\* [ac].*?\*/|// b \]", text, re.DOTALL)
    )
    assert merged(added, wanted, result.written)[0] == added
    moved, again = merged(added, anything(chance), result.written)
    assert jsonc.read(moved, "settings.json") == again.value


TOML = """\
# of the team
[[config]]
name = "default"  # used by the editor
addons_paths = [
    "./addons",  # ours
    "../shared",
]
diag_missing_imports = "none"

[[config]]
name = "other"
odoo_path = "/srv/odoo"
"""


def test_toml_keeps_comments_and_other_profiles() -> None:
    wanted = {"config": [{"name": "default", "odoo_path": "./o", "addons_paths": ["./addons", "./w"]}]}
    result = merge(odools.read(TOML, "odools.toml"), wanted)
    after = odools.edited(TOML, "odools.toml", result.edits)
    assert odools.read(after, "odools.toml") == result.value
    assert result.value["config"][0] == {
        "name": "default",
        "addons_paths": ["./addons", "./w", "../shared"],
        "diag_missing_imports": "none",
        "odoo_path": "./o",
    }
    assert result.value["config"][1] == {"name": "other", "odoo_path": "/srv/odoo"}
    assert all(comment in after for comment in ("# of the team", "# used by the editor", "# ours"))
    once_more = merge(odools.read(after, "odools.toml"), wanted, result.written)
    assert odools.edited(after, "odools.toml", once_more.edits) == after


def test_toml_without_a_profile_of_that_name_gets_one() -> None:
    text = '[[config]]\nname = "mine"\n'
    result = merge(odools.read(text, "odools.toml"), {"config": [{"name": "default", "odoo_path": "./o"}]})
    after = odools.edited(text, "odools.toml", result.edits)
    assert [profile["name"] for profile in odools.read(after, "odools.toml")["config"]] == ["mine", "default"]


def test_a_profile_without_a_name_is_the_default_one() -> None:
    result = merge(odools.read("[[config]]\n", "odools.toml"), {"config": [{"name": "default", "odoo_path": "./o"}]})
    assert result.value == {"config": [{"name": "default", "odoo_path": "./o"}]}


def test_broken_toml_is_refused() -> None:
    with pytest.raises(DescriptionError, match=r"odools\.toml is not valid TOML"):
        odools.read("[[config]\n", "odools.toml")
