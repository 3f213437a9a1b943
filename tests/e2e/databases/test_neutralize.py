"""Neutralised databases: nothing of theirs reaches customers, banks or mailboxes."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator

import pytest

from odpm_tasks.core.databases.neutralize import ALWAYS, OLDER, script
from tests.e2e.databases.test_snapshots import DATABASE, snapshots
from tests.e2e.harness import Bench

pytestmark = pytest.mark.docker


@pytest.fixture
def database(developer: Bench) -> Iterator[Bench]:
    """The database of the project, which is as before after the test."""
    name = developer.ok("db.snapshot").out.strip()
    yield developer
    developer.ok("db.restore-snapshot", name, "--yes")
    developer.ok("db.drop-snapshot", ",".join(snapshots(developer)), "--yes")


@pytest.fixture
def empty(developer: Bench) -> Iterator[str]:
    """A database without tables that Odoo's role owns."""
    developer.sql('CREATE DATABASE "acme-empty" OWNER odoo')
    yield "acme-empty"
    developer.sql('DROP DATABASE "acme-empty" WITH (FORCE)')


def page(url: str) -> str:
    """The page after the redirection that chooses a database, with cookies."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    text = opener.open(url, timeout=60).read().decode()
    assert isinstance(text, str)
    return text


def parameters(bench: Bench, database: str = DATABASE) -> dict[str, str]:
    rows = bench.sql("SELECT json_object_agg(key, value) FROM ir_config_parameter", database)
    found = json.loads(rows)
    assert isinstance(found, dict)
    return found


def make_outgoing(bench: Bench, database: str = DATABASE) -> None:
    """Records that reach outside: a mail server, a scheduled action, a webhook, an IAP account, the address."""
    bench.call(database, "ir.mail_server", "create", {"name": "acme", "smtp_host": "mail.acme.example"})
    model = bench.call(database, "ir.model", "search", [("model", "=", "res.partner")])[0]
    action = {"name": "acme", "model_id": model, "state": "webhook", "webhook_url": "https://acme.example/hook"}
    bench.call(database, "ir.actions.server", "create", action)
    bench.call(database, "ir.cron", "create", {"name": "acme", "model_id": model, "code": "pass", "interval_number": 9})
    service = bench.call(database, "iap.service", "search", [])
    bench.call(
        database, "iap.account", "create", {"name": "acme", "service_id": service[0], "account_token": "acme-token"}
    )
    bench.call(database, "ir.config_parameter", "set_param", "web.base.url", "https://shop.acme.example")
    bench.call(database, "ir.config_parameter", "set_param", "web.base.url.freeze", "True")


def outgoing(bench: Bench, database: str = DATABASE) -> list[str]:
    """What would still reach outside."""
    queries = (
        "SELECT smtp_host FROM ir_mail_server WHERE active AND smtp_host <> 'invalid'",
        "SELECT cron_name FROM ir_cron WHERE active AND id <> (SELECT res_id FROM ir_model_data WHERE name = 'autovacuum_job')",
        "SELECT webhook_url FROM ir_act_server WHERE webhook_url LIKE 'http%'",
        "SELECT account_token FROM iap_account WHERE account_token NOT LIKE '%disabled'",
        "SELECT value FROM ir_config_parameter WHERE key LIKE 'web.base.url%' AND value <> 'http://localhost:8069'",
    )
    return [row for query in queries for row in bench.sql(query, database).splitlines()]


def test_a_neutralised_database_reaches_nobody(database: Bench) -> None:
    make_outgoing(database)
    before = parameters(database)
    assert {"mail.acme.example", "acme", "https://acme.example/hook", "acme-token", "True"} < {*outgoing(database)}
    ran = database.inv("db.neutralize")
    assert (ran.code, "nothing is changed" in ran.err) == (1, True)
    assert "mail.acme.example" in outgoing(database)

    ran = database.ok("db.neutralize", "--yes")
    assert outgoing(database) == []
    after = parameters(database)
    assert after["database.is_neutralized"] == "true"
    assert before["database.uuid"] != after["database.uuid"]
    (listed,) = [
        one
        for one in json.loads(database.ok("db.list", "--format", "json").out)["databases"]
        if one["name"] == DATABASE
    ]
    assert listed["neutralized"] is True
    assert "neutraliz" in page(database.url(f"/web/login?db={DATABASE}")).lower(), "no banner"
    database.ok("db.restore-snapshot", ran.err.split("db.restore-snapshot ")[1].split()[0], "--yes")
    assert parameters(database)["database.uuid"] == before["database.uuid"]
    assert "mail.acme.example" in outgoing(database)


def test_a_failure_leaves_the_database_as_it_was(database: Bench) -> None:
    make_outgoing(database)
    before = outgoing(database)
    function = "CREATE FUNCTION acme() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'refused by acme'; END$$"
    database.sql(f"{function}; CREATE TRIGGER acme BEFORE UPDATE ON ir_cron EXECUTE FUNCTION acme()", DATABASE)
    ran = database.inv("db.neutralize", "--yes")
    assert ran.code == 5
    assert f"{DATABASE} is not neutralised" in ran.err
    assert "next:" in ran.err
    assert outgoing(database) == before
    assert "database.is_neutralized" not in parameters(database)


# Tables as series 11.0 to 15.0 have them, with a record that reaches outside and one that does not.
OLD_TABLES = """
CREATE TABLE ir_mail_server (id serial, name text, smtp_host text, smtp_port int, smtp_encryption text, active bool);
INSERT INTO ir_mail_server (name, smtp_host, active) VALUES ('acme', 'mail.acme.example', true);
CREATE TABLE fetchmail_server (id serial, active bool);
INSERT INTO fetchmail_server (active) VALUES (true);
CREATE TABLE mail_template (id serial, mail_server_id int);
INSERT INTO mail_template (mail_server_id) VALUES (1);
CREATE TABLE ir_cron (id serial, active bool);
INSERT INTO ir_cron (active) VALUES (true), (true);
CREATE TABLE ir_model_data (model text, module text, name text, res_id int);
INSERT INTO ir_model_data VALUES ('ir.cron', 'base', 'autovacuum_job', 1);
CREATE TABLE payment_acquirer (id serial, %s, website_published bool);
INSERT INTO payment_acquirer (%s, website_published) VALUES (%s, true);
CREATE TABLE delivery_carrier (id serial, prod_environment bool, active bool, delivery_type text);
INSERT INTO delivery_carrier (prod_environment, active, delivery_type) VALUES (true, true, 'fixed'), (true, true, 'acme');
CREATE TABLE iap_account (id serial, account_token text);
INSERT INTO iap_account (account_token) VALUES ('acme-token');
CREATE TABLE auth_oauth_provider (id serial, enabled bool);
INSERT INTO auth_oauth_provider (enabled) VALUES (true);
CREATE TABLE res_users (id serial, google_calendar_rtoken text, microsoft_calendar_token text);
INSERT INTO res_users (google_calendar_rtoken, microsoft_calendar_token) VALUES ('acme', 'acme');
CREATE TABLE website (id serial, domain text);
INSERT INTO website (domain) VALUES ('acme.example');
CREATE TABLE ir_config_parameter (id serial, key text UNIQUE, value text, create_uid int, write_uid int,
                                  create_date timestamp, write_date timestamp);
INSERT INTO ir_config_parameter (key, value) VALUES ('web.base.url', 'https://acme.example'), ('web.base.url.freeze', 'True');
"""
OLD_STATE = """
SELECT json_build_array(
  (SELECT json_agg(smtp_host ORDER BY id) FROM ir_mail_server WHERE active), (SELECT json_agg(active) FROM fetchmail_server),
  (SELECT json_agg(mail_server_id) FROM mail_template), (SELECT json_agg(active ORDER BY id) FROM ir_cron),
  (SELECT json_agg(%s) FROM payment_acquirer), (SELECT json_agg(prod_environment) FROM delivery_carrier),
  (SELECT json_agg(active ORDER BY id) FROM delivery_carrier), (SELECT json_agg(account_token) FROM iap_account),
  (SELECT json_agg(enabled) FROM auth_oauth_provider), (SELECT json_agg(google_calendar_rtoken) FROM res_users),
  (SELECT json_agg(microsoft_calendar_token) FROM res_users), (SELECT json_agg(domain) FROM website),
  (SELECT json_object_agg(key, value ORDER BY key) FROM ir_config_parameter))
"""


@pytest.mark.parametrize(
    ("column", "value", "off"),
    [("state text", "'enabled'", "disabled"), ("environment text", "'prod'", "test")],
    ids=["13.0 to 15.0", "11.0 and 12.0"],
)
def test_series_before_16(developer: Bench, empty: str, column: str, value: str, off: str) -> None:
    """The SQL for series without `odoo neutralize`, twice: the second time changes nothing."""
    name = column.split(maxsplit=1)[0]
    developer.sql(OLD_TABLES % (column, name, value), empty)
    for _ in range(2):
        developer.sql(script((*OLDER, *ALWAYS)), empty)
        assert json.loads(developer.sql(OLD_STATE % name, empty)) == [
            ["invalid"],
            [False],
            [None],
            [True, False],
            [off],
            [False, False],
            [True, False],
            ["acme-token+disabled"],
            [False],
            [None],
            [None],
            [None],
            {"database.is_neutralized": "true", "web.base.url": "http://localhost:8069"},
        ]


def test_what_is_refused(developer: Bench, empty: str) -> None:
    ran = developer.inv("db.neutralize", "-d", empty, "--yes")
    assert (ran.code, "no database of Odoo" in ran.err) == (4, True)
    developer.sql(OLD_TABLES % ("state text", "state", "''"), empty)
    tables = "CREATE TABLE ir_module_module (name text, latest_version text, state text)"
    rows = "INSERT INTO ir_module_module VALUES ('base', '15.0.1.3', 'installed')"
    developer.sql(f"{tables}; {rows}; GRANT ALL ON ALL TABLES IN SCHEMA public TO odoo", empty)
    ran = developer.inv("db.neutralize", "-d", empty, "--yes")
    assert (ran.code, "of Odoo 15.0" in ran.err, "runs 19.0" in ran.err) == (4, True, True)
    assert developer.inv("db.neutralize", "-d", "template1", "--yes").code == 4
