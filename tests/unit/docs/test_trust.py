"""The page about trust: every test that it names exists, and every rule has one for each column."""

from __future__ import annotations

import ast
import re

import pytest

from tests.unit.docs.pages import PAGES, ROOT, rows

PAGE = PAGES["docs/trust.md"]
NAMES = sorted(set(re.findall(r"(tests/[\w/]+\.py)::(\w+)", PAGE.text)))


@pytest.mark.parametrize(("path", "name"), NAMES, ids=[name for _, name in NAMES])
def test_a_test_that_the_page_names_exists(path: str, name: str) -> None:
    assert (ROOT / path).exists(), path
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}, f"{path} has no {name}"


def test_every_rule_has_tests_with_and_without_trust() -> None:
    rules, tests = (rows(PAGE.section(heading)) for heading in ("## The rules", "## The tests of each rule"))
    assert len(rules) >= 11
    assert len(tests) >= 16
    for row in tests:
        assert "::" in row[1], row[0]
        assert "::" in row[2] or row[2] == "the same", row[0]
