"""A plan as text: its steps by phase; changes in colour, kept and skipped steps as a number."""

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
_COUNTED: tuple[Action, ...] = ("create", "update", "run", "pending", "blocked")
_DIFF = {"+": "create", "-": "bad", "@": "run"}


def plan_lines(
    plan: Plan, style: LineStyle, *, verbose: bool = False, diff: bool = False, moves: Mapping[Step, Move] | None = None
) -> list[str]:
    """The lines of a plan. `verbose`: one line for each kept or skipped step, too. `diff`: below each step, how it changes."""
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
                body += _below(plan, step, (moves or {}).get(step), style) if diff and step.acts else []
        heading, pending = ("", []) if verbose else _folded(steps, style)
        lines += [f"{style.paint(f'{name:<7}', 'bold')}  {heading}".rstrip(), *body, *pending]
    return lines


def _heading(plan: Plan, style: LineStyle) -> list[str]:
    """The scenario and the number of changes; two lines where one is too long."""
    counts = Counter(step.action for step in plan.steps if step.acts or step.action == "pending")
    texts = {
        action: f"{counts[action]} {action}" if action in {"pending", "blocked"} else f"{counts[action]} to {action}"
        for action in _COUNTED
        if counts[action]
    }
    summary = ", ".join(texts.values()) or "nothing to do, everything is as described"
    painted = ", ".join(style.paint(text, action) for action, text in texts.items()) or summary
    name = f"{style.paint('plan', 'bold')}  {plan.observed.scenario.name}"
    fits = style.width is None or len(f"plan  {plan.observed.scenario.name}  {summary}") <= style.width
    return [f"{name}  {painted}"] if fits else [name, f"  {painted}"]


def _folded(steps: Sequence[Step], style: LineStyle) -> tuple[str, list[str]]:
    """The text behind a phase's name that counts the steps without a line, and the lines of its pending steps."""
    words = {"keep": "kept", "skip": "skipped"}
    counts = {word: sum(s.action == action and not s.refused for s in steps) for action, word in words.items()}
    heading = style.paint(", ".join(f"{count} {word}" for word, count in counts.items() if count), "keep")
    pending = [step for step in steps if step.action == "pending"]
    if len(pending) == len(steps) and len({step.detail for step in steps}) == 1:
        return style.paint(f"? {printable(steps[0].detail)}", "pending"), []
    lines: list[str] = []
    for detail, group in groupby(pending, key=lambda step: step.detail):
        ids = list(dict.fromkeys(step.id for step in group))
        several = f"{ids[0]} … {ids[-1]}" if len(ids) > 1 else ids[0]
        lines += step_lines(Step(several, "pending", "", detail), replace(style, ids=max(style.ids, len(several))))
    return heading, lines


def _below(plan: Plan, step: Step, move: Move | None, style: LineStyle) -> list[str]:
    """The lines below a step: the diff of its file, or the commits of its repository."""
    if move is not None:
        return [f"{_INDENT}{line}" for line in _commits(move, style)]
    return [
        _INDENT + (style.paint(printable(text), _DIFF[text[0]]) if text[:1] in _DIFF else printable(text))
        for text in file_diff(plan, step)
    ]


def file_diff(plan: Plan, step: Step) -> list[str]:
    """The unified diff of a generated file, from disk to description; empty for any other step."""
    if not isinstance(plan.observed, RenderedState):
        return []
    rendered = plan.observed.rendered
    old, new = plan.observed.current.get(step.target), rendered.files.get(step.target)
    if step.id == "ide.files":
        old, new = next(
            ((f.current, f.merged) for f in plan.observed.editor_files if f.path == step.target), (None, None)
        )
    elif rendered.steps.get(step.target) != step.id:
        return []
    was, is_ = ((data or b"").decode(errors="replace").splitlines() for data in (old, new))
    before = "/dev/null" if old is None else f"a/{step.target}"
    return list(difflib.unified_diff(was, is_, before, f"b/{step.target}", lineterm=""))


def _commits(move: Move, style: LineStyle) -> list[str]:
    lines = [style.paint(f"- {_commit(move.old, style)}", "bad")] if move.old else []
    lines.append(style.paint(f"+ {_commit(move.new, style)}", "create"))
    if move.between is None:
        return [*lines, "  the commits between are not on this machine"] if move.old else lines
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
