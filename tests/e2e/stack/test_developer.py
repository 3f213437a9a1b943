"""The developer scenario, from nothing to a running Odoo and back."""

from __future__ import annotations

import csv
import json
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.harness import Bench, demo_project, docker, eventually, get, git
from tests.e2e.reports import SCRIPT, check_report

pytestmark = pytest.mark.docker

CONTROLLER = "addons/stack_info/controllers/main.py"
TITLE = "What this Odoo is made of"
SHARED = {".odpm/.gitignore", ".odpm/deps.lock.json", ".odpm/requirements.developer.lock", ".odpm/requirements.lock"}


@pytest.fixture
def title(developer: Bench) -> Iterator[Callable[[str], None]]:
    """Sets another title of the add-on's page by an edit on the host."""
    file = developer.root / CONTROLLER
    before = file.read_text(encoding="utf-8")

    def change(text: str) -> None:
        file.write_text(before.replace(TITLE, text), encoding="utf-8")

    yield change
    file.write_text(before, encoding="utf-8")


def states(bench: Bench, database: str, *modules: str) -> dict[str, str]:
    names = ", ".join(f"'{module}'" for module in modules)
    rows = bench.sql(f"SELECT name, state FROM ir_module_module WHERE name IN ({names})", database)
    return dict(row.split("|") for row in rows.splitlines())


def test_reports_have_header_footer_styles_pictures_and_every_script(developer: Bench) -> None:
    """Odoo's port is not 8069 here: without `report.url` there are no styles and no pictures."""
    check_report(developer.inv("shell", feed=SCRIPT).out)


def test_reports_have_a_font_for_every_language_of_odoo(developer: Bench) -> None:
    """For Hong Kong, fontconfig requires 1,200 characters more than for Taiwan; profile `full` has them."""
    table = (developer.root / ".odpm/src/odoo/odoo/addons/base/data/res.lang.csv").read_text(encoding="utf-8")
    codes = {row["code"].split("@")[0] for row in csv.DictReader(table.splitlines())} - {"zh_HK"}
    wanted = {code.replace("_", "-").lower() if code.startswith("zh") else code.split("_")[0] for code in codes}
    query = "for one; do echo $one $(fc-list :lang=$one family | wc -l); done"
    rows = developer.inside("sh", "-c", query, "sh", *sorted(wanted)).out.splitlines()
    assert len(rows) > 50
    assert [row for row in rows if row.endswith(" 0")] == []


def test_up_prints_where_to_log_in_and_the_page_answers(developer: Bench) -> None:
    ran = developer.ok("up")
    url = ran.out.splitlines()[0]
    assert url == developer.url("/web/login?db=project")
    assert "user admin, password admin" in ran.out
    status, page = get(url)
    assert status == 200
    assert "oe_login_form" in page
    assert developer.authenticate("project", "admin", "admin")


def test_the_projects_add_on_and_its_dependency_are_installed(developer: Bench) -> None:
    status, page = get(developer.url("/stack"))
    assert status == 200
    assert TITLE in page
    assert "partner_firstname" in page


def test_the_extra_service_answers(developer: Bench) -> None:
    assert get(f"http://localhost:{developer.env['MAIL_PORT']}/")[0] == 200
    assert developer.containers()["odoo"]["State"]["Health"]["Status"] == "healthy"


def test_a_second_up_changes_nothing_and_interrupts_nothing(developer: Bench) -> None:
    before = {service: (entry["Id"], entry["State"]["StartedAt"]) for service, entry in developer.containers().items()}
    ran = developer.ok("up")
    assert "nothing to do" in ran.err
    assert set(before) == {"db", "mail", "odoo"}
    assert {s: (entry["Id"], entry["State"]["StartedAt"]) for s, entry in developer.containers().items()} == before


def test_names_of_compose_have_no_effect_and_are_reported(developer: Bench) -> None:
    elsewhere = {"COMPOSE_PROJECT_NAME": "elsewhere", "COMPOSE_FILE": "elsewhere.yml"}
    override = developer.root / "docker-compose.override.yml"
    override.write_text("services: {odoo: {image: elsewhere}}\n", encoding="utf-8")
    try:
        ran = developer.ok("up", **elsewhere)
        for name in (override.name, "COMPOSE_FILE in the process environment"):
            assert ran.err.count(f"{name} has no effect") == 1
        assert "ODPM_COMPOSE_PREFIX=elsewhere in .env" in ran.err
        assert "nothing to do" in ran.err
        developer.ok("restart", "mail", **elsewhere)
        assert "Odoo version" in developer.ok("exec", "--", "odoo", "--version", **elsewhere).output.replace(
            "Server", "version"
        )
    finally:
        override.unlink()


def test_the_plan_has_no_changes_after_up(developer: Bench) -> None:
    ran = developer.ok("plan", "--strict", "--format", "json")
    assert {step["action"] for step in json.loads(ran.out)["steps"]} <= {"keep", "skip", "run"}


def test_git_shows_shared_files_and_no_generated_file(developer: Bench) -> None:
    seen = git("status", "--porcelain", "--untracked-files=all", cwd=developer.root).splitlines()
    assert set(seen) == {f"?? {path}" for path in SHARED}
    assert (developer.root / "docker-compose.yml").is_file()
    assert not (developer.root / ".gitignore").exists()


def test_the_compose_file_contains_no_local_path(developer: Bench) -> None:
    text = (developer.root / "docker-compose.yml").read_text(encoding="utf-8")
    assert str(developer.root) not in text
    services: dict[str, Any] = yaml.safe_load(text)["services"]
    mounts = [mount for service in services.values() for mount in service.get("volumes", ())]
    assert "./addons:/opt/odoo/src/project/addons" in mounts
    assert [mount for mount in mounts if not re.match(r"\./|[a-z][a-z0-9-]*:/", mount)] == []
    assert [s["file"] for s in yaml.safe_load(text)["secrets"].values() if not s["file"].startswith("./")] == []


def test_postgresql_is_reached_on_loopback_and_odoos_role_is_no_superuser(developer: Bench) -> None:
    bindings = developer.containers()["db"]["NetworkSettings"]["Ports"]["5432/tcp"]
    assert [binding["HostIp"] for binding in bindings] == ["127.0.0.1"]
    address = f"postgresql://odoo:odoo@127.0.0.1:{developer.env['POSTGRES_PORT']}/project"
    question = "SELECT current_user, rolsuper, rolcreatedb FROM pg_roles WHERE rolname = current_user"
    output = docker("run", "--rm", "--network=host", "--entrypoint=psql", "postgres:15", address, "-Atc", question)
    assert output == "odoo|f|t"


def test_odoo_gets_the_projects_options(developer: Bench) -> None:
    effective = developer.inside("cat", "/run/odoo/odoo.conf").out
    assert "smtp_server = mail\n" in effective
    assert "workers = 0\n" in effective
    assert developer.inside("stat", "-c", "%a", "/run/odoo/odoo.conf").out == "600\n"


def test_an_edit_on_the_host_is_served_after_a_restart(developer: Bench, title: Callable[[str], None]) -> None:
    title("Changed on the host")
    assert TITLE in get(developer.url("/stack"))[1]
    developer.ok("restart")
    assert "Changed on the host" in get(developer.url("/stack"))[1]


def test_an_edit_on_the_host_is_served_without_a_restart_under_dev_reload(
    developer: Bench, title: Callable[[str], None]
) -> None:
    developer.ok("up", "--dev", "reload")
    odoo = developer.containers()["odoo"]
    assert "--dev=reload" in docker("top", str(odoo["Id"]), "-ww", "-eo", "pid,args")

    def edited_and_served() -> bool:
        # saved again until it is seen: Odoo answers before it watches every folder of the platform
        title("Reloaded by itself")
        with suppress(AssertionError):
            eventually(lambda: "Reloaded by itself" in get(developer.url("/stack"))[1], 6)
            return True
        return False

    eventually(edited_and_served, 60)
    assert developer.containers()["odoo"]["State"]["StartedAt"] == odoo["State"]["StartedAt"]


def test_the_dev_mode_stays_on_without_drift_until_it_is_ended(developer: Bench) -> None:
    developer.ok("plan", "--strict")
    assert "nothing to do" in developer.ok("up").err
    assert "--dev=reload" in docker("top", str(developer.containers()["odoo"]["Id"]), "-ww", "-eo", "pid,args")
    developer.ok("up", "--dev=none")
    assert "--dev" not in docker("top", str(developer.containers()["odoo"]["Id"]), "-ww", "-eo", "pid,args")
    assert TITLE in get(developer.url("/stack"))[1]


def test_a_scaffolded_add_on_belongs_to_the_owner_of_the_project_and_is_named_as_new(developer: Bench) -> None:
    developer.ok("exec", "--", "odoo", "scaffold", "made_here", "addons")
    made, owner = developer.root / "addons/made_here", developer.root.stat()
    try:
        assert (made / "__manifest__.py").is_file()
        assert {(path.stat().st_uid, path.stat().st_gid) for path in made.rglob("*")} == {(owner.st_uid, owner.st_gid)}
        assert "not installed: made_here" in developer.ok("plan").err
        ran = developer.ok("up")
        assert "nothing to do" in ran.err
        assert "new in this project: made_here; to install: inv up -i made_here" in ran.err
    finally:
        shutil.rmtree(made)


def test_an_unknown_add_on_is_refused_before_any_change(developer: Bench) -> None:
    ran = developer.inv("up", "-d", "never", "-i", "no_such_add_on")
    assert ran.code == 4
    assert "no_such_add_on" in ran.err
    assert developer.sql("SELECT count(*) FROM pg_database WHERE datname = 'never'") == "0"
    ran = developer.inv("test", "stack_inf")
    assert ran.code == 4
    assert "there is no add-on 'stack_inf' in the sources; the nearest is stack_info" in ran.err
    assert developer.sql("SELECT count(*) FROM pg_database WHERE datname LIKE '%-test-%'") == "0"


@pytest.fixture
def spare(developer: Bench) -> Iterator[str]:
    """The name of a database that does not exist before and after the test."""
    yield "spare"
    developer.sql("DROP DATABASE IF EXISTS spare WITH (FORCE)")


def extensions(bench: Bench, database: str) -> dict[str, bool]:
    """The extensions of a database, and whether their function `unaccent` may be used in indexes."""
    query = """SELECT extname, EXISTS (SELECT FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.refobjid = e.oid
        WHERE p.proname = 'unaccent' AND p.provolatile = 'i') FROM pg_extension e WHERE extname <> 'plpgsql'"""
    return {
        name: immutable == "t" for name, immutable in (row.split("|") for row in bench.sql(query, database).split())
    }


@pytest.mark.long
def test_a_new_database_has_the_indexes_that_odoos_own_creation_makes(developer: Bench, spare: str) -> None:
    """Odoo creates the second database as its own role, which may not make `unaccent` immutable."""
    own, conf = "spare_of_odoo", json.loads((developer.root / "odpm.json").read_text(encoding="utf-8"))["odoo_conf"]
    indexes = "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1"
    try:
        developer.edit(odoo_conf={"options": {**conf["options"], "unaccent": "True"}})
        developer.ok("up", "-d", spare, "-i", "analytic")
        developer.ok("exec", "--", "odoo", "-d", own, "-i", "analytic", "--no-http", "--stop-after-init")
        listed = json.loads(developer.ok("db.list", "--format", "json").out)["databases"]
        assert {one["name"] for one in listed} == {"project", spare, own}
        assert extensions(developer, spare) == extensions(developer, own) == {"pg_trgm": False, "unaccent": True}
        made = developer.sql(indexes, spare)
        assert made == developer.sql(indexes, own)
        assert "unaccent" in made
    finally:
        developer.sql(f"DROP DATABASE IF EXISTS {own} WITH (FORCE)")
        developer.edit(odoo_conf=conf)
        developer.ok("up")


def test_another_database_gets_an_oca_add_on_and_its_update(developer: Bench, spare: str) -> None:
    """One test, because each database takes fifteen seconds: `-d -i` creates it, `-i` installs, `-u` updates."""
    gender = "partner_contact_gender"
    created = developer.ok("up", "-d", spare, "-i", "base")
    assert developer.url("/web/login?db=spare") in created.out
    assert states(developer, spare, "base", "stack_info") == {"base": "installed", "stack_info": "uninstalled"}
    assert extensions(developer, spare) == {"pg_trgm": False}

    developer.ok("up", "-d", spare, "-i", gender)
    assert states(developer, spare, gender) == {gender: "installed"}
    refused = developer.inv("up", "-d", spare, "-u", "mail_environment")
    assert refused.code == 4
    assert f"mail_environment cannot be updated: not installed in the database {spare}" in refused.err
    assert "db.snapshot" not in refused.err
    assert developer.call(spare, "res.partner", "fields_get", ["gender"])["gender"]["type"] == "selection"
    assert states(developer, "project", gender) == {gender: "uninstalled"}

    view = "SELECT count(*) FROM ir_ui_view WHERE arch_db::text LIKE '%gender%'"
    assert developer.sql(view, spare) != "0"
    developer.sql("UPDATE ir_ui_view SET arch_db = replace(arch_db::text, 'gender', 'name')::jsonb", spare)
    assert developer.sql(view, spare) == "0"
    developer.ok("up", "-d", spare, "-u", gender)
    assert developer.sql(view, spare) != "0"


def test_a_database_whose_creation_was_killed_is_finished_by_the_next_up(developer: Bench, spare: str) -> None:
    with developer.running("up", "-d", spare, "-i", "base") as run:
        eventually(lambda: developer.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'spare'") != "0")
        assert run.poll() is None
        os.killpg(run.pid, signal.SIGKILL)
    ran = developer.ok("up", "-d", spare, "-i", "base")
    assert "finish the interrupted creation" in ran.err
    assert developer.authenticate(spare, "admin", "admin")
    assert states(developer, spare, "base") == {"base": "installed"}
    assert "nothing to do" in developer.ok("up", "-d", spare).err


def test_an_edited_generated_file_is_kept_beside_the_new_one(developer: Bench) -> None:
    compose = developer.root / "docker-compose.yml"
    ours = compose.read_text(encoding="utf-8")
    compose.write_text(ours + "# my remark\n", encoding="utf-8")
    ran = developer.ok("up")
    assert "docker-compose.yml.orig" in ran.err
    assert compose.read_text(encoding="utf-8") == ours
    assert compose.with_name("docker-compose.yml.orig").read_text(encoding="utf-8") == ours + "# my remark\n"
    assert "docker-compose" not in git("status", "--porcelain", cwd=developer.root)


def test_the_flat_manifest_gives_the_same_lock_and_the_same_services(
    tmp_path: Path, make_bench: Callable[[Path], Bench]
) -> None:
    ours, theirs = demo_project(tmp_path / "nested/project"), demo_project(tmp_path / "flat/project")
    nested = json.loads((ours / "odpm.json").read_text(encoding="utf-8"))
    flat = {
        "odpm_version": "4.0",
        "odoo_version": nested["odoo_version"],
        "odoo_git_link": nested["platform"]["git"],
        "python_version": nested["python"],
        "distro_name": nested["distro"]["name"],
        "distro_version": nested["distro"]["version"],
        "postgres_version": nested["postgres"],
        "dependencies": nested["dependencies"],
        "odoo_conf": nested["odoo_conf"],
        "favourite_colour": "green",
    }
    (theirs / "odpm.json").write_text(json.dumps(flat), encoding="utf-8")
    # No state of the Debian archive: the mirror may answer one of two runs in time and not the other.
    made, ran = (make_bench(root).ok("render", ODPM_APT_MIRROR="http://127.0.0.1:9/debian") for root in (ours, theirs))
    assert "favourite_colour" in ran.err
    assert "favourite_colour" not in made.err

    def made_in(folder: Path, path: str) -> str:
        return (folder / path).read_text(encoding="utf-8")

    for path in (".odpm/deps.lock.json", ".odpm/build/Dockerfile", ".odpm/build/odoo.conf"):
        assert made_in(theirs, path) == made_in(ours, path)
    services, with_mail = (yaml.safe_load(made_in(folder, "docker-compose.yml")) for folder in (theirs, ours))
    assert with_mail["services"].pop("mail")  # a service is of the nested format alone
    assert services == with_mail
