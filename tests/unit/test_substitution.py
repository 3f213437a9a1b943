"""`${NAME}`, `${NAME:-default}`, `$$`, and everything else that only looks like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.substitution import Reference, escape, expand, missing, references
from odpm_tasks.errors import DescriptionError

VALUES = {"A": "alpha", "EMPTY": "", "DOLLAR": "${A} $$"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("plain", "plain"),
        ("${A}", "alpha"),
        ("x${A}y${A}z", "xalphayalphaz"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${A:-d}", "alpha"),
        ("${NO:-}", ""),
        ("${NO:-d e:f}", "d e:f"),
        ("${NO:-${A}}", "alpha"),
        ("${NO:-<${NEITHER:-${A}}>}", "<alpha>"),
        ("${A:-${NO}}", "alpha"),
        ("${NO:-$$}", "$"),
        ("$${A}", "${A}"),
        ("$$$${A}", "$${A}"),
        ("$$${A}", "$alpha"),
        ("${DOLLAR}", "${A} $$"),
        ("$A $ $", "$A $ $"),
        ("cost: 5$", "cost: 5$"),
        ("^db$", "^db$"),
        ("${", "${"),
        ("${}", "${}"),
        ("${1A}", "${1A}"),
        ("${A-x}", "${A-x}"),
        ("${A:?x}", "${A:?x}"),
        ("${NO:-open ${A}", "${NO:-open alpha"),
        ("}{", "}{"),
    ],
)
def test_expand(text: str, expected: str) -> None:
    assert expand(text, VALUES.get, "here") == expected


def test_unset_names_field_and_variables() -> None:
    with pytest.raises(DescriptionError) as caught:
        expand("${NO}/${A}/${ALSO}/${NO}", VALUES.get, "odpm.json: dependencies[2]")
    text = str(caught.value)
    assert "NO, ALSO are not set" in text
    assert "odpm.json: dependencies[2]" in text
    assert "${NO:-default}" in text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("${NO}", ("NO",)),
        ("${NO:-${X}}", ("X",)),
        ("${A:-${X}}", ()),
        ("${X:-", ()),
        ("${Y:-${X}", ("X",)),
        ("$${NO}", ()),
    ],
)
def test_missing(text: str, names: tuple[str, ...]) -> None:
    assert missing(text, VALUES.get) == names


def test_references() -> None:
    assert references("${A}$${B} ${C:-x${D}} ${E:-}") == (
        Reference("A"),
        Reference("C", "x${D}"),
        Reference("D"),
        Reference("E", ""),
    )


@given(st.text())
def test_escape_round_trip(text: str) -> None:
    assert expand(escape(text), lambda name: None, "here") == text


@given(st.text("${}:-A b"))
def test_nothing_but_the_unset_fails(text: str) -> None:
    if missing(text, VALUES.get):
        with pytest.raises(DescriptionError):
            expand(text, VALUES.get, "here")
    else:
        expand(text, VALUES.get, "here")


def test_depth_costs_nothing() -> None:
    deep = "${NO:-" * 20_000 + "x"
    assert expand(deep, VALUES.get, "here") == deep
    assert expand(deep + "}" * 20_000, VALUES.get, "here") == "x"
