"""The output of `inv test`: as text, failures last, and as data."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.testing.results import Result, Totals, totals
from odpm_tasks.core.text import Paint, clean, plural, unstyled

_SHOWN = 5  # tests named for one reason of skipping


@dataclass(frozen=True)
class Coverage:
    """The coverage of the project's add-ons. `percent` of `statements`; paths in the checkout."""

    percent: float
    statements: int
    xml: str
    html: str


@dataclass(frozen=True)
class TestRun:
    """The whole run. `addons`: those that were tested. `broken`: add-ons that could not be installed, with the reason.

    `kept`: databases that still exist. `files`: screenshots. `logs`: whole logs of Odoo.
    """

    addons: tuple[str, ...]
    results: tuple[Result, ...]
    seconds: float
    broken: tuple[tuple[str, str], ...] = ()
    kept: tuple[str, ...] = ()
    logs: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    coverage: Coverage | None = None

    @property
    def totals(self) -> Totals:
        return totals(self.results)

    @property
    def untested(self) -> tuple[str, ...]:
        """The chosen add-ons of which no test ran or was skipped."""
        ran = {result.test.addon for result in self.results}
        return tuple(name for name in self.addons if name not in ran and name not in dict(self.broken))


TestRun.__test__ = False  # type: ignore[attr-defined]


def repeat(result: Result) -> str:
    """The command that repeats a test."""
    return f"inv test --tags '{result.test.tag}'"


def as_text(run: TestRun, paint: Paint = unstyled) -> list[str]:
    """The lines for people: what was skipped and why, files, the numbers, then each failure with the command that repeats it."""
    lines = []
    for reason, names in _by_reason(run.results):
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        lines.append(
            f"{paint('skipped', 'warn')}  {clean(reason) or 'without a reason'}: {', '.join(names[:_SHOWN])}{more}"
        )
    shown = {file for result in run.results if result.bad for file in result.pictures}
    lines += [f"screenshot  {file}" for file in run.files if file not in shown]
    if run.coverage:
        lines.append(
            f"coverage  {run.coverage.percent:.1f} % of {plural(run.coverage.statements, 'statement')}: "
            f"{run.coverage.html}, {run.coverage.xml}"
        )
    bad = [result for result in run.results if result.bad]
    for number, result in enumerate(bad):
        lines += ["", *_failure(result, paint)] if number or lines else _failure(result, paint)
    total = run.totals
    style = "bad" if total.bad or run.broken else "good"
    lines.append(paint(f"{total} in {run.seconds:.0f} s", style))
    return lines


def _failure(result: Result, paint: Paint) -> list[str]:
    word = "FAIL" if result.status == "failed" else "ERROR"
    where = f"  {result.file}:{result.line}" if result.file else ""
    lines = [f"{paint(word, 'bad')}  {result.test.addon}  {result.test.name}{where}"]
    for problem in result.problems:
        if problem.subtest:
            lines.append(f"  subtest {clean(problem.subtest)}")
        text = problem.traceback.rstrip() or problem.message
        lines += [f"  {line}" for line in text.splitlines()]
    lines += [f"  screenshot: {file}" for file in result.pictures]
    lines.append(f"  repeat: {repeat(result)}")
    return lines


def _by_reason(results: Sequence[Result]) -> list[tuple[str, list[str]]]:
    found: dict[str, list[str]] = {}
    for result in results:
        if result.status == "skipped":
            found.setdefault(result.reason, []).append(f"{result.test.addon} {result.test.name}")
    return sorted(found.items())


def as_data(run: TestRun) -> Mapping[str, Any]:
    """The fields of `TestReport` in core/report_models/tests.py."""
    total = run.totals
    per_addon = Counter(result.test.addon for result in run.results)
    return {
        "tests": total.tests,
        "passed": total.tests - total.bad - total.skipped,
        "failed": total.failed,
        "errors": total.errors,
        "skipped": total.skipped,
        "seconds": round(run.seconds, 1),
        "add_ons": [{"name": name, "tests": per_addon[name]} for name in run.addons],
        "broken": [{"name": name, "reason": reason} for name, reason in run.broken],
        "results": [
            {
                "add_on": result.test.addon,
                "module": result.test.module,
                "class": result.test.class_,
                "test": result.test.method,
                "status": result.status,
                "seconds": result.seconds,
                "reason": result.reason or None,
                "problems": [
                    {
                        "exception": problem.exception,
                        "message": problem.message,
                        "traceback": problem.traceback,
                        "subtest": problem.subtest or None,
                    }
                    for problem in result.problems
                ],
                "file": result.file or None,
                "line": result.line or None,
                "screenshots": list(result.pictures),
                "repeat": repeat(result),
            }
            for result in run.results
        ],
        "coverage": {
            "percent": run.coverage.percent,
            "statements": run.coverage.statements,
            "xml": run.coverage.xml,
            "html": run.coverage.html,
        }
        if run.coverage
        else None,
        "databases": list(run.kept),
        "logs": list(run.logs),
        "screenshots": list(run.files),
    }
