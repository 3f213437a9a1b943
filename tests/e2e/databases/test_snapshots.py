"""Snapshots of a database with its files, while Odoo runs and writes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from odpm_tasks.core.databases.snapshots import Snapshot, record, recorded
from odpm_tasks.core.databases.sql import comment
from odpm_tasks.stack.names import names as names_of
from tests.e2e.databases.kills import kill_at
from tests.e2e.harness import Bench

pytestmark = pytest.mark.docker

DATABASE = "project"


def attach(bench: Bench, name: str, content: bytes) -> int:
    values = {"name": name, "datas": base64.b64encode(content).decode()}
    found = bench.call(DATABASE, "ir.attachment", "create", values)
    assert isinstance(found, int)
    return found


def attachments(bench: Bench, database: str = DATABASE) -> dict[str, str]:
    """The name and SHA-1 of each attachment of these tests that has a file, which is there with this content."""
    query = "SELECT name || '|' || store_fname || '|' || checksum FROM ir_attachment WHERE name LIKE 'acme%' AND store_fname <> ''"
    rows = [line.split("|") for line in bench.sql(query, database).splitlines()]
    script = f'cd "/var/lib/odoo/filestore/{database}" && for file; do sha1sum "$file"; done'
    listed = bench.inside("sh", "-c", script, "-", *(row[1] for row in rows)).out
    found = {path: checksum for checksum, path in (line.split() for line in listed.splitlines())}
    assert {row[1]: row[2] for row in rows} == found
    return {row[0]: row[2] for row in rows}


def snapshots(bench: Bench, database: str = DATABASE) -> list[str]:
    listed = json.loads(bench.ok("db.snapshots", database, "--format", "json").out)["snapshots"]
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


def kept_files(bench: Bench) -> set[str]:
    """The filestores that belong to odpm: those of snapshots."""
    names = bench.inside("ls", "/var/lib/odoo/filestore").out.split()
    return {name for name in names if name.startswith("odpm.")}


def test_a_snapshot_brings_database_and_files_back(developer: Bench) -> None:
    others = kept_files(developer)  # of other databases of this stack
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

    assert "first" in names_of(developer.root, "snapshots", "")  # offered by completion
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
    assert kept_files(developer) <= others


def test_a_lock_that_cannot_be_read_prevents_neither_snapshot_nor_restore(developer: Bench) -> None:
    path = developer.root / ".odpm" / "deps.lock.json"
    text = path.read_text()
    path.write_text(f"<<<<<<< HEAD\n{text}")  # of a merge
    try:
        assert developer.inv("plan").code == 3
        developer.ok("db.snapshot", "conflict")
        path.write_text(f"{text}>>>>>>> other\n")
        ran = developer.ok("db.restore-snapshot", "conflict", "--yes")
    finally:
        path.write_text(text)
    assert "the lock differs; the commits of one of them are not known" in ran.err
    assert developer.ok("db.restore-snapshot", "--yes").err.startswith("project is as in the snapshot before-restore-")
    developer.ok("db.drop-snapshot", ",".join(snapshots(developer)), "--yes")


def test_files_are_completed_after_a_kill_between_the_names_and_the_files(developer: Bench) -> None:
    """As a run leaves it that was killed after it had exchanged the names: what either database lacks by now is linked again."""
    identity = attach(developer, "acme cleaned", b"cleaned " * 100)
    kept = attachments(developer)
    path = developer.sql(f"SELECT store_fname FROM ir_attachment WHERE id = {identity}", DATABASE)
    script = f"mkdir -p odpm.new.b/{path[:2]} && mv {DATABASE}/{path} odpm.new.b/{path} && mkdir odpm.snapshot.a"
    assert developer.inside("sh", "-c", f"cd /var/lib/odoo/filestore && {script}").code == 0
    left = Snapshot("odpm.snapshot.a", DATABASE, "left", "2026-01-01T00:00:00+00:00", replacement="odpm.new.b")
    developer.sql(f'CREATE DATABASE "{left.id}" IS_TEMPLATE true')
    developer.sql(comment(left.id, record(left)))
    name = developer.ok("db.snapshot").out.strip()
    assert attachments(developer) == kept
    assert (hidden(developer), kept_files(developer) >= {left.id}) == ([], True)
    assert not any(one.startswith("odpm.new") for one in kept_files(developer))
    files = [
        developer.inside(
            "find",
            f"/var/lib/odoo/filestore/{one}",
            "-name",
            "checklist",
            "-prune",
            "-o",
            "-type",
            "f",
            "-printf",
            "%f ",
        )
        for one in (DATABASE, left.id)
    ]
    assert {*files[0].out.split()} - {*files[1].out.split()} <= {path[3:]}  # linked before the new files came
    stored = developer.sql(f"SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = '{left.id}'")
    assert recorded(left.id, stored) == replace(left, replacement="")
    developer.ok("db.drop-snapshot", f"{name},left", "--yes")
    developer.call(DATABASE, "ir.attachment", "unlink", [identity])


@pytest.mark.long
def test_the_oldest_state_before_a_restore_can_be_restored(developer: Bench) -> None:
    """Of these, the last three are kept; the one that is restored stays, too."""
    developer.ok("db.snapshot", "good")
    for number in range(3):
        attach(developer, f"acme {number}", str(number).encode())
        developer.ok("db.restore-snapshot", "good", "--yes")
    *_, oldest = (name for name in snapshots(developer) if name.startswith("before-restore-"))
    developer.ok("db.restore-snapshot", oldest, "--yes")
    assert "acme 0" in attachments(developer)
    assert len([name for name in snapshots(developer) if name.startswith("before-restore-")]) == 4
    developer.ok("db.restore-snapshot", "good", "--yes")
    assert len([name for name in snapshots(developer) if name.startswith("before-restore-")]) == 3
    developer.ok("db.drop-snapshot", ",".join(snapshots(developer)), "--yes")


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
    """Killed when the database is copied: the next run removes the copy, and the database is as before."""
    words = ("killed",) if task == "db.snapshot" else ("good", "--yes")
    if task == "db.restore-snapshot":
        developer.ok("db.snapshot", "good")
    attach(developer, f"acme {task}", task.encode())
    before = attachments(developer)
    kill_at(developer, (task, *words), *(("snapshots", "record") if task == "db.snapshot" else ("copying", "replace")))
    assert len(hidden(developer)) == 1
    assert attachments(developer) == before
    ran = developer.ok("db.snapshot", "next")
    assert "removing what an interrupted run left" in ran.err
    assert hidden(developer) == []
    assert "killed" not in snapshots(developer)
    developer.ok("db.drop-snapshot", ",".join(snapshots(developer)), "--yes")
    assert developer.call(DATABASE, "res.users", "search_count", []) > 0


@pytest.mark.long
def test_a_restore_killed_after_the_exchange_is_finished(developer: Bench) -> None:
    developer.ok("db.snapshot", "good")
    good = attachments(developer)
    attach(developer, "acme later", b"later")
    later = attachments(developer)
    kill_at(developer, ("db.restore-snapshot", "good", "--yes"), "copying", "_finish_replacement")
    assert attachments(developer) == good
    developer.ok("db.snapshot", "next")
    (before,) = (name for name in snapshots(developer) if name.startswith("before-restore-"))
    developer.ok("db.restore-snapshot", before, "--yes")
    assert attachments(developer) == later
    developer.ok("db.drop-snapshot", ",".join(snapshots(developer)), "--yes")


@pytest.mark.parametrize("recorded", ["each other's", "gone", "none"])
def test_recorded_containers_that_are_not_the_present_ones(developer: Bench, recorded: str) -> None:
    """Programs start in the containers of the last run before the description is read; they are used in the present ones only."""
    state = developer.root / ".odpm/state.toml"
    text = state.read_text(encoding="utf-8")
    ids = {name: str(developer.containers()[name]["Id"]) for name in ("db", "odoo")}
    other = {"each other's": (ids["odoo"], ids["db"]), "gone": ("0" * 64, "1" * 64), "none": ("--help", "")}[recorded]
    changed = text.replace(ids["db"], "NEW-DB").replace(ids["odoo"], other[1]).replace("NEW-DB", other[0])
    assert changed != text
    state.write_text(changed, encoding="utf-8")
    try:
        name = developer.ok("db.snapshot").out.strip()
        assert name in developer.ok("db.snapshots").out
        developer.ok("db.drop-snapshot", name, "--yes")
    finally:
        state.write_text(text, encoding="utf-8")


@pytest.mark.long
def test_a_killed_run_whose_program_still_links_files_leaves_nothing(developer: Bench) -> None:
    script = f"""
import os
root = "/var/lib/odoo/filestore/{DATABASE}/"
for number in range(40_000):
    os.makedirs(f"{{root}}{{number % 256:02x}}", exist_ok=True)
    open(f"{{root}}{{number % 256:02x}}/acme-many-{{number}}", "w").close()
"""
    developer.inside("python3", "-c", script)
    count = "find /var/lib/odoo/filestore/odpm.new.* -name 'acme-many-*' 2>/dev/null | wc -l"
    others = kept_files(developer)
    try:
        for _ in range(3):
            with developer.running("db.snapshot"):
                while int(developer.inside("sh", "-c", count).out) < 1000:
                    pass
            assert developer.inv("db.drop", "acme-none", "--yes").code == 4  # there is none; what was left is finished
            assert kept_files(developer) == others
            time.sleep(1)
            assert kept_files(developer) == others
    finally:
        developer.inside("sh", "-c", f"find /var/lib/odoo/filestore/{DATABASE} -name 'acme-many-*' -delete")
