"""The databases of a test run: names, copies of a template, removal of those that killed runs left."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases.sql import comment, identifier, literal
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.stack.pruning import KEPT_TEST_DATABASE, TEST_DATABASE
from odpm_tasks.core.text import plural
from odpm_tasks.stack.database import create_database
from odpm_tasks.stack.databases import psql
from odpm_tasks.stack.databases.psql import sql

RUNNING = ".odpm/testing/databases.json"  # written before the databases are created, so that the next run finds all
FILESTORE = "/var/lib/odoo/filestore"
_OWNER = "odpm-test"
_ROLE = "SELECT 1 FROM pg_roles WHERE rolname = {}"
_LONGEST = 63  # bytes of a name in PostgreSQL


def existing(database: str) -> frozenset[str]:
    """The names of all databases. `database`: the container of PostgreSQL."""
    return frozenset(sql(database, "SELECT datname FROM pg_database").splitlines())


def new_names(paths: ProjectPaths, base: str, number: int, taken: Collection[str]) -> tuple[str, ...]:
    """Names for test databases that no database has; recorded, so that the next run removes them if this one is killed."""
    start = base.encode()[: _LONGEST - len("-test-000")].decode(errors="ignore")
    names: list[str] = []
    index = 0
    while len(names) < number:
        index += 1
        if (name := f"{start}-test-{index}") not in taken:
            names.append(name)
    files.write(paths.root / RUNNING, json.dumps(names).encode())
    return tuple(names)


def create(observed: RenderedState, database: str, name: str, template: str) -> None:
    """Create a test database: a copy of a template, or an empty one without a template."""
    if template:
        sql(database, f"CREATE DATABASE {identifier(name)} OWNER {identifier(_OWNER)} TEMPLATE {identifier(template)}")
    else:
        create_database(observed, database, name)
        hide(database, name)
    sql(database, comment(name, TEST_DATABASE))


def make_owner(database: str) -> None:
    """Create the role that owns test databases.

    Odoo lists, and runs the scheduled actions of, the databases that its role owns itself; a member of the owner may do the rest.
    """
    if not sql(database, _ROLE.format(literal(_OWNER))):
        sql(database, f"CREATE ROLE {identifier(_OWNER)} NOLOGIN")
    sql(database, f"GRANT {identifier(_OWNER)} TO odoo")


def hide(database: str, name: str) -> None:
    """Hide a database from a running Odoo, which would run scheduled actions during the tests."""
    sql(database, f"ALTER DATABASE {identifier(name)} OWNER TO {identifier(_OWNER)}")


def keep(database: str, name: str) -> None:
    """Mark a test database as kept: no later run removes it, and Odoo lists it."""
    sql(database, f"ALTER DATABASE {identifier(name)} OWNER TO odoo")
    sql(database, comment(name, KEPT_TEST_DATABASE))


def drop(paths: ProjectPaths, database: str, names: Sequence[str]) -> None:
    """Drop test databases, and forget them."""
    psql.drop(database, names)
    files.remove(paths.root / RUNNING)


def remove_leftovers(paths: ProjectPaths, project: str, database: str) -> None:
    """Remove containers and databases of a killed run. The caller holds the lock of test runs."""
    prefix = f"{project}-test-"
    stop_containers(prefix)
    names = _recorded(paths)
    comments = sql(database, "SELECT datname, shobj_description(oid, 'pg_database') FROM pg_database").splitlines()
    kept = [row.partition("|")[0] for row in comments if row.endswith(f"|{KEPT_TEST_DATABASE}")]
    gone = sorted(({*names} & existing(database)) - {*kept})
    if gone:
        terminal.message(f"removing {plural(len(gone), 'database')} of a test run that was killed: {', '.join(gone)}")
        drop(paths, database, gone)
    files.remove(paths.root / RUNNING)


def _recorded(paths: ProjectPaths) -> list[str]:
    try:
        found = json.loads(files.read_text(paths.root / RUNNING) or "[]")
    except ValueError:
        return []
    return [name for name in found if isinstance(name, str) and "-test-" in name] if isinstance(found, list) else []


def stop_containers(prefix: str) -> None:
    """Remove the containers of test runs of this project."""
    docker.remove_containers(docker.names_with_prefix(prefix))
