"""The SQL of the database tasks, as text."""

from __future__ import annotations


def literal(text: str) -> str:
    """A text, quoted; also where `standard_conforming_strings` is off."""
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


def hidden_databases() -> str:
    """Name, comment and size of each database that is odpm's, as JSON."""
    return """\
SELECT coalesce(json_agg(json_build_object('name', datname, 'comment', shobj_description(oid, 'pg_database'),
                                           'size', pg_database_size(oid))), '[]')
FROM pg_database WHERE left(datname, 5) = 'odpm.'"""


def user_databases() -> str:
    """Name, owner, comment and size of each database that is not PostgreSQL's or odpm's, as JSON."""
    return """\
SELECT coalesce(json_agg(json_build_object('name', datname, 'owner', pg_get_userbyid(datdba), 'size', pg_database_size(oid),
                                           'comment', shobj_description(oid, 'pg_database')) ORDER BY datname), '[]')
FROM pg_database WHERE NOT datistemplate AND datallowconn AND datname <> 'postgres' AND left(datname, 5) <> 'odpm.'"""


LOCK_PARAMETER = "odpm.lock"


def details() -> str:
    """A script for psql: what a database holds, as JSON; nothing where it is not Odoo's.

    The version of `base`, the number of installed add-ons, whether it is neutralised, the recorded lock.
    """
    return f"""\
SELECT to_regclass('public.ir_module_module') IS NOT NULL AND to_regclass('public.ir_config_parameter') IS NOT NULL AS odoo
\\gset
\\if :odoo
SELECT json_build_object(
  'base', (SELECT latest_version FROM ir_module_module WHERE name = 'base'),
  'addons', (SELECT count(*) FROM ir_module_module WHERE state IN ('installed', 'to upgrade', 'to remove')),
  'neutralized', EXISTS (SELECT FROM ir_config_parameter
                         WHERE key = 'database.is_neutralized' AND lower(value) IN ('true', 't', '1')),
  'lock', (SELECT value FROM ir_config_parameter WHERE key = {literal(LOCK_PARAMETER)}));
\\endif
"""
