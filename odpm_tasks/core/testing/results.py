"""The results of tests, from the events that Odoo's process reports (templates/odoo_test.py)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from odpm_tasks.core.config.container_paths import ContainerPaths

MARK = "@odpm-test "
Status = Literal["passed", "failed", "error", "skipped"]
_ID = re.compile(r"odoo\.(?:addons|upgrade)\.(?P<addon>\w+)\.(?P<rest>.+)")
_PICTURE = re.compile(r": Screenshot in: \S*?(?P<name>[^/\s]+\.png)$")
_NO_BROWSER = re.compile(  # the reasons of Odoo 12.0 to 19.0
    r"websocket-client module is not installed|Chrome executable not found|\S*chrom\S* not found|Failed to detect chrome devtools port.*"
    r"|Error during Chrome (?:headless )?connection.*|Cannot connect to chrome dev ?tools"
)
_HOLDER = re.compile(r"(?P<method>setUpClass|tearDownClass|setUpModule|tearDownModule) \((?P<owner>[\w.]+)\)")


@dataclass(frozen=True)
class TestId:
    """A test: add-on, dotted module in it (`tests.test_sale`), class and method.

    `method` is `setUpClass` or `tearDownClass` for a class whose preparation failed.
    """

    addon: str
    module: str
    class_: str
    method: str

    @property
    def name(self) -> str:
        return f"{self.class_}.{self.method}"

    @property
    def tag(self) -> str:
        """What selects it in Odoo's test tags; with a tag of its own that is not `standard`, too."""
        method = "" if self.method in _CLASS_LEVEL else f".{self.method}"
        return f"*/{self.addon}:{self.class_}{method}"


_CLASS_LEVEL = frozenset({"setUpClass", "tearDownClass", "setUpModule", "tearDownModule"})


def test_id(text: str) -> TestId:
    """The parts of a unittest id: `odoo.addons.sale.tests.test_sale.TestSale.test_it`, `setUpClass (odoo.addons.…TestSale)`."""
    holder = _HOLDER.match(text)
    dotted = f"{holder['owner']}.{holder['method']}" if holder else text
    found = _ID.fullmatch(dotted.split(" ")[0])
    addon, rest = (found["addon"], found["rest"]) if found else ("", dotted)
    parts = rest.split(".")
    if len(parts) < 2:
        return TestId(addon, "", rest, "")
    return TestId(addon, ".".join(parts[:-2]), parts[-2], parts[-1])


test_id.__test__ = False  # type: ignore[attr-defined]
TestId.__test__ = False  # type: ignore[attr-defined]


@dataclass(frozen=True)
class TestFailure:
    """A failure or an error in a test. `subtest`: the description of the part that failed."""

    exception: str
    message: str
    traceback: str
    subtest: str = ""


@dataclass(frozen=True)
class Result:
    """What a test did. `seconds`: its own time; `setup`: before it, for its class. `file`: the path in the container.

    `pictures`: the file names of its screenshots, later their paths in the checkout.
    """

    test: TestId
    status: Status
    seconds: float = 0.0
    setup: float = 0.0
    problems: tuple[TestFailure, ...] = ()
    reason: str = ""
    file: str = ""
    line: int = 0
    pictures: tuple[str, ...] = ()

    @property
    def bad(self) -> bool:
        return self.status in {"failed", "error"}

    @property
    def lacks_browser(self) -> bool:
        """Whether Odoo skipped it because it cannot use Chromium."""
        return self.status == "skipped" and bool(_NO_BROWSER.fullmatch(self.reason))


def event(line: str) -> dict[str, Any] | None:
    """The event of a line; None for a line of Odoo's log."""
    if not line.startswith(MARK):
        return None
    try:
        found = json.loads(line[len(MARK) :])
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def picture(line: str) -> str:
    """The file name of the screenshot that a line of Odoo's log names; empty for other lines."""
    found = _PICTURE.search(line)
    return found["name"] if found else ""


def results(events: Iterable[dict[str, Any]]) -> tuple[Result, ...]:
    """The results in the order of the tests. A test without an end (a killed process) is an error."""
    return tuple(_results(events))


def _results(events: Iterable[dict[str, Any]]) -> Iterator[Result]:
    running: _Running | None = None
    class_level: dict[str, _Running] = {}  # failures in setUpClass: no test starts
    idle_since: float | None = None
    for found in events:
        kind, now = str(found.get("kind")), float(found.get("time", 0))
        if kind == "suite":
            idle_since = now
        elif kind == "suite end":
            yield from (one.ended(now) for one in class_level.values())
            class_level, idle_since = {}, None
        elif kind == "start":
            running = _Running(test_id(found["id"]), now, now - idle_since if idle_since is not None else 0.0, found)
        elif kind == "stop":
            if running:
                yield running.ended(now)
            running, idle_since = None, now
        elif kind == "picture":
            if running:
                running.pictures.append(str(found.get("file")))
        elif kind in {"failure", "error", "skip", "hung"}:
            target = running
            if target is None:
                test = test_id(found.get("id") or "?")
                target = class_level.setdefault(found.get("id") or "?", _Running(test, now, 0.0, found))
            target.note(kind, found)
    yield from (one.ended(one.started) for one in class_level.values())
    if running:
        if not running.problems:
            running.problems.append(TestFailure("", "the process of Odoo ended during this test", ""))
        yield running.ended(running.started)


class _Running:
    def __init__(self, test: TestId, started: float, setup: float, place: dict[str, Any]) -> None:
        self.test, self.started, self.setup = test, started, setup
        self.file, self.line = str(place.get("file") or ""), int(place.get("line") or 0)
        self.problems: list[TestFailure] = []
        self.pictures: list[str] = []
        self.is_error, self.skipped, self.reason = True, False, ""

    def note(self, kind: str, found: dict[str, Any]) -> None:
        if kind == "skip":
            self.skipped, self.reason = True, str(found.get("reason", ""))
            return
        if kind == "hung":
            message = f"the test did not end within {found.get('limit')} seconds (--timeout), and nothing interrupts it"
            self.problems.append(TestFailure("TimeLimit", message, str(found.get("text", ""))))
            return
        if not self.problems:
            self.is_error = kind == "error"
        texts = [str(found.get(name, "")) for name in ("exception", "message", "text", "subtest")]
        self.problems.append(TestFailure(*texts))

    def ended(self, now: float) -> Result:
        status: Status = "passed"
        if self.problems:
            status = "error" if self.is_error else "failed"
        elif self.skipped:
            status = "skipped"
        return Result(
            self.test, status, max(0.0, round(now - self.started, 3)), max(0.0, round(self.setup, 3)),
            tuple(self.problems), self.reason if status == "skipped" else "", self.file, self.line, tuple(self.pictures),
        )  # fmt: skip


@dataclass(frozen=True)
class Totals:
    """How many tests started, and what became of them. A class that cannot be prepared is an error or skipped without a test."""

    tests: int = 0
    failed: int = 0
    errors: int = 0
    skipped: int = 0

    @property
    def bad(self) -> int:
        return self.failed + self.errors

    @property
    def tested(self) -> int:
        """The tests that did something."""
        return self.tests - self.skipped

    def __str__(self) -> str:
        """In the form of Odoo's last line, and the number of skipped tests."""
        skipped = f", {self.skipped} skipped" if self.skipped else ""
        return f"{self.failed} failed, {self.errors} error(s) of {self.tests} tests{skipped}"


def totals(found: Sequence[Result]) -> Totals:
    """The numbers of tests; whole classes that failed or were skipped count as one test each."""
    by = [result.status for result in found]
    return Totals(len(found), by.count("failed"), by.count("error"), by.count("skipped"))


def mapped(found: Iterable[Result], paths: ContainerPaths) -> tuple[Result, ...]:
    """The results with paths of the checkout."""
    return tuple(
        replace(
            one,
            file=paths.in_checkout(one.file),
            problems=tuple(replace(problem, traceback=paths.in_text(problem.traceback)) for problem in one.problems),
        )
        for one in found
    )
