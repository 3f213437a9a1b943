"""What a whole PostgreSQL holds, as lines of text: two that print the same lines hold the same.

The SQL runs in servers of different versions, as the superuser, and calls no function of a user. What only a version adds is left
out: members of extensions, the rights `MAINTAIN`, names of constraints for NOT NULL. Names are printed without quotes, because each
version has keywords of its own. Rows of materialized views are not counted: they are computed again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from odpm_tasks.core.databases.sql import copy_properties, identifier, literal

# Those that initdb makes: the new cluster has them before anything is moved, and their encoding is the image's.
INITIAL = ("postgres", "template1")

# name, whether it accepts connections, size in bytes
DATABASES = """\
SELECT json_agg(json_build_object('name', datname, 'open', datallowconn, 'size', pg_database_size(oid)) ORDER BY datname)
FROM pg_database WHERE datname <> 'template0'"""

TABLESPACES = "SELECT string_agg(spcname, ', ') FROM pg_tablespace WHERE spcname NOT IN ('pg_default', 'pg_global')"

# names of what `ALTER SYSTEM` has set (a value can be a password), in a file of the data folder that a dump does not hold
SETTINGS = """\
SELECT string_agg(DISTINCT name, ', ' ORDER BY name)
FROM pg_file_settings WHERE sourcefile LIKE '%postgresql.auto.conf'"""

CLUSTER = """\
SET search_path = pg_catalog;
SELECT concat_ws(' ', 'role', rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
                 rolbypassrls, rolconnlimit, extract(epoch FROM rolvaliduntil), md5(coalesce(rolpassword, '')))
FROM pg_authid WHERE rolname !~ '^pg_';
SELECT concat_ws(' ', 'member', pg_get_userbyid(member), 'of', pg_get_userbyid(roleid), admin_option)
FROM pg_auth_members WHERE pg_get_userbyid(member) !~ '^pg_';
SELECT concat_ws(' ', 'database', datname, pg_get_userbyid(datdba), datistemplate, datconnlimit,
                 md5(coalesce(shobj_description(oid, 'pg_database'), '')),
                 CASE WHEN datname NOT IN ('postgres', 'template1') THEN
                   concat_ws(' ', pg_encoding_to_char(encoding), datcollate, datctype) END)
FROM pg_database WHERE datname <> 'template0';
SELECT concat_ws(' ', 'right in', datname, privilege_type, is_grantable,
                 CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END)
FROM pg_database, aclexplode(coalesce(datacl, acldefault('d', datdba))) WHERE datname <> 'template0';
SELECT concat_ws(' ', 'setting', coalesce(datname, 'everywhere'), split_part(entry, '=', 1), md5(entry),
                 CASE setrole WHEN 0 THEN 'everyone' ELSE pg_get_userbyid(setrole) END)
FROM pg_db_role_setting LEFT JOIN pg_database ON pg_database.oid = setdatabase, unnest(setconfig) entry;
"""

# Owners and comments of the initial databases; pg_dump has those of a database only where it creates it.
INITIAL_PROPERTIES = """\
SELECT string_agg(format('ALTER DATABASE %I OWNER TO %I; COMMENT ON DATABASE %I IS %L', datname, pg_get_userbyid(datdba), datname,
                         shobj_description(oid, 'pg_database')), '; ')
FROM pg_database WHERE datname IN ('postgres', 'template1')"""

# Objects of users have numbers from 16384 on.
_OWN = "NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = '{0}'::regclass AND d.objid = {1} AND d.deptype = 'e')"
_SCHEMA = "nspname !~ '^pg_' AND nspname <> 'information_schema'"

CONTENT = f"""\
SET search_path = pg_catalog;
SELECT format('SELECT %L || count(*) FROM ONLY %I.%I', format('rows %s.%s ', nspname, relname), nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'r' AND {_SCHEMA} AND {_OWN.format("pg_class", "c.oid")} \\gexec
SELECT format('SELECT concat_ws('' '', %L, last_value, is_called) FROM %I.%I',
              format('sequence %s.%s', nspname, relname), nspname, relname)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
WHERE relkind = 'S' AND {_SCHEMA} AND {_OWN.format("pg_class", "c.oid")} \\gexec
SELECT concat_ws(' ', i.type, i.object_names, i.object_args, 'of', pg_get_userbyid(owner))
FROM (SELECT 'pg_class'::regclass AS class, c.oid, relowner AS owner FROM pg_class c
      WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f', 'i', 'I') AND relnamespace <> 'pg_toast'::regnamespace
        AND NOT EXISTS (SELECT FROM pg_index WHERE indexrelid = c.oid AND NOT indisvalid)
      UNION ALL SELECT 'pg_proc'::regclass, oid, proowner FROM pg_proc
      UNION ALL SELECT 'pg_namespace'::regclass, oid, nspowner FROM pg_namespace
      UNION ALL SELECT 'pg_type'::regclass, oid, typowner FROM pg_type WHERE typtype IN ('d', 'e')) o,
     pg_identify_object_as_address(o.class, o.oid, 0) i
WHERE o.oid >= 16384 AND coalesce(i.object_names[1], '') !~ '^pg_(toast|temp)'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = o.class AND d.objid = o.oid AND d.deptype = 'e');
SELECT concat_ws(' ', 'constraint', contype, nspname, relname, conname, convalidated)
FROM pg_constraint o JOIN pg_class c ON c.oid = conrelid JOIN pg_namespace n ON n.oid = relnamespace
WHERE o.oid >= 16384 AND conrelid >= 16384 AND contype IN ('c', 'f', 'u', 'p', 'x');
SELECT concat_ws(' ', 'trigger', nspname, relname, tgname, tgenabled)
FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid JOIN pg_namespace n ON n.oid = relnamespace WHERE NOT tgisinternal;
SELECT concat_ws(' ', 'extension', extname, nspname, pg_get_userbyid(extowner))
FROM pg_extension JOIN pg_namespace n ON n.oid = extnamespace;
SELECT concat_ws(' ', 'comment', i.type, i.object_names, i.object_args, md5(description))
FROM pg_description x, pg_identify_object_as_address(classoid, objoid, objsubid) i WHERE objoid >= 16384
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = x.classoid AND d.objid = x.objoid AND d.deptype = 'e');
SELECT concat_ws(' ', 'right on', nspname, relname, privilege_type, is_grantable,
                 CASE grantee WHEN 0 THEN 'PUBLIC' ELSE pg_get_userbyid(grantee) END)
FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace,
     aclexplode(coalesce(relacl, acldefault(CASE relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, relowner)))
WHERE relkind IN ('r', 'p', 'v', 'm', 'S', 'f') AND {_SCHEMA} AND privilege_type <> 'MAINTAIN'
  AND {_OWN.format("pg_class", "c.oid")};
SELECT concat_ws(' ', 'large object', m.oid, pg_get_userbyid(lomowner),
                 (SELECT md5(string_agg(md5(data), '' ORDER BY pageno)) FROM pg_largeobject WHERE loid = m.oid))
FROM pg_largeobject_metadata m;
"""


# A script for the old server that prints one for the new server: functions of extensions that are immutable there are so here.
# Odoo uses `unaccent` in indexes, and a dump has no changes of extensions.
_MEMBERS = """\
FROM pg_proc p JOIN pg_depend d ON d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e' WHERE provolatile"""
IMMUTABLE = f"""\
SET search_path = pg_catalog;
SELECT format('SET search_path = pg_catalog; SELECT format(''ALTER FUNCTION %%s IMMUTABLE'', p.oid::regprocedure) %s <> ''i'' '
              'AND p.oid::regprocedure::text = ANY (%L) \\gexec', {literal(_MEMBERS)}, array_agg(p.oid::regprocedure::text))
{_MEMBERS} = 'i' HAVING count(*) > 0;
"""


def initial_properties(name: str) -> str:
    """A query that returns the statements for settings and rights of an initial database, as one text."""
    return f"SELECT string_agg(statement, '; ') FROM ({copy_properties(name, name)}) AS x(statement)"


_BORDER = "-- odpm: another database"


def content(databases: Iterable[str]) -> str:
    """A script for psql that prints what the cluster and each database hold."""
    parts = (
        f"\\connect -reuse-previous=on {identifier(connection(name))}\n\\echo {_BORDER}\n{CONTENT}"
        for name in databases
    )
    return CLUSTER + "".join(parts)


def compared(before: str, after: str, databases: Iterable[str]) -> list[str]:
    """The first differences of two outputs of `content`, as text; empty where both hold the same."""
    parts = zip(["", *databases], before.split(f"{_BORDER}\n"), after.split(f"{_BORDER}\n"), strict=True)
    return next(filter(None, (differences(old.splitlines(), new.splitlines(), name) for name, old, new in parts)), [])


def differences(before: Iterable[str], after: Collection[str], database: str, most: int = 3) -> list[str]:
    """The first lines that only one of two lists has, as text; the order of lines has no meaning."""
    old, new = {*before}, {*after}
    place = f" in {database}" if database else ""
    lines = [f"missing{place}: {line}" for line in sorted(old - new)]
    lines += [f"not there before{place}: {line}" for line in sorted(new - old)]
    return lines[:most]


def connection(name: str) -> str:
    """The connection string for a database, whatever its name is."""
    return "dbname='" + name.replace("\\", "\\\\").replace("'", "\\'") + "'"


def other_version(image: str, major: int) -> str:
    """The name of an image of PostgreSQL with another major version instead; its variant stays, its digest does not."""
    reference = image.partition("@")[0]
    name, colon, tag = reference.rpartition(":")
    if not colon or "/" in tag:
        return f"{reference}:{major}"
    variant = tag.partition("-")[2]
    return f"{name}:{major}" + (f"-{variant}" if variant else "")
