"""From the events of Odoo's process to results, text, JSON, JUnit XML and records."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import validate

from odpm_tasks.core.config.container_paths import ContainerPaths
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.reports import report
from odpm_tasks.core.testing import records, text
from odpm_tasks.core.testing.junit import junit
from odpm_tasks.core.testing.results import MARK, Result, event, mapped, picture, results, test_id, totals
from odpm_tasks.core.testing.shards import AddonRecord, shards
from odpm_tasks.core.testing.text import TestRun

GOOD = "odoo.addons.shop.tests.test_shop.TestShop.test_good"
BAD = "odoo.addons.shop.tests.test_shop.TestShop.test_bad"
OFF = "odoo.addons.crm.tests.test_crm.TestCrm.test_off"


def happened(*events: tuple[str, float, dict[str, Any]]) -> tuple[Result, ...]:
    return results({"kind": kind, "time": time, **values} for kind, time, values in events)


def problem(test: str, **more: object) -> dict[str, Any]:
    return {"id": test, "exception": "AssertionError", "message": "1 != 2", "text": "Traceback\n  1 != 2\n", **more}


RUN = happened(
    ("suite", 10, {}),
    ("start", 12, {"id": GOOD, "file": "/opt/odoo/src/project/addons/shop/tests/test_shop.py", "line": 7}),
    ("stop", 13.5, {"id": GOOD}),
    ("start", 13.5, {"id": BAD}),
    ("failure", 14, problem(BAD, subtest="(number=2)")),
    ("stop", 14.5, {"id": BAD}),
    ("skip", 15, {"id": OFF, "reason": "no \x1b[31mbrowser"}),
    ("suite end", 16, {}),
)


def test_times_and_states_of_tests() -> None:
    assert [(r.test.name, r.status, r.seconds, r.setup) for r in RUN] == [
        ("TestShop.test_good", "passed", 1.5, 2.0),
        ("TestShop.test_bad", "failed", 1.0, 0.0),
        ("TestCrm.test_off", "skipped", 1.0, 0.0),
    ]
    assert RUN[2].reason == "no \x1b[31mbrowser"
    assert str(totals(RUN)) == "1 failed, 0 error(s) of 3 tests, 1 skipped"


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        (GOOD, "*/shop:TestShop.test_good"),
        ("setUpClass (odoo.addons.shop.tests.test_shop.TestShop)", "*/shop:TestShop"),
        ("odoo.upgrade.shop.tests.test_shop.TestShop.test_good", "*/shop:TestShop.test_good"),
    ],
)
def test_the_tag_that_repeats_a_test(name: str, tag: str) -> None:
    assert test_id(name).tag == tag


def test_a_class_that_cannot_be_prepared_is_one_error() -> None:
    name = "setUpClass (odoo.addons.shop.tests.test_shop.TestShop)"
    (found,) = happened(("suite", 1, {}), ("error", 3, problem(name)), ("suite end", 3, {}))
    assert (found.test.addon, found.test.method, found.status) == ("shop", "setUpClass", "error")


def test_a_test_without_an_end_is_an_error() -> None:
    (found,) = happened(("suite", 1, {}), ("start", 2, {"id": GOOD}))
    assert (found.status, found.problems[0].message) == ("error", "the process of Odoo ended during this test")


def test_a_test_that_nothing_interrupts_names_its_limit() -> None:
    (found,) = happened(("start", 2, {"id": GOOD}), ("hung", 20, {"id": GOOD, "text": "stack", "limit": 3}))
    assert found.status == "error"
    assert "within 3 seconds (--timeout)" in found.problems[0].message


def test_the_pictures_of_a_test_are_those_that_odoo_names_while_it_runs() -> None:
    line = "2026-01-01 10:00:00,000 7 RUNBOT shop odoo.tests: Screenshot in: /run/odpm-test/shard-1/shop/screenshots/sc_1_Test.png"
    assert picture(line) == "sc_1_Test.png"
    assert picture("2026-01-01 INFO odoo.tests: Open /x/y.png in browser") == ""
    (found,) = happened(
        ("start", 1, {"id": BAD}), ("picture", 0, {"file": "a.png"}), ("failure", 2, problem(BAD)),
        ("stop", 3, {"id": BAD}), ("picture", 0, {"file": "after.png"}),
    )  # fmt: skip
    assert (found.pictures, found.seconds) == (("a.png",), 2.0)
    assert "  screenshot: a.png" in text.as_text(TestRun(("shop",), (found,), 1.0, files=("a.png",)))
    assert "screenshot  b.png" in text.as_text(TestRun(("shop",), (found,), 1.0, files=("a.png", "b.png")))


@pytest.mark.parametrize(
    ("reason", "lacks"),
    [
        ("websocket-client module is not installed", True),
        ("Chrome executable not found", True),
        ("/usr/bin/chromium not found", True),
        ("Failed to detect chrome devtools port after 10.0s.", True),
        ("wkhtmltopdf not found", False),
        ("not in Chrome", False),
        ("", False),
    ],
)
def test_skipped_for_lack_of_a_browser(reason: str, lacks: bool) -> None:
    (found,) = happened(("start", 1, {"id": OFF}), ("skip", 1, {"id": OFF, "reason": reason}), ("stop", 1, {"id": OFF}))
    assert found.lacks_browser is lacks


def test_only_whole_events_are_events() -> None:
    assert event(MARK + '{"kind": "suite"}') == {"kind": "suite"}
    assert event(MARK + '{"kind": ') is None
    assert event(MARK + "[1]") is None
    assert event('2026-01-01 INFO {"kind": "suite"}') is None


def test_paths_are_those_of_the_checkout() -> None:
    inside, paths = "/opt/odoo/src/project/", ContainerPaths([("", "/opt/odoo/src/project")])
    failed = happened(("start", 1, {"id": BAD}), ("failure", 2, problem(BAD, text=f'File "{inside}addons/x.py"')))
    assert mapped(RUN, paths)[0].file == "addons/shop/tests/test_shop.py"
    assert mapped(failed, paths)[0].problems[0].traceback == 'File "addons/x.py"'


def finished(**values: Any) -> TestRun:
    return TestRun(("crm", "shop", "stock"), RUN, 12.4, **values)


def test_the_text_ends_with_the_failures_and_the_numbers() -> None:
    lines = text.as_text(finished(broken=(("stock", "no field x"),)))
    assert lines[0] == "skipped  no  [31mbrowser: crm TestCrm.test_off"
    assert "FAIL  shop  TestShop.test_bad" in lines
    assert lines[-2] == "  repeat: inv test --tags '*/shop:TestShop.test_bad'"
    assert lines[-1] == "1 failed, 0 error(s) of 3 tests, 1 skipped in 12 s"


def test_the_report_follows_its_schema() -> None:
    run = finished(broken=(("stock", "no field x"),), coverage=text.Coverage(50.0, 20, "c.xml", "c.html"))
    data = json.loads(report(text.as_data(run)))
    validate(data, schema("test"))
    assert (data["passed"], data["failed"], data["skipped"]) == (1, 1, 1)
    assert data["add_ons"] == [{"name": "crm", "tests": 1}, {"name": "shop", "tests": 2}, {"name": "stock", "tests": 0}]
    assert run.untested == ()
    assert finished().untested == ("stock",)


def test_junit_counts_each_suite_and_has_no_character_that_xml_refuses() -> None:
    root = ET.fromstring(junit(RUN, "2026-11-27T10:00:00", [("stock", "no field \x00x")]))
    numbers = [(s.get("name"), s.get("tests"), s.get("failures"), s.get("errors"), s.get("skipped")) for s in root]
    assert numbers == [("crm", "1", "0", "0", "1"), ("shop", "2", "1", "0", "0"), ("stock", "1", "0", "1", "0")]
    assert root.get("tests") == "4"
    failure = root.find("testsuite/testcase/failure")
    assert failure is not None
    assert (failure.get("type"), failure.get("message")) == ("AssertionError", "1 != 2")
    assert failure.text is not None
    assert failure.text.startswith("(number=2)\nTraceback")
    skipped = root.find("testsuite/testcase/skipped")
    assert skipped is not None
    assert skipped.get("message") == "no ?[31mbrowser"
    assert root.findall("testsuite/testcase/error")[0].get("message") == "no field ?x"


# Elements and attributes of junit-10.xsd (Jenkins, xUnit plugin) that we use; it refuses any other.
JENKINS = {
    "testsuites": {"name", "tests", "failures", "errors", "time"},
    "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
    "testcase": {"name", "classname", "time"},
    "failure": {"message", "type"},
    "error": {"message", "type"},
    "skipped": {"message"},
    "system-out": set(),
}


def test_junit_has_only_what_the_schema_of_jenkins_knows() -> None:
    (seen,) = happened(
        ("start", 1, {"id": BAD, "file": "addons/shop/tests/test_shop.py", "line": 9}), ("picture", 1, {"file": "a.png"}),
        ("error", 1, problem(BAD)), ("stop", 2, {"id": BAD}),
    )  # fmt: skip
    root = ET.fromstring(junit([*RUN, seen], "2026-11-27T10:00:00", [("stock", "no field")]))
    assert {element.tag for element in root.iter()} == JENKINS.keys()
    for element in root.iter():
        assert element.attrib.keys() <= JENKINS[element.tag], element.tag
        assert {"tests", "failures", "errors"} <= element.attrib.keys() or element.tag != "testsuite"
    texts = [element.text or "" for element in root.iter("error")]
    assert any(text.startswith("addons/shop/tests/test_shop.py:9\nTraceback") for text in texts)
    assert [element.text for element in root.iter("system-out")] == ["[[ATTACHMENT|a.png]]"]


# --- records and shards ----------------------------------------------------------------------------------------------


def test_failures_are_recorded_until_they_pass() -> None:
    first = records.updated(records.TestRecords(), RUN, {"shop": 2.0}, (), ["stock"], ["web", "mail"])
    assert first.template == ("mail", "web")
    assert first.failed == ("*/shop:TestShop.test_bad", "/stock")
    assert first.addons["shop"] == AddonRecord(2.0, {"TestShop": 4.5})
    assert records.read_records(records.write_records(first)) == first
    repeated = happened(("start", 1, {"id": BAD}), ("stop", 2, {"id": BAD}))
    second = records.updated(first, repeated, {}, (), ())
    assert second.failed == ("/stock",)
    assert second.addons["shop"].classes == {"TestShop": 4.5}  # one test does not tell the time of the class
    assert records.updated(first, (), {}, ("shop", "stock"), ()).failed == ()


@pytest.mark.parametrize("damaged", [None, "", "[]", "{", '{"addons": {}}', '{"addons": {"a": 1}, "failed": []}'])
def test_damaged_records_are_none(damaged: str | None) -> None:
    assert records.read_records(damaged) == records.TestRecords()


def test_the_time_of_an_installation_is_without_its_tests() -> None:
    line = "2026-01-01 INFO x odoo.modules.loading: Module shop loaded in 3.50s (incl. 1.25s test), 18 queries"
    assert records.install_times([line, line.replace("shop", "crm").replace(" (incl. 1.25s test)", "")]) == {
        "shop": 2.25,
        "crm": 3.5,
    }


def test_shards_take_about_the_same_time() -> None:
    known = {name: AddonRecord(0, {"T": seconds}) for name, seconds in {"a": 9.0, "b": 5.0, "c": 4.0, "d": 1.0}.items()}
    assert [shard.addons for shard in shards("abcd", 2, known, {})] == [("a", "d"), ("b", "c")]
    assert [shard.addons for shard in shards("ab", 4, known, {})] == [("a",), ("b",)]
    assert shards("abcd", 1, known, {})[0].addons == ("a", "b", "c", "d")


def test_a_long_add_on_is_divided_by_class_and_new_classes_run_with_its_rest() -> None:
    known = {"a": AddonRecord(1, {"One": 10, "Two": 9, "Three": 8}), "b": AddonRecord(1, {"B": 1})}
    first, second = shards(["a", "b"], 2, known, {})
    assert first.addons == ("a", "b")
    assert second.addons == ()
    assert first.without == second.classes
    assert {name for _, name in second.classes} < {"One", "Two", "Three"}
    assert second.installs == ("a",)


def test_an_installation_that_two_add_ons_need_is_done_once() -> None:
    known = {name: AddonRecord(0, {"T": 1}) for name in "abcd"} | {"big": AddonRecord(30), "huge": AddonRecord(30)}
    needed = {"a": ["big"], "b": ["huge"], "c": ["big"], "d": ["huge"]}
    assert [shard.addons for shard in shards("abcd", 2, known, needed)] == [("a", "c"), ("b", "d")]
