"""The SQL of the database tasks, as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

Strategy = Literal["", "WAL_LOG", "FILE_COPY", "CLONE"]
CLONING = 180000  # the first `server_version_num` that can clone files
_LARGE = 200_000_000  # bytes
_SHARING = frozenset({"xfs", "btrfs", "bcachefs"})  # file systems whose files can share blocks, as `stat -f` calls them


def strategy(version: int, size: int, file_system: str) -> Strategy:
    """How PostgreSQL copies a database of `size` bytes. `version`: its `server_version_num`; `file_system`: that of its data.

    From 18 on it clones files where they can share blocks: the copy needs neither time nor space. Else with WAL where the
    database is small, or file by file, which needs two checkpoints.
    """
    if version < 150000:
        return ""
    if version >= CLONING and file_system in _SHARING:
        return "CLONE"
    return "WAL_LOG" if size < _LARGE else "FILE_COPY"


def identifier(name: str) -> str:
    """A name, quoted."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A text, quoted; also where `standard_conforming_strings` is off."""
    quoted = text.replace("'", "''")
    return f" E'{quoted.replace(chr(92), chr(92) * 2)}'" if "\\" in text else f"'{quoted}'"


def connect(database: str, user: str) -> str:
    """The command of psql that connects to another database. It is an error, and ends the script, where that fails."""
    values = {"dbname": database, "user": user}
    for key, value in values.items():  # quoted for libpq; psql takes an identifier, which quotes the whole
        quoted = value.replace("\\", "\\\\").replace("'", "\\'")
        values[key] = f"{key}='{quoted}'"
    return f"\\connect -reuse-previous=off {identifier(' '.join(values.values()))}"


# The databases that people see: templates, and with them the hidden ones of odpm, are left out.
VISIBLE = (
    "SELECT datname FROM pg_database WHERE datallowconn AND NOT datistemplate AND datname <> 'postgres' ORDER BY 1"
)


_CLONE = "SET file_copy_method = clone;\n"


def create_copy(source: str, target: str, owner: str, strategy: Strategy = "") -> str:
    """A script for psql that copies a database to a hidden one, which accepts no connections."""
    method = "FILE_COPY" if strategy == "CLONE" else strategy
    how = f" STRATEGY = {method}" if method else ""
    return (
        f"{_CLONE if strategy == 'CLONE' else ''}CREATE DATABASE {identifier(target)}"
        f" TEMPLATE = {identifier(source)} OWNER = {identifier(owner)}{how} ALLOW_CONNECTIONS = false IS_TEMPLATE = true"
    )


def drop(name: str) -> str:
    """A script for psql that drops a database, hidden or not; nothing where there is none.

    Its sessions are ended, and it gets no new ones; PostgreSQL waits some seconds until they are gone. That is `WITH (FORCE)`,
    which PostgreSQL 12 does not know.
    """
    alter = f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS false IS_TEMPLATE false"
    return f"""\
SELECT {literal(alter)} FROM pg_database WHERE datname = {literal(name)} \\gexec
{end_sessions(name)};
DROP DATABASE IF EXISTS {identifier(name)}"""


# The number of sessions of killed runs, which are ended.
END_OWN_SESSIONS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name ~ '^odpm-[0-9a-f]{12}$'"
)


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


def accept_connections(names: Iterable[str], value: bool) -> str:
    """A script for psql that lets databases accept connections, or not; with `value` false also those of odpm."""
    script = "".join(f"ALTER DATABASE {identifier(name)} ALLOW_CONNECTIONS {str(value).lower()};\n" for name in names)
    return script if value else script + _HIDE


_HIDE = """\
SELECT format('ALTER DATABASE %I ALLOW_CONNECTIONS false', datname) FROM pg_database WHERE left(datname, 5) = 'odpm.' \\gexec
"""


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


def hidden_databases(*, sizes: bool = False) -> str:
    """Name and comment of each database that is odpm's, as JSON; `sizes`: also its size, for which PostgreSQL visits every file."""
    size = ", 'size', pg_database_size(oid)" if sizes else ""
    return f"""\
SELECT coalesce(json_agg(json_build_object('name', datname, 'comment', shobj_description(oid, 'pg_database'){size})), '[]')
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


def exists(name: str) -> str:
    """One row where there is a database of this name."""
    return f"SELECT 1 FROM pg_database WHERE datname = {literal(name)}"


def count_sessions(names: Iterable[str]) -> str:
    return f"SELECT count(*) FROM pg_stat_activity WHERE datname IN ({', '.join(map(literal, names))})"


LOCK_PARAMETER = "odpm.lock"
NEUTRALIZED = "database.is_neutralized"  # the system parameter
IS_NEUTRALIZED = (
    f"EXISTS (SELECT FROM ir_config_parameter WHERE key = '{NEUTRALIZED}' AND lower(value) IN ('true', 't', '1'))"
)


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
  'neutralized', {IS_NEUTRALIZED},
  'lock', (SELECT value FROM ir_config_parameter WHERE key = {literal(LOCK_PARAMETER)}));
\\endif
"""


def set_parameter(key: str, value: str) -> str:
    """Set a system parameter of Odoo."""
    return _parameter(key, value, "UPDATE SET value = excluded.value, write_date = excluded.write_date")


def insert_parameter(key: str, value: str) -> str:
    """Set a system parameter of Odoo that has no value."""
    return _parameter(key, value, "NOTHING")


def _parameter(key: str, value: str, conflict: str) -> str:
    return (
        "INSERT INTO ir_config_parameter (key, value, create_uid, write_uid, create_date, write_date) VALUES"
        f" ({literal(key)}, {literal(value)}, 1, 1, now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC')"
        f" ON CONFLICT (key) DO {conflict}"
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


def end_idle(names: Iterable[str]) -> str:
    """End the idle sessions in these databases, and wait the moment that they need to end. A running transaction is not ended."""
    return f"{_end_idle(names)};\nSELECT pg_sleep(0.02);\n"


def end_idle_while_locked(names: Iterable[str], program: str) -> str:
    """The same, if a session with the application name `program` locks one of the databases: new connections wait for that lock.

    Answers whether they are locked and have no session any more.
    """
    listed = ", ".join(map(literal, names))
    locked = f"""\
EXISTS (SELECT FROM pg_stat_activity JOIN pg_locks USING (pid)
        WHERE application_name = {literal(program)} AND granted AND locktype = 'object'
          AND classid = 'pg_database'::regclass AND mode IN ('ShareLock', 'AccessExclusiveLock')
          AND objid IN (SELECT oid FROM pg_database WHERE datname IN ({listed})))"""
    return f"""\
WITH ended AS ({_end_idle(names)} AND {locked})
SELECT {locked} AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname IN ({listed})) FROM ended"""


def _end_idle(names: Iterable[str]) -> str:
    listed = ", ".join(map(literal, names))
    return (
        f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN ({listed}) AND state = 'idle'"
    )
