"""A repository that is full, damaged, locked or on a server that refuses, a wrong password, and a backup that is not what it should be."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.backups import backup_status, repository_at, restic, stored
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker, eventually
from tests.standins import s3

pytestmark = [pytest.mark.docker, pytest.mark.long]


CACHE = "/var/tmp/odpm/cache"
CREATE_FILE = """
env["ir.attachment"].create({{"name": "large", "raw": __import__("os").urandom({size})}})
env.cr.commit()
"""


def add_file(bench: Bench, size: int) -> None:
    """Store a file of random bytes through Odoo: one that cannot be compressed and that no backup has."""
    ran = bench.inv("shell", feed=CREATE_FILE.format(size=size))
    assert ran.code == 0, ran.output


def health(bench: Bench) -> str:
    return str(bench.containers()["backup"]["State"]["Health"]["Status"])


def restores(bench: Bench) -> None:
    """The newest backup can be restored beside the database."""
    bench.ok("backup.restore", "--to", "beside")
    try:
        assert int(bench.sql("SELECT count(*) FROM ir_model_data", "beside")) > 1000
    finally:
        bench.ok("db.drop", "beside", "--yes")


@contextmanager
def small_file_system(folder: Path, size: str) -> Iterator[Path]:
    """An empty file system of this size in memory, mounted at a folder."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size},mode=1777", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a file system")
def test_a_repository_that_is_full_keeps_what_it_has(server_stack: Bench, tmp_path: Path) -> None:
    bench = server_stack
    with small_file_system(tmp_path / "disk", "256m") as disk, repository_at(bench, disk):
        bench.ok("backup.run")
        add_file(bench, 20_000_000)
        for left in (5_000_000, 1_000_000, 100_000):
            (disk / "filler").unlink(missing_ok=True)
            free = os.statvfs(disk)
            (disk / "filler").write_bytes(b"x" * (free.f_bavail * free.f_frsize - left))
            failure(bench.inv("backup.run"), 8, "is full; the backups in it are as before", "inv backup.run")
        assert "is full" in backup_status(bench)["problem"]
        eventually(lambda: health(bench) == "unhealthy", 90)
        assert len(stored(bench)) == 1
        restores(bench)
        (disk / "filler").unlink()
        bench.ok("backup.run")
        assert len(stored(bench)) == 2
        assert backup_status(bench)["problem"] == ""


def test_a_damaged_repository_and_a_wrong_password(server_stack: Bench, tmp_path: Path) -> None:
    bench = server_stack
    with repository_at(bench, tmp_path / "damaged") as folder:
        bench.ok("backup.run")
        password = tmp_path / "wrong-password"
        password.write_text("incorrect horse\n", encoding="utf-8")
        for words in (("backup.run",), ("backup.list",), ("backup.restore", "--to", "x"), ("backup.verify",)):
            ran = bench.inv(*words, BACKUP_PASSWORD_FILE=str(password))
            failure(ran, 4, "the password does not open the repository", "BACKUP_PASSWORD_FILE")
        bench.ok("backup.run")
        before = {name: (folder / name).read_bytes() for name in _files(folder, "data") + _files(folder, "index")}
        damaged = ("is damaged", "restic.readthedocs.io")

        for name in _files(folder, "data"):
            (folder / name).write_bytes(bytes(len(before[name])))
        bench.inside("rm", "-rf", CACHE, service="backup")
        failure(bench.inv("backup.restore", "--to", "x"), 5, *damaged)
        bench.inside("rm", "-rf", CACHE, service="backup")
        failure(bench.inv("backup.verify"), 5, *damaged)
        databases = "SELECT count(*) FROM pg_database WHERE datname = 'x' OR datname LIKE 'odpm.new%'"
        assert bench.sql(databases) == "0"
        for name in _files(folder, "data"):
            (folder / name).write_bytes(before[name])

        for name in _files(folder, "index"):
            (folder / name).write_bytes(before[name][:-20])
        bench.inside("rm", "-rf", CACHE, service="backup")
        failure(bench.inv("backup.run"), 5, *damaged)
        assert "is damaged" in backup_status(bench)["problem"]
        for name in _files(folder, "index"):
            (folder / name).write_bytes(before[name])
        bench.ok("backup.run")
        bench.ok("backup.verify")


def _files(folder: Path, kind: str) -> list[str]:
    return [str(path.relative_to(folder)) for path in sorted((folder / kind).rglob("*")) if path.is_file()]


def test_a_lock_of_a_living_program(server_stack: Bench, tmp_path: Path) -> None:
    bench = server_stack
    with repository_at(bench, tmp_path / "locked") as folder:
        bench.ok("backup.run")
        name = f"{bench.prefix}-reader"
        hold = "exec restic backup --stdin --stdin-filename x < /dev/zero"
        restic(bench, folder, hold, "--detach", f"--name={name}")
        try:
            eventually(lambda: any((folder / "locks").iterdir()))
            ran = bench.inv("backup.run")
            failure(ran, 6, "another program uses the repository", "locked by PID", "wait until it has ended")
            assert any((folder / "locks").iterdir())  # a lock of a living program is not removed
        finally:
            docker("kill", "--signal=INT", name)
        eventually(lambda: not any((folder / "locks").iterdir()))
        bench.ok("backup.run")
        assert backup_status(bench)["problem"] == ""


def test_a_run_that_is_killed_is_repeated(server_stack: Bench, tmp_path: Path) -> None:
    with repository_at(server_stack, tmp_path / "killed"):
        server_stack.ok("backup.run")
        add_file(server_stack, 60_000_000)
        container = str(server_stack.containers()["backup"]["Id"])
        with server_stack.running("backup.run"):
            eventually(lambda: "restic backup" in docker("top", container, "-eo", "pid,args"))
            docker("kill", "--signal=KILL", container)
        server_stack.ok("up")
        eventually(lambda: len(stored(server_stack)) == 2, 120)
        eventually(lambda: backup_status(server_stack)["problem"] == "", 60)
        restores(server_stack)


def test_a_lock_of_a_dead_program_costs_no_backup(server_stack: Bench, tmp_path: Path) -> None:
    with repository_at(server_stack, tmp_path / "locked") as folder:
        server_stack.ok("backup.run")
        name = f"{server_stack.prefix}-lock"
        hold = "restic backup --stdin --stdin-filename x < /dev/zero"
        restic(server_stack, folder, hold, "--detach", f"--name={name}")
        eventually(lambda: any((folder / "locks").iterdir()))
        docker("kill", "--signal=KILL", name)
        ran = server_stack.inv("backup.run")
        assert ran.code == 6
        assert "the databases are backed up, but older backups are not removed" in ran.err
        assert "locked by PID" in ran.err
        assert len(stored(server_stack)) == 2
        assert "locked by PID" in backup_status(server_stack)["problem"]
        server_stack.ok("backup.run", "--unlock")
        assert backup_status(server_stack)["problem"] == ""


def test_verify_compares_rows_and_finds_what_differs(server_stack: Bench, tmp_path: Path) -> None:
    with repository_at(server_stack, tmp_path / "verified") as folder:
        server_stack.ok("backup.run")
        ran = server_stack.ok("backup.verify")
        rows = int(server_stack.sql("SELECT count(*) FROM ir_model_data", "project"))
        assert rows > 1000
        assert "files are as they were" in ran.out
        assert backup_status(server_stack)["verified"]
        server_stack.sql("SELECT 1")
        script = """
            set -e; tags=$(restic snapshots --json | sed 's/.*"tags":\\["\\([^]]*\\)"\\].*/\\1/; s/","/,/g')
            mkdir -p /var/lib/odoo/odpm-backup/project && cd /var/lib/odoo/odpm-backup/project
            restic -q restore latest --target .
            sed -i 's/^\\(public.ir_model_data|\\)[0-9]*/\\11/; s/^\\(public.res_users|[0-9]*|\\).*/\\10/' checks.txt
            restic -q backup --host other --tag "$tags" . """
        restic(server_stack, folder, script, "--tmpfs=/var/lib/odoo:mode=1777")
        ran = server_stack.inv("backup.verify")
        assert ran.code == 5
        assert f"the table public.ir_model_data had 1 rows and has {rows}" in ran.err
        assert "the rows of the table public.res_users are others" in ran.err
        assert server_stack.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'odpm.new%'") == "0"


def test_an_s3_server(server_stack: Bench, tmp_path: Path) -> None:
    name = f"{server_stack.prefix}-s3"
    keys = s3.credentials(tmp_path / "keys")
    described = {"repository": "${BACKUP_TARGET}"}
    with s3.s3_server(f"{server_stack.prefix}_default", name, "shop") as bucket:
        server_stack.edit(backup={"repository": f"{bucket}/backups"})
        server_stack.commit("S3")
        try:
            assert server_stack.inv("up").code == 4  # there are no keys
            server_stack.env["BACKUP_CREDENTIALS_FILE"] = str(keys)
            server_stack.ok("up")
            server_stack.ok("backup.run")
            server_stack.ok("backup.run")
            assert len(stored(server_stack)) == 2
            server_stack.ok("backup.restore", "--to", "from-s3")
            server_stack.ok("db.drop", "from-s3", "--yes")
            shown = docker("inspect", str(server_stack.containers()["backup"]["Id"]))
            shown += server_stack.inv("logs", "backup").output
            shown += (server_stack.root / "docker-compose.yml").read_text(encoding="utf-8")
            assert s3.SECRET not in shown
            assert s3.KEY not in shown
            wrong = s3.credentials(tmp_path / "wrong", "another-secret")
            ran = server_stack.inv("backup.run", BACKUP_CREDENTIALS_FILE=str(wrong))
            assert ran.code == 4
            assert "refuses the keys" in ran.err
            docker("stop", "--time=1", name)
            ran = server_stack.inv("backup.run")
            assert ran.code == 5
            assert "does not answer" in ran.err
            assert "does not answer" in backup_status(server_stack)["problem"]
        finally:
            server_stack.env.pop("BACKUP_CREDENTIALS_FILE", None)
            server_stack.edit(backup=described)
            server_stack.commit("As before")
            server_stack.ok("up")
            server_stack.ok("backup.run")
