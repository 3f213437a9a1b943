"""Databases pulled from another checkout by ssh, and from Odoo's database manager."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
import xmlrpc.client
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.errors import MachineError
from tests.e2e.databases.pull_sources import (
    hostile_checkout,
    leading_elsewhere,
    manager,
    page,
    self_signed,
    settings_in_dotenv,
    ssh_as,
)
from tests.e2e.databases.test_backups import state
from tests.e2e.databases.test_copies import copied, databases, folders, kill
from tests.e2e.databases.test_neutralize import parameters
from tests.e2e.databases.test_snapshots import DATABASE, attach, attachments, hidden
from tests.e2e.harness import Bench, eventually
from tests.standins.sshd import SshServer, make_key

__all__ = ["copied"]
pytestmark = pytest.mark.docker
pytest_plugins = ["tests.e2e.workspaces"]


@pytest.fixture(scope="module")
def remote(two: tuple[Bench, Bench]) -> Iterator[Bench]:
    """A running checkout on another machine, with its port; its settings are in its `.env`."""
    url = two[0].ok("status").out.split("http://localhost:")[1]
    with settings_in_dotenv(two[0]):
        yield replace(two[0], env=two[0].env | {"ODOO_PORT": url.split()[0].split("/")[0]})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SshServer]:
    """sshd; `inv` is on the PATH of its sessions."""
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    try:
        with SshServer(tmp_path_factory.mktemp("sshd"), {"PATH": path}) as running:
            yield running
    except MachineError as error:
        pytest.skip(error.what)


@pytest.fixture
def pulling(copied: Bench, server: SshServer) -> Bench:
    """The project that pulls: its ssh knows the other machine."""
    return replace(copied, env=copied.env | ssh_as(copied, server))


def processes() -> str:
    return subprocess.run(["ps", "-A", "-o", "args="], capture_output=True, text=True, check=True).stdout


def test_a_database_of_another_checkout(pulling: Bench, remote: Bench, server: SshServer) -> None:
    """Everything arrives, neutralised, while Odoo runs there; what is there stays as it is."""
    attach(remote, "acme pulled Ωμέγα 中文", os.urandom(3_000_000))
    attach(remote, "acme empty", b"")
    mail = remote.call(DATABASE, "ir.mail_server", "create", {"name": "acme", "smtp_host": "mail.acme.example"})
    before, files = parameters(remote), attachments(remote)
    rows = state(remote, DATABASE)
    try:
        ran = pulling.ok("db.pull", server.url(remote.root), "-d", "acme-pulled")
        assert "acme-pulled is restored, neutralised" in ran.err
        assert attachments(pulling, "acme-pulled") == files
        assert "acme pulled Ωμέγα 中文" in files
        changed = {one.split("|")[0] for one in set(state(pulling, "acme-pulled")[0].split()) ^ set(rows[0].split())}
        assert changed <= {"ir_config_parameter", "ir_cron_trigger", "ir_logging", "ir_mail_server"}
        hosts = "SELECT smtp_host FROM ir_mail_server WHERE active"
        assert (pulling.sql(hosts, "acme-pulled"), remote.sql(hosts, DATABASE)) == ("invalid", "mail.acme.example")
        assert parameters(pulling, "acme-pulled")["database.uuid"] != before["database.uuid"]
        assert parameters(remote) == before
        assert pulling.call("acme-pulled", "res.users", "search_count", []) > 0  # Odoo works with it

        again = pulling.inv("db.pull", server.url(remote.root), "-d", "acme-pulled")
        assert (again.code, "--replace" in again.err) == (7, True)
    finally:
        remote.call(DATABASE, "ir.mail_server", "unlink", [mail])


@pytest.mark.long
def test_a_database_of_a_server(
    pulling: Bench, clone: Callable[[Path], Bench], server: SshServer, tmp_path: Path
) -> None:
    """The checkout there is in the scenario server: its Odoo serves meanwhile, and what it does outside stays as it is."""
    production = clone(tmp_path / "production" / "project")
    production.env["ODPM_SCENARIO"] = "server"
    production.ok("up", "-i", "base")
    password = (production.root / ".odpm/secrets/server/admin_password").read_text(encoding="utf-8")
    for name, content in {"acme Ωμέγα": os.urandom(2_000_000), "acme empty": b""}.items():
        values = {"name": name, "datas": base64.b64encode(content).decode()}
        production.call(DATABASE, "ir.attachment", "create", values, password=password)
    mail = {"name": "acme", "smtp_host": "mail.acme.example"}
    production.call(DATABASE, "ir.mail_server", "create", mail, password=password)
    before, files = parameters(production), attachments(production)
    rows = state(production, DATABASE)[0]
    url = server.url(production.root)
    with settings_in_dotenv(production):
        ran = pulling.ok("db.pull", url, "-d", "acme-pulled")
        assert "acme-pulled is restored, neutralised" in ran.err
        other = pulling.inv("db.pull", url, "-d", "acme-x", "--remote-database", "nosuch")
        assert (other.code, "there is no database 'nosuch'" in other.err) == (5, True), other.output
    assert (parameters(production), state(production, DATABASE)[0]) == (before, rows)
    assert attachments(pulling, "acme-pulled") == files
    assert "acme Ωμέγα" in files
    changed = {one.split("|")[0] for one in set(state(pulling, "acme-pulled")[0].split()) ^ set(rows.split())}
    cleaned = {"ir_cron_progress", "res_users_log"}  # by Odoo's own cleaning, which runs in both
    assert changed <= {"ir_config_parameter", "ir_cron_trigger", "ir_logging", "ir_mail_server", *cleaned}
    hosts = "SELECT smtp_host FROM ir_mail_server WHERE active"
    assert (pulling.sql(hosts, "acme-pulled"), production.sql(hosts, DATABASE)) == ("invalid", "mail.acme.example")
    assert parameters(pulling, "acme-pulled")["database.uuid"] != before["database.uuid"]
    assert pulling.authenticate("acme-pulled", "admin", password)  # its users, with their passwords


def test_what_fails_there_is_named(pulling: Bench, remote: Bench, server: SshServer, tmp_path: Path) -> None:
    """Host, host key, login, folder, checkout, odpm, the task: each has its own words, and nothing is left."""
    url, plain = server.url(remote.root), f"ssh://127.0.0.1:{server.port}"
    no_inv = hostile_checkout(tmp_path / "bare", "")
    (no_inv / ".venv/bin/inv").write_text("#!/bin/sh\necho 'No module named invoke' >&2; exit 1\n", encoding="utf-8")
    stranger = ssh_as(pulling, server, key=make_key(tmp_path / "stranger"))
    nobody = ssh_as(pulling, server, tmp_path / "known_hosts")
    before = databases(pulling), folders(pulling)
    cases: tuple[tuple[tuple[str, ...], dict[str, Any], int, str], ...] = (
        (("ssh://nosuch.invalid/srv/shop",), {}, 5, "its name cannot be resolved"),
        ((url,), nobody, 5, "its host key is unknown"),
        ((url,), stranger, 5, "it refuses the login"),
        ((f"{plain}/nosuch",), {}, 5, "there is no such folder"),
        ((f"{plain}{tmp_path}",), {}, 5, "no checkout of a project"),
        ((f"{plain}{no_inv}",), {}, 5, "No module named invoke"),
        ((url, "--remote-database", "nosuch"), {}, 5, "on 127.0.0.1: there is no database 'nosuch'"),
        ((url, "--remote-database", "postgres"), {}, 4, "PostgreSQL keeps"),
        ((url, "-d", "template1"), {}, 4, "PostgreSQL keeps"),
        ((), {}, 1, "no source is named"),
    )
    for words, env, code, text in cases:
        ran = pulling.inv("db.pull", *words, *(() if "-d" in words else ("-d", "acme-x")), **env)
        assert (ran.code, text in ran.err, "next:" in ran.err) == (code, True, True), (words, ran.output)
    assert (databases(pulling), folders(pulling), hidden(pulling)) == (*before, [])


HOSTILE = {
    "cut": ("head -c 3000000 /dev/urandom; kill -9 $PPID; sleep 1", 5, "the connection ended after"),
    "shorter": ("printf 'PK\\003\\004'; exit 0", 5, "cut off or damaged"),
    "foreign": ("echo '<html>'", 4, "no backup of a database"),
    "a path": ("python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.stdout.buffer, \"w\").writestr(\"../x\", \"\")'", 4, "outside"),
    "a terminal": ("printf '\\033[2Jodpm: \\033]0;acme\\007' >&2; exit 1", 5, "on 127.0.0.1"),
}  # fmt: skip


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=[] if kind in {"cut", "a path"} else pytest.mark.long) for kind in HOSTILE]
)
def test_what_another_machine_sends_is_not_trusted(
    pulling: Bench, server: SshServer, tmp_path: Path, kind: str
) -> None:
    script, code, text = HOSTILE[kind]
    root = hostile_checkout(tmp_path / "it's here", script)
    before = databases(pulling), folders(pulling)
    ran = pulling.inv("db.pull", server.url(root).replace(" ", "%20"), "-d", "acme-x")
    assert (ran.code, text in ran.err, "next:" in ran.err) == (code, True, True), ran.output
    assert "\x1b" not in ran.err
    assert (databases(pulling), folders(pulling), hidden(pulling)) == (*before, [])


def test_a_full_disk(pulling: Bench, server: SshServer, small_disk: Callable[[str], Path], tmp_path: Path) -> None:
    root = hostile_checkout(tmp_path / "endless", "exec cat /dev/zero")
    ran = pulling.inv("db.pull", server.url(root), "-d", "acme-x", BACKUP_DIR=str(small_disk("size=2m")))
    assert (ran.code, "the disk is full" in ran.err, "next:" in ran.err) == (8, True, True)


@pytest.mark.parametrize("moment", ["receiving", pytest.param("loading", marks=pytest.mark.long), "files"])
def test_a_killed_pull_leaves_nothing(
    pulling: Bench, request: pytest.FixtureRequest, server: SshServer, tmp_path: Path, moment: str
) -> None:
    begun = tmp_path / "begun"
    if moment != "receiving":
        root = request.getfixturevalue("remote").root
    else:
        root = hostile_checkout(
            tmp_path / "slow", f"head -c 1000000 /dev/zero; touch {begun}; exec sh -c 'cat /dev/zero; :' {begun}"
        )

    def reached() -> bool:
        if moment == "receiving":
            return begun.exists()
        if moment == "loading":
            return bool(hidden(pulling))
        return any(name.startswith("odpm.new") for name in folders(pulling))

    kill(pulling, ("db.pull", server.url(root), "-d", "acme-x"), reached)
    eventually(lambda: str(begun) not in processes())
    assert "acme-x" not in databases(pulling)
    pulling.ok("db.snapshot")
    assert hidden(pulling) == []
    assert not any(name.startswith("odpm.new") for name in folders(pulling))


def test_the_database_manager_of_odoo(copied: Bench, tmp_path: Path) -> None:
    """Its archive is restored with the master password alone; a manager without one is not given one."""
    url, secret = copied.url("").removesuffix("/"), "correct horse battery"
    change = xmlrpc.client.ServerProxy(f"{url}/xmlrpc/2/db").change_admin_password
    ran = copied.inv("db.pull", url, "-d", "acme-x", ODPM_MASTER_PASSWORD=secret)
    assert (ran.code, "no master password" in ran.err) == (5, True), ran.output
    change("admin", secret)
    try:
        gone = attach(copied, "acme gone", b"gone")
        copied.call(DATABASE, "ir.attachment", "unlink", [gone])  # Odoo marks its file
        attach(copied, "acme managed Ωμέγα", os.urandom(100_000))
        for password, words, code, text in (
            ("", (), 4, "ODPM_MASTER_PASSWORD"),
            ("wrong", ("--remote-database", DATABASE), 4, "refuses the master password"),
            (secret, ("--remote-database", "nosuch"), 4, "has no database nosuch"),
        ):
            ran = copied.inv("db.pull", url, "-d", "acme-x", *words, ODPM_MASTER_PASSWORD=password)
            assert (ran.code, text in ran.err, "next:" in ran.err) == (code, True, True), ran.output
            assert secret not in ran.output
        copied.env["ODPM_MASTER_PASSWORD"] = secret
        ran = copied.ok("db.pull", url, "--remote-database", DATABASE, "-d", "acme-managed")
        assert "acme-managed is restored, neutralised" in ran.err
        assert "acme managed Ωμέγα" in attachments(copied, "acme-managed")
        assert parameters(copied, "acme-managed")["database.is_neutralized"] == "true"
    finally:
        copied.env.pop("ODPM_MASTER_PASSWORD", None)
        change(secret, "admin")


MANAGERS = {
    "closed": (page(200, "<div>The database manager has been disabled by the administrator</div>"), 5, "is closed"),
    "a proxy": (page(502, "<html>Bad gateway</html>"), 5, "HTTP status 502"),
    "elsewhere": (leading_elsewhere, 5, "inv db.pull http://localhost:"),
    "a portal": (page(200, "<html>Welcome to the hotel</html>"), 5, "in place of an archive"),
    "cut": (page(200, "PK", "application/octet-stream", Content_Length="5000"), 5, "the connection to"),
    "foreign": (page(200, "{}", "application/octet-stream"), 4, "no backup of a database"),
}


def test_servers_that_send_no_archive(copied: Bench, tmp_path: Path) -> None:
    words = ("-d", "acme-x", "--remote-database", "shop")
    secret = "correct horse"
    for kind, (answer, code, text) in MANAGERS.items():
        with manager(answer) as url:
            ran = copied.inv("db.pull", url, *words, ODPM_MASTER_PASSWORD=secret)
        assert (ran.code, text in ran.err, "next:" in ran.err) == (code, True, True), (kind, ran.output)
        assert secret not in ran.output
    with manager(page(200, ""), self_signed(tmp_path)) as url:
        ran = copied.inv("db.pull", url, *words, ODPM_MASTER_PASSWORD=secret)
    assert (ran.code, "its certificate is not valid" in ran.err, "next:" in ran.err) == (5, True, True), ran.output
    assert hidden(copied) == []
