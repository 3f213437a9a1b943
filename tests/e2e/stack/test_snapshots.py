"""Snapshots of a database with its files, while Odoo runs and writes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.harness import Bench

pytestmark = pytest.mark.docker

DATABASE = "project"


def attach(bench: Bench, name: str, content: bytes) -> int:
    values = {"name": name, "datas": base64.b64encode(content).decode()}
    found = bench.call(DATABASE, "ir.attachment", "create", values)
    assert isinstance(found, int)
    return found


def attachments(bench: Bench, database: str = DATABASE) -> dict[str, str]:
    """The name and SHA-1 of each attachment of these tests whose file is there with this content."""
    query = "SELECT name || '|' || store_fname || '|' || checksum FROM ir_attachment WHERE name LIKE 'acme%'"
    rows = [line.split("|") for line in bench.sql(query, database).splitlines()]
    script = f'cd /var/lib/odoo/filestore/{database} && for file; do sha1sum "$file"; done'
    listed = bench.inside("sh", "-c", script, "-", *(row[1] for row in rows)).out
    found = {path: checksum for checksum, path in (line.split() for line in listed.splitlines())}
    assert {row[1]: row[2] for row in rows} == found
    return {row[0]: row[2] for row in rows}


def snapshots(bench: Bench) -> list[str]:
    listed = json.loads(bench.ok("db.snapshots", "--format", "json").out)["snapshots"]
    return [one["name"] for one in listed]


def hidden(bench: Bench) -> list[str]:
    return bench.sql("SELECT datname FROM pg_database WHERE datname LIKE 'odpm.new.%'").split()


@contextmanager
def writer(bench: Bench) -> Iterator[list[str]]:
    """Creates attachments all the time, and tries again when its connection ends. Yields the names of those created."""
    made: list[str] = []
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                attach(bench, f"acme-writer-{number}", f"content {number} {time.time()}".encode())
            except Exception:
                time.sleep(0.05)
            else:
                made.append(f"acme-writer-{number}")

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield made
    finally:
        stop.set()
        thread.join()


def test_a_snapshot_brings_database_and_files_back(developer: Bench) -> None:
    names = {"acme small": b"x", "acme Ελληνικά 中文": b"text" * 1000, "acme large": bytes(5_000_000)}
    identities = [attach(developer, name, content) for name, content in names.items()]
    expected = {name: hashlib.sha1(content).hexdigest() for name, content in names.items()}
    assert attachments(developer) == expected
    with writer(developer) as made:
        while len(made) < 5:
            time.sleep(0.02)
        assert developer.ok("db.snapshot", "first").out == "first\n"
        count = len(made)
        while len(made) < count + 5:  # Odoo connects again
            time.sleep(0.02)
    developer.call(DATABASE, "ir.attachment", "unlink", identities)
    written = attachments(developer)
    assert not expected.keys() & written.keys()

    ran = developer.ok("db.restore-snapshot", "--yes")
    assert "project is as in the snapshot first" in ran.err
    now = attachments(developer)
    assert expected.items() <= now.items()
    assert 5 <= len(now) - len(expected) < len(written)
    assert {*made[: len(now) - len(expected)]} == now.keys() - expected.keys()
    assert developer.call(DATABASE, "ir.attachment", "search_count", [("name", "like", "acme")]) == len(now)

    (before,) = [name for name in snapshots(developer) if name.startswith("before-restore-")]
    developer.ok("db.restore-snapshot", before, "--yes")
    assert attachments(developer) == written
    kept = snapshots(developer)
    developer.ok("db.drop-snapshot", ",".join(kept), "--yes")
    assert snapshots(developer) == []
    files = developer.inside("ls", "/var/lib/odoo/filestore").out.split()
    assert [name for name in files if name.startswith("odpm.")] == []


def test_names_that_are_refused(developer: Bench) -> None:
    for words in (
        ("db.snapshot", "-d", "postgres"),
        ("up", "-d", "template1"),
        ("plan", "-d", "postgres"),
        ("db.snapshot", "-d", "../x"),
        ("db.snapshot", "a/b"),
        ("db.restore-snapshot", "nosuch", "--yes"),
        ("db.drop-snapshot", "nosuch", "--yes"),
    ):
        ran = developer.inv(*words)
        assert ran.code == 4, (words, ran.output)
        assert "next:" in ran.err
    asked = developer.inv("db.drop-snapshot")
    assert asked.code == 1


@pytest.mark.parametrize("task", ["db.snapshot", "db.restore-snapshot"])
def test_a_killed_run_leaves_nothing_half_made(developer: Bench, task: str) -> None:
    """Killed while the database is copied: the next run removes the copy, and the database is as before."""
    words = ("killed",) if task == "db.snapshot" else ("good", "--yes")
    if task == "db.restore-snapshot":
        developer.ok("db.snapshot", "good")
    attach(developer, f"acme {task}", task.encode())
    before = attachments(developer)
    with developer.running(task, *words) as run:
        while not hidden(developer) and run.poll() is None:
            pass
        assert run.poll() is None, "the run ended before it could be killed"
    assert attachments(developer) == before
    ran = developer.ok("db.snapshot", "next")
    assert "removing what an interrupted run left" in ran.err
    assert hidden(developer) == []
    assert "killed" not in snapshots(developer)
    developer.ok("db.drop-snapshot", ",".join(snapshots(developer)), "--yes")
    assert developer.call(DATABASE, "res.users", "search_count", []) > 0
