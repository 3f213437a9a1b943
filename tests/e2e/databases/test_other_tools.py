"""Archives that go to other tools and come from them: Odoo's database manager and click-odoo-contrib."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import tarfile
import xmlrpc.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.databases.test_backups import state
from tests.e2e.databases.test_copies import copied, quiet
from tests.e2e.databases.test_neutralize import parameters
from tests.e2e.databases.test_snapshots import DATABASE, attach, attachments
from tests.e2e.harness import Bench

__all__ = ["copied"]
pytestmark = pytest.mark.docker

NAMES = (
    "acme Ωμέγα",
    "acme 中文.pdf",
    "acme عربي",
    "acme עברית",
    "acme देवनागरी",
    "acme 😀 'quoted' \"twice\"",
    "acme ../up",
)


@pytest.fixture
def source(copied: Bench) -> Bench:
    """The stack with a quiet database `acme-source`, which has attachments of 0 bytes to 5 MB."""
    for number, name in enumerate(NAMES):
        attach(copied, name, os.urandom(number * 800_000))
    copied.ok("db.copy", DATABASE, "acme-source")
    quiet(copied, "acme-source")
    return copied


def everything(bench: Bench, database: str) -> tuple[list[str], dict[str, str], dict[str, str]]:
    return state(bench, database), attachments(bench, database), parameters(bench, database)


def test_odoos_database_manager_restores_our_zip(source: Bench, tmp_path: Path) -> None:
    archive = tmp_path / "acme.zip"
    source.ok("db.backup", "-d", "acme-source", "-o", str(archive))
    manager = xmlrpc.client.ServerProxy(source.url("/xmlrpc/2/db"))
    manager.restore("admin", "acme-manager", base64.b64encode(archive.read_bytes()).decode())
    assert everything(source, "acme-manager") == everything(source, "acme-source")
    assert {*attachments(source, "acme-manager")} >= {*NAMES[1:]}  # Odoo makes no file of 0 bytes
    assert source.call("acme-manager", "res.users", "search_count", []) > 0


@pytest.fixture
def click_odoo(source: Bench, tmp_path: Path) -> Iterator[Bench]:
    """The stack whose Odoo has click-odoo-contrib of the index in /tmp/click-odoo."""
    folder = tmp_path / "tools"
    words = ["pip", "install", "-q", "--target", str(folder), "--python-version", "3.11", "click-odoo-contrib==1.24"]
    subprocess.run([sys.executable, "-m", "uv", *words], check=True)
    container = str(source.containers()["odoo"]["Id"])
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as packed:
        script = "mkdir /tmp/click-odoo && tar -x -C /tmp/click-odoo"
        subprocess.run(["docker", "exec", "-i", container, "sh", "-c", script], stdin=packed.stdout, check=True)
    yield source
    source.inside("rm", "-rf", "/tmp/click-odoo", "/tmp/acme")


def click(bench: Bench, tool: str, *words: str) -> None:
    program = f"from click_odoo_contrib.{tool} import main; main()"
    path = "PYTHONPATH=/tmp/click-odoo:/opt/odoo/src/odoo"
    ran = bench.inside("env", path, "python3", "-c", program, *words)
    assert ran.code == 0, ran.output


def moved(bench: Bench, words: list[str], stdin: Path | None = None, stdout: Path | None = None) -> None:
    """Run a program in Odoo's container, with files of this machine as input or output."""
    argv = ["docker", "exec", "-i", str(bench.containers()["odoo"]["Id"]), *words]
    with (stdin or Path(os.devnull)).open("rb") as given, (stdout or Path(os.devnull)).open("wb") as made:
        subprocess.run(argv, stdin=given, stdout=made, check=True)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["zip", "dump"])
def test_click_odoo_restoredb_reads_our_archives(click_odoo: Bench, tmp_path: Path, kind: str) -> None:
    """The zip as it is, the tar as the folder that it unpacks to."""
    archive = tmp_path / "acme.archive"
    click_odoo.ok("db.backup", "-d", "acme-source", "-o", str(archive), "--archive", kind)
    unpack = "mkdir /tmp/acme && cat > /tmp/acme/zip" if kind == "zip" else "mkdir /tmp/acme && tar -x -C /tmp/acme"
    moved(click_odoo, ["sh", "-c", unpack], stdin=archive)
    click(click_odoo, "restoredb", "--move", "acme-click", "/tmp/acme/zip" if kind == "zip" else "/tmp/acme")
    assert everything(click_odoo, "acme-click") == everything(click_odoo, "acme-source")


@pytest.mark.long
@pytest.mark.parametrize("kind", ["zip", "folder", "dump"])
def test_we_restore_what_click_odoo_backupdb_writes(click_odoo: Bench, tmp_path: Path, kind: str) -> None:
    click(click_odoo, "backupdb", "--format", kind, "acme-source", "/tmp/acme")
    archive = tmp_path / "acme"
    if kind == "folder":
        moved(click_odoo, ["tar", "-C", "/tmp/acme", "-c", "."], stdout=tmp_path / "acme.tar")
        with tarfile.open(tmp_path / "acme.tar") as packed:
            packed.extractall(archive, filter="data")
    else:
        moved(click_odoo, ["cat", "/tmp/acme"], stdout=archive)
    ran = click_odoo.ok("db.restore", str(archive), "-d", "acme-click", "--no-neutralize")
    assert state(click_odoo, "acme-click") == state(click_odoo, "acme-source")
    assert parameters(click_odoo, "acme-click") == parameters(click_odoo, "acme-source")
    if kind == "dump":  # has no files
        assert "the archive lacks" in ran.err
    else:
        assert attachments(click_odoo, "acme-click") == attachments(click_odoo, "acme-source")
