"""The scenario server: the same services, no access from outside, and the lock enforced."""

from __future__ import annotations

import json
import re
import socket
import stat
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import file_digests
from tests.e2e.harness import Bench, CommandResult, docker, get, git
from tests.e2e.reports import SCRIPT, check_report

pytestmark = pytest.mark.docker

LOCK = ".odpm/deps.lock.json"
NOBODY = "2" * 40


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, clone: Callable[[Path], Bench]) -> Bench:
    """Another clone, prepared and not started."""
    bench = clone(tmp_path_factory.mktemp("prepared") / "project")
    bench.env["ODPM_SCENARIO"] = "server"
    bench.ok("render")
    return bench


@pytest.fixture
def other(prepared: Bench) -> Iterator[Bench]:
    """The prepared clone, whose description and lock tests may change."""
    yield prepared
    for checkout in (prepared.root, prepared.root / ".odpm/src/mail"):
        git("checkout", "-q", ".", cwd=checkout)


def test_reports_are_pdf(server_stack: Bench) -> None:
    check_report(server_stack.inv("shell", feed=SCRIPT).out)


def secret(bench: Bench, name: str) -> str:
    return (bench.root / ".odpm/secrets/server" / name).read_text(encoding="utf-8")


def config(bench: Bench) -> dict[str, str]:
    """The effective configuration, as Odoo reads it."""
    lines = bench.inside("cat", "/run/odoo/odoo.conf").out.splitlines()
    return dict(line.split(" = ", 1) for line in lines if " = " in line)


def is_open(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=2).close()
    except OSError:
        return False
    return True


def test_the_login_page_answers(server_stack: Bench) -> None:
    status, page = get(server_stack.url("/web/login"))
    assert status == 200
    assert "oe_login_form" in page


def test_the_clone_is_as_it_was_committed(server_stack: Bench) -> None:
    """No file of the project is written, including the locks."""
    assert git("status", "--porcelain", cwd=server_stack.root) == ""
    assert "nothing to do" in server_stack.ok("up").err
    assert git("status", "--porcelain", cwd=server_stack.root) == ""


def test_only_the_generated_password_logs_in(server_stack: Bench) -> None:
    ran = server_stack.ok("up")
    password = secret(server_stack, "admin_password")
    assert ".odpm/secrets/server/admin_password" in ran.out
    assert password not in ran.output
    assert len(password) >= 20
    assert server_stack.authenticate("project", "admin", password)
    assert server_stack.authenticate("project", "admin", "admin") is False


def test_postgresql_is_closed_from_outside(server_stack: Bench) -> None:
    """No published port, no listener on possible ports, no access for a container of another network."""
    db = server_stack.containers()["db"]
    assert not [binding for bindings in db["NetworkSettings"]["Ports"].values() for binding in bindings or ()]
    assert not is_open("127.0.0.1", int(server_stack.env["POSTGRES_PORT"]))
    addresses = [network["IPAddress"] for network in db["NetworkSettings"]["Networks"].values()]
    assert len(addresses) == 1

    knock = ["pg_isready", "--timeout=3", f"--host={addresses[0]}"]
    assert server_stack.inside(*knock).code == 0
    neighbours = server_stack.containers()["mail"]["NetworkSettings"]["Networks"]
    for network in ("bridge", *neighbours):
        shut = docker(
            "run", "--rm", f"--network={network}", "--entrypoint=sh", "postgres:15", "-c", f"{' '.join(knock)} || :"
        )
        assert shut.endswith("no response"), network


def test_the_role_of_odoo_is_no_superuser_and_has_no_usual_password(server_stack: Bench) -> None:
    assert server_stack.sql("SELECT rolsuper, rolcreaterole FROM pg_roles WHERE rolname = 'odoo'") == "f|f"
    login = 'PGPASSWORD="$1" psql -h db -U odoo -d project -Atc "SELECT 1"'
    assert server_stack.inside("sh", "-c", login, "-", secret(server_stack, "db_password")).out == "1\n"
    assert server_stack.inside("sh", "-c", login, "-", "odoo").code != 0


def test_passwords_that_are_gone_are_set_again_in_the_existing_data(server_stack: Bench) -> None:
    folder, before = server_stack.root / ".odpm/secrets/server", secret(server_stack, "db_password")
    for name in ("db_password", "postgres_password", "odoo_master_password", "roles.sql"):
        (folder / name).unlink()
    steps = json.loads(server_stack.ok("plan", "--format", "json").out)["steps"]
    (step,) = (step for step in steps if step["id"] == "compose.database")
    assert step["action"] == "update"
    assert "set new passwords" in step["detail"]
    ran = server_stack.ok("up")
    assert ".odpm/secrets/server was missing: PostgreSQL has new passwords" in ran.err
    assert secret(server_stack, "db_password") != before
    login = 'PGPASSWORD="$1" psql -h db -U odoo -d project -Atc "SELECT 1"'
    assert server_stack.inside("sh", "-c", login, "-", secret(server_stack, "db_password")).out == "1\n"
    assert server_stack.authenticate("project", "admin", secret(server_stack, "admin_password"))
    assert "nothing to do" in server_stack.ok("up").err


def test_a_clone_that_was_cleaned_and_moved_goes_on_with_its_data(server_stack: Bench) -> None:
    server_stack.sql("CREATE TABLE remembered AS SELECT 42 AS answer", "project")
    password = secret(server_stack, "admin_password")
    git("clean", "-xdfq", cwd=server_stack.root)
    moved = server_stack.root.parent / "moved" / server_stack.root.name
    moved.parent.mkdir()
    server_stack.root.rename(moved)
    server_stack.root = moved
    ran = server_stack.ok("up")
    assert "db.create" not in ran.err
    assert ".odpm/secrets/server was missing: PostgreSQL has new passwords" in ran.err
    assert server_stack.sql("SELECT answer FROM remembered", "project") == "42"
    server_stack.sql("DROP TABLE remembered", "project")
    assert server_stack.authenticate("project", "admin", password)
    kept = server_stack.root / ".odpm/secrets/server/admin_password"  # unchanged in Odoo, so other tests log in with it
    kept.touch(mode=0o600)
    kept.write_text(password, encoding="utf-8")
    assert get(server_stack.url("/web/login"))[0] == 200
    assert "nothing to do" in server_stack.ok("up").err


def test_secrets_are_readable_by_their_reader_only(server_stack: Bench) -> None:
    folder = server_stack.root / ".odpm/secrets/server"
    odoo = int(server_stack.containers()["odoo"]["Config"]["User"].split(":")[0])
    me = folder.stat().st_uid
    owners = {
        "admin_password": me,
        "db_password": odoo,
        "odoo_master_password": odoo,
        "postgres_password": me,
        "backup_password": odoo,
    }
    assert {path.name for path in folder.iterdir()} == {*owners, "roles.sql"}
    for name, owner in owners.items():
        found = (folder / name).stat()
        assert (name, stat.S_IMODE(found.st_mode) & 0o077, found.st_uid) == (name, 0, owner)
    assert {stat.S_IMODE(path.stat().st_mode) for path in (folder, folder.parent)} == {0o700}
    assert len({secret(server_stack, name) for name in owners}) == len(owners)
    assert not any(secret(server_stack, name) in secret(server_stack, "roles.sql") for name in owners)


def test_no_password_is_seen_from_outside(server_stack: Bench) -> None:
    passwords = [
        path.read_text("utf-8").strip() for path in (server_stack.root / ".odpm/secrets/server").glob("*_password")
    ]
    assert len(passwords) == 5
    found = server_stack.containers()
    image = found["odoo"]["Config"]["Image"]
    logs = "".join(docker("logs", str(entry["Id"])) for entry in found.values())
    composed = docker("compose", "--project-directory", str(server_stack.root), "config")
    written = "".join(path.read_text("utf-8") for path in (server_stack.root / ".odpm/build").iterdir())
    places = {
        "inspect": json.dumps(found),
        "history": docker("history", "--no-trunc", image),
        "image": docker("image", "inspect", image),
        "config": composed,
        "generated": written + (server_stack.root / "docker-compose.yml").read_text("utf-8"),
        "logs": logs,
        "processes": "".join(docker("top", str(entry["Id"]), "-ww", "-eo", "pid,args") for entry in found.values()),
    }
    assert "/run/secrets/db_password" in places["inspect"]
    assert "odoo-bin" in places["processes"]
    assert [(name, word) for name, text in places.items() for word in passwords if word in text] == []


def test_odoo_is_configured_for_production(server_stack: Bench) -> None:
    effective = config(server_stack)
    assert effective["list_db"] == "False"
    assert effective["proxy_mode"] == "False"
    assert int(effective["workers"]) >= 2
    assert effective["admin_passwd"] not in ("admin", "")
    assert effective["smtp_server"] == "mail"


def test_the_database_manager_is_disabled(server_stack: Bench) -> None:
    for path in ("/web/database/manager", "/web/database/selector"):
        assert "database manager has been disabled by the administrator" in get(server_stack.url(path))[1]
    question = urllib.request.Request(
        server_stack.url("/web/database/list"), data=b"{}", headers={"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(question, timeout=30) as answer:
        output = json.load(answer)
    assert output["error"]["data"]["name"] == "odoo.exceptions.AccessDenied"


def test_every_service_restarts_after_a_reboot(server_stack: Bench) -> None:
    policies = {
        service: entry["HostConfig"]["RestartPolicy"]["Name"] for service, entry in server_stack.containers().items()
    }
    assert policies == dict.fromkeys(("backup", "backup-dump", "db", "mail", "odoo"), "unless-stopped")


def test_there_is_no_debugger_and_no_dev_mode(server_stack: Bench) -> None:
    assert server_stack.inside("/opt/odoo/venv/bin/python", "-c", "import odoo, debugpy").code != 0
    assert server_stack.inside("/opt/odoo/venv/bin/python", "-c", "import psycopg2").code == 0
    odoo = server_stack.containers()["odoo"]
    assert set(odoo["NetworkSettings"]["Ports"]) == {"8069/tcp", "8072/tcp"}
    assert "--dev" not in docker("top", str(odoo["Id"]), "-ww", "-eo", "pid,args")
    for words in (("--dev", "reload"), ("--debug",)):
        ran = server_stack.inv("up", *words)
        assert ran.code == 1
        assert "server" in ran.err
    assert server_stack.containers()["odoo"]["State"]["StartedAt"] == odoo["State"]["StartedAt"]


def test_sources_are_mounted_and_not_writable(server_stack: Bench) -> None:
    mounts = {mount["Destination"]: mount["RW"] for mount in server_stack.containers()["odoo"]["Mounts"]}
    sources = {path: writable for path, writable in mounts.items() if path.startswith("/opt/odoo/src/")}
    assert "/opt/odoo/src/odoo" in sources
    assert not any(sources.values())


# --- the lock --------------------------------------------------------------------------------------------------------


def refused(bench: Bench, *words: str) -> CommandResult:
    """Run a task that must exit with 3 and write nothing."""
    before = file_digests(bench.root, "odoo")  # of the sources the largest is left out
    ran = bench.inv(*words)
    assert ran.code == 3, ran.output
    assert file_digests(bench.root, "odoo") == before
    assert not bench.containers()
    return ran


def edit_lock(bench: Bench, change: Callable[[dict[str, Any]], object]) -> None:
    path = bench.root / LOCK
    data = json.loads(path.read_text(encoding="utf-8"))
    change(data)
    path.write_text(json.dumps(data, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def test_up_without_a_lock_is_refused(other: Bench) -> None:
    (other.root / LOCK).unlink()
    assert "ODPM_SCENARIO=developer inv lock" in refused(other, "up").err


def test_up_with_a_dependency_that_is_not_locked_is_refused(other: Bench) -> None:
    edit_lock(other, lambda data: data["dependencies"].pop(0))
    assert "https://github.com/OCA/mail 19.0" in refused(other, "up").err


def test_up_with_a_superfluous_locked_repository_is_refused(other: Bench) -> None:
    entry = {"url": "https://github.com/OCA/zebra", "branch": "19.0", "commit": NOBODY}
    edit_lock(other, lambda data: data["dependencies"].append(entry))
    assert "drop zebra" in refused(other, "up").err


def test_up_with_a_description_that_contradicts_the_lock_is_refused(other: Bench) -> None:
    """The description names another commit than the lock: reported without a network request."""
    links = ["https://github.com/OCA/partner-contact.git 19.0", f"https://github.com/OCA/mail.git 19.0 {NOBODY}"]
    other.edit(dependencies=links)
    assert "mail" in refused(other, "up").err


def test_up_with_a_changed_python_lock_is_refused(other: Bench) -> None:
    path = other.root / ".odpm/requirements.lock"
    path.write_text(re.sub(r"(?m)^babel==\S+", "babel==0.0.1", path.read_text("utf-8"), flags=re.I), "utf-8")
    assert "Python lock" in refused(other, "up").err


def test_up_with_an_unavailable_commit_fails_before_any_change(other: Bench) -> None:
    edit_lock(other, lambda data: data["dependencies"][0].update(commit=NOBODY))
    before = file_digests(other.root, "odoo")
    ran = other.inv("up")
    assert ran.code == 5, ran.output
    assert NOBODY[:12] in ran.err
    assert file_digests(other.root, "odoo") == before
    assert not other.containers()


def test_up_with_a_changed_source_is_refused(other: Bench) -> None:
    """The mounted sources would differ from the lock."""
    file = other.root / ".odpm/src/mail/mail_environment/__init__.py"
    file.write_text(file.read_text("utf-8") + "EDITED = 1\n", "utf-8")
    before = file_digests(other.root, "odoo")
    ran = other.inv("up", "--skip-start")
    assert ran.code in {3, 7}, ran.output
    assert ".odpm/src/mail" in ran.err
    assert file_digests(other.root, "odoo") == before


def test_inv_lock_is_refused(other: Bench) -> None:
    assert "ODPM_SCENARIO=developer inv lock" in refused(other, "lock").err
    refused(other, "lock", "--update")
