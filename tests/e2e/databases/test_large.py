"""A database with 10,000 attachments and one of 100 MB, through every task that copies it; and real add-ons that reach outside."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.databases.pull_sources import settings_in_dotenv
from tests.e2e.databases.test_backups import state
from tests.e2e.databases.test_copies import copied, quiet
from tests.e2e.databases.test_neutralize import page, parameters
from tests.e2e.databases.test_pull import pulling, server
from tests.e2e.databases.test_snapshots import DATABASE, attachments
from tests.e2e.harness import Bench
from tests.standins.sshd import SshServer

__all__ = ["copied", "pulling", "server"]
pytestmark = [pytest.mark.docker, pytest.mark.long]

FILL = """
import os
names = ["Ωμέγα", "中文", "عربي", "עברית", "देवनागरी", "😀", "plain"]
Attachment = env["ir.attachment"]
for begin in range(0, 10_000, 500):
    Attachment.create([
        {"name": f"acme {n} {names[n % len(names)]}", "raw": os.urandom(n % 3000)} for n in range(begin, begin + 500)
    ])
    env.cr.commit()
Attachment.create({"name": "acme large", "raw": os.urandom(100_000_000)})
env.cr.commit()
"""


def everything(bench: Bench, database: str) -> tuple[list[str], dict[str, str], dict[str, str]]:
    return state(bench, database), attachments(bench, database), parameters(bench, database)


def test_ten_thousand_files(pulling: Bench, server: SshServer, tmp_path: Path) -> None:
    bench = pulling
    bench.ok("db.copy", DATABASE, "acme-source")
    quiet(bench, "acme-source")
    bench.ok("shell", "-d", "acme-source", feed=FILL)
    expected = everything(bench, "acme-source")
    assert len(expected[1]) >= 9_997  # Odoo makes no file of 0 bytes
    bench.ok("db.snapshot", "good", "-d", "acme-source")
    bench.sql("DELETE FROM ir_attachment WHERE name LIKE 'acme%'", "acme-source")
    bench.ok("db.restore-snapshot", "good", "-d", "acme-source", "--yes")
    restored = everything(
        bench, "acme-source"
    )  # with one row more in the tables by which Odoo's processes learn of changes
    assert restored[1:] == expected[1:]
    expected = restored
    bench.ok("db.copy", "acme-source", "acme-twin", "--no-neutralize")
    assert everything(bench, "acme-twin") == expected
    for kind in ("zip", "dump"):
        archive = tmp_path / f"acme.{kind}"
        bench.ok("db.backup", "-d", "acme-source", "-o", str(archive), "--archive", kind)
        bench.ok("db.drop", "acme-twin", "--yes")
        bench.ok("db.restore", str(archive), "-d", "acme-twin", "--no-neutralize")
        assert everything(bench, "acme-twin") == expected, kind
        archive.unlink()
    bench.ok("db.drop", "acme-twin", "--yes")
    words = ("--remote-database", "acme-source", "-d", "acme-twin", "--no-neutralize")
    with settings_in_dotenv(bench):
        bench.ok("db.pull", server.url(bench.root), *words)
    assert everything(bench, "acme-twin") == expected


ADDONS = "payment_stripe,payment_paypal,google_calendar,microsoft_calendar,delivery,sms_twilio,mail"
SECRET = "acme-secret"
REACHES_OUT = f"""
UPDATE payment_provider SET state = 'enabled', stripe_secret_key = '{SECRET}', stripe_publishable_key = '{SECRET}',
  stripe_webhook_secret = '{SECRET}', paypal_client_id = '{SECRET}', paypal_client_secret = '{SECRET}' WHERE code IN ('stripe', 'paypal');
INSERT INTO res_users_settings (user_id, calendar_default_privacy) SELECT id, 'public' FROM res_users
  WHERE id NOT IN (SELECT user_id FROM res_users_settings);
UPDATE res_users_settings SET google_calendar_rtoken = '{SECRET}', google_calendar_token = '{SECRET}',
  microsoft_calendar_sync_token = '{SECRET}', google_synchronization_stopped = false, microsoft_synchronization_stopped = false;
UPDATE res_users SET microsoft_calendar_rtoken = '{SECRET}', microsoft_calendar_token = '{SECRET}';
UPDATE res_company SET sms_twilio_auth_token = '{SECRET}';
UPDATE delivery_carrier SET prod_environment = true;
INSERT INTO fetchmail_server (name, server, server_type, state, active) VALUES ('acme', 'imap.acme.example', 'imap', 'done', true);
INSERT INTO ir_config_parameter (key, value) VALUES ('mail.web_push_vapid_private_key', '{SECRET}')
  ON CONFLICT (key) DO UPDATE SET value = excluded.value;
"""
STILL = (
    "SELECT code FROM payment_provider WHERE state = 'enabled'",
    "SELECT name FROM fetchmail_server WHERE active",
    "SELECT id FROM delivery_carrier WHERE prod_environment",
    "SELECT id FROM res_users_settings WHERE NOT google_synchronization_stopped OR NOT microsoft_synchronization_stopped",
    "SELECT cron_name FROM ir_cron WHERE active AND id <> (SELECT res_id FROM ir_model_data WHERE name = 'autovacuum_job')",
)


def test_real_add_ons_reach_nobody_after_a_restore(copied: Bench, tmp_path: Path) -> None:
    copied.ok("up", "-d", "acme-shop", "-i", ADDONS)
    copied.sql(REACHES_OUT, "acme-shop")
    found = [copied.sql(query, "acme-shop") for query in STILL]
    assert all(found), found
    copied.ok("db.backup", "-d", "acme-shop", "-o", str(tmp_path / "acme.zip"))
    ran = copied.ok("db.restore", str(tmp_path / "acme.zip"), "-d", "acme-neutral")
    assert "neutralised" in ran.err
    assert [copied.sql(query, "acme-neutral") for query in STILL] == [""] * len(STILL)
    dump = copied.inside("sh", "-c", "pg_dump -U postgres -d acme-neutral", service="db").out
    assert "CREATE TABLE" in dump
    assert SECRET not in dump
    assert parameters(copied, "acme-neutral")["database.uuid"] != parameters(copied, "acme-shop")["database.uuid"]
    assert "neutraliz" in page(copied.url("/web/login?db=acme-neutral")).lower(), "no banner"
