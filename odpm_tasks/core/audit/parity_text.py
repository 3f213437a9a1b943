"""A comparison of images as text and as JSON."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from odpm_tasks.core.audit.census import Census
from odpm_tasks.core.audit.parity import Difference, items
from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, clean, cut, plural, unstyled

SHOWN = 30  # differences per kind in the text; the JSON has all
_LONGEST = 48


@dataclass(frozen=True)
class Comparison:
    """The compared images: label -> name, label -> census, and the differences. `platforms`: they are for different processors."""

    names: Mapping[str, str]
    censuses: Mapping[str, Census]
    differences: tuple[Difference, ...]
    platforms: bool = False

    @property
    def failing(self) -> tuple[Difference, ...]:
        return tuple(each for each in self.differences if not each.reason)

    @property
    def explained(self) -> tuple[Difference, ...]:
        return tuple(each for each in self.differences if each.reason)


def as_text(comparison: Comparison, paint: Paint = unstyled, *, verbose: bool = False) -> str:
    """One line if the images are equal, else a table of the differences with a column per image.

    Explained differences are one line; `verbose`: a table with the reasons.
    """
    explained = comparison.explained
    if not comparison.failing:
        lines = [summary(comparison)]
    else:
        lines = [f"{label}  {name}" for label, name in _aligned(comparison.names.items()) if label.strip() != name]
        lines += [*([""] if lines else []), *_table(comparison, comparison.failing, paint)]
        if explained:
            lines += ["", _explained(comparison)]
    if explained and not verbose:
        lines[-1] += paint("  (--verbose shows them)", "dim")
    if explained and verbose:
        lines += ["", *_table(comparison, explained, paint)]
    return "\n".join(lines)


def summary(comparison: Comparison) -> str:
    """The numbers of compared items and of explained differences."""
    found = [items(census, platforms=comparison.platforms) for census in comparison.censuses.values()]
    kinds = [kind for kind, _ in {item for each in found for item in each}]
    number = {word: sum(1 for kind in kinds if kind.endswith(word)) for word in ("package", "font", "add-on")}
    what = "platform" if comparison.platforms else "image"
    parts = [plural(len(comparison.censuses), what), *(plural(count, word) for word, count in number.items())]
    some = f"; {_explained(comparison)}" if comparison.explained else ""
    return f"parity: {', '.join(parts)}{some}"


def _explained(comparison: Comparison) -> str:
    by = "platform" if comparison.platforms else "scenario"
    return f"{plural(len(comparison.explained), 'difference')} explained by the {by}"


def _table(comparison: Comparison, rows: Sequence[Difference], paint: Paint) -> list[str]:
    """A table with the columns kind, name, one per image, reason."""
    kinds = dict.fromkeys(row.kind for row in rows)
    lines: list[tuple[str, ...]] = [("", "", *(cut(name, _LONGEST) for name in comparison.names), "")]
    rest = []
    for kind in kinds:
        alike = [row for row in rows if row.kind == kind]
        lines += [(row.kind, clean(row.name), *map(_value, row.values), row.reason) for row in alike[:SHOWN]]
        if len(alike) > SHOWN:
            rest.append(f"… and {len(alike) - SHOWN} more: {kind}")
    head, *body = ["  ".join(cells).rstrip() for cells in _aligned(lines)]
    return [paint(head, "dim"), *body, *rest]


def _aligned(lines: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """The cells padded to the width of their column, except the last column."""
    rows = list(lines)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [(*(f"{cell:<{width}}" for cell, width in zip(row[:-1], widths, strict=False)), row[-1]) for row in rows]


def _value(value: str | None) -> str:
    return "–" if value is None else cut(value, _LONGEST) or '""'


def as_json(comparison: Comparison) -> str:
    """The comparison as data::

    {"equal": bool (true: all differences are explained),
     "images": [{"label", "name"}],
     "differences": [{"what", "name", "values": {label: text | null (absent)}, "reason": text | null (not explained)}]}
    """
    data = {
        "equal": not comparison.failing,
        "images": [{"label": label, "name": name} for label, name in comparison.names.items()],
        "differences": [
            {
                "what": each.kind,
                "name": each.name,
                "values": dict(zip(comparison.names, each.values, strict=True)),
                "reason": each.reason or None,
            }
            for each in comparison.differences
        ],
    }
    return report(data)
