"""The entrypoint of the image, run as a process: the file it writes, the program it starts, the errors it reports."""

from __future__ import annotations

import ast
import configparser
import http.server
import os
import runpy
import shutil
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

TEMPLATES = Path(__file__).parents[3] / "odpm_tasks" / "templates"
PROGRAM, MODULE, DEBUGGER = (TEMPLATES / f"{name}.py" for name in ("odoo_run", "odoo_run_conf", "odoo_debug"))
ODOO = """#!/bin/sh
for argument in "$@"; do echo "argument: $argument"; done
echo "rc: $ODOO_RC"
env | grep -c 's3cret' | sed 's/^/secret in environment: /'
"""


class Container:
    """A folder in the role of the container's file system, with an `odoo` that prints its arguments."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.run_dir = root / "run"
        self.secrets = root / "secrets"
        self.template = root / "odoo.conf"
        for folder in (self.run_dir, self.secrets, root / "bin"):
            folder.mkdir()
        self.template.write_text("[options]\naddons_path = /a,/b\n", encoding="utf-8")
        odoo = root / "bin" / "odoo"
        odoo.write_text(ODOO, encoding="utf-8")
        odoo.chmod(0o755)

    def start(self, *arguments: str, python: str = sys.executable, **env: str) -> subprocess.CompletedProcess[str]:
        given = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            "ODOO_RUN_TEMPLATE": str(self.template),
            "ODOO_RUN_DIR": str(self.run_dir),
            "ODOO_RUN_SECRETS": str(self.secrets),
            **env,
        }
        return subprocess.run(
            [python, str(PROGRAM), *arguments], env=given, capture_output=True, text=True, timeout=30, check=False
        )

    @property
    def options(self) -> dict[str, str]:
        parser = configparser.RawConfigParser()
        parser.read(self.run_dir / "odoo.conf", encoding="utf-8")
        return dict(parser["options"])


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


@contextmanager
def listening() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


def test_without_arguments_odoo_starts_with_the_configuration(container: Container) -> None:
    done = container.start()
    assert done.returncode == 0, done.stderr
    config = container.run_dir / "odoo.conf"
    assert done.stdout.splitlines()[0] == f"rc: {config}"
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert container.options["addons_path"] == "/a,/b"
    assert not [path for path in container.run_dir.iterdir() if path != config]


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["odoo"], []),
        (["--stop-after-init", "-i", "base"], ["--stop-after-init", "-i", "base"]),
        (["odoo", "shell", "-d", "x"], ["shell", "-d", "x"]),
    ],
)
def test_arguments_of_odoo(container: Container, arguments: list[str], seen: list[str]) -> None:
    lines = container.start(*arguments).stdout.splitlines()
    assert [line.removeprefix("argument: ") for line in lines if line.startswith("argument: ")] == seen


def test_another_program_starts_unchanged(container: Container) -> None:
    done = container.start("sh", "-c", "echo $ODOO_RC; exit 3")
    assert (done.returncode, done.stdout.strip()) == (3, str(container.run_dir / "odoo.conf"))


def test_a_missing_program(container: Container) -> None:
    done = container.start("no-such-program")
    assert done.returncode == 127
    assert "cannot start no-such-program" in done.stderr


def test_references_are_expanded_in_values_only(container: Container) -> None:
    container.template.write_text(
        "# ${COMMENT} needs nothing\n[options]\na = ${A}\nb = ${B:-two}\nc = $$x $y ${ 50%\nd = ${E:-${B:-in}}}\n"
        "e = ${EMPTY:-full}${EMPTY}\n[other]\nx = ${A}\n",
        encoding="utf-8",
    )
    assert container.start(A="one ${B}\n[evil]\nx = 1", EMPTY="").returncode == 0
    options = container.options
    assert options["a"] == "one ${B}\n[evil]\nx = 1"
    assert options["b"] == "two"
    assert options["c"] == "$x $y ${ 50%"
    assert options["d"] == "in}"
    assert options["e"] == "full"
    text = (container.run_dir / "odoo.conf").read_text(encoding="utf-8")
    assert "\n[evil]" not in text


def test_a_reference_is_read_from_a_secret_where_there_is_no_variable(container: Container) -> None:
    """Swarm and Kubernetes mount a secret as a file with its name."""
    container.template.write_text(
        "[options]\na = ${SMTP_PASSWORD}\nb = ${BOTH}\nc = ${NONE:-${SMTP_PASSWORD:-no}}\nd = ${SET_EMPTY:-default}\n",
        encoding="utf-8",
    )
    for name in ("SMTP_PASSWORD", "BOTH", "SET_EMPTY"):
        (container.secrets / name).write_text(f" s3cret ${{{name}}}\n", encoding="utf-8")
    done = container.start(BOTH="variable", SET_EMPTY="")
    assert done.returncode == 0, done.stderr
    assert {name: container.options[name] for name in "abcd"} == {
        **dict.fromkeys("ac", "s3cret ${SMTP_PASSWORD}"),
        "b": "variable",
        "d": "default",
    }
    assert "secret in environment: 0" in done.stdout


def test_a_secret_that_is_not_readable_is_refused(container: Container) -> None:
    container.template.write_text("[options]\na = ${SMTP_PASSWORD:-default}\n", encoding="utf-8")
    (container.secrets / "SMTP_PASSWORD").write_bytes(b"\xff")
    done = container.start()
    assert (done.returncode, "the secret SMTP_PASSWORD cannot be read" in done.stderr) == (4, True)


def test_odoo_run_starts_where_the_image_has_it(container: Container) -> None:
    """Python finds the module in the folder of the program, also through a link in another folder."""
    for source, name in ((PROGRAM, "odoo-run"), (MODULE, MODULE.name)):
        shutil.copy(source, container.root / "bin" / name)
    (container.root / "linked").symlink_to(container.root / "bin/odoo-run")
    env = {"PATH": f"{container.root / 'bin'}:{os.environ['PATH']}", "ODOO_RUN_DIR": str(container.run_dir)}
    done = subprocess.run(
        [sys.executable, str(container.root / "linked")],
        env=env,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"rc: {container.run_dir / 'odoo.conf'}"), done.stderr


def test_an_unset_variable_is_refused(container: Container) -> None:
    container.template.write_text("[options]\nsmtp_password = ${SMTP_PASSWORD}\n", encoding="utf-8")
    done = container.start()
    assert done.returncode == 4
    assert "[options] smtp_password needs the environment variable SMTP_PASSWORD" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (container.run_dir / "odoo.conf").exists()


def test_database_access_of_libpq(container: Container) -> None:
    with listening() as port:
        done = container.start(
            PGHOST="127.0.0.1", PGPORT=str(port), PGUSER="me", PGPASSWORD="s3cret%", HOST="other", PASSWORD="no"
        )
    assert done.returncode == 0, done.stderr
    options = container.options
    assert (options["db_host"], options["db_port"]) == ("127.0.0.1", str(port))
    assert (options["db_user"], options["db_password"]) == ("me", "s3cret%")
    assert "secret in environment: 0" in done.stdout
    assert "s3cret" not in done.stderr


def test_database_access_of_the_official_image(container: Container) -> None:
    with listening() as port:
        done = container.start(HOST="localhost", PORT=str(port), USER="odoo14", PASSWORD="s3cret")
    assert done.returncode == 0, done.stderr
    assert container.options["db_user"] == "odoo14"
    assert container.options["db_port"] == str(port)
    assert "secret in environment: 0" in done.stdout


def test_official_names_have_official_defaults(container: Container) -> None:
    container.start("true", PASSWORD="s3cret")
    assert container.options["db_host"] == "db"
    assert container.options["db_user"] == "odoo"


def test_user_and_port_of_a_shell_are_ignored(container: Container) -> None:
    assert container.start(USER="root", PORT="80").returncode == 0
    assert "db_user" not in container.options
    assert "db_port" not in container.options


@pytest.mark.parametrize("name", ["PGPASSWORD_FILE", "PASSWORD_FILE"])
def test_password_from_a_file(container: Container, name: str) -> None:
    path = container.root / "password"
    path.write_text("s3cret: \\x\n", encoding="utf-8")
    done = container.start("true", PGHOST="db.example", PGUSER="me", **{name: str(path)})
    assert done.returncode == 0, done.stderr
    assert container.options["db_password"] == "s3cret: \\x"
    pgpass = container.run_dir / "pgpass"
    assert pgpass.read_text(encoding="utf-8") == "db.example:*:*:me:s3cret\\: \\\\x\n"
    assert stat.S_IMODE(pgpass.stat().st_mode) == 0o600


def test_passwords_from_the_secrets_folder(container: Container) -> None:
    (container.secrets / "db_password").write_text("one\n", encoding="utf-8")
    (container.secrets / "odoo_master_password").write_text("two\n", encoding="utf-8")
    assert container.start("true", PGHOST="db").returncode == 0
    assert container.options["db_password"] == "one"
    assert container.options["admin_passwd"] == "two"


def test_a_password_variable_overrides_the_secrets_folder(container: Container) -> None:
    (container.secrets / "db_password").write_text("one", encoding="utf-8")
    container.start("true", PGHOST="db", PGPASSWORD="three")
    assert container.options["db_password"] == "three"


def test_a_missing_password_file(container: Container) -> None:
    done = container.start(PGHOST="db", PGPASSWORD_FILE="/no/such/file")
    assert done.returncode == 4
    assert "/no/such/file" in done.stderr


@pytest.mark.parametrize("password", [" a", "a ", "True", "a\nb"])
def test_a_password_that_odoo_cannot_read_is_refused(container: Container, password: str) -> None:
    done = container.start(PGHOST="db", PGPASSWORD=password)
    assert done.returncode == 4
    assert "database password" in done.stderr


def test_a_closed_database_manager_gets_a_random_password(container: Container) -> None:
    container.template.write_text("[options]\nlist_db = False\n", encoding="utf-8")
    container.start()
    first = container.options["admin_passwd"]
    container.start()
    assert len(first) > 30
    assert container.options["admin_passwd"] != first


def test_behind_a_proxy(container: Container) -> None:
    container.template.write_text("[options]\nproxy_mode = False\n", encoding="utf-8")
    for value, mode in (("", "False"), ("off", "False"), ("on", "True")):
        container.start("odoo", ODPM_PROXY=value)
        assert container.options["proxy_mode"] == mode
    assert container.start("odoo", ODPM_PROXY="maybe").returncode == 4


def test_without_a_template_odoo_has_its_defaults(container: Container) -> None:
    container.template.unlink()
    done = container.start()
    assert done.returncode == 0
    assert "there is no" in done.stderr


def test_the_wait_for_the_database_times_out(container: Container) -> None:
    with listening() as port:
        pass
    done = container.start(PGHOST="127.0.0.1", PGPORT=str(port), ODOO_DB_WAIT="0.3")
    assert done.returncode == 5
    assert f"127.0.0.1 port {port}" in done.stderr
    assert "next:" in done.stderr


def test_it_waits_until_the_database_listens(container: Container) -> None:
    with listening() as port:
        pass
    servers: list[socket.socket] = []

    def listen() -> None:
        servers.append(socket.create_server(("127.0.0.1", port)))

    timer = threading.Timer(0.7, listen)
    timer.start()
    try:
        done = container.start(PGHOST="127.0.0.1", PGPORT=str(port), ODOO_DB_WAIT="20")
    finally:
        timer.join()
        for server in servers:
            server.close()
    assert done.returncode == 0, done.stderr
    assert "waiting for PostgreSQL" in done.stderr


@pytest.mark.parametrize("arguments", [["--version"], ["odoo", "scaffold", "x"], ["odoo", "--help"]])
def test_commands_without_a_database_do_not_wait(container: Container, arguments: list[str]) -> None:
    assert container.start(*arguments, PGHOST="127.0.0.1", PGPORT="1", ODOO_DB_WAIT="30").returncode == 0


@pytest.mark.parametrize(("name", "value"), [("PGPORT", "x"), ("ODOO_DB_WAIT", "soon")])
def test_an_invalid_number(container: Container, name: str, value: str) -> None:
    done = container.start(**{"PGHOST": "127.0.0.1", name: value})
    assert done.returncode == 4
    assert "Traceback" not in done.stderr


def test_a_read_only_folder(container: Container) -> None:
    shutil.rmtree(container.run_dir)
    done = container.start()
    assert done.returncode == 4
    assert "--tmpfs" in done.stderr


def test_dev_features_from_the_environment(container: Container) -> None:
    assert "argument: --dev=xml,reload" in container.start("odoo", ODPM_DEV="xml,reload").stdout
    assert "argument: --dev=all" in container.start("--dev=all", ODPM_DEV="xml").stdout
    assert "--dev" not in container.start("odoo", "shell", ODPM_DEV="xml").stdout
    assert "--dev" not in container.start("odoo", ODPM_DEV="").stdout


def test_a_missing_debugger(container: Container) -> None:
    done = container.start(ODPM_DEBUG="1")
    assert done.returncode == 4
    assert "debugger" in done.stderr


DEBUGPY = """\
import os, socket
def configure(**options): print("configure", options["subProcess"], os.environ["PYDEVD_USE_FRAME_EVAL"])
def listen(address):
    global server
    server = socket.create_server(address)
    print("listen", *address)
def wait_for_client(): print("wait for a client")
"""
ODOO_BIN = """\
import os, sys
print("odoo", *sys.argv[1:], __name__)
if "RELOADED" not in os.environ:  # as Odoo's reload does it
    os.execve(sys.executable, [os.path.basename(sys.executable), *sys.argv], {**os.environ, "RELOADED": "1"})
"""


@pytest.fixture
def debugged(container: Container) -> Callable[[str], list[str]]:
    """Starts an Odoo that reloads once, under a debugger that prints what it is told; returns the printed lines."""
    (container.root / "debugpy.py").write_text(DEBUGPY, encoding="utf-8")
    shutil.copy(DEBUGGER, container.root / "bin/odoo-debug")
    (container.root / "bin/odoo-debug").chmod(0o755)
    (container.root / "odoo-bin").write_text(ODOO_BIN, encoding="utf-8")
    with listening() as port:
        pass

    def start(value: str) -> list[str]:
        env = {"PYTHONPATH": str(container.root), "ODOO_BIN": str(container.root / "odoo-bin")}
        done = container.start(
            "--dev=reload", ODPM_DEBUG=value, ODOO_RUN_DEBUGGER_PORT=str(port), PYTHONUNBUFFERED="1", **env
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return start


def test_the_debugger_starts_again_with_each_reload_of_odoo(debugged: Callable[[str], list[str]]) -> None:
    configured, listens, odoo, *again = debugged("1")
    assert (configured, odoo) == ("configure False NO", "odoo --dev=reload __main__")
    assert again == [configured, listens, odoo]


def test_only_the_first_start_waits_for_a_client(debugged: Callable[[str], list[str]]) -> None:
    lines = debugged("wait")
    assert [line.split()[0] for line in lines] == ["configure", "listen", "wait", "odoo", "configure", "listen", "odoo"]


def test_the_debugger_listens_where_published_ports_lead_and_nowhere_else(debugged: Callable[[str], list[str]]) -> None:
    """Other networks of the container have services of dependencies; a debugger runs any code without a password."""
    _, host, _ = debugged("1")[1].split()
    assert host not in {"", "0.0.0.0"}
    with socket.socket() as server:
        server.bind((host, 0))  # an address of this machine


def test_a_port_in_use_is_waited_for() -> None:
    """After this time Odoo starts without the debugger: that is no reason for an Odoo that does not start."""
    module = runpy.run_path(str(DEBUGGER))
    with listening() as port:
        assert not module["wait_for_free_port"](("127.0.0.1", port), 0.2)
    assert module["wait_for_free_port"](("127.0.0.1", port))


class Odoo(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/web/health" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_an_odoo_at_a_breakpoint_is_healthy(container: Container) -> None:
    """All its threads are stopped: it accepts connections and does not answer."""
    with listening() as port:
        env = {"ODOO_RUN_HTTP_PORT": str(port), "ODOO_RUN_HEALTH_TIMEOUT": "0.2"}
        assert container.start("health", ODPM_DEBUG="1", **env).returncode == 0
        assert container.start("health", ODPM_DEBUG="0", **env).returncode == 1


def test_health(container: Container) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Odoo) as server:
        port = str(server.server_port)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        good = container.start("health", ODOO_RUN_HTTP_PORT=port)
        bad = container.start("health", ODOO_RUN_HTTP_PORT=port, ODOO_HEALTH_PATH="/elsewhere")
        connect = container.start("health", ODOO_RUN_HTTP_PORT=port, ODOO_HEALTH_PATH="")
        server.shutdown()
    gone = container.start("health", ODOO_RUN_HTTP_PORT=port)
    gone_connect = container.start("health", ODOO_RUN_HTTP_PORT=port, ODOO_HEALTH_PATH="")
    (container.run_dir / "maintenance").touch()
    announced = container.start("health", ODOO_RUN_HTTP_PORT=port)
    results = [done.returncode for done in (good, bad, connect, gone, gone_connect, announced)]
    assert results == [0, 1, 0, 1, 1, 0]
    assert "/elsewhere answers 404" in bad.stderr


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        (["web"], ["--max-cron-threads=0"]),
        (["web", "--workers=4"], ["--max-cron-threads=0", "--workers=4"]),
        (["websocket"], ["gevent"]),
        (["cron", "-d", "shop"], ["--no-http", "-d", "shop"]),
        (
            ["update", "-u", "sale"],
            ["--workers=0", "--max-cron-threads=0", "--no-http", "--stop-after-init", "-u", "sale"],
        ),
    ],
)
def test_roles(container: Container, arguments: list[str], seen: list[str]) -> None:
    """No role installs a database: several containers of it start at once."""
    done = container.start(*arguments, PGDATABASE="shop", PGHOST="")
    assert [line.partition(": ")[2] for line in done.stdout.splitlines() if line.startswith("argument")] == seen, (
        done.stderr
    )


def test_health_of_roles(container: Container) -> None:
    with listening() as port:
        ports = {"ODOO_RUN_HTTP_PORT": "1", "ODOO_RUN_GEVENT_PORT": str(port)}
        assert container.start("health", "web", **ports).returncode == 1
        assert container.start("health", "websocket", **ports).returncode == 0
        assert container.start("health", "cron", **ports).returncode == 0
    closed = container.start("health", "websocket", **ports)
    assert (closed.returncode, "refused" in closed.stderr) == (1, True)
    unknown = container.start("health", "worker")
    assert (unknown.returncode, "web, websocket, cron, update" in unknown.stderr) == (4, True)


@pytest.mark.parametrize("program", [PROGRAM, MODULE, DEBUGGER], ids=lambda path: path.stem)
def test_the_programs_are_python_3_7(program: Path) -> None:
    ast.parse(program.read_text(encoding="utf-8"), feature_version=(3, 7))


def pythons() -> list[str]:
    """This Python, and all others of the supported range that are installed."""
    found = [shutil.which(f"python3.{minor}") for minor in range(7, 15)]
    answer = [
        python
        for python in found
        if python and subprocess.run([python, "-V"], capture_output=True, check=False).returncode == 0
    ]
    return [sys.executable, *answer]


@pytest.mark.parametrize("python", pythons())
def test_it_runs_on_every_installed_python(container: Container, python: str) -> None:
    done = container.start("--version", python=python)
    assert "argument: --version" in done.stdout, done.stderr
