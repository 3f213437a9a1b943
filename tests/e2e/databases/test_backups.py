"""Backups of a database with its files, made while Odoo runs and writes."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha1
from pathlib import Path

import pytest

from tests.e2e.databases.test_snapshots import DATABASE, attach, writer
from tests.e2e.harness import Bench, eventually

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.e2e.workspaces"]

COUNTS = """\
SELECT c.relname, (xpath('/row/n/text()', query_to_xml(format('SELECT count(*) n FROM %s', c.oid::regclass), true, true, '')))[1]
FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"""
FACTS = (
    COUNTS,
    "SELECT sequencename, last_value FROM pg_sequences ORDER BY 1",
    "SELECT extname FROM pg_extension ORDER BY 1",
    "SELECT md5(string_agg(obj_description(oid, 'pg_class'), '' ORDER BY relname)) FROM pg_class",
    "SELECT oid, md5(lo_get(oid)) FROM pg_largeobject_metadata ORDER BY 1",
)


def state(bench: Bench, database: str) -> list[str]:
    """Rows of each table, sequences, extensions, comments and large objects."""
    return [bench.sql(query, database) for query in FACTS]


def members(archive: bytes) -> dict[str, bytes]:
    """The members of an archive, as Python's own modules read them."""
    if archive[:2] == b"PK":
        with zipfile.ZipFile(io.BytesIO(archive)) as found:
            assert found.testzip() is None
            return {name: found.read(name) for name in found.namelist()}
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        return {one.name: content.read() for one in tar if (content := tar.extractfile(one))}


@contextmanager
def loaded(bench: Bench, found: dict[str, bytes]) -> Iterator[str]:
    """A scratch database with the dump of an archive, loaded by PostgreSQL's own programs."""
    name = "acme-scratch"
    bench.sql(f'CREATE DATABASE "{name}" TEMPLATE template0')
    try:
        custom = "db.dump" in found
        words = ["pg_restore", "--exit-on-error", "-d"] if custom else ["psql", "-qXv", "ON_ERROR_STOP=1", "-d"]
        into = ["docker", "exec", "-i", "-u", "postgres", str(bench.containers()["db"]["Id"]), *words, name]
        data = found["db.dump" if custom else "dump.sql"]
        done = subprocess.run(into, input=data, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
        yield name
    finally:
        bench.sql(f'DROP DATABASE "{name}" WITH (FORCE)')


def check_files(bench: Bench, database: str, found: dict[str, bytes]) -> int:
    """Every attachment of a database has its file in the archive, with its content; returns how many there are."""
    query = "SELECT store_fname || ' ' || checksum FROM ir_attachment WHERE store_fname IS NOT NULL"
    rows = [line.split() for line in bench.sql(query, database).splitlines()]
    assert dict(rows) == {path: sha1(found[f"filestore/{path}"]).hexdigest() for path, _ in rows}
    return len(rows)


def piped(bench: Bench, *words: str) -> bytes:
    """The standard output of a task."""
    argv = [sys.executable, "-m", "invoke", *words]
    return subprocess.run(argv, cwd=bench.root, env=bench.environment(), capture_output=True, check=True).stdout


def folder(bench: Bench) -> Path:
    return Path(bench.env["HOME"], "odpm-backups", bench.prefix)


@pytest.mark.parametrize("kind", ["zip", "dump"])
def test_a_backup_holds_everything(developer: Bench, kind: str) -> None:
    """Made through a pipe, loaded by PostgreSQL: rows, sequences, comments, large objects and files are equal."""
    oid = developer.sql("SELECT lo_from_bytea(0, 'acme large object')", DATABASE)
    for number, content in enumerate((b"x", bytes(3_000_000), os.urandom(2_000_000), "Ελληνικά".encode())):
        attach(developer, f"acme {kind} {number} Ωμέγα 中文", content + kind.encode())
    for _ in range(5):  # Odoo's scheduled actions write, too
        before = state(developer, DATABASE)
        found = members(piped(developer, "db.backup", "--output", "-", "--archive", kind))
        if state(developer, DATABASE) == before:
            break
    with loaded(developer, found) as scratch:
        assert state(developer, scratch) == before
        assert check_files(developer, scratch, found) >= 4
    manifest = json.loads(found["manifest.json"])
    assert (manifest["odoo_dump"], manifest["db_name"], manifest["major_version"]) == ("1", DATABASE, "19.0")
    assert manifest["modules"]["base"].startswith("19.0.")
    assert manifest["odpm"]["uuid"] == developer.sql(
        "SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'", DATABASE
    )
    developer.sql(f"SELECT lo_unlink({oid})", DATABASE)


@pytest.mark.parametrize("mode", ["wb", "ab"])
def test_standard_output_that_goes_into_a_file(developer: Bench, tmp_path: Path, mode: str) -> None:
    attach(developer, "acme output", bytes(1_000_000))
    argv = [sys.executable, "-m", "invoke", "db.backup", "--output", "-", "--archive", "dump"]
    with (tmp_path / "acme.tar").open(mode) as file:
        subprocess.run(argv, cwd=developer.root, env=developer.environment(), stdout=file, check=True)
    found = members((tmp_path / "acme.tar").read_bytes())
    assert {"manifest.json", "db.dump"} <= {*found}
    assert sum(name.startswith("filestore/") for name in found) >= 1


def test_a_backup_has_the_files_of_what_is_written_meanwhile(developer: Bench, tmp_path: Path) -> None:
    with writer(developer) as made:
        while len(made) < 3:
            time.sleep(0.02)
        count = len(made)
        path = Path(developer.ok("db.backup").out.strip())
        assert len(made) > count, "the writer was blocked"
    assert path.parent == folder(developer)
    assert path.suffix == ".zip"
    assert [one.stat().st_mode & 0o777 for one in (path, path.parent)] == [0o600, 0o700]
    found = members(path.read_bytes())
    with loaded(developer, found) as scratch:
        assert check_files(developer, scratch, found) > count
    again = developer.inv("db.backup", "-o", str(path))
    assert again.code == 7
    assert "the file exists" in again.err
    assert members(path.read_bytes()) == found
    path.unlink()


def test_a_killed_backup_leaves_nothing(developer: Bench) -> None:
    """Killed while the archive is written: no archive has its name, and the next run removes the rest."""
    kept = folder(developer)
    with developer.running("db.backup") as run:
        while not [*kept.glob(".*.odpm-partial")] and run.poll() is None:
            pass
        assert run.poll() is None, "the run ended before it could be killed"
    assert not [*kept.glob("*.zip")]
    made = Path(developer.ok("db.backup").out.strip())
    assert [*kept.iterdir()] == [made]
    made.unlink()


def test_a_backup_killed_at_the_dump_ends_pg_dump(developer: Bench, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump'"
    with developer.running("db.backup", "--output", str(fifo)), fifo.open("rb") as reader:
        assert reader.read(1000)[:2] == b"PK"  # then nobody reads
        eventually(lambda: developer.sql(running) == "1")
    eventually(lambda: developer.sql(running) == "0")
    made = Path(developer.ok("db.backup", "-o", str(tmp_path)).out.strip())
    assert made.parent == tmp_path
    assert "odpm.new.backup" not in developer.inside("ls", "/var/lib/odoo/filestore").out


def test_a_full_disk(developer: Bench, small_disk: Callable[[str], Path], tmp_path: Path) -> None:
    kept = small_disk("size=200k")
    for kind in ("zip", "dump"):
        ran = developer.inv("db.backup", "--archive", kind, BACKUP_DIR=str(kept))
        assert ran.code == 8
        assert "the disk is full" in ran.err
        assert str(kept) in ran.err
        assert "next:" in ran.err
        assert [*kept.iterdir()] == []
    small_disk("size=100m")
    assert Path(developer.ok("db.backup", BACKUP_DIR=str(kept)).out.strip()).parent == kept
    ran = developer.inv("db.backup", "--output", "/dev/full", "--archive", "dump")
    assert ran.code == 8
    assert "the disk is full" in ran.err


def test_a_reader_that_ends_early(developer: Bench, tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)

    def read() -> None:
        with fifo.open("rb") as reader:
            reader.read(1000)

    thread = threading.Thread(target=read)
    thread.start()
    ran = developer.inv("db.backup", "--output", str(fifo))
    thread.join()
    assert ran.code == 5
    assert "the reader of the archive ended" in ran.err


def test_what_is_refused(developer: Bench) -> None:
    developer.sql('CREATE DATABASE "acme-other"')
    try:
        cases = {
            ("-d", "postgres"): 4,
            ("-d", "../x"): 4,
            ("-d", "nosuch"): 4,
            ("-d", "acme-other"): 4,
            ("--archive", "7z"): 1,
        }
        for words, code in cases.items():
            ran = developer.inv("db.backup", *words)
            assert (ran.code, "next:" in ran.err) == (code, True), (words, ran.output)
        ran = developer.inv("db.backup", BACKUP_DIR=".odpm/backups")
        assert ran.code == 4
        assert "must not be in .odpm" in ran.err
    finally:
        developer.sql('DROP DATABASE "acme-other"')
