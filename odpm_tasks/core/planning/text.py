"""A plan as a picture: its steps by phase, what would change in colour, what stays as it is folded to a number."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from odpm_tasks.core.planning.commits import Move
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.planning.step_text import HEAD, LineStyle, step_lines
from odpm_tasks.core.planning.steps import Action, Plan, Step, by_phase
from odpm_tasks.core.sources.commits import Commit
from odpm_tasks.errors import printable

_WIDEST_TARGET = 36
_SHOWN = 20  # commits of one repository
_INDENT = " " * 6
_COUNTED: tuple[Action, ...] = ("create", "update", "run", "pending")
_DIFF = {"+": "create", "-": "bad", "@": "run"}


def plan_lines(
    plan: Plan, style: LineStyle, *, verbose: bool = False, diff: bool = False, moves: Mapping[Step, Move] | None = None
) -> list[str]:
    """The lines of a plan. `every`: also what is kept or skipped, a line each; `diff`: below each step how it changes."""
    shown = [step for step in plan.steps if verbose or step.acts or step.refused]
    detailed = [len(printable(step.target)) for step in shown if step.target and step.detail]
    fitting = [length for length in detailed if length <= _WIDEST_TARGET]
    ids = max((len(step.id) for step in shown), default=0)
    style = replace(style, ids=ids, targets=max(fitting, default=0))
    lines = [*_heading(plan, style), ""]
    for name, steps in by_phase(plan.steps).items():
        body: list[str] = []
        for step in steps:
            if verbose or step.acts or step.refused:
                body += step_lines(step, style)
                body += _how(plan, step, (moves or {}).get(step), style) if diff and step.acts else []
        heading, later = ("", []) if verbose else _folded(steps, style)
        lines += [f"{style.paint(f'{name:<7}', 'bold')}  {heading}".rstrip(), *body, *later]
    return lines


def _heading(plan: Plan, style: LineStyle) -> list[str]:
    """The scenario and how much is to be done; in two lines where one is too long."""
    counts = Counter(step.action for step in plan.steps if step.acts or step.action == "pending")
    said = {
        action: f"{counts[action]} pending" if action == "pending" else f"{counts[action]} to {action}"
        for action in _COUNTED
        if counts[action]
    }
    summary = ", ".join(said.values()) or "nothing to do, everything is as described"
    painted = ", ".join(style.paint(text, action) for action, text in said.items()) or summary
    name = f"{style.paint('plan', 'bold')}  {plan.observed.scenario.name}"
    fits = style.width is None or len(f"plan  {plan.observed.scenario.name}  {summary}") <= style.width
    return [f"{name}  {painted}"] if fits else [name, f"  {painted}"]


def _folded(steps: Sequence[Step], style: LineStyle) -> tuple[str, list[str]]:
    """What a phase's heading says of the steps without a line of their own, and lines for what is known later."""
    words = {"keep": "kept", "skip": "skipped"}
    counts = {said: sum(s.action == action and not s.refused for s in steps) for action, said in words.items()}
    heading = style.paint(", ".join(f"{count} {said}" for said, count in counts.items() if count), "keep")
    waiting = [step for step in steps if step.action == "pending"]
    if len(waiting) == len(steps) and len({step.detail for step in steps}) == 1:
        return style.paint(f"? {printable(steps[0].detail)}", "pending"), []
    lines: list[str] = []
    for detail, group in groupby(waiting, key=lambda step: step.detail):
        ids = list(dict.fromkeys(step.id for step in group))
        several = f"{ids[0]} … {ids[-1]}" if len(ids) > 1 else ids[0]
        lines += step_lines(Step(several, "pending", "", detail), replace(style, ids=max(style.ids, len(several))))
    return heading, lines


def _how(plan: Plan, step: Step, move: Move | None, style: LineStyle) -> list[str]:
    """What stands below a step: the difference of its file, the commits of its repository."""
    if move is not None:
        return [f"{_INDENT}{line}" for line in _commits(move, style)]
    return [
        _INDENT + (style.paint(printable(text), _DIFF[text[0]]) if text[:1] in _DIFF else printable(text))
        for text in file_diff(plan, step)
    ]


def file_diff(plan: Plan, step: Step) -> list[str]:
    """The unified difference of a generated file from what lies there to what is described; empty for any other step."""
    if not isinstance(plan.observed, RenderedState):
        return []
    rendered = plan.observed.rendered
    if rendered.steps.get(step.target) != step.id:
        return []
    old = plan.observed.current.get(step.target)
    was, is_ = ((data or b"").decode(errors="replace").splitlines() for data in (old, rendered.files[step.target]))
    before = "/dev/null" if old is None else f"a/{step.target}"
    return list(difflib.unified_diff(was, is_, before, f"b/{step.target}", lineterm=""))


def _commits(move: Move, style: LineStyle) -> list[str]:
    lines = [style.paint(f"- {_commit(move.old, style)}", "bad")] if move.old else []
    lines.append(style.paint(f"+ {_commit(move.new, style)}", "create"))
    if move.between is None:
        return [*lines, "  what lies between is not on this machine"] if move.old else lines
    if move.between.rewritten:
        lines.append("  the branch was rewritten: the old commit does not lead to the new one")
    rest = [commit for commit in move.between.commits if commit.id != move.new.id]
    lines += [f"  {_commit(commit, style)}" for commit in rest[:_SHOWN]]
    left = move.between.count - min(len(rest), _SHOWN) - 1
    return [*lines, f"  … and {left} more"] if left > 0 else lines


def _commit(commit: Commit, style: LineStyle) -> str:
    subject = printable(commit.subject) if commit.date else "not on this machine yet"
    text = f"{commit.id[:8]}  {commit.date:<10}  {subject}" if commit.date else f"{commit.id[:8]}  {subject}"
    room = 10_000 if style.width is None or style.full else max(style.width - len(_INDENT) - 2, HEAD + 10)
    return text if len(text) <= room else f"{text[: room - 1]}…"
