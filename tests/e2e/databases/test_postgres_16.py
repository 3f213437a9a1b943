"""What copies a database, on PostgreSQL 16."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import say
from tests.e2e.databases.test_backups import FACTS
from tests.e2e.databases.test_copies import quiet
from tests.e2e.databases.test_neutralize import parameters
from tests.e2e.databases.test_snapshots import DATABASE, attach, attachments
from tests.e2e.harness import Bench, demo_project
from tests.standins.images import ensure_image

pytestmark = [pytest.mark.docker, pytest.mark.long]


def everything(bench: Bench, database: str) -> tuple[object, ...]:
    """As `test_backups.state`, whose rows are counted by way of XML, which the wheel does not have."""
    relations = "SELECT oid::regclass FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
    counts = (f"SELECT '{name}', count(*) FROM {name}" for name in bench.sql(relations, database).split())
    rows = sorted(bench.sql(" UNION ALL ".join(counts), database).splitlines())
    facts = [bench.sql(query, database) for query in FACTS[1:]]
    return rows, facts, attachments(bench, database), parameters(bench, database)


def test_round_trips(tmp_path: Path, make_bench: Callable[[Path], Bench], engine: None) -> None:
    ensure_image("postgres:16", say)
    bench = make_bench(demo_project(tmp_path / "project"))
    bench.edit(postgres="16")
    bench.ok("up")
    assert bench.sql("SHOW server_version").startswith("16.")
    quiet(bench, DATABASE)
    attach(bench, "acme Ωμέγα", os.urandom(1_000_000))
    attach(bench, "acme empty", b"")
    bench.sql("SELECT lo_from_bytea(4711, 'acme large object'); ALTER LARGE OBJECT 4711 OWNER TO odoo", DATABASE)
    good = attachments(bench, DATABASE), parameters(bench)
    assert "acme Ωμέγα" in good[0]

    bench.ok("db.snapshot", "good")
    bench.sql("DELETE FROM ir_attachment WHERE name LIKE 'acme%'", DATABASE)
    bench.ok("db.restore-snapshot", "good", "--yes")
    assert (attachments(bench, DATABASE), parameters(bench)) == good
    before = everything(bench, DATABASE)  # with the signals that tell Odoo of the restored state
    bench.ok("db.copy", DATABASE, "acme-copy", "--no-neutralize")
    assert everything(bench, "acme-copy") == before
    bench.ok("db.rename", "acme-copy", "acme-renamed")
    assert everything(bench, "acme-renamed") == before
    for kind in ("zip", "dump"):
        path = str(tmp_path / f"acme.{kind}")
        bench.ok("db.backup", "-d", "acme-renamed", "-o", path, "--archive", kind)
        bench.ok("db.restore", path, "-d", f"acme-{kind}", "--no-neutralize")
        assert everything(bench, f"acme-{kind}") == before
    bench.ok("db.copy", DATABASE, "acme-trial")
    assert parameters(bench, "acme-trial")["database.is_neutralized"] == "true"
    assert bench.call("acme-trial", "res.users", "search_count", []) > 0
    bench.ok("db.reset", "acme-new", "-i", "base")
    bench.ok("db.reset", "acme-new", "-i", "base", "--yes")
    assert bench.call("acme-new", "res.users", "search_count", []) > 0
