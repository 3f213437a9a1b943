"""A comparison of images as text for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from odpm_tasks.core.audit.census import Census
from odpm_tasks.core.audit.parity import Difference, facts
from odpm_tasks.core.text import Paint, clean, cut, plural, unstyled

SHOWN = 30  # differences of one kind that people are shown; programs get all
_LONGEST = 48


@dataclass(frozen=True)
class Comparison:
    """Images by the label under which they are shown: their names, what they contain, and what differs."""

    names: Mapping[str, str]
    contents: Mapping[str, Census]
    differences: tuple[Difference, ...]

    @property
    def failing(self) -> tuple[Difference, ...]:
        return tuple(each for each in self.differences if not each.reason)

    @property
    def explained(self) -> tuple[Difference, ...]:
        return tuple(each for each in self.differences if each.reason)


def as_text(compared: Comparison, paint: Paint = unstyled, *, verbose: bool = False) -> str:
    """A line where the images are equal, else a table: what differs, and what each image has.

    What the scenarios explain is one line, `verbose`: a table with the reasons.
    """
    explained = compared.explained
    if not compared.failing:
        lines = [summary(compared)]
    else:
        lines = [f"{label}  {name}" for label, name in _aligned(compared.names.items()) if label.strip() != name]
        lines += [*([""] if lines else []), *_table(compared, compared.failing, paint)]
        if explained:
            lines += ["", _explained(explained)]
    if explained and not verbose:
        lines[-1] += paint("  (--verbose shows them)", "dim")
    if explained and verbose:
        lines += ["", *_table(compared, explained, paint)]
    return "\n".join(lines)


def summary(compared: Comparison) -> str:
    """What was compared, and that it is equal."""
    kinds = [what for what, _ in {fact for contents in compared.contents.values() for fact in facts(contents)}]
    number = {word: sum(1 for kind in kinds if kind.endswith(word)) for word in ("package", "font", "add-on")}
    parts = [plural(len(compared.contents), "image"), *(plural(count, word) for word, count in number.items())]
    some = f"; {_explained(compared.explained)}" if compared.explained else ""
    return f"parity: {', '.join(parts)}{some}"


def _explained(rows: Sequence[Difference]) -> str:
    return f"{plural(len(rows), 'difference')} explained by the scenario"


def _table(compared: Comparison, rows: Sequence[Difference], paint: Paint) -> list[str]:
    """Columns: kind, name, an image each, the reasons."""
    kinds = dict.fromkeys(row.what for row in rows)
    lines: list[tuple[str, ...]] = [("", "", *(cut(name, _LONGEST) for name in compared.names), "")]
    rest = []
    for kind in kinds:
        alike = [row for row in rows if row.what == kind]
        lines += [(row.what, clean(row.name), *map(_value, row.values), row.reason) for row in alike[:SHOWN]]
        if len(alike) > SHOWN:
            rest.append(f"… and {len(alike) - SHOWN} more: {kind}")
    head, *body = ["  ".join(cells).rstrip() for cells in _aligned(lines)]
    return [paint(head, "dim"), *body, *rest]


def _aligned(lines: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Cells filled up to the width of their column, the last ones excepted."""
    rows = list(lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(*(f"{cell:<{width}}" for cell, width in zip(row[:-1], widths, strict=False)), row[-1]) for row in rows]


def _value(value: str | None) -> str:
    return "–" if value is None else cut(value, _LONGEST) or '""'


def as_json(compared: Comparison) -> str:
    """The comparison as data::

    {"equal": bool (nothing but what the scenario explains),
     "images": [{"label", "name"}],
     "differences": [{"what", "name", "values": {label: text | null (not there)}, "reason": text | null (none: a failure)}]}
    """
    data = {
        "equal": not compared.failing,
        "images": [{"label": label, "name": name} for label, name in compared.names.items()],
        "differences": [
            {
                "what": each.what,
                "name": each.name,
                "values": dict(zip(compared.names, each.values, strict=True)),
                "reason": each.reason or None,
            }
            for each in compared.differences
        ],
    }
    return json.dumps(data, indent=2, ensure_ascii=False)
