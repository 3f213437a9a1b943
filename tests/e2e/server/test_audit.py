"""`audit` on a running server: nothing on a fresh one; what is planted is found; a waiver accepts it."""

from __future__ import annotations

import datetime
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from jsonschema import validate

from odpm_tasks.core.deployment.journal import Journal, write_journal
from odpm_tasks.core.report_models.schemas import schema
from tests.e2e.conftest import say
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker, eventually, git
from tests.ports import claim_port
from tests.standins.images import ensure_images

pytestmark = pytest.mark.docker

DATABASE = "project"


def audit(bench: Bench) -> dict[str, Any]:
    """The document; the exit code is 2 where a rule fails."""
    ran = bench.inv("audit", "--format", "json")
    document: dict[str, Any] = json.loads(ran.out)
    validate(document, schema("audit"))
    assert ran.code == (2 if document["failed"] else 0), ran.output
    return document


def found(bench: Bench) -> list[tuple[str, str]]:
    """Code and subject of what fails."""
    rows = audit(bench)["findings"]
    return [(one["code"], one["subject"]) for one in rows if one["level"] == "error" and not one["waiver"]]


@contextmanager
def planted(bench: Bench, statement: str, back: str, database: str = "postgres") -> Iterator[None]:
    bench.sql(statement, database)
    try:
        yield
    finally:
        bench.sql(back, database)


@contextmanager
def described(bench: Bench, **keys: Any) -> Iterator[None]:
    """The description with other values, committed and deployed; then as before."""
    path = bench.root / "odpm.json"
    before = path.read_text(encoding="utf-8")
    path.write_text(json.dumps({**json.loads(before), **keys}), encoding="utf-8")
    bench.commit("What the audit finds")
    try:
        bench.ok("up")
        yield
    finally:
        path.write_text(before, encoding="utf-8")
        bench.commit("As before")
        bench.ok("up")


def test_a_fresh_server_passes(server_stack: Bench) -> None:
    document = audit(server_stack)
    assert [(one["code"], one["level"]) for one in document["findings"]] == [("web", "note")]
    text = server_stack.ok("audit").out
    assert re.search(r"^\d\d rules, nothing fails, 1 note or waiver$", text, re.MULTILINE), text


def test_what_is_planted_is_found(server_stack: Bench) -> None:
    """What needs no other container: rights, passwords, files."""
    release = next((server_stack.root / ".odpm/releases").glob("[!.]*/release.json")).parent
    password = server_stack.root / ".odpm/secrets/server/db_password"
    stored = server_stack.sql("SELECT password FROM res_users WHERE login = 'admin'", DATABASE)
    edited = next(release.rglob("stack_info/__manifest__.py"))
    with (
        planted(server_stack, "ALTER ROLE odoo CREATEROLE", "ALTER ROLE odoo NOCREATEROLE"),
        planted(
            server_stack,
            "UPDATE res_users SET password = 'admin' WHERE login = 'admin'",
            f"UPDATE res_users SET password = '{stored}' WHERE login = 'admin'",
            DATABASE,
        ),
    ):
        times = edited.stat()
        edited.touch()
        password.chmod(0o444)
        try:
            assert found(server_stack) == [
                ("admin-password", DATABASE),
                ("database-role", "odoo"),
                ("release", release.name),
                ("secret-mode", "files"),
            ]
            ran = server_stack.inv("audit")
            assert ran.code == 2
            assert "the audit failed: 4 findings" in ran.err
            assert "ALTER ROLE odoo NOCREATEROLE" in ran.out
        finally:
            password.chmod(0o400)
            os.utime(edited, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert found(server_stack) == []


def test_where_there_is_nothing_to_look_at(clone: Callable[[Path], Bench], tmp_path: Path, engine: None) -> None:
    bench = clone(tmp_path / "project")
    failure(bench.inv("audit"), 1, "the scenario is developer", "ODPM_SCENARIO=server")
    bench.ok("render")
    failure(
        bench.inv("audit", ODPM_SCENARIO="server"), 1, "the running services belong to the scenario developer", "inv up"
    )
    (bench.root / ".odpm/state.toml").unlink()
    failure(bench.inv("audit", ODPM_SCENARIO="server"), 5, "nothing of this project was started", "inv up")


@pytest.mark.long
def test_each_rule(server_stack: Bench) -> None:
    """What needs other containers, another database, or other settings."""
    bench = server_stack
    bridge = docker("network", "inspect", "--format", "{{(index .IPAM.Config 0).Gateway}}", "bridge").strip()
    patches: dict[str, Any] = {
        "odoo": {"read_only": False, "ports": [f"{bridge}::8069"], "environment": {"ODPM_DEV": "reload"}},
        "db": {"restart": "no"},
    }
    services = {"redis": {"image": "axllent/mailpit:v1.27", "pid": "host"}}
    conf = {"options": {"list_db": "True", "log_level": "debug", "proxy_mode": "True"}}
    bench.ok("db.copy", DATABASE, "copy", "--no-neutralize")
    columns, values = (
        "name, active, smtp_port, smtp_authentication, smtp_encryption",
        "'planted', true, 25, 'login', 'none'",
    )
    bench.sql(f"INSERT INTO ir_mail_server ({columns}) VALUES ({values})", "copy")
    hba = "$PGDATA/pg_hba.conf"
    bench.inside("sh", "-c", f"cp {hba} {hba}.kept && sed -i '1i host all all 10.0.0.0/8 trust' {hba}", service="db")
    try:
        with described(bench, service_patches=patches, services=services, odoo_conf=conf):
            codes = {code for code, _ in found(bench)}
            assert codes >= {
                "copy", "copy-mail", "database-manager", "database-trust", "dbfilter", "debug", "hardening", "ports",
                "privileged", "proxy", "restart",
            }  # fmt: skip
        with described(
            bench, audit_waivers={"copy": "two shops", "copy-mail": "two shops", "dbfilter copy": "other subject"}
        ):
            rows = audit(bench)
            assert {one["code"] for one in rows["findings"] if one["waiver"]} == {"copy", "copy-mail"}
            assert rows["unused_waivers"] == ["dbfilter copy"]
    finally:
        bench.inside("sh", "-c", f"mv {hba}.kept {hba}", service="db")
        bench.ok("db.drop", "copy", "--yes")
    assert found(bench) == []


@pytest.mark.long
def test_drift_a_stopped_service_and_passwords_in_git(server_stack: Bench) -> None:
    bench = server_stack
    path = bench.root / "odpm.json"
    before = path.read_text(encoding="utf-8")
    (bench.root / ".odpm/deployment.json").write_text(write_journal(Journal("updating")), encoding="utf-8")
    path.write_text(
        json.dumps({**json.loads(before), "odoo_conf": {"options": {"limit_request": "5000"}}}), encoding="utf-8"
    )
    git("add", "--force", ".odpm/secrets/server/admin_password", cwd=bench.root)
    docker("stop", str(bench.containers()["odoo"]["Id"]))
    try:
        codes = {code for code, _ in found(bench)}
        assert {"lock", "secret-exposed", "unfinished", "unhealthy"} <= codes
    finally:
        path.write_text(before, encoding="utf-8")
        (bench.root / ".odpm/deployment.json").unlink(missing_ok=True)
        git("rm", "--cached", "-q", ".odpm/secrets/server/admin_password", cwd=bench.root)
        bench.ok("up")
    assert found(bench) == []


@pytest.mark.long
def test_demo_data_a_guessed_master_password_and_a_failed_backup(server_stack: Bench, tmp_path: Path) -> None:
    bench = server_stack
    master = bench.root / ".odpm/secrets/server/odoo_master_password"
    kept, odoo = master.read_text(encoding="utf-8"), str(bench.containers()["odoo"]["Id"])
    wrong = tmp_path / "wrong"
    wrong.write_text("incorrect horse\n", encoding="utf-8")
    bench.ok("backup.run")  # the repository has its password

    def restart() -> None:
        docker("restart", odoo)
        eventually(lambda: bench.containers()["odoo"]["State"]["Health"]["Status"] == "healthy", 180)

    try:
        master.write_text("shop2026", encoding="utf-8")
        restart()
        assert bench.inv("backup.run", BACKUP_PASSWORD_FILE=str(wrong)).code == 4
        # as Odoo records an add-on that was installed with demo data
        with planted(
            bench,
            "UPDATE ir_module_module SET demo = true WHERE name = 'base'",
            "UPDATE ir_module_module SET demo = false WHERE name = 'base'",
            DATABASE,
        ):
            codes = {code for code, _ in found(bench)}
            assert codes - {"unhealthy"} == {"backup", "demo-data", "master-password"}
            text = bench.inv("audit").out
            assert "the password does not open the repository" in text
            assert "the master password can be guessed" in text
            assert "shop2026" not in text
    finally:
        master.write_text(kept, encoding="utf-8")
        restart()
        bench.ok("backup.run")
    eventually(lambda: found(bench) == [], 90)


@pytest.mark.long
def test_a_certificate_that_ends_soon(server_stack: Bench, tmp_path: Path) -> None:
    bench = server_stack
    ensure_images(("caddy:2",), say)
    authority = trustme.CA()

    def issue(name: str, days: int) -> dict[str, Any]:
        end = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=days, hours=1)
        made = authority.issue_cert(name, not_after=end)
        made.private_key_pem.write_to_path(tmp_path / "key.pem")
        (tmp_path / "key.pem").chmod(0o600)
        made.cert_chain_pems[0].write_to_path(tmp_path / "chain.pem")
        tls = {"certificate": str(tmp_path / "chain.pem"), "key": str(tmp_path / "key.pem")}
        return {"domain": "localhost", "tls": tls}

    def evidence() -> list[str]:
        rows = audit(bench)["findings"]
        return [one["what"] for one in rows if one["code"] == "certificate" and one["level"] == "error"]

    ports = {name: str(claim_port()) for name in ("ODPM_HTTP_PORT", "ODPM_HTTPS_PORT")}
    bench.env |= {**ports, "ODPM_WEB_BIND": "127.0.0.1"}
    try:
        with described(bench, web=issue("localhost", 5)):
            assert evidence() == ["the certificate expires in 5 days"]
            issue("localhost", -1)
            bench.ok("up")
            assert evidence() == ["the certificate has expired"]
            issue("other.example", 90)
            bench.ok("up")
            assert evidence() == ["browsers refuse the certificate: it is for another name"]
            issue("localhost", 90)
            bench.ok("up")
            assert evidence() == []
            assert found(bench) == []
    finally:
        for name in (*ports, "ODPM_WEB_BIND"):
            bench.env.pop(name, None)
