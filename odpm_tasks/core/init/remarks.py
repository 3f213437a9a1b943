"""Remarks of a conversion: what was not converted, the most important first, and a short form for the terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from enum import IntEnum
from typing import Self

from odpm_tasks.core.text import plural

SHORT = 15  # remarks in the short form


class Importance(IntEnum):
    """The order of remarks."""

    LOST = 0  # the new project lacks it
    ACTION = 1  # the user has to set, move or check something
    NOTE = 2  # nothing to do: odpm does it in another way


HEADINGS = {
    Importance.LOST: "not converted",
    Importance.ACTION: "to do",
    Importance.NOTE: "different, nothing to do",
}


class Remark(str):
    """One line about a setting, with the reason.

    `summary`: the line that replaces several remarks with the same summary; `{}` in it is their number.
    """

    __slots__ = ("importance", "summary")
    importance: Importance
    summary: str

    def __new__(cls, text: str, importance: Importance = Importance.LOST, summary: str = "") -> Self:
        remark = super().__new__(cls, text)
        remark.importance, remark.summary = importance, summary
        return remark


def action(text: str) -> Remark:
    return Remark(text, Importance.ACTION)


def note(text: str, summary: str = "") -> Remark:
    return Remark(text, Importance.NOTE, summary)


def ordered(lines: Iterable[str]) -> tuple[Remark, ...]:
    """The lines as remarks, each once, by importance; plain text is something that was lost."""
    remarks = (line if isinstance(line, Remark) else Remark(line) for line in dict.fromkeys(lines))
    return tuple(sorted(remarks, key=lambda remark: remark.importance))


def report(remarks: Iterable[Remark]) -> str:
    """All remarks below their headings."""
    return "".join(f"{line}\n" for line in _with_headings(list(remarks)))


def short_report(remarks: Iterable[Remark], most: int = SHORT) -> tuple[list[str], int]:
    """The lines below their headings, at most `most` remarks; and the number of remarks that are not among them.

    Several remarks with the same summary become one line.
    """
    everything = list(remarks)
    counts = Counter(remark.summary for remark in everything if remark.summary)
    merged = [
        Remark(remark.summary.format(counts[remark.summary]), remark.importance)
        if counts[remark.summary] > 1
        else remark
        for remark in everything
    ]
    lines = list(dict.fromkeys(merged))
    shown = lines[:most]
    return _with_headings(shown, everything), len(lines) - len(shown)


def _with_headings(remarks: list[Remark], counted: list[Remark] | None = None) -> list[str]:
    counts = Counter(remark.importance for remark in counted or remarks)
    lines = []
    for importance, heading in HEADINGS.items():
        found = [f"  {remark}" for remark in remarks if remark.importance is importance]
        lines += [f"{heading} ({counts[importance]}):", *found] if found else []
    return lines


def omitted(count: int, path: str) -> str:
    """The line that says where the other remarks are."""
    return f"  … and {plural(count, 'more line')}: {path}"
