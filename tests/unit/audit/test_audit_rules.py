"""`audit`: nothing found in a container with the restrictions of `server`; each rule, broken once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import validate

from odpm_tasks.core.audit.container_rules import is_loopback, of_container
from odpm_tasks.core.audit.odoo_rules import (
    DatabaseFacts,
    facts,
    is_weak,
    matches,
    of_cluster,
    of_databases,
    of_options,
    of_proxy,
)
from odpm_tasks.core.audit.stack_audit import AuditFinding, as_json, as_text, unused_waivers, waived
from odpm_tasks.core.config.audit_codes import CODES
from odpm_tasks.core.report_models.schemas import schema
from odpm_tasks.core.stack.hardening import DATABASE_CAPABILITIES
from odpm_tasks.errors import DescriptionError
from tests.unit.builders import manifest
from tests.unit.docs.pages import rows
from tests.unit.docs.test_pages import sections

Container = dict[str, Any]
SECRETS = {"db_password": "correct-horse-battery", "admin_password": ""}


def container(service: str) -> Container:
    """What `docker inspect` prints of a container of the scenario `server`, as far as the rules read it."""
    return {
        "HostConfig": {
            "CapDrop": ["ALL"],
            "CapAdd": [*DATABASE_CAPABILITIES] if service == "db" else None,
            "ReadonlyRootfs": True,
            "SecurityOpt": ["no-new-privileges:true"],
            "PidsLimit": 512,
            "Memory": 4831838208,
            "LogConfig": {"Type": "json-file", "Config": {"max-file": "5", "max-size": "10m"}},
            "RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0},
            "Privileged": False,
            "PidMode": "",
            "NetworkMode": "shop_database",
            "IpcMode": "private",
        },
        "Config": {
            "User": "1000:1000" if service == "odoo" else "",
            "Env": ["PGHOST=shop-db", "PGPASSWORD_FILE=/run/secrets/db_password", "ODPM_PROXY="],
            "Cmd": [service],
            "Entrypoint": ["tini", "-s", "--", "odoo-run"],
            "Labels": {"com.docker.compose.service": service},
            "StopTimeout": 60,
            "Healthcheck": {"Test": ["CMD", "odoo-run", "health"]},
        },
        "State": {"Status": "running", "Health": {"Status": "healthy", "Log": []}},
        "Mounts": [{"Type": "bind", "Source": "/srv/shop/.odpm/releases/1/src/odoo/files"}],
        "NetworkSettings": {"Ports": {"8069/tcp": [{"HostIp": "127.0.0.1", "HostPort": "8069"}], "8072/tcp": None}},
    }


@pytest.mark.parametrize("service", ["odoo", "db", "web", "backup", "redis"])
def test_restricted_containers_have_no_finding(service: str) -> None:
    assert list(of_container(service, container(service), SECRETS)) == []


def host(**values: object) -> Callable[[Container], None]:
    return lambda found: found["HostConfig"].update(values)


def config(**values: object) -> Callable[[Container], None]:
    return lambda found: found["Config"].update(values)


def published(address: str) -> Callable[[Container], None]:
    return lambda found: found.update(NetworkSettings={"Ports": {"80/tcp": [{"HostIp": address, "HostPort": "8069"}]}})


def mounted(source: str) -> Callable[[Container], None]:
    return lambda found: found.update(Mounts=[{"Type": "bind", "Source": source}])


BROKEN: list[tuple[str, str, Callable[[Container], None], str, str]] = [
    ("odoo", "hardening", host(CapDrop=None), "keeps capabilities", "CapDrop: null"),
    ("db", "hardening", host(CapAdd=["CAP_CHOWN", "CAP_KILL"]), "has the capabilities KILL", "CAP_KILL"),
    ("odoo", "hardening", host(ReadonlyRootfs=False), "can write to its root", "ReadonlyRootfs: false"),
    ("odoo", "hardening", host(SecurityOpt=None), "set-uid", "SecurityOpt: null"),
    ("odoo", "hardening", host(SecurityOpt=["no-new-privileges", "seccomp=unconfined"]), "system calls", "unconfined"),
    ("db", "hardening", host(PidsLimit=None), "any number of processes", "PidsLimit: null"),
    ("odoo", "hardening", host(Memory=0), "all memory", "Memory: 0"),
    ("odoo", "hardening", host(LogConfig={"Type": "json-file", "Config": {}}), "fill the disk", "json-file"),
    ("odoo", "hardening", config(StopTimeout=None), "before it has finished", "StopTimeout: None"),
    ("odoo", "hardening", config(User="0:0"), "runs as root", "User: 0:0"),
    ("db", "restart", host(RestartPolicy={"Name": "no"}), "stays down", "restart: no"),
    ("redis", "privileged", host(Privileged=True), "is privileged", "true"),
    ("redis", "privileged", host(NetworkMode="host"), "namespace of the host", "NetworkMode: host"),
    ("redis", "privileged", host(CapAdd=["SYS_ADMIN"]), "control the host", "SYS_ADMIN"),
    ("redis", "privileged", mounted("/var/run/docker.sock"), "Docker engine", "docker.sock"),
    ("redis", "privileged", mounted("/etc/ssl"), "system files", "/etc/ssl"),
    ("odoo", "ports", published("0.0.0.0"), "Odoo without HTTPS", "0.0.0.0:8069"),
    ("db", "ports", published(""), "PostgreSQL", "*:8069"),
    ("redis", "ports", published("10.0.0.3"), "other machines", "10.0.0.3"),
    ("odoo", "secret-exposed", config(Env=["PGPASSWORD=correct-horse-battery"]), "password of db_password", "PGPASSWORD"),
    ("redis", "secret-exposed", config(Cmd=["--pass=correct-horse-battery"]), "password of db_password", "Cmd"),
    ("odoo", "debug", config(Env=["ODPM_DEV=reload"]), "development", "ODPM_DEV=reload"),
    ("odoo", "debug", config(Cmd=["odoo", "--dev=all"]), "development", "--dev=all"),
    ("redis", "unhealthy", lambda found: found.update(State={"Status": "exited"}), "is not healthy", "exited"),
]  # fmt: skip


@pytest.mark.parametrize(("service", "code", "damage", "what", "evidence"), BROKEN)
def test_a_broken_rule_is_found_with_its_evidence(
    service: str, code: str, damage: Callable[[Container], None], what: str, evidence: str
) -> None:
    broken = container(service)
    damage(broken)
    (found,) = of_container(service, broken, SECRETS)
    assert (found.code, found.subject, found.level) == (code, service, "error")
    assert what in found.what
    assert evidence in found.evidence
    assert found.todo
    assert SECRETS["db_password"] not in str(found)


def test_loopback() -> None:
    assert [is_loopback(text) for text in ("127.0.0.1", "127.8.0.1", "::1")] == [True] * 3
    assert not any(is_loopback(text) for text in ("", "0.0.0.0", "::", "10.0.0.1", "shop.example"))


def test_only_web_is_published() -> None:
    found = container("web")
    published("0.0.0.0")(found)
    assert list(of_container("web", found, SECRETS)) == []


# --- Odoo and PostgreSQL

SAFE = {"list_db": "False", "proxy_mode": "False", "admin_passwd": "$pbkdf2-sha512$600000$x$y", "log_level": "info"}


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"list_db": "True"}, "database-manager"),
        ({"dbfilter": ""}, "dbfilter"),
        ({"admin_passwd": "admin"}, "master-password"),
        ({"admin_passwd": ""}, "master-password"),
        ({"log_level": "debug_sql"}, "debug"),
        ({"dev_mode": "reload,qweb"}, "debug"),
        ({"test_enable": "True"}, "debug"),
    ],
)
def test_options_of_odoo(changed: dict[str, str], code: str) -> None:
    safe = {**SAFE, "dbfilter": "^shop$"}
    assert list(of_options(safe, ["a", "b"])) == []
    (found,) = of_options({**safe, **changed}, ["a", "b"])
    assert found.code == code


def test_the_database_manager_is_open_unless_it_is_closed() -> None:
    assert [one.code for one in of_options({"admin_passwd": "x" * 24}, ["shop"])] == ["database-manager"]


def test_proxy() -> None:
    on = {**SAFE, "proxy_mode": "True"}
    assert [one.what for one in of_proxy(on, [], behind=False)] == ["every client can forge its address"]
    assert [one.evidence for one in of_proxy(on, ["*:8069"], behind=True)] == ["proxy_mode is on, published: *:8069"]
    assert not [*of_proxy(on, [], behind=True), *of_proxy(SAFE, ["*:8069"], behind=False)]


def test_databases() -> None:
    main = DatabaseFacts("shop", "u1", demo=3, mail_servers=("ours",), logins={"admin": "admin"})
    found = list(of_databases([main, DatabaseFacts("copy", "u1", mail_servers=("ours",))], "shop"))
    assert [(one.code, one.subject) for one in found] == [
        ("demo-data", "shop"),
        ("admin-password", "shop"),
        ("copy", "copy"),
        ("copy-mail", "copy"),
        ("copy", "copy"),
    ]
    neutral = DatabaseFacts("copy", "u2", neutralized=True, mail_servers=("neutralization",), logins={"admin": "$x"})
    assert list(of_databases([DatabaseFacts("shop", "u1", mail_servers=("ours",)), neutral], "shop")) == []


def test_facts_of_a_row() -> None:
    row = {"uuid": "u", "neutralized": True, "demo": 2, "mail_servers": ["a"], "logins": {"admin": "h"}}
    assert facts("shop", row) == DatabaseFacts("shop", "u", True, 2, ("a",), {"admin": "h"})
    assert facts("shop", {"uuid": None, "mail_servers": None, "logins": None}) == DatabaseFacts("shop", logins={})


# made by passlib 1.7.4: pbkdf2_sha512.using(rounds=1000).hash(password)
HASHES = {
    "admin": "$pbkdf2-sha512$1000$T8n5H0NobY1xTolxjtGa8w$"
    "XGuTZ5jsLZ8eIh8XLQdZAEzOuwfu7RUmqYqVrMffEyJAkI5x5i0OXT8Ws7an/WeBsEk.4V/jMctQoNk.hqOX2Q",
    "ümläut ✓": "$pbkdf2-sha512$1000$wHhPyZnTmnMOYSxFSGkt5Q$"
    "IQWeEq3ryvWxs/rgCkilFuFGDiF2lH6LhgGo6mBEHUu1FJMDUrZgZwyt3LhHPUwexfnnKfHuCr9pyzjiGH3L0Q",
}


@pytest.mark.parametrize("password", HASHES)
def test_passwords_are_compared_with_the_hash_of_passlib(password: str) -> None:
    assert matches(password, HASHES[password])
    assert not matches(password + "x", HASHES[password])


@pytest.mark.parametrize(
    "rest", ["", "A$B", "0$x7g3$x7g3", "10$x7g3", "10$x7g3$A", "10$x7g3$ü", "99999999999$x7g3$x7g3"]
)
def test_a_damaged_hash_matches_nothing(rest: str) -> None:
    assert not matches("admin", f"$pbkdf2-sha512${rest}")


def test_a_password_that_is_stored_as_text() -> None:
    assert matches("admin", "admin")
    assert not matches("", "")
    assert [is_weak(word) for word in ("", "admin", "Odoo2026!shop", "Zk3-9fTq_bD1xW")] == [True, True, True, False]


def test_postgresql() -> None:
    assert list(of_cluster({"rights": {"SUPERUSER": False}, "roles": [], "trusts": []})) == []
    role, trust = of_cluster({"rights": {"SUPERUSER": True, "CREATEROLE": False}, "trusts": ["host all 0.0.0.0 trust"]})
    assert (role.code, role.evidence) == ("database-role", "SUPERUSER")
    assert 'ALTER ROLE odoo NOSUPERUSER"' in role.todo
    assert (trust.code, trust.evidence) == ("database-trust", "host all 0.0.0.0 trust")
    (role,) = of_cluster({"rights": None, "roles": ["pg_read_server_files"], "trusts": None})
    assert "REVOKE pg_read_server_files FROM odoo" in role.todo


# --- waivers and output

PORTS = AuditFinding("ports", "error", "redis", "other machines reach it", "*:6379", "publish it on 127.0.0.1")
BACKUP = AuditFinding("backup", "note", "odpm.json", "nothing makes backups")


def test_waivers() -> None:
    found = waived([BACKUP, PORTS], {"ports redis": "the office reads it", "copy": "none"})
    assert [(one.code, one.waiver, one.fails) for one in found] == [
        ("ports", "the office reads it", False),
        ("backup", "", False),
    ]
    assert unused_waivers(found, {"ports redis": "x", "copy": "y", "backup": "z"}) == ("copy",)
    (other,) = waived([PORTS], {"ports db": "x"})
    assert other.fails


def test_text() -> None:
    text = as_text(waived([BACKUP, PORTS], {}), ["copy"])
    assert text.splitlines() == [
        "error   ports             redis: other machines reach it",
        "                          *:6379",
        "                          next: publish it on 127.0.0.1",
        "note    backup            odpm.json: nothing makes backups",
        "note    waiver            copy: odpm.json accepts it, and there is no such finding",
        f"{len(CODES)} rules, 1 finding, 1 note or waiver",
    ]
    text = as_text(waived([PORTS], {"ports": "the office\x1b[31m"}), [])
    assert "waived  ports" in text
    assert "reason: the office" in text
    assert "\x1b" not in text
    assert text.endswith("nothing fails, 1 note or waiver")


def test_json_follows_its_schema() -> None:
    document = json.loads(as_json(waived([BACKUP, PORTS], {"ports": "why"}), ["copy"]))
    validate(document, schema("audit"))
    assert (document["failed"], document["findings"][0]["waiver"]) == (0, "why")


def test_the_page_lists_every_rule() -> None:
    table = next(part for part in sections()["audit"].split("\n\n") if part.startswith("| code |"))
    assert {row[0].strip("`"): row[1] for row in rows(table)} == CODES


def test_an_unknown_code_in_the_description() -> None:
    with pytest.raises(DescriptionError, match="'port' is no code of `inv audit`; the nearest is ports"):
        manifest(audit_waivers={"port redis": "why", "copy": "why"})
    assert manifest(audit_waivers={"copy": "why"}).audit_waivers == {"copy": "why"}
