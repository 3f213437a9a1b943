"""A step as lines of text, the same in a plan and when it is done.

Targets and details contain text of repositories (names of add-ons, subjects, hooks): control characters are removed.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from odpm_tasks.core.planning.steps import Step
from odpm_tasks.core.text import Paint, unstyled
from odpm_tasks.errors import printable

MARK = {"create": "+", "update": "~", "run": ">", "keep": "=", "skip": "-", "pending": "?", "blocked": "!"}
HEAD = 12  # width of mark and action with the blanks around them
_HANGING = 14
_MIN_DETAIL = 30  # a detail with less room than this beside its target goes on the next line
_MAX_LINES = 3  # of one detail, where lines are cut


@dataclass(frozen=True)
class LineStyle:
    """The layout of lines. `width`: columns of the terminal; None: no terminal, lines are never wrapped or cut.

    `ids`, `targets`: minimal widths of these columns. `full`: long details are wrapped and never cut.
    """

    paint: Paint = unstyled
    width: int | None = None
    ids: int = 19
    targets: int = 0
    full: bool = False


def step_lines(step: Step, style: LineStyle = LineStyle(), note: str = "") -> list[str]:
    """The step as one line, or as several where the terminal is too narrow. `note` is appended, dimmed."""
    head = style.paint(f"  {MARK[step.action]} {step.action:<7} ", step.action)
    target, detail = printable(step.target), printable(step.detail)
    if not target:
        target, detail = detail, ""
    row = f"{step.id:<{style.ids}}  {target:<{style.targets if detail else 0}}  {detail}".rstrip()
    tail = style.paint(f"  {note}", "dim") if note else ""
    if style.width is None or HEAD + len(row) + (2 + len(note) if note else 0) <= style.width:
        label = style.paint(step.id, "dim") + " " * (style.ids - len(step.id))
        return [f"{head}{label}{row[max(style.ids, len(step.id)) :]}".rstrip() + tail]
    lines = _broken(head, step.id, (target, detail), style, style.width)
    return [*lines[:-1], lines[-1] + tail]


def _broken(head: str, label: str, words: tuple[str, str], style: LineStyle, width: int) -> list[str]:
    """A step that does not fit on one line: target and detail are wrapped and indented."""
    target, detail = words
    lines = [head + style.paint(label, "dim")]
    column = HEAD + max(style.ids, len(label)) + 2
    if column + len(target) <= width:
        lines[0] += " " * (column - HEAD - len(label)) + target
    else:
        lines += _wrapped(target, _HANGING, width, style)
    detail_column = column + max(style.targets, len(target)) + 2
    if detail and len(lines) == 1 and width - detail_column >= _MIN_DETAIL:
        first, *rest = _wrapped(detail, detail_column, width, style)
        return [lines[0] + " " * (detail_column - column - len(target)) + first.lstrip(), *rest]
    return lines + (_wrapped(detail, _HANGING, width, style) if detail else [])


def _wrapped(text: str, indent: int, width: int, style: LineStyle) -> list[str]:
    max_lines = None if style.full else _MAX_LINES
    room = max(width - indent, 10)
    lines = textwrap.wrap(text, room, break_on_hyphens=False, max_lines=max_lines, placeholder=" …")
    return [" " * indent + line for line in lines]
