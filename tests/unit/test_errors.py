"""Messages and results on a terminal: wrapped between words at any width."""

from __future__ import annotations

import pytest

from odpm_tasks.adapters.terminal import broken
from odpm_tasks.errors import OdpmError, UsageError, wrapped

LONG = UsageError(
    "the volume shop_db-developer holds data of PostgreSQL 15, and odpm.json asks for 16, which cannot read it",
    where="odpm.json: postgres",
    details=[
        "services.a-service-with-a-name.environment.A_VARIABLE_WITH_A_NAME: the variable is not set, and has no default"
    ],
    todo="write 15 there to keep the data; docs/troubleshooting.md says how to move it to the other version with a dump",
)


@pytest.mark.parametrize("width", [160, 80, 40])
def test_a_line_breaks_between_words_and_is_indented_below_its_text(width: int) -> None:
    text = LONG.render()
    lines = [part for line in text.split("\n") for part in wrapped(line, width)]
    assert " ".join(lines).split() == text.split()
    assert all(len(line) <= width or " " not in line.strip() for line in lines)


def test_the_rest_of_a_line_is_indented_below_its_text() -> None:
    assert wrapped("  next:  inv up --free-ports chooses others", 30) == [
        "  next:  inv up --free-ports",
        "         chooses others",
    ]
    assert wrapped("odpm: one two three", 12) == ["odpm: one", "      two", "      three"]
    assert wrapped("warning  one two three", 15) == ["warning  one", "         two", "         three"]
    assert wrapped("one two three", 9) == ["one two", "  three"]


def test_a_path_that_is_longer_than_a_line_stays_whole() -> None:
    path = "/srv/" + "a" * 60
    assert path in wrapped(f"  where: the folder {path}", 40)[-1]


def test_without_a_terminal_a_message_is_not_wrapped() -> None:
    error: OdpmError = LONG
    assert error.message == error.render()


def test_a_result_is_continued_below_its_last_column() -> None:
    assert broken("service  odoo  running  8069->8069 8072->8072", 38) == [
        "service  odoo  running  8069->8069",
        "                        8072->8072",
    ]
    assert broken("skipped  no browser: shop TestA.test_a, shop TestB.test_b", 30) == [
        "skipped  no browser: shop",
        "         TestA.test_a, shop",
        "         TestB.test_b",
    ]
    assert broken("one  two  three and  four five", 27) == ["one  two  three and  four", "          five"]
    assert broken("no columns here", 9) == ["no", "  columns", "  here"]
    assert broken("  odpm.json/of/a/long/path", 10)[-1].endswith("odpm.json/of/a/long/path")


def test_the_style_of_a_broken_result_stays() -> None:
    assert broken("\x1b[33mskipped\x1b[0m  a b c d", 14) == ["\x1b[33mskipped\x1b[0m  a b c", "         d"]
    assert broken("\x1b[31mall of it\x1b[0m", 6) == ["\x1b[31mall of\x1b[0m", "\x1b[31m  it\x1b[0m"]
    assert broken("\x1b[33mskipped\x1b[0m  a", 10) == ["\x1b[33mskipped\x1b[0m  a"]
