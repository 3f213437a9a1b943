"""Numbers with their noun, sizes, shortened lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.text import clean, cut, decoded, limited, plural, printable_json, size, unstyled


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (plural(0, "commit"), "0 commits"),
        (plural(1, "commit"), "1 commit"),
        (plural(2, "commit"), "2 commits"),
        (plural(1, "stash", "stashes"), "1 stash"),
        (plural(2, "stash", "stashes"), "2 stashes"),
    ],
)
def test_a_number_with_its_noun(text: str, words: str) -> None:
    assert text == words


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0 kB"),
        (1, "1 kB"),
        (1000, "1 kB"),
        (1001, "2 kB"),
        (999_999, "1000 kB"),
        (1_000_000, "1.0 MB"),
        (3_400_000, "3.4 MB"),
        (999_900_000, "999.9 MB"),
        (1_000_000_000, "1.0 GB"),
        (1_200_000_000, "1.2 GB"),
    ],
)
def test_sizes(number: int, text: str) -> None:
    assert size(number) == text


def test_a_cut_is_marked_and_no_longer_than_allowed() -> None:
    assert cut("x" * 100) == "x" * 100
    assert cut("x" * 101) == "x" * 99 + "…"
    assert cut("abcdef", 4) == "abc…"


def test_control_characters_become_blanks() -> None:
    assert clean("\x1b[1ma\nb\t") == "[1ma b"
    assert cut("a\nb") == "a b"


def test_unstyled_text_is_unchanged() -> None:
    assert unstyled("a", "bold") == "a"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_a_byte_order_mark_says_how_a_file_is_encoded(encoding: str) -> None:
    assert decoded("lxml==5  # é\r\n".encode(encoding)) == "lxml==5  # é\r\n"
    assert decoded(b"\xfe\xff\x00a") == "a"
    assert decoded(b"caf\xe9") == "caf\ufffd"


@given(st.text())
def test_json_that_is_printed_stays_the_same_value(text: str) -> None:
    shown = printable_json(json.dumps({text: [text]}, indent=2, ensure_ascii=False))
    assert json.loads(shown) == {text: [text]}
    assert all(char.isprintable() or char == "\n" for char in shown)


def test_texts_above_a_limit_are_counted() -> None:
    assert limited(["a", "b"], 2) == ("a", "b")
    assert limited(["a", "b", "c"], 1) == ("a", "… and 2 more warnings")
