"""`inv test` on a running stack: reports, shards, coverage, repetition, changes, breakpoints, and what goes wrong."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from jsonschema import validate

from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.stack.pruning import KEPT_TEST_DATABASE
from tests.e2e.dap import DapClient
from tests.e2e.harness import Bench, docker, eventually
from tests.e2e.stack.test_debugger import attached, line_of

pytestmark = pytest.mark.docker

MANIFEST = '{"name": "%s", "version": "19.0.1.0.0", "license": "LGPL-3", "depends": ["%s"], "data": [%s]}\n'
MODEL = """\
from odoo import models


class Partner(models.Model):
    _inherit = "res.partner"

    def one(self):
        return 1

    def two(self):
        return 2
"""
TESTS = """\
import time
import unittest

from odoo.tests import HttpCase, TransactionCase, tagged


@tagged("post_install", "-at_install")
class TestPage(HttpCase):
    def test_page(self):
        self.browser_js("/web/login", "console.log('test successful')")


@tagged("post_install", "-at_install")
class TestOdd(TransactionCase):
    def test_good(self):
        self.assertEqual(self.env["res.partner"].one(), 1)

    def test_bad(self):
        self.assertEqual(self.env["res.partner"].one(), 2)

    def test_error(self):
        self.env["no.such.model"].search([])

    @unittest.skip("not today")
    def test_skipped(self):
        pass

    def test_hang(self):
        while True:
            time.sleep(0.1)


@tagged("-standard", "large")
class TestLarge(TransactionCase):
    def test_large(self):
        self.env.cr.execute("CREATE TABLE large AS SELECT i, md5(i::text) FROM generate_series(1, 2000000) AS i")


@tagged("-standard", "endless")
class TestEndless(TransactionCase):
    def test_endless(self):
        time.sleep(600)
"""
MORE_TESTS = """\
from odoo.tests import TransactionCase


class TestMore(TransactionCase):
    def test_two(self):
        self.assertEqual(self.env["res.partner"].two(), 2)
"""
ADDONS = {
    "odd/__manifest__.py": MANIFEST % ("Odd", "base", ""),
    "odd/__init__.py": "from . import partner\n",
    "odd/partner.py": MODEL,
    "odd/tests/__init__.py": "from . import test_odd\n",
    "odd/tests/test_odd.py": TESTS,
    "odd_more/__manifest__.py": MANIFEST % ("More", "odd", ""),
    "odd_more/__init__.py": "",
    "odd_more/tests/__init__.py": "from . import test_more\n",
    "odd_more/tests/test_more.py": MORE_TESTS,
}
TOURS = """\
import { registry } from "@web/core/registry";

const tours = registry.category("web_tour.tours");
tours.add("odd_good", { steps: () => [{ trigger: ".o_web_client .o_main_navbar" }] });
tours.add("odd_bad", { steps: () => [{ trigger: ".no_such_element", timeout: 2000 }] });
"""
TOUR_TESTS = """\
from odoo.tests import HttpCase, tagged


@tagged("post_install", "-at_install")
class TestTours(HttpCase):
    def test_good(self):
        self.start_tour("/odoo", "odd_good", login="admin")

    def test_bad(self):
        self.start_tour("/odoo", "odd_bad", login="admin")

    def test_page(self):
        code = "console.log(document.forms.length ? 'test successful' : 'no form')"
        self.browser_js("/web/login", code, "document.readyState === 'complete'")
"""
WEB = {
    "odd_web/__manifest__.py": '{"name": "Odd web", "version": "19.0.1.0.0", "license": "LGPL-3", "depends": ["web_tour"],\n'
    ' "assets": {"web.assets_tests": ["odd_web/static/tests/tours.js"]}}\n',
    "odd_web/__init__.py": "",
    "odd_web/static/tests/tours.js": TOURS,
    "odd_web/tests/__init__.py": "from . import test_tours\n",
    "odd_web/tests/test_tours.py": TOUR_TESTS,
}
BROKEN = {
    "odd_data/__manifest__.py": MANIFEST % ("Data", "base", '"data.xml"'),
    "odd_data/__init__.py": "",
    "odd_data/data.xml": '<odoo><record id="x" model="res.partner"><field name="no_field">1</field></record></odoo>\n',
}
ODD = "addons/odd/tests/test_odd.py"


@pytest.fixture(scope="module")
def odd(developer: Bench) -> Iterator[Bench]:
    """The running project with two more add-ons: one with failing tests, and one that needs it."""
    write(developer, ADDONS)
    (developer.root / ".odpm/tests.json").unlink(missing_ok=True)  # what other tests recorded
    for name in databases(developer).split():  # what other tests kept
        remove(developer, name)
    yield developer
    for name in ("odd", "odd_more"):
        shutil.rmtree(developer.root / "addons" / name)


def write(bench: Bench, texts: dict[str, str]) -> None:
    for name, text in texts.items():
        file = bench.root / "addons" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def databases(bench: Bench) -> str:
    """The test databases of this project; templates are none."""
    query = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname LIKE '%-test-%'"
    return bench.sql(query)


def remove(bench: Bench, name: str) -> None:
    bench.sql(f'DROP DATABASE "{name}" WITH (FORCE)')
    bench.inside("rm", "-rf", f"/var/lib/odoo/filestore/{name}")


def left_over(bench: Bench) -> list[str]:
    """Databases, filestores and containers of test runs."""
    stores = bench.inside("sh", "-c", "ls -d /var/lib/odoo/filestore/*-test-* 2>/dev/null").out.split()
    running = docker("ps", "--all", "--format", "{{.Names}}", "--filter", f"name=^{bench.prefix}-test-").split()
    return [*databases(bench).split(), *stores, *running]


def by_name(data: dict[str, Any]) -> dict[str, str]:
    return {f"{one['class']}.{one['test']}": one["status"] for one in data["results"]}


def test_two_shards_report_each_test_and_merge_the_coverage(odd: Bench) -> None:
    ran = odd.inv(
        "test", "odd,odd_more", "--shards", "2", "--coverage", "--junit", "out.xml", "--format", "json", "--timeout", "3"
    )  # fmt: skip
    junit = odd.root / "out.xml"
    assert ran.code == 5, ran.output
    assert "3 of 7 tests failed" in ran.err
    assert "Chromium is missing for 1 browser test: ODPM_BROWSER=on in .env, then inv up" in ran.err
    data = json.loads(ran.out)
    validate(data, schema("test"))
    assert by_name(data) == {
        "TestOdd.test_good": "passed",
        "TestOdd.test_bad": "failed",
        "TestOdd.test_error": "error",
        "TestOdd.test_hang": "error",
        "TestOdd.test_skipped": "skipped",
        "TestPage.test_page": "skipped",
        "TestMore.test_two": "passed",
    }
    assert len(data["logs"]) == 2
    found = {one["test"]: one for one in data["results"]}
    assert found["test_skipped"]["reason"] == "not today"
    assert found["test_page"]["reason"] == "websocket-client module is not installed"
    assert "did not end within 3 seconds" in found["test_hang"]["problems"][0]["message"]
    assert found["test_bad"]["file"] == ODD
    assert found["test_bad"]["line"] == line_of(odd, ODD, "def test_bad")
    suites = {suite.get("name"): suite for suite in ET.fromstring(junit.read_bytes())}
    assert (suites["odd"].get("tests"), suites["odd_more"].get("tests")) == ("6", "1")
    lines = ET.parse(odd.root / data["coverage"]["xml"]).findall(".//class[@filename='addons/odd/partner.py']//line")
    hits = {int(str(line.get("number"))): line.get("hits") for line in lines}
    one, two = (line_of(odd, "addons/odd/partner.py", f"return {number}") for number in (1, 2))
    assert (hits[one], hits[two]) == ("1", "1")  # each in one shard
    assert "partner.py" in (odd.root / data["coverage"]["html"]).read_text(encoding="utf-8")
    assert left_over(odd) == []
    junit.unlink()


def test_failures_are_repeated_until_they_pass_and_a_kept_database_stays(odd: Bench) -> None:
    file = odd.root / ODD
    text = file.read_text(encoding="utf-8")
    file.write_text(text.replace("one(), 2)", "one(), 1)").replace("while True", "while False"), encoding="utf-8")
    ran = odd.inv("test", "--failed", "--keep")
    assert ran.code == 5
    assert "repeating 3 failures of the last run" in ran.err
    assert "0 failed, 1 error(s) of 3 tests" in ran.out
    assert "inv test --tags '*/odd:TestOdd.test_error'" in ran.out
    name = databases(odd)
    assert f"inv shell -d {name}" in ran.err
    assert odd.sql("SELECT name FROM ir_module_module WHERE name = 'odd' AND state = 'installed'", name) == "odd"
    comment = odd.sql(f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{name}'")
    assert comment == KEPT_TEST_DATABASE
    remove(odd, name)


@pytest.fixture
def browser(odd: Bench) -> Iterator[Bench]:
    """The running project with Chromium in its image, and an add-on with tours."""
    write(odd, WEB)
    odd.env["ODPM_BROWSER"] = "on"
    try:
        odd.ok("up")
        image = odd.containers()["odoo"]["Config"]["Image"]
        yield odd
    finally:
        del odd.env["ODPM_BROWSER"]
        shutil.rmtree(odd.root / "addons/odd_web")
        odd.ok("up")
    docker("image", "rm", image)


@pytest.mark.long  # Chromium: 300 MB to download, 0.5 GB on disk
def test_tours_run_in_chromium_and_a_failed_one_leaves_a_screenshot(browser: Bench) -> None:
    ran = browser.inv("test", "odd_web", "--junit", "out.xml", "--format", "json")
    assert ran.code == 5, ran.output
    data = json.loads(ran.out)
    assert by_name(data) == {
        "TestTours.test_good": "passed",
        "TestTours.test_bad": "failed",
        "TestTours.test_page": "passed",
    }
    (bad,) = (one for one in data["results"] if one["status"] == "failed")
    assert "Element (.no_such_element) has not been found" in bad["problems"][0]["message"]
    (picture,) = bad["screenshots"]
    assert (browser.root / picture).read_bytes().startswith(b"\x89PNG")
    assert (browser.root / picture).stat().st_uid == browser.root.stat().st_uid
    (shown,) = ET.parse(browser.root / "out.xml").findall(".//system-out")
    assert shown.text == f"[[ATTACHMENT|{picture}]]"
    (browser.root / "out.xml").unlink()
    assert left_over(browser) == []
    del browser.env["ODPM_BROWSER"]
    assert "would still use another image" in browser.inv("test", "odd_web").err
    browser.env["ODPM_BROWSER"] = "on"


def test_an_add_on_that_cannot_be_installed_is_named(odd: Bench) -> None:
    write(odd, BROKEN)
    ran = odd.inv("test", "odd_data", "--junit", "out.xml")
    shutil.rmtree(odd.root / "addons/odd_data")
    assert ran.code == 5
    assert "no_field" in ran.err
    assert "odd_data" in ran.err
    assert "Traceback" not in ran.err
    (case,) = ET.parse(odd.root / "out.xml").findall(".//testcase[@name='installation']")
    assert case.get("classname") == "odd_data"
    (odd.root / "out.xml").unlink()
    assert left_over(odd) == []


@pytest.fixture
def small_disk(odd: Bench) -> Iterator[Bench]:
    """The running project, whose new tables are on a file system with 4 MB."""
    fill = "mkdir small && head -c $(($(df -m --output=avail . | tail -n 1) - 4))M /dev/zero > filled"
    docker("exec", "-u", "postgres", "-w", "/dev/shm", str(odd.containers()["db"]["Id"]), "sh", "-c", fill)
    try:
        odd.sql("CREATE TABLESPACE small LOCATION '/dev/shm/small'")
        odd.sql("GRANT CREATE ON TABLESPACE small TO odoo")
        odd.sql("ALTER ROLE odoo SET default_tablespace = 'small'")
        yield odd
    finally:
        odd.sql("ALTER ROLE odoo RESET default_tablespace")
        odd.sql("DROP TABLESPACE IF EXISTS small")
        odd.inside("sh", "-c", "rm -r /dev/shm/small /dev/shm/filled", service="db")


def test_a_full_disk_is_the_reason_and_no_database_stays(small_disk: Bench) -> None:
    ran = small_disk.inv("test", "odd", "--tags", "large")
    assert ran.code == 8, ran.output
    assert "odpm: the disk is full\n  where: database project-test-1\n" in ran.err
    assert "DiskFull: could not extend file" in ran.err
    assert "repeat: inv test --tags '*/odd:TestLarge.test_large'" in ran.out
    assert left_over(small_disk) == []


def test_sigterm_cleans_up_as_ctrl_c_does(odd: Bench) -> None:
    with odd.running("test", "odd", "--tags", "endless") as run:
        eventually(lambda: "TestEndless" in _log(odd), 120)
        run.terminate()
        assert run.wait(60) == 130
    assert left_over(odd) == []
    assert not (odd.root / ".odpm/testing/databases.json").exists()


def test_the_next_run_removes_what_a_killed_one_left_and_tests_what_changed(odd: Bench) -> None:
    with odd.running("test", "odd", "--tags", "endless") as run:
        eventually(lambda: "TestEndless" in _log(odd), 120)
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    assert databases(odd) == "project-test-1"
    with (odd.root / "addons/odd_more/__init__.py").open("a", encoding="utf-8") as file:
        file.write("# changed\n")
    ran = odd.inv("test", "--since", "HEAD", "--tags", ":TestMore")
    assert ran.code == 0, ran.output
    assert "removing 1 database of a test run that was killed: project-test-1" in ran.err
    assert "changed since HEAD: odd, odd_more" in ran.err  # none of them is committed
    assert left_over(odd) == []


def _log(bench: Bench) -> str:
    """What Odoo writes in the container of the first shard; empty before it exists."""
    argv = ["docker", "logs", f"{bench.prefix}-test-1"]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stderr


def test_a_breakpoint_in_a_test_stops_there(odd: Bench) -> None:
    odd.ok("ide", "vscode")
    line = line_of(odd, ODD, "self.assertEqual(self.env")
    client: list[DapClient] = []

    def connected() -> bool:
        with suppress(OSError, AssertionError):
            client.append(attached(odd))
            return client[0].attach({odd.root / ODD: [line]}) is not None
        client.clear()
        return False

    try:
        with odd.running("test", "--debug", "--tags", "/odd:TestOdd.test_good") as run:
            eventually(connected, 120)
            file, at, thread = client[0].stopped()
            assert (Path(file), at) == (odd.root / ODD, line)
            client[0].proceed(thread)
            assert run.wait(120) == 0
    finally:
        for one in client:
            one.close()
        shutil.rmtree(odd.root / ".vscode")
    assert left_over(odd) == []
