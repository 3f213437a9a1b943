"""Add-ons that Odoo cannot load or update: the error names exception, add-on, file and line, and the log is kept."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.harness import Bench, eventually, get

pytestmark = pytest.mark.docker
VIEW = """\
<odoo>
  <record id="x" model="ir.ui.view">
    <field name="name">x</field>
    <field name="model">res.partner</field>
    <field name="inherit_id" ref="base.view_partner_form"/>
    <field name="arch" type="xml"><field name="nope" position="after"/></field>
  </record>
</odoo>
"""


@pytest.fixture
def addon(developer: Bench) -> Iterator[Callable[[str, dict[str, str]], Path]]:
    """Writes an add-on into the running project; it is removed afterwards, also from the database."""
    made: list[Path] = []

    def write(manifest: str, files: dict[str, str]) -> Path:
        folder = developer.root / "addons/acme_broken"
        made.append(folder)
        for path, text in {"__init__.py": "", **files}.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
        (folder / "__manifest__.py").write_text(
            f"{{'name': 'Broken', 'license': 'LGPL-3', 'author': 'Acme', 'depends': ['base'], {manifest}}}\n", "utf-8"
        )
        return folder

    yield write
    for folder in made:
        shutil.rmtree(folder)
    developer.sql("DELETE FROM ir_module_module WHERE name = 'acme_broken'", "project")


def test_a_failed_installation_names_the_add_on_the_file_and_the_line(
    developer: Bench, addon: Callable[[str, dict[str, str]], Path]
) -> None:
    addon("'data': ['views/acme.xml']", {"views/acme.xml": VIEW})
    ran = developer.inv("up", "-i", "acme_broken")
    assert ran.code == 5
    message = ran.err[ran.err.index("odpm: ") :]
    assert "add-on acme_broken: ParseError: Element '<field name=\"nope\">' cannot be located" in message
    assert "where: addons/acme_broken/views/acme.xml:2\n" in message
    assert "CTRL-C" not in message
    assert len(message.splitlines()) <= 5
    log = developer.root / message.partition("the whole log: ")[2].split()[0]
    assert log.parent == developer.root / ".odpm/logs"
    assert "Failed to load registry" in log.read_text(encoding="utf-8")
    assert get(developer.url())[0] == 200  # Odoo runs with what was installed before


def test_restart_and_up_stop_at_the_first_answer_with_an_error(developer: Bench) -> None:
    """Odoo answers 500 until someone fixes the add-on: there is nothing to wait for."""
    file = developer.root / "addons/stack_info/controllers/main.py"
    before = file.read_text(encoding="utf-8")
    module = "import acme_nowhere\n", "ModuleNotFoundError: No module named 'acme_nowhere'"
    model = (
        'from odoo import models\nclass X(models.Model):\n    _inherit = "acme.nowhere"\n',
        "Model 'acme.nowhere' does not exist in registry",
    )
    # after this error Odoo does not answer 500, it serves requests without a database
    attribute = "http.nowhere\n", "AttributeError: module 'odoo.http' has no attribute 'nowhere'"

    def named(task: str, added: str, message: str) -> None:
        file.write_text(before + added, encoding="utf-8")
        ran = developer.inv(task)
        assert ran.code == 5, ran.output
        assert "add-on stack_info: " in ran.err
        assert message in ran.err
        assert f"where: addons/stack_info/controllers/main.py:{len((before + added).splitlines())}\n" in ran.err

    try:
        for task, error in (("restart", module), ("up", model), ("restart", attribute)):
            named(task, *error)
        developer.sql("CREATE DATABASE another OWNER odoo")  # with two of them, Odoo's health check loads none
        named("restart", *model)
    finally:
        developer.sql("DROP DATABASE IF EXISTS another WITH (FORCE)")
        file.write_text(before, encoding="utf-8")
    developer.ok("restart")


@contextmanager
def lock_held(bench: Bench, table: str) -> Iterator[None]:
    """A session of PostgreSQL that holds a lock on a table of the database `project`."""
    words = ["docker", "exec", "-i", str(bench.containers()["db"]["Id"]), "psql", "-U", "postgres", "-d", "project"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as session:
        assert session.stdin
        session.stdin.write(f"BEGIN; LOCK TABLE {table};\n".encode())
        session.stdin.flush()
        held = f"SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'AccessExclusiveLock'"
        eventually(lambda: bench.sql(held, "project") == "1")
        yield
        session.stdin.close()


@pytest.mark.long
def test_a_lock_held_in_the_database_is_named(developer: Bench) -> None:
    with lock_held(developer, "res_partner"):
        ran = developer.inv("up", "-u", "stack_info", "--no-snapshot")
        assert ran.code == 5
        assert "LockNotAvailable" in ran.err
        assert "(psql from this machine, idle in transaction) has had a transaction open for" in ran.err
        assert "pg_terminate_backend(" in ran.err
    with lock_held(developer, "ir_module_module"):
        for words in (("mod.list",), ("up", "-u", "stack_info", "--no-snapshot")):
            ran = developer.inv(*words)
            assert ran.code == 5
            assert "another session holds a lock in the database project" in ran.err
            assert "pg_terminate_backend(" in ran.err
    developer.ok("up", "-u", "stack_info")


@pytest.mark.long
def test_a_transaction_that_does_not_end_is_named_before_an_update(developer: Bench) -> None:
    before = developer.ok("db.snapshots", "--format", "json").out
    with lock_held(developer, "res_partner"):
        ran = developer.inv("up", "-u", "stack_info")
        assert ran.code == 5
        assert ran.err.count("waiting for 1 transaction in project") == 1
        assert "transactions have run for more than 30 s" in ran.err
        assert "LOCK TABLE res_partner" in ran.err
        assert "pg_terminate_backend(" in ran.err
    assert developer.ok("db.snapshots", "--format", "json").out == before
    developer.ok("up", "-u", "stack_info")
