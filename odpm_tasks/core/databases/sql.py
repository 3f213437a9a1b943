"""The SQL of the database tasks, as text."""

from __future__ import annotations

from collections.abc import Iterable

Strategy = str  # "", "WAL_LOG" or "FILE_COPY"


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted; also where `standard_conforming_strings` is off."""
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


def create_copy(source: str, target: str, owner: str, strategy: Strategy = "") -> str:
    """Copy a database to a hidden one that accepts no connections."""
    how = f" STRATEGY = {strategy}" if strategy else ""
    return (
        f"CREATE DATABASE {identifier(target)} TEMPLATE = {identifier(source)} OWNER = {identifier(owner)}"
        f"{how} ALLOW_CONNECTIONS = false IS_TEMPLATE = true"
    )


def drop(name: str, version: int) -> list[str]:
    """Drop a database, hidden or not, with its sessions. `version`: `server_version_num`."""
    named = identifier(name)
    allowed = f"DO $$BEGIN IF EXISTS (SELECT FROM pg_database WHERE datname = {literal(name)}) THEN "
    allowed += f"EXECUTE {literal(f'ALTER DATABASE {named} IS_TEMPLATE false')}; END IF; END$$"
    if version >= 130000:
        return [allowed, f"DROP DATABASE IF EXISTS {named} WITH (FORCE)"]
    return [allowed, end_sessions(name), f"DROP DATABASE IF EXISTS {named}"]


def end_sessions(name: str) -> str:
    """End every session in a database."""
    return (
        f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = {literal(name)}"
        " AND pid <> pg_backend_pid()"
    )


def rename(source: str, target: str) -> str:
    return f"ALTER DATABASE {identifier(source)} RENAME TO {identifier(target)}"


def show(name: str, visible: bool) -> str:
    """Let a database be listed and accept connections, or neither."""
    word = "true" if visible else "false"
    other = "false" if visible else "true"
    return f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS {word} IS_TEMPLATE {other}"


def comment(name: str, text: str) -> str:
    """Set the comment of a database; an empty one removes it."""
    return f"COMMENT ON DATABASE {identifier(name)} IS {literal(text) if text else 'NULL'}"


def copy_properties(source: str, target: str) -> str:
    """A query that returns the statements which give a database the settings and rights of another one.

    `CREATE DATABASE … TEMPLATE` copies neither. psql runs them with `\\gexec`.
    """
    named = literal(identifier(target))
    return f"""\
SELECT format('ALTER %s SET %I = %L',
              CASE setrole WHEN 0 THEN 'DATABASE ' || {named}
                           ELSE format('ROLE %I IN DATABASE %s', (SELECT rolname FROM pg_roles WHERE oid = setrole), {named})
              END, split_part(entry, '=', 1), substr(entry, strpos(entry, '=') + 1))
FROM pg_db_role_setting, unnest(setconfig) entry
WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = {literal(source)})
UNION ALL
SELECT format('ALTER DATABASE %s CONNECTION LIMIT %s', {named}, datconnlimit)
FROM pg_database WHERE datname = {literal(source)} AND datconnlimit >= 0
UNION ALL
SELECT format('REVOKE ALL ON DATABASE %s FROM PUBLIC', {named})
FROM pg_database WHERE datname = {literal(source)} AND datacl IS NOT NULL
UNION ALL
SELECT format('GRANT %s ON DATABASE %s TO %s%s', privilege_type, {named},
              CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
              CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END)
FROM pg_database, aclexplode(datacl) WHERE datname = {literal(source)}
"""


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


def database_facts(name: str) -> str:
    """Owner and size in bytes of a database, as JSON; no row where it does not exist."""
    return (
        "SELECT json_build_object('owner', pg_get_userbyid(datdba), 'size', pg_database_size(oid),"
        " 'comment', shobj_description(oid, 'pg_database'))"
        f" FROM pg_database WHERE datname = {literal(name)}"
    )


def count_sessions(names: Iterable[str]) -> str:
    return f"SELECT count(*) FROM pg_stat_activity WHERE datname IN ({', '.join(map(literal, names))})"


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


def set_parameter(key: str, value: str) -> str:
    """Set a system parameter of Odoo."""
    return (
        "INSERT INTO ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date) VALUES"
        f" ({literal(key)}, {literal(value)}, 1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')"
        " ON CONFLICT (key) DO UPDATE SET value = excluded.value, write_date = excluded.write_date"
    )


def running_transactions(names: Iterable[str]) -> str:
    """The sessions in these databases that have a transaction open, the oldest first, as JSON."""
    listed = ", ".join(map(literal, names))
    return f"""\
SELECT coalesce(json_agg(json_build_object(
         'pid', pid, 'database', datname, 'user', usename, 'program', application_name, 'state', state,
         'seconds', extract(epoch FROM clock_timestamp() - coalesce(xact_start, state_change, backend_start))::int,
         'query', left(query, 200)) ORDER BY xact_start), '[]')
FROM pg_stat_activity WHERE datname IN ({listed}) AND pid <> pg_backend_pid() AND coalesce(state, '') <> 'idle'"""


def end_idle_sessions(names: Iterable[str], program: str, seconds: int) -> str:
    """End idle sessions in these databases, as soon as the session with the application name `program` locks one of them.

    New connections wait for that lock, so that each ended session stays away. Runs until `program` ends, at most `seconds`.
    A running transaction is not ended.
    """
    listed = ", ".join(map(literal, names))
    return f"""\
DO $$
DECLARE
  started timestamptz := clock_timestamp();
  locking boolean := false;
BEGIN
  LOOP
    PERFORM pg_stat_clear_snapshot();
    IF EXISTS (SELECT FROM pg_stat_activity JOIN pg_locks USING (pid)
               WHERE application_name = {literal(program)} AND granted AND locktype = 'object'
                 AND classid = 'pg_database'::regclass AND mode IN ('ShareLock', 'AccessExclusiveLock')
                 AND objid IN (SELECT oid FROM pg_database WHERE datname IN ({listed}))) THEN
      locking := true;
      PERFORM pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ({listed}) AND state = 'idle';
    ELSIF locking THEN
      RETURN;
    END IF;
    EXIT WHEN clock_timestamp() > started + interval '{seconds} seconds';
    PERFORM pg_sleep(0.005);
  END LOOP;
END $$"""
