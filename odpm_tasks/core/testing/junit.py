"""JUnit XML of a test run: one `testsuite` for each add-on.

Elements and attributes are those of Jenkins' schema (junit-10.xsd of the xUnit plugin, which refuses others), a subset of what GitLab,
GitHub actions and Azure read.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from xml.etree import ElementTree as ET

from odpm_tasks.core.testing.results import Result, totals

_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit(results: Sequence[Result], when: str, broken: Sequence[tuple[str, str]] = ()) -> bytes:
    """The document. `when`: begin of the run (ISO 8601, without a zone). `broken`: add-on and reason of failed installations."""
    whole = totals(results)
    root = ET.Element("testsuites", name="odoo", tests=str(whole.tests + len(broken)), failures=str(whole.failed))
    root.set("errors", str(whole.errors + len(broken)))
    root.set("time", _seconds(results))
    ordered = sorted(results, key=lambda result: result.test.addon)
    for addon, group in groupby(ordered, key=lambda result: result.test.addon):
        _suite(root, addon, list(group), when)
    for addon, reason in broken:
        suite = ET.SubElement(
            root,
            "testsuite",
            name=addon,
            tests="1",
            failures="0",
            errors="1",
            skipped="0",
            time="0.000",
            timestamp=when,
        )
        case = ET.SubElement(suite, "testcase", name="installation", classname=addon, time="0.000")
        error = ET.SubElement(case, "error", message=_text(reason), type="InstallationError")
        error.text = _text(reason)
    ET.indent(root)
    return b'<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode").encode() + b"\n"


def _suite(root: ET.Element, addon: str, results: Sequence[Result], when: str) -> None:
    count = totals(results)
    suite = ET.SubElement(root, "testsuite", name=addon, tests=str(count.tests), failures=str(count.failed))
    suite.set("errors", str(count.errors))
    suite.set("skipped", str(count.skipped))
    suite.set("time", _seconds(results))
    suite.set("timestamp", when)
    for result in results:
        test = result.test
        owner = ".".join(filter(None, (addon, test.module, test.class_)))
        case = ET.SubElement(suite, "testcase", name=test.method or test.class_, classname=owner)
        case.set("time", f"{result.seconds:.3f}")
        if result.status == "skipped":
            ET.SubElement(case, "skipped", message=_text(result.reason))
        elif result.problems:
            first = result.problems[0]
            tag = "failure" if result.status == "failed" else "error"
            found = ET.SubElement(case, tag, message=_text(first.message), type=first.exception or "Error")
            place = [f"{result.file}:{result.line}"] if result.file else []
            texts = [f"{one.subtest}\n{one.traceback}".strip() for one in result.problems]
            found.text = _text("\n".join([*place, *texts]))
        if result.pictures:  # GitLab and Jenkins (plugin junit-attachments) show them
            ET.SubElement(case, "system-out").text = "\n".join(f"[[ATTACHMENT|{file}]]" for file in result.pictures)


def _seconds(results: Sequence[Result]) -> str:
    return f"{sum(result.seconds + result.setup for result in results):.3f}"


def _text(text: str) -> str:
    """The text without characters that XML cannot have."""
    return _FORBIDDEN.sub("?", text)
