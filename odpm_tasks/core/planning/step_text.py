"""A step as a line: the same words when it is announced and when it is done.

Targets and details were partly written by others (names of add-ons, subjects, hooks): control characters go before people
see them.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from odpm_tasks.core.planning.steps import Step
from odpm_tasks.core.text import Paint, unstyled
from odpm_tasks.errors import printable

MARK = {"create": "+", "update": "~", "run": ">", "keep": "=", "skip": "-", "pending": "?"}
HEAD = 12  # mark and action, with the blanks around them
_HANGING = 14
_ROOM = 30  # a detail that would get less than this beside its target stands below it
_MOST = 3  # lines of one detail, where lines are cut


@dataclass(frozen=True)
class LineStyle:
    """How lines are to look. `width`: of the terminal; None: there is none, and a line is never broken nor cut.

    `ids`, `targets`: what these columns are filled up to. `whole`: break long details, and cut nothing.
    """

    paint: Paint = unstyled
    width: int | None = None
    ids: int = 19
    targets: int = 0
    full: bool = False


def step_lines(step: Step, style: LineStyle = LineStyle(), note: str = "") -> list[str]:
    """One line, or several where the terminal is too narrow for it. `note` comes last, dimmed."""
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
    """A line that does not fit: target and detail go below where they must, indented."""
    target, detail = words
    lines = [head + style.paint(label, "dim")]
    column = HEAD + max(style.ids, len(label)) + 2
    if column + len(target) <= width:
        lines[0] += " " * (column - HEAD - len(label)) + target
    else:
        lines += _wrapped(target, _HANGING, width, style)
    beside = column + max(style.targets, len(target)) + 2
    if detail and len(lines) == 1 and width - beside >= _ROOM:
        first, *rest = _wrapped(detail, beside, width, style)
        return [lines[0] + " " * (beside - column - len(target)) + first.lstrip(), *rest]
    return lines + (_wrapped(detail, _HANGING, width, style) if detail else [])


def _wrapped(text: str, indent: int, width: int, style: LineStyle) -> list[str]:
    most = None if style.full else _MOST
    room = max(width - indent, 10)
    lines = textwrap.wrap(text, room, break_on_hyphens=False, max_lines=most, placeholder=" …")
    return [" " * indent + line for line in lines]
