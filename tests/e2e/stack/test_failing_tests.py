"""Test runs that fail outside of the project's own code: the test of a dependency, a full volume of Odoo's files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Bench
from tests.e2e.stack.test_addon_tests import by_name, left_over, write
from tests.e2e.stack.test_debugger import line_of

pytestmark = pytest.mark.docker

DEPENDENCY = ".odpm/src/partner-contact/partner_firstname/tests/test_breaks.py"
FAILING = """\
from odoo.tests import TransactionCase


class TestBreaks(TransactionCase):
    def test_surname_first(self):
        partner = self.env["res.partner"].create({"firstname": "Ada", "lastname": "Lovelace"})
        self.assertEqual(partner.name, "Lovelace, Ada")

    def test_first_name_first(self):
        partner = self.env["res.partner"].create({"firstname": "Ada", "lastname": "Lovelace"})
        self.assertEqual(partner.name, "Ada Lovelace")
"""
ATTACHING = {
    "odd_files/__manifest__.py": '{"name": "Files", "version": "19.0.1.0.0", "license": "LGPL-3", "depends": ["base"]}\n',
    "odd_files/__init__.py": "",
    "odd_files/tests/__init__.py": "from . import test_files\n",
    "odd_files/tests/test_files.py": """\
import os

from odoo.tests import TransactionCase


class TestFiles(TransactionCase):
    def test_large_file(self):
        self.env["ir.attachment"].create({"name": "large", "raw": os.urandom(6_000_000)})
""",
}


@pytest.fixture
def dependency(developer: Bench) -> Iterator[Bench]:
    """The running project; an add-on of a dependency has one test that fails, and one that passes, alone."""
    file = developer.root / DEPENDENCY
    tests = file.with_name("__init__.py")
    before = tests.read_bytes()
    file.write_text(FAILING, encoding="utf-8")
    tests.write_text("from . import test_breaks\n", encoding="utf-8")
    yield developer
    file.unlink()
    tests.write_bytes(before)


@pytest.mark.long  # a template database of its own
def test_a_failing_test_of_a_dependency_is_named_with_its_file(dependency: Bench) -> None:
    ran = dependency.inv("test", "partner_firstname", "--format", "json")
    assert ran.code == 5, ran.output
    assert "1 of 2 tests failed" in ran.err
    data = json.loads(ran.out)
    assert by_name(data) == {"TestBreaks.test_surname_first": "failed", "TestBreaks.test_first_name_first": "passed"}
    (bad,) = (one for one in data["results"] if one["status"] == "failed")
    assert (bad["add_on"], bad["file"]) == ("partner_firstname", DEPENDENCY)
    assert bad["line"] == line_of(dependency, DEPENDENCY, "def test_surname_first")
    assert "'Ada Lovelace' != 'Lovelace, Ada'" in bad["problems"][0]["message"]
    assert left_over(dependency) == []


@pytest.fixture
def small_volume(developer: Bench) -> Iterator[Bench]:
    """The running project, whose test containers have 4 MB for the files of databases."""
    described = (developer.root / "odpm.json").read_bytes()
    write(developer, ATTACHING)
    user = developer.inside("id", "-u").out.strip()  # the engine takes the mode from the folder below, not the owner
    developer.edit(service_patches={"odoo": {"tmpfs": [f"/var/lib/odoo/filestore:size=4m,uid={user}"]}})
    developer.ok("render")
    yield developer
    shutil.rmtree(Path(developer.root, "addons/odd_files"))
    (developer.root / "odpm.json").write_bytes(described)
    developer.ok("render")


@pytest.mark.long
def test_a_full_volume_of_files_is_the_reason_and_nothing_stays(small_volume: Bench) -> None:
    ran = small_volume.inv("test", "odd_files")
    assert ran.code == 8, ran.output
    assert "odpm: the disk is full\n  where: database project-test-1\n" in ran.err
    assert "No space left on device" in ran.err
    assert "repeat: inv test --tags '*/odd_files:TestFiles.test_large_file'" in ran.out
    assert left_over(small_volume) == []
