"""Archives with many bytes of files: a container writes and reads them on this machine, beside the engine's streams."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tarfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from odpm_tasks.databases.access import LARGE
from tests.e2e.databases.test_copies import copied, databases, folders, kill, quiet
from tests.e2e.databases.test_snapshots import DATABASE, hidden
from tests.e2e.harness import Bench, eventually

__all__ = ["copied"]
pytestmark = pytest.mark.docker
pytest_plugins = ["tests.e2e.workspaces"]

STORE = "/var/lib/odoo/filestore"
PARTS = 20
FILL = """
import hashlib, os, sys
root, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    content = os.urandom(1000 + number) + bytes(size)
    name = hashlib.sha1(content).hexdigest()
    os.makedirs(f"{root}/{name[:2]}", exist_ok=True)
    open(f"{root}/{name[:2]}/{name}", "wb").write(content)
os.makedirs(f"{root}/Ωμέγα", exist_ok=True)
open(f"{root}/Ωμέγα/no hash", "wb").write(b"x")
open(f"{root}/Ωμέγα/empty", "wb")
"""
SUMS = 'cd "$0" && find . -type f ! -path "./checklist/*" -exec sha1sum {} + | sort'


@pytest.fixture
def large(copied: Bench) -> Bench:
    """The stack with `acme-source`, whose files are just larger than `LARGE`; most of each file is zeros."""
    copied.ok("db.copy", DATABASE, "acme-source")
    quiet(copied, "acme-source")
    filled = copied.inside("python3", "-c", FILL, f"{STORE}/acme-source", str(PARTS), str(LARGE // PARTS))
    assert filled.code == 0, filled.output
    return copied


def sums(bench: Bench, database: str) -> list[str]:
    return bench.inside("sh", "-c", SUMS, f"{STORE}/{database}").out.splitlines()


def inside_of_a_file(archive: Path) -> int:
    """The position of a byte in the content of a stored file."""
    if tarfile.is_tarfile(archive):
        with tarfile.open(archive) as tar:
            return (
                max((one for one in tar if one.name.startswith("filestore/")), key=lambda one: one.size).offset_data
                + 5000
            )
    with zipfile.ZipFile(archive) as found:
        stored = [one for one in found.infolist() if one.filename.startswith("filestore/")]
    return max(stored, key=lambda one: one.file_size).header_offset + 300


def containers_with(path: Path) -> list[str]:
    """The containers that have a file or a folder of this machine."""
    listed = ["docker", "ps", "-aq", "--no-trunc", "--filter", f"volume={path}"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.parametrize("kind", ["dump", pytest.param("zip", marks=pytest.mark.long)])
def test_a_round_trip_of_large_files(large: Bench, tmp_path: Path, kind: str) -> None:
    expected = sums(large, "acme-source")
    assert len(expected) >= PARTS + 2
    archive = tmp_path / f"acme, {kind}"
    seen = False
    with large.running("db.backup", "-d", "acme-source", "-o", str(archive), "--archive", kind) as run:
        while run.poll() is None:
            seen = seen or bool(containers_with(tmp_path / f".{archive.name}.odpm-partial"))
            time.sleep(0.02)
    assert (run.returncode, seen) == (0, kind == "dump")
    seen = False
    with large.running("db.restore", str(archive), "-d", "acme-twin", "--no-neutralize") as run:
        while run.poll() is None:
            seen = seen or bool(containers_with(archive))
            time.sleep(0.02)
    assert (run.returncode, seen) == (0, True)
    assert sums(large, "acme-twin") == expected
    owners = large.inside("sh", "-c", f"find {STORE}/acme-twin ! -user odoo")
    assert (owners.code, owners.out) == (0, "")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["dump", "zip"])
def test_damaged_and_killed(large: Bench, tmp_path: Path, kind: str) -> None:
    archive, damaged = tmp_path / "acme", tmp_path / "damaged"
    large.ok("db.backup", "-d", "acme-source", "-o", str(archive), "--archive", kind)
    content = bytearray(archive.read_bytes())
    content[inside_of_a_file(archive)] ^= 1
    damaged.write_bytes(content)
    before = databases(large), folders(large)
    ran = large.inv("db.restore", str(damaged), "-d", "acme-x")
    assert (ran.code, "cut off or damaged" in ran.err, "next:" in ran.err) == (5, True, True), ran.output
    assert (databases(large), folders(large), hidden(large)) == (*before, [])
    kill(large, ("db.restore", str(archive), "-d", "acme-x"), lambda: containers_with(archive))
    eventually(lambda: not containers_with(archive))
    made = tmp_path / "made"
    partial = tmp_path / ".made.odpm-partial"
    if kind == "dump":
        words = ("db.backup", "-d", "acme-source", "-o", str(made), "--archive", kind)
        kill(large, words, lambda: containers_with(partial))
        eventually(lambda: not containers_with(partial))
        assert not made.exists()
    large.ok("db.restore", str(archive), "-d", "acme-x", "--no-neutralize")
    assert sums(large, "acme-x") == sums(large, "acme-source")
    assert hidden(large) == []


@pytest.mark.long
def test_full_disks(large: Bench, small_disk: Callable[[str], Path]) -> None:
    kept = small_disk("size=100m")
    ran = large.inv("db.backup", "-d", "acme-source", "--archive", "dump", BACKUP_DIR=str(kept))
    assert (ran.code, "the disk is full" in ran.err) == (8, True), ran.output
    assert [*kept.iterdir()] == []


@pytest.mark.long
@pytest.mark.parametrize("kind", ["dump", "zip"])
def test_files_that_the_engine_does_not_reach(large: Bench, tmp_path: Path, kind: str) -> None:
    """In a mount that only the task has: the engine has no such file, or another one of that name."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount")
    archive, expected = tmp_path / "private" / "acme", sums(large, "acme-source")
    archive.parent.mkdir()
    inv = shlex.join([sys.executable, "-m", "invoke"])
    script = f"""
    mount -t tmpfs tmpfs {archive.parent}
    {inv} db.backup -d acme-source -o {archive} --archive {kind}
    {inv} db.restore {archive} -d acme-twin --no-neutralize
    """
    for decoy in (b"", b"x" * 1000):
        if decoy:
            archive.write_bytes(decoy)
        words = ["unshare", "--mount", "sh", "-ec", script]
        ran = subprocess.run(
            words, cwd=large.root, env=large.environment(), capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stderr
        assert sums(large, "acme-twin") == expected
        large.ok("db.drop", "acme-twin", "--yes")


@pytest.mark.long
def test_a_dump_that_fails_ends_the_files(large: Bench, tmp_path: Path) -> None:
    archive = tmp_path / "acme.zip"
    large.ok("db.backup", "-d", "acme-source", "-o", str(archive))
    wrong = b"--\n-- PostgreSQL database dump\n--\nALTER SYSTEM SET port = 1;\n"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(tmp_path / "wrong.zip", "w") as made:
        for info in source.infolist():
            made.writestr(info, wrong if info.filename == "dump.sql" else source.read(info))
    before = databases(large), folders(large)
    ran = large.inv("db.restore", str(tmp_path / "wrong.zip"), "-d", "acme-x")
    assert (ran.code, "reaches beyond the database" in ran.err) == (4, True), ran.output
    assert containers_with(tmp_path / "wrong.zip") == []
    assert (databases(large), folders(large), hidden(large)) == (*before, [])
