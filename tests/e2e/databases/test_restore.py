"""Archives restored: complete, neutralised, and never at the cost of what is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.databases.test_backups import members, piped, state
from tests.e2e.databases.test_copies import copied, databases, folders, kill, quiet
from tests.e2e.databases.test_neutralize import make_outgoing, outgoing, parameters
from tests.e2e.databases.test_snapshots import DATABASE, attach, attachments, hidden
from tests.e2e.harness import Bench

__all__ = ["copied"]
pytestmark = pytest.mark.docker
pytest_plugins = ["tests.e2e.workspaces"]


def restored_from_pipe(bench: Bench, archive: bytes, *words: str) -> subprocess.CompletedProcess[bytes]:
    argv = [sys.executable, "-m", "invoke", "db.restore", "-", *words]
    return subprocess.run(
        argv, cwd=bench.root, env=bench.environment(), input=archive, capture_output=True, check=False
    )


@pytest.fixture
def archive(copied: Bench, tmp_path: Path) -> Path:
    """A backup of a quiet copy of the database, `acme-source`."""
    copied.ok("db.copy", DATABASE, "acme-source")
    quiet(copied, "acme-source")
    copied.ok("db.backup", "-d", "acme-source", "-o", str(tmp_path / "acme.zip"))
    return tmp_path / "acme.zip"


def changed(archive: Path, target: Path, **contents: bytes) -> Path:
    """The archive with other contents of members whose names begin so."""
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
        for info in source.infolist():
            made.writestr(info.filename, contents.get(info.filename.split(".")[0], source.read(info)))
    return target


@pytest.mark.parametrize("kind", ["zip", "dump"])
def test_a_round_trip_loses_nothing(copied: Bench, kind: str) -> None:
    oid = copied.sql("SELECT lo_from_bytea(0, 'acme large object')", DATABASE)
    copied.sql(
        f'ALTER LARGE OBJECT {oid} OWNER TO odoo; CREATE TABLE "acme ""odd""" (a text); ALTER TABLE "acme ""odd""" OWNER TO odoo',
        DATABASE,
    )
    copied.sql("""INSERT INTO "acme ""odd\""" VALUES (E'tab\\t;\\\\.\\n\\\\.\\n'), (NULL), ('Ωμέγα')""", DATABASE)
    try:
        attach(copied, "acme restored Ωμέγα 中文", os.urandom(100_000) + kind.encode())
        make_outgoing(copied)
        copied.ok("db.copy", DATABASE, "acme-source", "--no-neutralize")
        quiet(copied, "acme-source")
        found = piped(copied, "db.backup", "-d", "acme-source", "--output", "-", "--archive", kind)
        before = state(copied, "acme-source"), attachments(copied, "acme-source"), parameters(copied, "acme-source")
        ran = restored_from_pipe(copied, found, "-d", "acme-twin", "--no-neutralize")
        assert ran.returncode == 0, ran.stderr.decode()
        assert (state(copied, "acme-twin"), attachments(copied, "acme-twin"), parameters(copied, "acme-twin")) == before
        assert (
            copied.sql(
                "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tableowner <> 'odoo'", "acme-twin"
            )
            == "0"
        )
        rows = 'SELECT json_agg(a ORDER BY a) FROM "acme ""odd"""'
        assert copied.sql(rows, "acme-twin") == copied.sql(rows, "acme-source")

        ran = restored_from_pipe(copied, found, "-d", "acme-other")
        assert b"acme-other is restored, neutralised" in ran.stderr
        assert outgoing(copied, "acme-other") == []
        assert parameters(copied, "acme-other")["database.uuid"] != before[2]["database.uuid"]
        assert copied.call("acme-other", "res.users", "search_count", []) > 0  # Odoo works with it
    finally:
        copied.sql(f'DROP TABLE "acme ""odd"""; SELECT lo_unlink({oid})', DATABASE)


def test_an_archive_of_this_database_replaces_it_as_it_was(copied: Bench, archive: Path) -> None:
    make_outgoing(copied, "acme-source")
    copied.ok("db.backup", "-d", "acme-source", "-o", str(archive.with_name("live.zip")))
    before = parameters(copied, "acme-source")
    attach_count = len(attachments(copied, "acme-source"))
    ran = copied.inv("db.restore", str(archive.with_name("live.zip")), "-d", "acme-source")
    assert (ran.code, "--replace" in ran.err) == (7, True)
    copied.sql("DELETE FROM ir_attachment WHERE name LIKE 'acme%'", "acme-source")
    words = (str(archive.with_name("live.zip")), "-d", "acme-source", "--replace")
    assert copied.inv("db.restore", *words).code == 1  # not confirmed
    assert attachments(copied, "acme-source") == {}

    ran = copied.ok("db.restore", *words, "--yes")
    assert len(attachments(copied, "acme-source")) == attach_count
    assert parameters(copied, "acme-source") == before  # same stack and database: not neutralised
    assert "mail.acme.example" in outgoing(copied, "acme-source")
    copied.ok("db.restore-snapshot", ran.err.split("db.restore-snapshot ")[1].split()[0], "-d", "acme-source", "--yes")
    assert attachments(copied, "acme-source") == {}


HOSTILE = {
    "a command of psql": (rb"\! touch /tmp/acme", 4),
    "another database": (rb"\connect project", 4),
    "a program": (b"COPY public.x FROM PROGRAM 'touch /tmp/acme';", 4),
    "the server": (b"ALTER SYSTEM SET port = 1;", 4),
    "a program in a block": (b"DO $$BEGIN EXECUTE 'COPY (SELECT 1) TO PROGRAM ''touch /tmp/acme'''; END$$;", 5),
    "the superuser": (b"DO $$BEGIN EXECUTE 'SET ROLE postgres'; END$$;", 5),
    "quotes that change": (b"SET standard_conforming_strings = off; SELECT 'a\\' ; \\! touch /tmp/acme '';", 4),
}
COMMON = ("a program", "a program in a block")  # the others with --long


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in COMMON else pytest.mark.long) for kind in HOSTILE]
)
def test_a_hostile_dump_reaches_nothing(copied: Bench, tmp_path: Path, kind: str) -> None:
    text, code = HOSTILE[kind]
    dump = b"--\n-- PostgreSQL database dump\n--\nCREATE TABLE public.x (a text);\n" + text
    dump += b"\n--\n-- PostgreSQL database dump complete\n--\n"
    (tmp_path / "acme.sql").write_bytes(dump)
    before = databases(copied), folders(copied)
    ran = copied.inv("db.restore", str(tmp_path / "acme.sql"), "-d", "acme-x")
    assert (ran.code, "next:" in ran.err) == (code, True), ran.output
    assert (databases(copied), folders(copied), hidden(copied)) == (*before, [])
    assert copied.inside("ls", "/tmp/acme", service="db").code != 0


@pytest.mark.long
def test_an_index_that_fails_beside_others_is_named(copied: Bench, tmp_path: Path) -> None:
    lines = ["--", "-- PostgreSQL database dump", "--", "BEGIN;", "CREATE TABLE public.y (a integer);"]
    lines += ["CREATE INDEX ON public.y (a);", "COMMIT;", "SET search_path = public;"]
    lines += ["CREATE TABLE x AS SELECT n, n / 2 AS half FROM generate_series(1, 100000) AS n;"]
    lines += [f"CREATE INDEX ON x (n, (n % {number}));" for number in range(1, 6)]
    lines += ["CREATE UNIQUE INDEX twice ON x (half);", "ALTER TABLE ONLY x ADD CONSTRAINT one UNIQUE (n);"]
    lines += ["ALTER TABLE x CLUSTER ON one;", "--", "-- PostgreSQL database dump complete", "--", ""]
    (tmp_path / "acme.sql").write_text("\n".join(lines), encoding="utf-8")
    before = databases(copied), folders(copied)
    ran = copied.inv("db.restore", str(tmp_path / "acme.sql"), "-d", "acme-x")
    number = 1 + next(place for place, line in enumerate(lines) if "twice" in line)
    assert (ran.code, f"line {number}: could not create unique index" in ran.err) == (5, True), ran.output
    assert (databases(copied), folders(copied), hidden(copied)) == (*before, [])


def test_what_is_refused_leaves_nothing(copied: Bench, archive: Path, tmp_path: Path) -> None:
    manifest = json.dumps({"major_version": "18.0"}).encode()
    other = changed(archive, tmp_path / "other.zip", manifest=manifest)
    file = next(name for name in members(archive.read_bytes()) if name.startswith("filestore/"))
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "damaged.zip", "w") as made:
        for info in source.infolist():
            made.writestr(info.filename, b"other" if info.filename == file else source.read(info))
    (tmp_path / "cut.zip").write_bytes(archive.read_bytes()[:-3000])
    before = databases(copied), folders(copied)
    for words, code, text in (
        ((str(other), "-d", "acme-x"), 4, "Odoo 18.0, and this project runs 19.0"),
        ((str(tmp_path / "damaged.zip"), "-d", "acme-x"), 5, "cut off or damaged"),
        ((str(tmp_path / "cut.zip"), "-d", "acme-x"), 5, "cut off or damaged"),
        ((str(tmp_path / "nosuch.zip"), "-d", "acme-x"), 4, "no such file"),
        ((str(archive), "-d", "template1"), 4, "PostgreSQL keeps"),
        ((), 1, "no archive is named"),
    ):
        ran = copied.inv("db.restore", *words)
        assert (ran.code, text in ran.err, "next:" in ran.err) == (code, True, True), ran.output
    assert (databases(copied), folders(copied), hidden(copied)) == (*before, [])


def test_a_full_disk(copied: Bench, archive: Path, small_disk: Callable[[str], Path]) -> None:
    kept = small_disk("size=200k")
    environment = copied.env | {"BACKUP_DIR": str(kept)}
    argv = [sys.executable, "-m", "invoke", "db.restore", "-", "-d", "acme-x"]
    with archive.open("rb") as stream:
        ran = subprocess.run(
            argv, cwd=copied.root, env=copied.environment(environment), stdin=stream, capture_output=True, check=False
        )
    assert (ran.returncode, b"the disk is full" in ran.stderr) == (8, True)
    assert "acme-x" not in databases(copied)


@pytest.mark.parametrize("moment", [pytest.param("loading", marks=pytest.mark.long), "files"])
def test_a_killed_restore_leaves_nothing(copied: Bench, archive: Path, moment: str) -> None:
    def reached() -> bool:
        if moment == "loading":
            return bool(hidden(copied))
        return any(name.startswith("odpm.new") for name in folders(copied))

    kill(copied, ("db.restore", str(archive), "-d", "acme-x"), reached)
    assert "acme-x" not in databases(copied)
    copied.ok("db.restore", str(archive), "-d", "acme-x")
    assert hidden(copied) == []
    assert not any(name.startswith("odpm.new") for name in folders(copied))
    assert attachments(copied, "acme-x") == attachments(copied, "acme-source")
