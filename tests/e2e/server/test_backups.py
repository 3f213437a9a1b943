"""Backups of a server: made by restic in a service of the stack, listed, and restored here and on another machine."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path

import pytest

from tests.e2e.backups import PASSWORD, backup_status, stored
from tests.e2e.harness import Bench, docker, eventually

pytestmark = pytest.mark.docker

UUID = "SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'"
NEUTRALIZED = "SELECT count(*) > 0 FROM ir_config_parameter WHERE key = 'database.is_neutralized'"


def admin(bench: Bench) -> str:
    return (bench.root / ".odpm/secrets/server/admin_password").read_text(encoding="utf-8").strip()


def attach(bench: Bench, content: bytes) -> str:
    """Store a file through Odoo; returns its path in the filestore."""
    values = {"name": "photo.bin", "datas": base64.b64encode(content).decode()}
    bench.call("project", "ir.attachment", "create", [values], password=admin(bench))
    name = sha1(content, usedforsecurity=False).hexdigest()
    return f"{name[:2]}/{name}"


def stored_file(bench: Bench, database: str, path: str) -> bytes:
    ran = bench.inside("base64", "-w0", f"/var/lib/odoo/filestore/{database}/{path}")
    return base64.b64decode(ran.out)


def rename(bench: Bench, name: str) -> None:
    bench.sql(f"UPDATE res_partner SET name = '{name}' WHERE id = 1", "project")


def name_in(bench: Bench, database: str) -> str:
    return bench.sql("SELECT name FROM res_partner WHERE id = 1", database)


@contextmanager
def emptied(folder: Path) -> Iterator[None]:
    """The folder without its content, as an unmounted disk leaves it."""
    aside = folder.with_name("aside")
    aside.mkdir()
    for path in folder.iterdir():
        path.rename(aside / path.name)
    try:
        yield
    finally:
        assert list(folder.iterdir()) == []
        for path in aside.iterdir():
            path.rename(folder / path.name)
        aside.rmdir()


def repository(bench: Bench) -> Path:
    return Path(bench.env["BACKUP_TARGET"])


def test_a_database_with_its_files_is_backed_up_and_restored_beside(server_stack: Bench) -> None:
    content = b"photo of the shop" * 1000
    path = attach(server_stack, content)
    rename(server_stack, "Before")
    assert "backed up" in server_stack.ok("backup.run").err
    rename(server_stack, "After")
    newest = stored(server_stack)[0]
    assert (newest["database"], newest["this_stack"]) == ("project", True)
    server_stack.ok("backup.restore", "--to", "beside")
    try:
        assert name_in(server_stack, "beside") == "Before"
        assert stored_file(server_stack, "beside", path) == content
        assert server_stack.sql(UUID, "beside") != server_stack.sql(UUID, "project")
        assert server_stack.sql(NEUTRALIZED, "beside") == "t"
    finally:
        server_stack.ok("db.drop", "beside", "--yes")
    found = backup_status(server_stack)
    assert found["problem"] == ""
    assert found["last"] >= newest["time"]


def test_a_repository_that_is_gone_is_not_made_new(server_stack: Bench) -> None:
    if not stored(server_stack):
        server_stack.ok("backup.run")
    count = len(stored(server_stack))
    with emptied(repository(server_stack)):
        ran = server_stack.inv("backup.run")
        assert ran.code == 8
        assert "there is no repository" in ran.err
        assert "--new" in ran.err
        text = server_stack.ok("status").out
        assert "PROBLEM: there is no repository" in text
        assert server_stack.inv("backup.list").code == 8
    server_stack.ok("backup.run")
    assert len(stored(server_stack)) == count + 1
    assert backup_status(server_stack)["problem"] == ""


@pytest.mark.long
def test_an_existing_database_is_replaced_only_on_request(server_stack: Bench) -> None:
    rename(server_stack, "First")
    server_stack.ok("backup.run")
    first = datetime.now(UTC)
    time.sleep(2)
    rename(server_stack, "Second")
    server_stack.ok("backup.run")
    rename(server_stack, "Third")
    uuid = server_stack.sql(UUID, "project")
    ran = server_stack.inv("backup.restore")
    assert ran.code == 7
    assert "--to NAME" in ran.err
    assert server_stack.inv("backup.restore", "--replace").code == 1  # nobody agrees
    assert name_in(server_stack, "project") == "Third"
    server_stack.ok("backup.restore", "--at", first.strftime("%Y-%m-%d %H:%M:%S"), "--replace", "--yes")
    assert name_in(server_stack, "project") == "First"
    assert server_stack.sql(UUID, "project") == uuid  # of this very database: nothing is neutralised
    assert server_stack.sql(NEUTRALIZED, "project") == "f"
    server_stack.ok("backup.restore", "--replace", "--yes")
    assert name_in(server_stack, "project") == "Second"
    server_stack.ok("db.restore-snapshot", "--yes")
    assert name_in(server_stack, "project") == "First"
    early = server_stack.inv("backup.restore", "--at", "2020-01-01")
    assert early.code == 4
    assert "the oldest backup of project" in early.err


@pytest.mark.long
def test_another_machine_needs_the_repository_and_its_password_only(
    server_stack: Bench, tmp_path: Path, clone: Callable[[Path], Bench]
) -> None:
    content = b"contract" * 500
    path = attach(server_stack, content)
    rename(server_stack, "Of the first machine")
    server_stack.ok("backup.run")
    other = clone(tmp_path / "project")
    other.env |= {name: server_stack.env[name] for name in ("BACKUP_TARGET", "BACKUP_PASSWORD_FILE")}
    other.env["ODPM_SCENARIO"] = "server"
    other.edit(backup={"repository": "${BACKUP_TARGET}"})
    other.commit("Backups")
    other.ok("up")
    assert {one["this_stack"] for one in stored(other)} == {False}
    other.ok("backup.restore", "--replace", "--yes")
    assert name_in(other, "project") == "Of the first machine"
    assert stored_file(other, "project", path) == content
    assert other.sql(NEUTRALIZED, "project") == "t"
    other.ok("backup.restore", "--replace", "--yes", "--no-neutralize")
    assert other.sql(NEUTRALIZED, "project") == "f"
    assert other.sql(UUID, "project") == server_stack.sql(UUID, "project")
    before = {one["backup"] for one in stored(server_stack)}
    other.ok("backup.run")
    assert before < {
        one["backup"] for one in stored(server_stack)
    }  # what is kept of one stack does not depend on others
    other.remove()


@pytest.mark.long
def test_no_secret_is_visible_and_the_services_are_restricted(server_stack: Bench) -> None:
    found = server_stack.containers()
    words = [PASSWORD]
    secrets = server_stack.root / ".odpm/secrets/server"
    words += [(secrets / name).read_text(encoding="utf-8").strip() for name in ("db_password", "postgres_password")]
    shown = json.dumps(found) + (server_stack.root / "docker-compose.yml").read_text(encoding="utf-8")
    shown += docker("top", found["backup"]["Id"], "-ww", "-eo", "pid,args")
    shown += docker("top", found["backup-dump"]["Id"], "-ww", "-eo", "pid,args")
    for service in ("backup", "backup-dump"):
        shown += server_stack.inv("logs", service).output
    assert not [word for word in words if word in shown]
    for service, networks in (("backup", {"none"}), ("backup-dump", {f"{server_stack.prefix}_database"})):
        host = found[service]["HostConfig"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["ReadonlyRootfs"]
        assert "no-new-privileges:true" in host["SecurityOpt"]
        assert host["PidsLimit"] > 0
        assert host["Memory"] > 0
        assert host["LogConfig"]["Config"]["max-size"] == "10m"
        assert found[service]["Config"]["User"] != "0:0"
        assert set(found[service]["NetworkSettings"]["Networks"]) == networks
        assert [one for one in found[service]["Mounts"] if one["Type"] == "volume" and len(one["Name"]) == 64] == []


@pytest.mark.long
def test_a_failure_is_an_unhealthy_container_and_up_goes_on(server_stack: Bench) -> None:
    def health() -> str:
        return str(server_stack.containers()["backup"]["State"]["Health"]["Status"])

    server_stack.ok("backup.run")
    with emptied(repository(server_stack)):
        assert server_stack.inv("backup.run").code == 8
        eventually(lambda: health() == "unhealthy", 90)
        log = server_stack.containers()["backup"]["State"]["Health"]["Log"]
        assert "there is no repository" in log[-1]["Output"]
        assert "nothing to do" in server_stack.ok("up").err
    server_stack.ok("backup.run")
    eventually(lambda: health() == "healthy", 90)
