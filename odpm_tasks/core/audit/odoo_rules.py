"""Rules of `audit` for Odoo's configuration, its databases, and PostgreSQL."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.audit.stack_audit import AuditFinding
from odpm_tasks.core.databases.sql import IS_NEUTRALIZED, literal

_ON = frozenset({"true", "1", "yes", "on"})
_SHORTEST = 12  # characters of a password that a program can try any number of times
_COMMON = ("admin", "odoo", "demo", "password", "master", "changeme", "123456")


@dataclass(frozen=True)
class DatabaseFacts:
    """What a database of Odoo holds. `mail_servers`: names of active servers for outgoing and incoming mail.

    `logins`: login -> stored hash of the password, of the active users that every installation has.
    """

    name: str
    uuid: str = ""
    neutralized: bool = False
    demo: int = 0
    mail_servers: tuple[str, ...] = ()
    logins: Mapping[str, str] | None = None


_MAIL_SERVERS = ("SELECT name FROM ir_mail_server WHERE active", "SELECT name FROM fetchmail_server WHERE active")
_DATABASE = """\
SELECT to_regclass('public.ir_module_module') IS NOT NULL AND to_regclass('public.ir_config_parameter') IS NOT NULL AS odoo,
       CASE WHEN to_regclass('public.fetchmail_server') IS NULL THEN {outgoing} ELSE {all} END AS servers
\\gset
\\if :odoo
SELECT json_build_object(
  'uuid', (SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'),
  'neutralized', {neutralized},
  'demo', (SELECT count(*) FROM ir_module_module WHERE demo AND state = 'installed'),
  'mail_servers', (SELECT coalesce(json_agg(name ORDER BY name), '[]') FROM (:servers) found),
  'logins', (SELECT coalesce(json_object_agg(login, coalesce(password, '')), '{{}}') FROM res_users
             WHERE active AND login IN ('admin', 'demo', 'portal')));
\\endif
"""


def database_query() -> str:
    """A script for psql: the facts of a database as JSON; nothing where it is not Odoo's. `facts` reads it."""
    return _DATABASE.format(
        outgoing=literal(_MAIL_SERVERS[0]), all=literal(" UNION ALL ".join(_MAIL_SERVERS)), neutralized=IS_NEUTRALIZED
    )


def facts(name: str, row: Mapping[str, Any]) -> DatabaseFacts:
    """The facts from a row of `database_query`."""
    return DatabaseFacts(
        name,
        str(row.get("uuid") or ""),
        bool(row.get("neutralized")),
        int(row.get("demo") or 0),
        tuple(map(str, row.get("mail_servers") or ())),
        {str(login): str(stored) for login, stored in (row.get("logins") or {}).items()},
    )


def of_options(options: Mapping[str, str], databases: Sequence[str]) -> Iterator[AuditFinding]:
    """Rules for the options that Odoo runs with. `databases`: those of the stack that hold Odoo."""
    subject, todo = "odoo", "change odoo_conf in odpm.json, then inv up"

    def on(name: str) -> bool:
        return options.get(name, "").strip().lower() in _ON

    if options.get("list_db", "True").strip().lower() in _ON:
        yield AuditFinding("database-manager", "error", subject, "the database manager is open", "list_db is on", todo)
    filtered = options.get("dbfilter", "").strip() or options.get("db_name", "").strip() not in {"", "False"}
    if len(databases) > 1 and not filtered:
        evidence = f"no dbfilter, databases: {', '.join(databases)}"
        yield AuditFinding(
            "dbfilter", "error", subject, "a request may choose any database of the stack", evidence, todo
        )
    master = options.get("admin_passwd", "")
    if not master.startswith("$pbkdf2") and is_weak(master):
        evidence = f"{len(master)} characters" if master else "Odoo's default"
        way = "rm .odpm/secrets/server/odoo_master_password, then inv up generates one"
        yield AuditFinding("master-password", "error", subject, "the master password can be guessed", evidence, way)
    level = options.get("log_level", "")
    debugging = [f"log_level = {level}"] if level.startswith("debug") else []
    debugging += [
        f"{name} = {options[name]}" for name in ("dev_mode", "test_enable") if on(name) or _named(options, name)
    ]
    if debugging:
        yield AuditFinding("debug", "error", subject, "runs with options for development", ", ".join(debugging), todo)


def _named(options: Mapping[str, str], name: str) -> bool:
    return name == "dev_mode" and options.get(name, "").strip().lower() not in {"", "false", "none", "0"}


def of_proxy(options: Mapping[str, str], reachable: Sequence[str], behind: bool) -> Iterator[AuditFinding]:
    """`reachable`: Odoo's published addresses that other machines reach. `behind`: there is a proxy, `web` or the user's."""
    if options.get("proxy_mode", "").strip().lower() not in _ON:
        return
    if reachable:
        what = "a client that goes past the proxy can forge its address"
        todo = "publish Odoo on 127.0.0.1 only"
        yield AuditFinding("proxy", "error", "odoo", what, f"proxy_mode is on, published: {', '.join(reachable)}", todo)
    elif not behind:
        what = "every client can forge its address"
        todo = "remove proxy_mode from odoo_conf, or set ODPM_PROXY=on where a proxy is in front"
        yield AuditFinding("proxy", "error", "odoo", what, "proxy_mode is on without a proxy", todo)


def is_weak(password: str) -> bool:
    """Whether a password is short or begins with a common word."""
    return len(password) < _SHORTEST or any(
        password.lower().startswith(word) and len(password) < 20 for word in _COMMON
    )


def of_databases(found: Sequence[DatabaseFacts], main: str) -> Iterator[AuditFinding]:
    """Rules for the databases of a stack. `main`: the project's, which people work with."""
    counts = Counter(one.uuid for one in found if one.uuid)
    for one in found:
        if one.name == main:
            if one.demo:
                what = "has demo data: users and passwords that everybody knows"
                evidence, todo = (
                    f"{one.demo} add-ons with demo data",
                    "work with a database that was created without",
                )
                yield AuditFinding("demo-data", "error", one.name, what, evidence, todo)
        elif not one.neutralized:
            todo = f"inv db.neutralize -d {one.name}; or accept it, if people work with it"
            what = "is not neutralised: its scheduled actions, mails and payments are real"
            yield AuditFinding("copy", "error", one.name, what, f"the project's database is {main}", todo)
            if one.mail_servers:
                evidence = ", ".join(one.mail_servers)
                yield AuditFinding("copy-mail", "error", one.name, "sends or fetches mail", evidence, todo)
        if counts[one.uuid] > 1 and one.name != main:
            what = "has the same database.uuid as another database"
            todo = f"inv db.neutralize -d {one.name}"
            yield AuditFinding("copy", "error", one.name, what, f"uuid {one.uuid}", todo)
        for login, stored in (one.logins or {}).items():
            if any(matches(password, stored) for password in {login, "admin"}):
                what = f"the user {login} has a password that everybody tries first"
                todo = "change it in Odoo: Settings, Users"
                yield AuditFinding("admin-password", "error", one.name, what, "compared with the stored hash", todo)


def matches(password: str, stored: str) -> bool:
    """Whether a password has a hash as Odoo stores it: `$pbkdf2-sha512$ROUNDS$SALT$HASH` of passlib, or the password itself.

    passlib writes base64 with `.` instead of `+` and without padding.
    """
    found = re.fullmatch(r"\$pbkdf2-sha512\$(\d{1,8})\$([A-Za-z0-9./]+)\$([A-Za-z0-9./]+)", stored)
    if found is None:
        return bool(stored) and stored == password

    def decoded(text: str) -> bytes:
        return base64.b64decode(text.replace(".", "+") + "=" * (-len(text) % 4))

    try:
        made = hashlib.pbkdf2_hmac("sha512", password.encode(), decoded(found[2]), int(found[1]))
        return hmac.compare_digest(made, decoded(found[3]))
    except ValueError:  # not a hash of passlib
        return False


def cluster_query() -> str:
    """What PostgreSQL allows to Odoo's role, and where it trusts every client, as JSON."""
    return """\
SELECT json_build_object(
  'rights', (SELECT json_build_object('SUPERUSER', rolsuper, 'CREATEROLE', rolcreaterole, 'REPLICATION', rolreplication,
                                      'BYPASSRLS', rolbypassrls) FROM pg_roles WHERE rolname = 'odoo'),
  'roles', (SELECT coalesce(json_agg(pg_get_userbyid(roleid)), '[]') FROM pg_auth_members
            WHERE member = (SELECT oid FROM pg_roles WHERE rolname = 'odoo') AND pg_get_userbyid(roleid) LIKE 'pg\\_%'),
  'trusts', (SELECT coalesce(json_agg(concat_ws(' ', type, array_to_string(database, ','), address, auth_method)), '[]')
             FROM pg_hba_file_rules
             WHERE type LIKE 'host%' AND auth_method = 'trust'
               AND coalesce(address, '') NOT IN ('127.0.0.1', '::1', 'localhost', 'samehost')))"""


def of_cluster(row: Mapping[str, Any]) -> Iterator[AuditFinding]:
    """Rules for PostgreSQL, from the row of `cluster_query`."""
    rights = [name for name, held in (row.get("rights") or {}).items() if held] + list(row.get("roles") or ())
    if rights:
        what = "Odoo's role has rights that it does not need"
        change = f"ALTER ROLE odoo NO{rights[0]}" if rights[0].isupper() else f"REVOKE {rights[0]} FROM odoo"
        todo = f'inv psql -d postgres -c "{change}"'
        yield AuditFinding("database-role", "error", "odoo", what, ", ".join(rights), todo)
    if row.get("trusts"):
        what = "PostgreSQL lets other containers in without a password"
        todo = "change pg_hba.conf in the data volume to scram-sha-256, then inv restart db"
        yield AuditFinding("database-trust", "error", "db", what, "; ".join(row["trusts"]), todo)
