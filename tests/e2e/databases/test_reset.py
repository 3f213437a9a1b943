"""Databases made new from a template that is kept."""

from __future__ import annotations

import pytest

from tests.e2e.databases.test_copies import copied, databases, folders, kill
from tests.e2e.databases.test_neutralize import parameters
from tests.e2e.databases.test_snapshots import attachments, hidden
from tests.e2e.harness import Bench

__all__ = ["copied"]
pytestmark = [pytest.mark.docker, pytest.mark.long]
TEMPLATES = (
    "SELECT count(*) FROM pg_database WHERE datname LIKE 'odpm.template.%' AND NOT datallowconn AND datistemplate"
)


def test_a_reset_is_finished_after_a_kill_then_copies_the_template(copied: Bench) -> None:
    kill(copied, ("db.reset", "acme-new", "-i", "base"), lambda: hidden(copied))
    assert "acme-new" not in databases(copied)
    assert copied.sql(TEMPLATES) == "0"
    first = copied.ok("db.reset", "acme-new", "-i", "base")
    assert "installing 1 add-on" in first.err
    assert hidden(copied) == []
    assert copied.sql(TEMPLATES) == "1"
    before = parameters(copied, "acme-new")
    assert copied.call("acme-new", "res.users", "search_count", []) > 0
    copied.call("acme-new", "ir.attachment", "create", {"name": "acme", "raw": "text"})
    own = attachments(copied, "acme-new")
    assert [*own] == ["acme"]

    assert copied.inv("db.reset", "acme-new", "-i", "base").code == 1  # not confirmed
    assert attachments(copied, "acme-new") == own
    ran = copied.ok("db.reset", "acme-new", "-i", "base", "--yes")
    assert "installing" not in ran.err
    assert attachments(copied, "acme-new") == {}
    assert parameters(copied, "acme-new")["database.uuid"] != before["database.uuid"]
    copied.ok("db.restore-snapshot", ran.err.split("db.restore-snapshot ")[1].split()[0], "-d", "acme-new", "--yes")
    assert attachments(copied, "acme-new") == own

    refused = copied.inv("db.reset", "acme-new", "-i", "nosuch", "--yes")
    assert (refused.code, "no add-on 'nosuch'" in refused.err) == (4, True)
    assert copied.inv("db.reset", "postgres", "--yes").code == 4
    assert not any(name.startswith("odpm.new") for name in folders(copied))
