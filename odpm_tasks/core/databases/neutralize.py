"""The SQL that neutralises a database: for series without `odoo neutralize`, and what that leaves.

Each statement names the columns that it needs and is left out where they are missing: add-ons are not installed, and columns
came and went between series.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from odpm_tasks.core.databases.sql import NEUTRALIZED, insert_parameter, literal, set_parameter

OWN_COMMAND = (16, 0)  # the first series with `odoo neutralize` and `data/neutralize.sql` in the add-ons
BASE_URL = "http://localhost:8069"  # as in a new database; the login of an administrator sets the real one


@dataclass(frozen=True)
class Neutralization:
    """A statement for a table that has these columns."""

    table: str
    columns: tuple[str, ...]
    statement: str


def _update(table: str, change: str, *columns: str, where: str = "") -> Neutralization:
    """`change`: one assignment, whose column is needed; `columns`: those of `where`."""
    assigned = change.split("=", 1)[0].strip()
    return Neutralization(
        table, (assigned, *columns), f"UPDATE {table} SET {change}{f' WHERE {where}' if where else ''}"
    )


# 11.0 to 15.0. Sources: the models of those series, and the data/neutralize.sql of 16.0 for the same models.
OLDER: tuple[Neutralization, ...] = (
    _update("ir_mail_server", "active = false"),
    Neutralization(
        "ir_mail_server",
        ("name", "smtp_host", "smtp_port", "smtp_encryption", "active"),
        "INSERT INTO ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, active)"
        " SELECT 'neutralization - disable emails', 'invalid', 1025, 'none', true"
        " WHERE NOT EXISTS (SELECT FROM ir_mail_server WHERE name = 'neutralization - disable emails')",
    ),
    _update("ir_mail_server", "active = true", "name", where="name = 'neutralization - disable emails'"),
    _update("mail_template", "mail_server_id = NULL"),
    _update("fetchmail_server", "active = false"),
    _update(
        "ir_cron",
        "active = false",
        where="id NOT IN (SELECT res_id FROM ir_model_data"
        " WHERE model = 'ir.cron' AND module = 'base' AND name = 'autovacuum_job')",
    ),
    _update("payment_acquirer", "state = 'disabled'", where="state NOT IN ('test', 'disabled')"),  # from 13.0 on
    _update("payment_acquirer", "environment = 'test'"),  # until 12.0
    _update("payment_acquirer", "website_published = false", "environment", where="environment IS NOT NULL"),
    _update("delivery_carrier", "prod_environment = false"),
    _update(
        "delivery_carrier", "active = false", "delivery_type", where="delivery_type NOT IN ('fixed', 'base_on_rule')"
    ),
    _update("iap_account", "account_token = regexp_replace(account_token, '(\\+.*)?$', '+disabled')"),
    _update("auth_oauth_provider", "enabled = false"),
    _update("res_users", "google_calendar_rtoken = NULL"),
    _update("res_users", "google_calendar_token = NULL"),
    _update("google_calendar_credentials", "calendar_rtoken = NULL"),  # from 15.0 on
    _update("google_calendar_credentials", "calendar_token = NULL"),
    _update("google_calendar_credentials", "synchronization_stopped = true"),
    _update("res_users", "microsoft_calendar_rtoken = NULL"),
    _update("res_users", "microsoft_calendar_token = NULL"),
    _update("website", "domain = NULL"),
    _update("website", "cdn_activated = false"),
    _update("account_edi_proxy_client_user", "active = false"),
    Neutralization("ir_config_parameter", ("key", "value"), set_parameter(NEUTRALIZED, "true")),
)


# All series: what `odoo neutralize` leaves.
ALWAYS: tuple[Neutralization, ...] = (
    Neutralization("ir_config_parameter", ("key", "value"), set_parameter("web.base.url", BASE_URL)),
    Neutralization(
        "ir_config_parameter", ("key",), "DELETE FROM ir_config_parameter WHERE key = 'web.base.url.freeze'"
    ),
)


def script(found: Iterable[Neutralization]) -> str:
    """A script for psql that runs the statements whose columns exist."""
    return ";\n".join(map(_guarded, found))


def _guarded(one: Neutralization) -> str:
    columns = ", ".join(map(literal, one.columns))
    wanted = len({*one.columns})
    return (
        f"DO $odpm$BEGIN IF (SELECT count(*) FROM pg_attribute WHERE attrelid = to_regclass({literal(f'public.{one.table}')})"
        f" AND attname IN ({columns}) AND NOT attisdropped) = {wanted} THEN EXECUTE {literal(one.statement)}; END IF; END$odpm$"
    )


def new_identity(uuid: str, secret: str, created: str) -> Sequence[str]:
    """Statements that make a copy another database: for Odoo's services, and for tokens and links that the original gave out.

    `created`: UTC, `2025-11-27 08:00:00`. Source: `ir.config_parameter.init(force=True)`, which Odoo calls for a copy.
    """
    return (
        set_parameter("database.uuid", uuid),
        set_parameter("database.secret", secret),
        set_parameter("database.create_date", created),
        insert_parameter("report.url", BASE_URL.replace("localhost", "127.0.0.1")),
    )
