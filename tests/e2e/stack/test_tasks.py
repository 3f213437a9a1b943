"""The daily tasks on a running stack; tasks that need none."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import Bench, docker, get, git, snapshot

pytestmark = pytest.mark.docker

NO_ENGINE = {"DOCKER_HOST": "tcp://127.0.0.1:1"}
FAILING = {
    "__init__.py": "",
    "__manifest__.py": "{'name': 'Failing', 'license': 'LGPL-3', 'depends': ['base']}\n",
    "tests/__init__.py": "from . import test_failing\n",
    "tests/test_failing.py": (
        "from odoo.tests import TransactionCase\n\n\nclass TestFailing(TransactionCase):\n"
        "    def test_failing(self):\n        self.assertEqual('the moon', 'green cheese')\n"
    ),
}


@pytest.fixture
def second(two: tuple[Bench, Bench]) -> Bench:
    """Another running project, for destructive tests."""
    return two[1]


def page_of(bench: Bench, path: str = "/web/login") -> int:
    """The HTTP status of a page of a stack with chosen ports."""
    return get(json.loads(bench.ok("status", "--format", "json").out)["url"] + path)[0]


# --- what looks ------------------------------------------------------------------------------------------------------


def test_status_shows_services_and_repositories(developer: Bench) -> None:
    lock = json.loads((developer.root / ".odpm/deps.lock.json").read_text(encoding="utf-8"))
    data = json.loads(developer.ok("status", "--format", "json").out)
    assert (data["scenario"], data["database"]) == ("developer", "project")
    assert data["url"] == developer.url("")
    services = {row["service"]: row for row in data["services"]}
    assert set(services) == {"db", "mail", "odoo"}
    assert (services["odoo"]["state"], services["odoo"]["health"]) == ("running", "healthy")
    commits = {row["commit"] for row in data["repositories"]}
    assert commits == {lock["platform"]["commit"], *(entry["commit"] for entry in lock["dependencies"])}
    text = developer.ok("status").out
    assert developer.url("") in text
    assert "server-env" in text
    assert lock["platform"]["commit"][:8] in text


def test_an_unknown_format_is_refused(developer: Bench) -> None:
    ran = developer.inv("status", "--format", "yaml")
    assert ran.code == 1
    assert "yaml" in ran.err


def test_logs_show_what_a_service_wrote_and_only_that(developer: Bench) -> None:
    everything = developer.ok("logs", "--tail", "100000").out
    assert "database system is ready to accept connections" in everything
    assert "Odoo version 19.0" in everything
    ran = developer.ok("logs", "--service", "db", "--tail", "100000")
    assert "database system is ready to accept connections" in ran.out
    assert "Odoo version 19.0" not in ran.out
    assert len(developer.ok("logs", "--service", "db", "--tail", "2").out.splitlines()) == 2


def test_psql_runs_a_command_and_passes_its_exit_code_on(developer: Bench) -> None:
    ran = developer.ok("psql", "-c", "SELECT current_database() || ' of ' || count(*) FROM res_company")
    assert "project of 1" in ran.out
    assert developer.ok("psql", "-d", "postgres", "-c", "SELECT 6 * 7", "--", "-At").out == "42\n"
    assert developer.inv("psql", "-c", "SELECT nonsense").code == 1
    for words in (("psql", "projec"), ("shell", "-d", "projec")):
        ran = developer.inv(*words)
        assert ran.code == 4
        assert "there is no database 'projec'; the nearest is project" in ran.err
    assert "42" in developer.inv("psql", feed="SELECT 6 * 7;\n").out


def test_exec_runs_a_program_and_passes_its_exit_code_on(developer: Bench) -> None:
    assert developer.ok("exec", "--", "odoo", "--version").out.startswith("Odoo Server 19.0")
    assert developer.inv("exec", "--", "sh", "-c", "exit 7").code == 7
    assert developer.ok("exec", "--service", "db", "--", "postgres", "--version").out.startswith(
        "postgres (PostgreSQL) 15"
    )
    ran = developer.inv("exec", "--service", "zebra", "--", "true")
    assert ran.code == 1
    assert "zebra" in ran.err
    assert developer.inv("exec").code == 1


def test_shell_runs_a_script_of_its_standard_input(developer: Bench) -> None:
    script = "print('companies', env['res.company'].search_count([]), env.cr.dbname)\n"
    assert "companies 1 project" in developer.inv("shell", feed=script).out


def test_restart_leaves_a_healthy_odoo_of_a_later_start(developer: Bench) -> None:
    before = developer.containers()
    developer.ok("restart")
    after = developer.containers()
    assert after["odoo"]["State"]["StartedAt"] > before["odoo"]["State"]["StartedAt"]
    assert after["odoo"]["State"]["Health"]["Status"] == "healthy"
    assert after["db"]["State"]["StartedAt"] == before["db"]["State"]["StartedAt"]
    assert get(developer.url(), timeout=0)[0] == 200
    ran = developer.inv("restart", "zebra")
    assert ran.code == 1
    assert "zebra" in ran.err


# --- tests of the add-ons --------------------------------------------------------------------------------------------


def test_the_add_ons_tests_pass_and_leave_no_database(developer: Bench) -> None:
    query = "SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE datname LIKE 'project-test%'"
    before = developer.sql(query)  # what other tests kept
    ran = developer.ok("test")
    assert re.search(r"0 failed, 0 error\(s\) of [1-9]\d* tests", ran.output), ran.output
    assert developer.sql(query) == before


def test_a_failing_test_of_an_add_on_is_a_failure(second: Bench) -> None:
    for name, text in FAILING.items():
        file = second.root / "addons/failing" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    ran = second.inv("test", "--modules", "failing")
    assert ran.code == 5, ran.output
    assert "green cheese" in ran.output
    assert "Traceback" not in ran.err.splitlines()[-6:]
    assert second.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'project-test%'") == "0"


# --- up and down -----------------------------------------------------------------------------------------------------


def test_uninstall_names_what_goes_with_an_add_on_and_removes_both(second: Bench) -> None:
    query = "SELECT name, state FROM ir_module_module WHERE name IN ('partner_firstname', 'stack_info') ORDER BY name"
    second.ok("mod.install", "stack_info")
    assert second.sql(query, "project") == "partner_firstname|installed\nstack_info|installed"
    assert second.ok("mod.update", "--list-only").out == "no add-on of project changed since its last update\n"
    own = second.root / "addons/stack_info"
    (own / "__init__.py").write_text("# changed\n", encoding="utf-8")
    assert json.loads(second.ok("mod.update", "--list-only", "--format", "json").out)["changed"] == ["stack_info"]
    (own / "i18n").mkdir()
    (own / "i18n/fr.po").write_text('msgid ""\nmsgstr ""\n\nmsgid "Old"\nmsgstr "Vieux"\n', encoding="utf-8")
    written = second.ok("mod.pot", "--po").out.splitlines()
    assert written == [f"addons/stack_info/i18n/{name}" for name in ("stack_info.pot", "fr.po")]
    assert "these are not Odoo's own" in (own / "i18n/fr.po").read_text(encoding="utf-8")
    assert second.inv("mod.pot", "partner_firstname").code == 4
    git("checkout", "-q", "--", "addons", cwd=second.root)
    shutil.rmtree(own / "i18n")
    refused = second.inv("mod.uninstall", "partner_firstname")
    assert refused.code == 1
    assert "these depend on them and are uninstalled, too: stack_info" in refused.err
    assert "nothing is uninstalled" in refused.err
    unknown = second.inv("mod.uninstall", "partner_firstnam", "--yes")
    assert unknown.code == 4
    assert "the nearest is partner_firstname" in unknown.err
    second.ok("mod.uninstall", "partner_firstname", "--yes")
    assert second.sql(query, "project") == "partner_firstname|uninstalled\nstack_info|uninstalled"


@pytest.mark.long
def test_a_new_add_on_installs_and_its_test_passes(second: Bench) -> None:
    folder = second.root / second.ok("mod.scaffold", "trial_of_scaffold", "--depends", "web").out.strip()
    try:
        assert "1 tests" in second.ok("test", "-m", "trial_of_scaffold").out
    finally:
        shutil.rmtree(folder)


def test_two_projects_run_at_the_same_time(developer: Bench, second: Bench) -> None:
    assert get(developer.url())[0] == page_of(second) == 200
    assert get(developer.url("/stack"))[0] == 200
    assert page_of(second, "/stack") == 404
    ids = [{entry["Id"] for entry in bench.containers().values()} for bench in (developer, second)]
    assert [len(one) for one in ids] == [3, 3]
    assert not ids[0] & ids[1]


def volumes(bench: Bench) -> set[str]:
    label = f"label=com.docker.compose.project={bench.prefix}"
    return set(docker("volume", "ls", "--quiet", "--filter", label).split())


def test_the_database_survives_down_and_up(developer: Bench, second: Bench) -> None:
    second.sql("CREATE TABLE remembered AS SELECT 42 AS answer", "project")
    first = {entry["Id"] for entry in developer.containers().values()}
    second.ok("down")
    assert second.containers() == {}
    assert {entry["Id"] for entry in developer.containers().values()} == first
    ran = second.ok("up")
    assert "db.create" not in ran.err
    assert second.sql("SELECT answer FROM remembered", "project") == "42"
    assert page_of(second) == 200


def test_a_stack_survives_removed_files_and_a_moved_folder(second: Bench) -> None:
    git("clean", "-xdfq", cwd=second.root)
    data = json.loads(second.ok("status", "--format", "json").out)
    assert [row["service"] for row in data["services"]] == ["db", "mail", "odoo"]
    assert get(data["url"] + "/web/login")[0] == 200
    ran = second.inv("restart")
    assert ran.code == 5
    assert "its generated files were removed" in ran.err

    old, new = second.root, second.root.parent / "moved" / second.root.name
    new.parent.mkdir()
    old.rename(new)
    second.root = new
    second.ok("render")
    ran = second.inv("restart")
    assert ran.code == 5
    assert "odoo was started in another folder, which has moved" in ran.err
    assert f"the containers were started in {old}" in second.ok("status").out
    ran = second.ok("up")
    assert "db.create" not in ran.err
    assert json.loads(second.ok("status", "--format", "json").out)["url"] == data["url"]
    assert page_of(second) == 200
    assert not old.exists()
    assert second.inside("test", "-f", "/opt/odoo/src/odoo/odoo-bin").code == 0
    assert "nothing to do" in second.ok("up").err


def test_a_renamed_folder_keeps_its_database_or_names_it(second: Bench) -> None:
    named, renamed = second.root, second.root.with_name("renamed")
    named.rename(renamed)
    second.root = renamed
    try:
        ran = second.inv("up")
        assert ran.code == 4
        assert "the database project would stay behind" in ran.err
        assert "ODPM_DATABASE=project in .env" in ran.err
    finally:
        renamed.rename(named)
        second.root = named


@pytest.mark.long
def test_files_of_odoo_that_are_gone_are_named(second: Bench) -> None:
    second.ok("down")
    docker("volume", "rm", f"{second.prefix}_odoo-developer")
    assert f"without the files of Odoo: the volume {second.prefix}_odoo-developer is gone" in second.ok("plan").out
    ran = second.ok("up")
    assert f"the volume {second.prefix}_odoo-developer with the files of Odoo is gone" in ran.err


def test_volumes_are_removed_only_when_confirmed(developer: Bench, second: Bench) -> None:
    had = volumes(second)
    assert len(had) == 2
    for option in ("--volumes", "--purge"):
        ran = second.inv("down", option)
        assert ran.code == 1
        assert f"inv down {option} --yes" in ran.err
        assert f"project   {second.prefix} in {second.root}" in ran.err
        assert all(name in ran.err for name in had)
        assert "with the databases project" in ran.err
    assert len(second.containers()) == 3
    others = volumes(developer)
    ran = second.inv("down", "--volumes", "--yes", ODPM_SCENARIO="server")
    assert ran.code == 1
    assert "the services of developer are running" in ran.err
    described = (second.root / "odpm.json").read_bytes()
    (second.root / "odpm.json").write_text("{", encoding="utf-8")
    second.ok("down")  # also with a description that cannot be read
    assert second.containers() == {}
    (second.root / "odpm.json").write_bytes(described)
    second.ok("down", "--volumes", "--yes", ODPM_SCENARIO="server")
    assert volumes(second) == had
    second.ok("down", "--purge", "--yes")
    assert volumes(second) == set()
    assert second.containers() == {}
    assert volumes(developer) == others
    assert not (second.root / "docker-compose.yml").exists()
    assert not (second.root / ".odpm/secrets").exists()
    assert (second.root / ".odpm/src/odoo/odoo-bin").exists()


# --- without an engine -----------------------------------------------------------------------------------------------


def test_plan_on_a_fresh_clone_changes_nothing(tmp_path: Path, clone: Callable[[Path], Bench]) -> None:
    bench = clone(tmp_path / "project")
    before = snapshot(tmp_path)
    ran = bench.ok("plan", "--strict", PYTHONDONTWRITEBYTECODE="1")
    assert "create" in ran.out
    assert bench.ok("plan", "--diff", "--format", "json", PYTHONDONTWRITEBYTECODE="1", **NO_ENGINE).out
    assert before.changed(tmp_path) == []


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench]) -> Bench:
    """A clone that was prepared without an engine."""
    bench = clone(tmp_path_factory.mktemp("rendered") / "project")
    bench.env.update(NO_ENGINE)
    bench.ok("render")
    return bench


def test_render_needs_no_engine(rendered: Bench) -> None:
    for made in ("docker-compose.yml", ".odpm/build/Dockerfile", ".odpm/build/odoo.conf", ".odpm/src/odoo/odoo-bin"):
        assert (rendered.root / made).is_file()
    assert git("status", "--porcelain", cwd=rendered.root) == ""
    assert "nothing to do" in rendered.ok("render").err
    ran = rendered.inv("up")
    assert ran.code == 8
    assert "Docker engine" in ran.err


def test_an_edited_generated_file_is_drift(rendered: Bench) -> None:
    rendered.ok("plan", "--strict")
    compose = rendered.root / "docker-compose.yml"
    compose.write_text(compose.read_text("utf-8").replace("postgres:15", "postgres:14"), encoding="utf-8")
    ran = rendered.inv("plan", "--strict", "--diff")
    assert ran.code == 2
    assert "-    image: ${ODPM_IMAGE_MIRROR:-}postgres:14" in ran.out
    assert "+    image: ${ODPM_IMAGE_MIRROR:-}postgres:15" in ran.out
    assert "compose.generate" in ran.err
    assert "postgres:14" in compose.read_text("utf-8")
