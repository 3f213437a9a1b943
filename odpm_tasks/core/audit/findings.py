"""Findings of `doctor`: values, text, and JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Literal

from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, clean, plural, unstyled
from odpm_tasks.errors import OdpmError

Level = Literal["error", "warning"]


@dataclass(frozen=True)
class Finding:
    """One finding. `code`: which check; `what`: one sentence; `evidence`: what was read; `todo`: what to type.

    An `error` prevents a task, a `warning` slows it down or may prevent it. `fixed`: `--fix` has repaired it.
    """

    code: str
    level: Level
    what: str
    evidence: str = ""
    todo: str = ""
    fixed: bool = False


def of_error(code: str, error: OdpmError, level: Level = "error") -> Finding:
    """The finding of an error that a task would end with."""
    evidence = "; ".join(filter(None, (error.where, *error.details[:1])))
    return Finding(code, level, error.what, evidence, error.todo)


def seconds_away(clock: datetime, before: float, after: float) -> float:
    """How far a clock is from that of this machine, in seconds; it was read between two times (seconds since 1970)."""
    return max(before - clock.timestamp(), clock.timestamp() - after)


def ordered(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Errors first, then warnings, each by code."""
    return tuple(sorted(findings, key=lambda one: (one.level != "error", one.code)))


def as_text(findings: Sequence[Finding], checks: int, paint: Paint = unstyled) -> str:
    """Each finding with its evidence and its command, then the number of checks."""
    lines = []
    for one in findings:
        head = f"{'fixed' if one.fixed else one.level:<8} {one.code:<12} {clean(one.what)}"
        lines.append(paint(head, "create" if one.fixed else "bad" if one.level == "error" else "warn"))
        lines += [f"{'':<21} {clean(one.evidence)}"] if one.evidence else []
        lines += [f"{'':<21} next: {clean(one.todo)}"] if one.todo and not one.fixed else []
    found = plural(len(findings), "finding") if findings else "nothing found"
    return "\n".join([*lines, f"{plural(checks, 'check')}, {found}"])


def as_json(findings: Sequence[Finding], checks: int) -> str:
    """The document of `DoctorReport`."""
    return report({"checks": checks, "findings": [asdict(one) for one in findings]})
