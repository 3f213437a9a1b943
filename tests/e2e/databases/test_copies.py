"""Copied, renamed and dropped databases, with their files."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.databases.kills import kill_at
from tests.e2e.databases.test_backups import state
from tests.e2e.databases.test_neutralize import make_outgoing, outgoing, parameters
from tests.e2e.databases.test_snapshots import DATABASE, attach, attachments, hidden, snapshots, writer
from tests.e2e.harness import Bench

pytestmark = pytest.mark.docker


@pytest.fixture
def copied(developer: Bench) -> Iterator[Bench]:
    """The stack; databases whose names begin with `acme` are dropped after the test, and all snapshots."""
    yield developer
    for name in databases(developer):
        if name.startswith("acme"):
            developer.ok("db.drop", name, "--yes")
    for name in {
        one["database"] for one in json.loads(developer.ok("db.snapshots", "--format", "json").out)["snapshots"]
    }:
        developer.ok("db.drop-snapshot", ",".join(snapshots(developer, name)), "-d", name, "--yes")


def databases(bench: Bench) -> list[str]:
    listed = json.loads(bench.ok("db.list", "--format", "json").out)["databases"]
    return [one["name"] for one in listed]


def folders(bench: Bench) -> set[str]:
    return {name for name in bench.inside("ls", "/var/lib/odoo/filestore").out.split() if "snapshot" not in name}


def quiet(bench: Bench, database: str) -> None:
    """Switch off all scheduled actions, also Odoo's own cleaning: nothing writes into the database or its copies."""
    bench.sql("UPDATE ir_cron SET active = false", database)


def test_a_copy_is_neutralised_and_complete(copied: Bench) -> None:
    """Made while the original is written: every attachment has its file, and the original stays as it is."""
    make_outgoing(copied)
    before = parameters(copied)
    attach(copied, "acme copied Ωμέγα", b"content" * 1000)
    with writer(copied) as made:
        while len(made) < 5:
            time.sleep(0.02)
        assert "acme-copy is a copy of project, neutralised" in copied.ok("db.copy", DATABASE, "acme-copy").err
    found = attachments(copied, "acme-copy")
    assert "acme copied Ωμέγα" in found
    assert len([name for name in found if name.startswith("acme-writer")]) >= 5
    assert outgoing(copied, "acme-copy") == []
    after = parameters(copied, "acme-copy")
    assert after["database.is_neutralized"] == "true"
    assert all(before[key] != after[key] for key in ("database.uuid", "database.secret"))
    assert parameters(copied) == before
    assert "mail.acme.example" in outgoing(copied)
    assert copied.call("acme-copy", "res.users", "search_count", []) > 0  # Odoo works with it


def test_a_copy_that_is_not_neutralised_is_equal_then_renamed_and_dropped(copied: Bench) -> None:
    copied.ok("db.copy", DATABASE, "acme-copy")
    quiet(copied, "acme-copy")
    copied.ok("db.copy", "acme-copy", "acme-twin", "--no-neutralize")
    original = state(copied, "acme-copy"), parameters(copied, "acme-copy"), attachments(copied, "acme-copy")
    assert (state(copied, "acme-twin"), parameters(copied, "acme-twin"), attachments(copied, "acme-twin")) == original

    copied.ok("db.snapshot", "good", "-d", "acme-twin")
    copied.ok("db.rename", "acme-twin", "acme's Ωμέγα")
    assert "acme-twin" not in {*databases(copied), *folders(copied)}
    assert (
        state(copied, "acme's Ωμέγα"),
        parameters(copied, "acme's Ωμέγα"),
        attachments(copied, "acme's Ωμέγα"),
    ) == original

    asked = copied.inv("db.drop", "acme's Ωμέγα")
    assert (asked.code, "nothing is changed" in asked.err) == (1, True)
    ran = copied.ok("db.drop", "acme's Ωμέγα", "--yes")
    assert "acme's Ωμέγα" not in {*databases(copied), *folders(copied)}
    assert "its snapshots stay" in ran.err
    copied.ok("db.restore-snapshot", "good", "-d", "acme's Ωμέγα", "--yes")  # it followed the name
    assert (parameters(copied, "acme's Ωμέγα"), attachments(copied, "acme's Ωμέγα")) == original[1:]


def test_what_is_refused(copied: Bench) -> None:
    copied.sql('CREATE DATABASE "acme-other" OWNER odoo')
    for words, code in (
        (("db.copy", DATABASE, "postgres"), 4),
        (("db.copy", DATABASE, "Template9"), 4),
        (("db.copy", DATABASE, "a/b"), 4),
        (("db.copy", "template1", "acme-x"), 4),
        (("db.copy", "nosuch", "acme-x"), 4),
        (("db.copy", "acme-other", "acme-x"), 4),  # not Odoo's: cannot be neutralised
        (("db.copy", DATABASE, "acme-other"), 7),
        (("db.rename", DATABASE, "acme-other"), 7),
        (("db.rename", "postgres", "acme-x"), 4),
        (("db.rename", DATABASE, "odpm.x"), 4),
        (("db.drop", "postgres", "--yes"), 4),
        (("db.drop", "nosuch", "--yes"), 4),
        (("db.copy", DATABASE), 1),
    ):
        ran = copied.inv(*words)
        assert (ran.code, "next:" in ran.err) == (code, True), (words, ran.output)
    assert {*databases(copied)} >= {DATABASE, "acme-other"}
    assert "acme-x" not in databases(copied)


@pytest.mark.parametrize("moment", ["copied", pytest.param("neutralised", marks=pytest.mark.long)])
def test_a_killed_copy_leaves_nothing(copied: Bench, moment: str) -> None:
    """Killed when the database is copied, and when the copy is neutralised but has the uuid of the original."""
    place = ("copying", "open_hidden") if moment == "copied" else ("neutralizing", "renew_identity")
    kill_at(copied, ("db.copy", DATABASE, "acme-x"), *place)
    assert "acme-x" not in databases(copied)
    copied.ok("db.copy", DATABASE, "acme-y", "--no-neutralize")
    assert hidden(copied) == []
    assert {name for name in folders(copied) if name.startswith(("odpm.new", "acme"))} == {"acme-y"}


@pytest.mark.parametrize("task", ["db.rename", pytest.param("db.drop", marks=pytest.mark.long)])
def test_a_killed_run_loses_nothing_of_others(copied: Bench, task: str) -> None:
    """Killed while it works on the files: the next run finishes the rename, or the removal."""
    copied.ok("db.copy", DATABASE, "acme-x", "--no-neutralize")
    original = attachments(copied, "acme-x")
    # `_finish_rename` is called before the work, twice, and then for the rename itself
    words = ("acme-x", "acme-y") if task == "db.rename" else ("acme-x", "--yes")
    kill_at(copied, (task, *words), "copying", *(("_finish_rename", 3) if task == "db.rename" else ("remove",)))
    assert "acme-x" not in copied.sql("SELECT datname FROM pg_database").split()
    copied.ok("db.snapshot")
    assert "acme-x" not in {*databases(copied), *folders(copied)}
    if task == "db.rename":
        assert attachments(copied, "acme-y") == original
    assert hidden(copied) == []
    assert attachments(copied)


def kill(bench: Bench, words: tuple[str, ...], reached: Callable[[], object]) -> None:
    """Kill a run as soon as a state is reached."""
    with bench.running(*words) as run:
        while not reached() and run.poll() is None:
            pass
        assert run.poll() is None, "the run ended before it could be killed"
