"""All data moves to another major version of PostgreSQL, or stays where it was."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from odpm_tasks.core.databases import clusters
from tests.e2e.conftest import say
from tests.e2e.failures import Workspace, create_workspace
from tests.e2e.harness import Bench, docker, eventually
from tests.ports import claim_port
from tests.standins.images import ensure_image

pytestmark = pytest.mark.docker
pytest_plugins = ["tests.e2e.workspaces"]

# a task of the project's own that starts PostgreSQL alone: Odoo does not matter here
TASKS = """\
from invoke import task
from odpm_tasks import collection
from odpm_tasks.project import PREPARING, Project

ns = collection()


@task
def database(c):
    Project.find().converge((*PREPARING, "compose.database"))


ns.add_task(database)
"""
ODD = 'Ωμέγα it\'s "odd" = \\ one'
CONTENT = """
CREATE ROLE reader LOGIN PASSWORD 'acme' IN ROLE pg_monitor; ALTER ROLE reader SET work_mem = '7MB';
CREATE EXTENSION pg_trgm;
CREATE EXTENSION unaccent; ALTER FUNCTION unaccent(text) IMMUTABLE;
SET ROLE odoo;
CREATE TYPE json_value_type AS ENUM ('a');
CREATE TABLE partner (id serial PRIMARY KEY, name text CHECK (name <> ''), parent int REFERENCES partner);
INSERT INTO partner (name, parent) SELECT 'Ωμέγα ' || n, nullif(n - 1, 0) FROM generate_series(1, 20000) n;
CREATE INDEX partner_name ON partner USING gin (unaccent(name) gin_trgm_ops);
COMMENT ON TABLE partner IS 'the people of acme'; COMMENT ON COLUMN partner.name IS 'their names';
CREATE VIEW people AS SELECT * FROM partner; CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM partner;
GRANT SELECT ON partner TO reader;
CREATE TABLE json_value (json_table serial REFERENCES partner, json_scalar json_value_type);
COMMENT ON COLUMN json_value.json_table IS 'keywords of later versions';
SELECT nextval('partner_id_seq') FROM generate_series(1, 5);
SELECT lo_from_bytea(4711, decode(repeat('acdc', 5000), 'hex'));
RESET ROLE;
COMMENT ON DATABASE postgres IS E'of acme\nalone'; ALTER DATABASE postgres SET work_mem = '9MB';
ALTER DATABASE template1 CONNECTION LIMIT 40; GRANT CREATE ON DATABASE postgres TO reader;
COMMENT ON DATABASE shop IS 'the shop';
CREATE DATABASE "odpm.snapshot.0123456789ab" TEMPLATE shop ALLOW_CONNECTIONS false IS_TEMPLATE true;
"""
FACTS = """
SELECT count(*), sum(id), sum(parent), md5(string_agg(name, ',' ORDER BY id)) FROM partner;
SELECT last_value, is_called FROM partner_id_seq;
SELECT md5(lo_get(4711));
SELECT string_agg(extname, ',' ORDER BY extname) FROM pg_extension;
SELECT obj_description('partner'::regclass), col_description('partner'::regclass, 2);
SELECT tableowner FROM pg_tables WHERE tablename = 'partner';
SELECT has_table_privilege('reader', 'partner', 'SELECT'), has_table_privilege('reader', 'partner', 'UPDATE');
SELECT count FROM counted; SELECT count(*) FROM people;
SELECT count(*) FROM partner WHERE unaccent(name) LIKE '%19999'
"""


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory, workspace_rendered: Workspace, engine: None) -> Iterator[Bench]:
    """A project with PostgreSQL that runs alone, version 15 at first, and data of each kind."""
    ensure_image("postgres:17", say)
    made = create_workspace(tmp_path_factory.mktemp("upgrade"), workspace_rendered)
    bench = made.bench
    ports = ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT")
    bench.env |= {name: str(claim_port()) for name in ports} | {"ODPM_MAIL": "off"}
    del bench.env["ODPM_IMAGE_MIRROR"]
    (bench.root / "tasks.py").write_text(TASKS, encoding="utf-8")
    try:
        bench.ok("database")
        for name in ("shop", ODD):
            bench.inside("createdb", "-U", "postgres", "-O", "odoo", name, service="db")
        bench.sql("ALTER DATABASE shop SET default_transaction_read_only = on")
        run_script(bench, f"SET default_transaction_read_only = off;{CONTENT}")
        yield bench
    finally:
        bench.remove()


@pytest.fixture
def fifteen(alone: Bench) -> Bench:
    """The same with PostgreSQL 15; the last test that uses it moves the data."""
    alone.edit(postgres="15")
    alone.ok("database")
    return alone


def run_script(bench: Bench, script: str) -> str:
    """Run a script in the database `shop` as superuser; returns what it prints."""
    words = ["psql", "-U", "postgres", "-d", "shop", "-v", "ON_ERROR_STOP=1", "-XAtq"]
    argv = ["docker", "exec", "-i", str(bench.containers()["db"]["Id"]), *words]
    done = subprocess.run(argv, input=script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def volume(bench: Bench, major: str) -> str:
    return f"{bench.prefix}_db-developer-{major}"


def volumes(bench: Bench) -> list[str]:
    return docker("volume", "ls", "-q", "--filter", f"name={bench.prefix}_db-").split()


def facts(bench: Bench) -> tuple[str, ...]:
    """What the databases hold, as text."""
    cluster = """
    SELECT datname, pg_get_userbyid(datdba), datallowconn, datistemplate, shobj_description(oid, 'pg_database'), datcollate, datconnlimit
    FROM pg_database WHERE datname <> 'template0' ORDER BY 1"""
    roles = "SELECT rolname, rolsuper, rolcreatedb, rolconfig FROM pg_roles WHERE rolname !~ '^pg_' ORDER BY 1"
    return bench.sql(FACTS, "shop"), bench.sql(cluster), bench.sql(roles)


def version(bench: Bench) -> str:
    return bench.sql("SHOW server_version").partition(".")[0]


def upgrade_containers(bench: Bench) -> list[str]:
    return docker("ps", "-a", "--format", "{{.Names}}", "--filter", f"name={bench.prefix}-upgrade").split()


def asked(bench: Bench) -> list[str]:
    """Ask for PostgreSQL 17, which is refused: the steps that are blocked."""
    bench.edit(postgres="17")
    ran = bench.inv("database")
    assert (ran.code, "holds data of PostgreSQL 15, and odpm.json asks for 17" in ran.err) == (4, True), ran.output
    plan = bench.inv("plan")
    return [line for line in plan.output.splitlines() if "holds data of PostgreSQL 15" in line]


def killed(bench: Bench, reached: Callable[[], bool]) -> None:
    """Start the task, and kill it as soon as a moment is reached."""
    with bench.running("db.upgrade-postgres", "--yes") as run:
        eventually(lambda: reached() or run.poll() is not None)
        assert run.poll() is None, "the task ended before the moment"
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()


KINDS = {
    "rows": "DELETE FROM partner WHERE id = 20000",
    "sequence": "SELECT nextval('partner_id_seq')",
    "large object": "SELECT lo_put(4711, 3, 'x')",
    "extension": "DROP EXTENSION plpgsql",
    "comment": "COMMENT ON TABLE partner IS 'other'",
    "view": "ALTER VIEW people OWNER TO reader",
    "index": "DROP INDEX partner_name",
    "right on": "REVOKE SELECT ON partner FROM reader",
}


def test_every_kind_of_difference_is_noticed(fifteen: Bench) -> None:
    bench = fifteen
    before = run_script(bench, clusters.CONTENT).splitlines()
    for kind, change in KINDS.items():
        script = f"SET default_transaction_read_only = off; BEGIN; {change} \\g /dev/null\n{clusters.CONTENT}"
        found = clusters.differences(before, run_script(bench, script).splitlines(), "", most=99)
        assert [line for line in found if line.partition(": ")[2].startswith(kind)], (kind, found)


def test_data_that_differs_stays(fifteen: Bench) -> None:
    """The version of the server is made a part of what is compared."""
    bench = fifteen
    before, container = facts(bench), bench.containers()["db"]["Id"]
    assert asked(bench)
    assert (version(bench), bench.containers()["db"]["Id"]) == ("15", container)  # nothing was touched
    assert bench.inv("db.upgrade-postgres").code == 1  # not confirmed
    ran = bench.inv("db.upgrade-postgres", "--drop-old", "--yes")
    assert (ran.code, "inv db.upgrade-postgres" in ran.err) == (7, True)

    different = "from odpm_tasks.core.databases import clusters\n\nclusters.CONTENT += 'SHOW server_version_num;'\n"
    (bench.root / "tasks.py").write_text(TASKS + different, encoding="utf-8")
    try:
        ran = bench.inv("db.upgrade-postgres", "--yes")
    finally:
        (bench.root / "tasks.py").write_text(TASKS, encoding="utf-8")
    assert (ran.code, "missing in " in ran.err, ": 15" in ran.err) == (5, True, True), ran.output
    assert (volumes(bench), upgrade_containers(bench)) == ([volume(bench, "15")], [])
    assert (version(bench), facts(bench), bench.containers()["db"]["Id"]) == ("15", before, container)  # it runs again


@pytest.mark.long
def test_data_that_cannot_be_loaded_stays(fifteen: Bench) -> None:
    """A check that its own rows do not pass any more."""
    bench = fifteen
    run_script(
        bench,
        "SET default_transaction_read_only = off; SET ROLE odoo;"
        "CREATE FUNCTION acme() RETURNS bool LANGUAGE sql AS 'SELECT true'; CREATE TABLE checked (a int CHECK (acme()));"
        "INSERT INTO checked VALUES (1); CREATE OR REPLACE FUNCTION acme() RETURNS bool LANGUAGE sql AS 'SELECT false'",
    )
    try:
        asked(bench)
        ran = bench.inv("db.upgrade-postgres", "--yes")
        assert (ran.code, "cannot load the database shop" in ran.err, "checked" in ran.err) == (5, True, True), (
            ran.output
        )
        assert (volumes(bench), version(bench)) == ([volume(bench, "15")], "15")
    finally:
        run_script(bench, "SET default_transaction_read_only = off; DROP TABLE checked; DROP FUNCTION acme()")


# the new volume has a size; with `unchecked` the space is not compared before
SMALL = """
from odpm_tasks.adapters import command
from odpm_tasks.core.stack.database_volumes import MARK
from odpm_tasks.databases import upgrade

class Small:
    def __getattr__(self, name):
        return getattr(volumes, name)

    def create(self, name, labels):
        given = [f"--label={{key}}={{value}}" for key, value in labels.items()]
        options = ["--opt=type=tmpfs", "--opt=device=tmpfs", "--opt=o=size={size}"]
        command.run(["docker", "volume", "create", *given, *([] if name.endswith(MARK) else options), name])

volumes, upgrade.engine_volumes = upgrade.engine_volumes, Small()
if {unchecked}:
    upgrade._require_possible = lambda *words: None
"""


@pytest.mark.long
@pytest.mark.parametrize(("size", "unchecked"), [("80m", False), ("80m", True), ("20m", True)])
def test_a_full_disk(fifteen: Bench, size: str, unchecked: bool) -> None:
    """Before the move, while the data is loaded, and when the new server is made: the old one runs again as before."""
    bench = fifteen
    before, container = facts(bench), bench.containers()["db"]["Id"]
    asked(bench)
    (bench.root / "tasks.py").write_text(TASKS + SMALL.format(size=size, unchecked=unchecked), encoding="utf-8")
    try:
        ran = bench.inv("db.upgrade-postgres", "--yes")
    finally:
        (bench.root / "tasks.py").write_text(TASKS, encoding="utf-8")
    text = "the disk is full" if unchecked else "free"
    assert (ran.code, text in ran.err, "next:" in ran.err) == (8, True, True), ran.output
    assert (volumes(bench), upgrade_containers(bench)) == ([volume(bench, "15")], [])
    assert (version(bench), facts(bench), bench.containers()["db"]["Id"]) == ("15", before, container)


def test_a_killed_run_goes_back(fifteen: Bench) -> None:
    bench = fifteen
    before = facts(bench)
    asked(bench)
    server = ["docker", "exec", f"{bench.prefix}-upgrade-new", "psql", "-U", "postgres", "-d", "shop"]
    words = [*server, "-Atc", "SELECT 1 FROM partner"]
    killed(bench, lambda: subprocess.run(words, capture_output=True, check=False).returncode == 0)
    ran = bench.inv("database")  # half of the data is not taken for all
    assert (ran.code, "the move was interrupted" in ran.err) == (4, True), ran.output
    bench.edit(postgres="15")
    bench.ok("database")
    assert (version(bench), facts(bench), upgrade_containers(bench)) == ("15", before, [])


def test_a_killed_run_goes_on_and_everything_moves(fifteen: Bench) -> None:
    bench = fifteen
    before = facts(bench)
    asked(bench)
    killed(bench, lambda: f"{bench.prefix}-upgrade-old" in upgrade_containers(bench))

    ran = bench.ok("db.upgrade-postgres", "--yes")
    assert f"the old volume is kept: {volume(bench, '15')}" in ran.err
    bench.ok("database")
    assert (version(bench), facts(bench)) == ("17", before)
    assert (volumes(bench), upgrade_containers(bench)) == ([volume(bench, "15"), volume(bench, "17")], [])
    psql = ("psql", "-h", "127.0.0.1", "-Atc")
    odoo = ("env", "PGPASSWORD=odoo", "PGUSER=odoo", "PGDATABASE=shop")
    assert bench.inside(*odoo, *psql, "SELECT count(*) FROM partner", service="db").out == "20000\n"
    password = (bench.root / ".odpm/secrets/developer/postgres_password").read_text(encoding="utf-8")
    superuser = ("env", f"PGPASSWORD={password}", "PGUSER=postgres", f"PGDATABASE={ODD}")
    assert bench.inside(*superuser, *psql, "SELECT current_database()", service="db").out == f"{ODD}\n"
    assert "nothing to do" in bench.ok("db.upgrade-postgres", "--yes").err

    bench.edit(postgres="15")  # the old data is not taken for the newest
    ran = bench.inv("database")
    assert (ran.code, "holds data of PostgreSQL 17, and odpm.json asks for 15" in ran.err) == (4, True)
    bench.edit(postgres="17")
    assert bench.inv("db.upgrade-postgres", "--drop-old").code == 1  # not confirmed
    assert volume(bench, "15") in volumes(bench)
    assert "removed" in bench.ok("db.upgrade-postgres", "--drop-old", "--yes").err
    assert volumes(bench) == [volume(bench, "17")]
    assert facts(bench) == before


@pytest.mark.long
def test_the_next_version_keeps_its_data_elsewhere_in_the_volume(alone: Bench) -> None:
    """From 18 on; whichever version the data is of. A second run waits for the first one, and has nothing to do."""
    bench = alone
    ensure_image("postgres:18", say)
    before = facts(bench)
    bench.edit(postgres="18")
    with bench.running("db.upgrade-postgres", "--yes") as first:
        eventually(lambda: upgrade_containers(bench) or first.poll() is not None)
        second = bench.ok("db.upgrade-postgres", "--yes")
        assert first.wait() == 0
    assert (f"process {first.pid}" in second.err, "nothing to do" in second.err) == (True, True), second.err
    assert upgrade_containers(bench) == []
    assert (version(bench), facts(bench)) == ("18", before)
    bench.ok("database")
    assert "removed" in bench.ok("db.upgrade-postgres", "--drop-old", "--yes").err
    assert (volumes(bench), facts(bench)) == ([volume(bench, "18")], before)


@pytest.mark.long
def test_odoo_of_a_server_works_on_the_new_version(tmp_path: Path, clone: Callable[[Path], Bench]) -> None:
    ensure_image("postgres:17", say)
    bench = clone(tmp_path / "project")
    bench.env["ODPM_SCENARIO"] = "server"
    bench.ok("up", "-i", "base", "-d", "shop")
    password = (bench.root / ".odpm/secrets/server/admin_password").read_text(encoding="utf-8")
    assert bench.authenticate("shop", "admin", password)
    bench.ok("db.snapshot", "kept", "-d", "shop")
    bench.edit(postgres="17")
    assert bench.inv("up", "-d", "shop").code == 4
    assert bench.authenticate("shop", "admin", password)  # it still runs
    assert bench.inv("db.upgrade-postgres").code == 1  # not confirmed
    bench.ok("db.upgrade-postgres", "--yes", ODPM_DATABASE="shop")
    assert version(bench) == "17"
    assert bench.authenticate("shop", "admin", password)
    assert "nothing to do" in bench.ok("up", "-d", "shop").err
    bench.ok("db.restore-snapshot", "kept", "-d", "shop", "--yes")
    assert bench.authenticate("shop", "admin", password)
    assert "removed" in bench.ok("db.upgrade-postgres", "--drop-old", "--yes").err
