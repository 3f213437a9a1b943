"""A repository that is locked or on a server that refuses, and a backup that is not what it should be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.backups import PASSWORD, backup_status, stored
from tests.e2e.harness import Bench, docker, eventually
from tests.standins import s3

pytestmark = [pytest.mark.docker, pytest.mark.long]


@contextmanager
def repository_at(bench: Bench, target: Path) -> Iterator[Path]:
    """The stack with another repository; then as before."""
    before = bench.env["BACKUP_TARGET"]
    bench.env["BACKUP_TARGET"] = str(target)
    try:
        bench.ok("up")
        yield target
    finally:
        bench.env["BACKUP_TARGET"] = before
        bench.ok("up")


def restic(bench: Bench, repository: Path, script: str, *options: str) -> str:
    """Run a script with restic on a repository, outside of the stack, as the user of the stack."""
    image = str(bench.containers()["backup"]["Config"]["Image"])
    user = str(bench.containers()["backup"]["Config"]["User"])
    words = ["run", "--rm", f"--volume={repository}:/repository", f"--env=RESTIC_PASSWORD={PASSWORD}"]
    words += [
        f"--user={user}",
        "--env=RESTIC_REPOSITORY=/repository",
        "--env=HOME=/tmp",
        "--entrypoint=/bin/sh",
        *options,
    ]
    return docker(*words, image, "-c", script)


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
