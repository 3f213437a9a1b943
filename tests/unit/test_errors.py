"""Error messages on a terminal: wrapped between words at any width."""

from __future__ import annotations

import pytest

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
