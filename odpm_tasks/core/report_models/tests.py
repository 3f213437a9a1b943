"""The report of `test`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from odpm_tasks.core.report_models.base import Model, ReportModel


class _TestedAddon(Model):
    name: str
    tests: int


class _BrokenAddon(Model):
    name: str
    reason: str


class _TestProblem(Model):
    exception: str
    message: str
    traceback: str
    subtest: str | None


class _TestResult(Model):
    add_on: str
    module: str
    class_: str = Field(alias="class")
    test: str
    status: Literal["passed", "failed", "error", "skipped"]
    seconds: float
    reason: str | None
    problems: list[_TestProblem]
    file: str | None
    line: int | None
    screenshots: list[str]
    repeat: str


class _TestCoverage(Model):
    percent: float
    statements: int
    xml: str
    html: str


class TestReport(ReportModel):
    """`test`: the numbers, each test with what it did, and the command that repeats it. `databases`: those that were kept.

    Paths of files are those in the checkout. `broken`: add-ons that could not be installed.
    """

    tests: int
    passed: int
    failed: int
    errors: int
    skipped: int
    seconds: float
    add_ons: list[_TestedAddon]
    broken: list[_BrokenAddon]
    results: list[_TestResult]
    coverage: _TestCoverage | None
    databases: list[str]
    logs: list[str]
    screenshots: list[str]
