"""`audit` on a running server: nothing on a fresh one; what is planted is found; a waiver accepts it."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jsonschema import validate

from odpm_tasks.core.deployment.journal import Journal, write_journal
from odpm_tasks.core.report_models.schemas import schema
from tests.e2e.failures import failure
from tests.e2e.harness import Bench, docker, git

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
