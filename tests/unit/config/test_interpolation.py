"""`${NAME}`, `${NAME:-default}`, `$$`, and similar texts that are literal."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.config.interpolation import VariableReference, escape, expand, missing, references
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


def test_the_error_names_field_and_variables() -> None:
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
        ("${Z} ${NO:-${X}}", ("Z", "X")),
        ("${Y:-${X} ${Z:-${W}", ("X", "W")),
        ("$${NO}", ()),
    ],
)
def test_missing(text: str, names: tuple[str, ...]) -> None:
    assert missing(text, VALUES.get) == names


def test_references() -> None:
    assert references("${A}$${B} ${C:-x${D}} ${E:-}") == (
        VariableReference("A"),
        VariableReference("C", "x${D}"),
        VariableReference("D"),
        VariableReference("E", ""),
    )


@given(st.text())
def test_escape_round_trip(text: str) -> None:
    assert expand(escape(text), lambda name: None, "here") == text


@given(st.text("${}:-A b"))
def test_only_unset_variables_fail(text: str) -> None:
    if missing(text, VALUES.get):
        with pytest.raises(DescriptionError):
            expand(text, VALUES.get, "here")
    else:
        expand(text, VALUES.get, "here")


def test_deep_nesting() -> None:
    deep = "${NO:-" * 20_000 + "x"
    assert expand(deep, VALUES.get, "here") == deep
    assert expand(deep + "}" * 20_000, VALUES.get, "here") == "x"


@given(st.text(), st.dictionaries(st.from_regex(r"[A-Z_][A-Z0-9_]{0,3}", fullmatch=True), st.text()))
def test_any_text_with_any_values(text: str, values: dict[str, str]) -> None:
    unset = missing(text, values.get)
    assert {*unset} <= {reference.name for reference in references(text)}
    try:
        expand(text, values.get, "here")
    except DescriptionError:
        assert unset
    else:
        assert not unset


@given(st.lists(st.tuples(st.text(), st.from_regex(r"[A-Z_]{1,4}", fullmatch=True), st.text())))
def test_inserted_values_are_not_expanded(parts: list[tuple[str, str, str]]) -> None:
    values = {name: value for _, name, value in parts}
    text = "".join(f"{escape(plain)}${{{name}}}" for plain, name, _ in parts)
    assert expand(text, values.get, "here") == "".join(plain + values[name] for plain, name, _ in parts)
    defaulted = "".join(f"${{NO_{name}:-{escape(plain)}}}" for plain, name, _ in parts if "}" not in plain)
    expected = "".join(plain for plain, _, _ in parts if "}" not in plain)
    assert expand(defaulted, values.get, "here") == expected
