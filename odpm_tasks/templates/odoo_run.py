#!/usr/bin/env python3
"""odoo-run: the entrypoint of the Odoo image.

    odoo-run [odoo] [ARGUMENTS]     prepare the configuration, wait for PostgreSQL, start Odoo
    odoo-run odoo COMMAND ...       the same for another command of Odoo (shell, scaffold, ...)
    odoo-run PROGRAM ...            prepare the configuration, start PROGRAM as it is
    odoo-run health                 exit 0 while Odoo answers, or while maintenance is announced

/etc/odoo/odoo.conf is the template: ${NAME}, ${NAME:-default} and $$ in its values come from the environment. To it
are added the database access (PGHOST PGPORT PGUSER PGPASSWORD PGPASSWORD_FILE PGDATABASE, after them the official
image's HOST PORT USER PASSWORD PASSWORD_FILE, after them /run/secrets/db_password) and the master password
(ODOO_MASTER_PASSWORD_FILE, /run/secrets/odoo_master_password). The outcome is /run/odoo/odoo.conf, readable by its
owner only. A database named by PGDATABASE that Odoo has not initialised gets the modules of ODOO_INIT (base) first.
ODPM_DEV=FEATURES and ODPM_DEBUG=1 (or `wait`) start Odoo with --dev and under the debugger. ODOO_DB_WAIT is the
patience with PostgreSQL in seconds (60).

Exit codes of its own: 1 not healthy, 4 the configuration or the environment is wrong, 5 PostgreSQL does not answer.
Standard library only, Python 3.7 and later. The paths can be moved for a test (ODOO_RUN_*).
"""

from __future__ import annotations

import configparser
import contextlib
import http.client
import importlib
import importlib.util
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Dict, Tuple, Union  # noqa: UP035 - Python 3.7

Env = Dict[str, str]  # noqa: UP006 - Python 3.7
Address = Union[str, Tuple[str, int]]  # noqa: UP006, UP007 - Python 3.7

TEMPLATE = Path(os.environ.get("ODOO_RUN_TEMPLATE", "/etc/odoo/odoo.conf"))
RUN_DIR = Path(os.environ.get("ODOO_RUN_DIR", "/run/odoo"))
SECRETS = Path(os.environ.get("ODOO_RUN_SECRETS", "/run/secrets"))
HTTP_PORT = int(os.environ.get("ODOO_RUN_HTTP_PORT", "8069"))
CONFIG = RUN_DIR / "odoo.conf"
PGPASS = RUN_DIR / "pgpass"
MAINTENANCE = RUN_DIR / "maintenance"

# Official image's name -> libpq's
OFFICIAL = {"HOST": "PGHOST", "PORT": "PGPORT", "USER": "PGUSER", "PASSWORD": "PGPASSWORD"}
OPTIONS = {
    "PGHOST": "db_host",
    "PGPORT": "db_port",
    "PGUSER": "db_user",
    "PGPASSWORD": "db_password",
    "PGDATABASE": "db_name",
}
TOKEN = re.compile(r"\$\$|\$\{([A-Za-z_][A-Za-z0-9_]*)(\}|:-)|\}")
DEBUGGER_PORT = 5678
# Commands of Odoo that work without a database
OFFLINE = {"cloc", "genproxytoken", "help", "scaffold", "start", "tsconfig", "upgrade_code", "deploy"}


class Refused(Exception):
    """What ends the start: a message and an exit code."""

    def __init__(self, message: str, code: int = 4) -> None:
        super().__init__(message)
        self.code = code


def say(message: str) -> None:
    sys.stderr.write(f"odoo-run: {message}\n")
    sys.stderr.flush()


# The configuration ---------------------------------------------------------------------------------------------------


def substitute(value: str, where: str, env: Env) -> str:
    """The value with its references replaced; a default counts where the variable is unset or empty."""

    def read(position: int, depth: int, counts: bool) -> tuple[str, int]:
        """From `position` to the end, or to the brace that closes the default at this depth."""
        done = ""
        while True:
            found = TOKEN.search(value, position)
            if found is None or (found[0] == "}" and depth):
                end = len(value) if found is None else found.start()
                return done + value[position:end], end
            done += value[position : found.start()]
            position = found.end()
            if found[1] is None:
                done += "$" if found[0] == "$$" else found[0]
                continue
            given = env.get(found[1])
            if found[2] == ":-":
                default, closing = read(position, depth + 1, counts and not given)
                if closing == len(value):  # never closed: no reference at all
                    done += found[0]
                    continue
                done, position = done + (given or default), closing + 1
            elif given is None and counts:
                raise Refused(
                    f"{TEMPLATE}: {where} needs the environment variable {found[1]}, which is not set\n"
                    f"  next: set it for this container, or write ${{{found[1]}:-default}}"
                )
            else:
                done += given or ""

    return read(0, 0, True)[0]


def secret_from(path: Path, what: str) -> str:
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not text"
        raise Refused(
            f"the {what} cannot be read: {path}: {reason}\n"
            f"  next: make the file readable for uid {os.getuid()}, which runs here"
        ) from None


def database_access(env: Env) -> Env:
    """libpq's names -> values, of what the environment says about the database.

    Each PG* wins over the official image's name. USER and PORT alone are no sign of us, shells and platforms set
    them: the official names count when HOST, PASSWORD or PASSWORD_FILE is there too.
    """
    access = {name: env[name] for name in OPTIONS if env.get(name)}
    official = any(env.get(name) for name in ("HOST", "PASSWORD", "PASSWORD_FILE"))
    if official:
        for theirs, name in OFFICIAL.items():
            if env.get(theirs):
                access.setdefault(name, env[theirs])
        access.setdefault("PGHOST", "db")
        access.setdefault("PGUSER", "odoo")
    if not env.get("PGPASSWORD"):
        for path in (env.get("PGPASSWORD_FILE"), env.get("PASSWORD_FILE"), SECRETS / "db_password"):
            if path and (Path(path).exists() or path != SECRETS / "db_password"):
                access["PGPASSWORD"] = secret_from(Path(path), "database password")
                break
    return access


def master_password(env: Env) -> str:
    given = env.get("ODOO_MASTER_PASSWORD_FILE")
    path = Path(given) if given else SECRETS / "odoo_master_password"
    return secret_from(path, "master password") if given or path.exists() else ""


def effective(env: Env) -> configparser.RawConfigParser:
    """The configuration Odoo is to read: the template, resolved, with database access and master password."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(TEMPLATE.read_text(encoding="utf-8"), str(TEMPLATE))
    except FileNotFoundError:
        say(f"there is no {TEMPLATE}: Odoo's own defaults hold")
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        raise Refused(f"the configuration cannot be read: {error}") from None
    for section in parser.sections():
        for key, value in parser.items(section):
            parser.set(section, key, substitute(value, f"[{section}] {key}", env))
    if not parser.has_section("options"):
        parser.add_section("options")
    for name, value in database_access(env).items():
        parser.set("options", OPTIONS[name], value)
    if parser.has_option("options", "db_password"):
        check_password(parser.get("options", "db_password"), "database password")
    password = master_password(env)
    if password:
        check_password(password, "master password")
        parser.set("options", "admin_passwd", password)
    elif not parser.has_option("options", "admin_passwd") and is_false(parser.get("options", "list_db", fallback="")):
        # closed means closed: without this it would be the word that everybody knows
        parser.set("options", "admin_passwd", secrets.token_urlsafe(32))
    return parser


def is_false(value: str) -> bool:
    return value.strip().lower() in ("false", "0", "no", "off")


def check_password(value: str, what: str) -> None:
    """A value that Odoo would read back otherwise than it was written."""
    if value != value.strip() or "\n" in value or value in ("True", "true", "False", "false", "None"):
        raise Refused(
            f"the {what} cannot stand in Odoo's configuration: it is a word of its own, has several lines, "
            "or white space at an end\n  next: choose another one"
        )


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; nobody but its owner ever reads it."""
    new = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        with contextlib.suppress(FileNotFoundError):
            new.unlink()
        with os.fdopen(os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        new.replace(path)
    except OSError as error:
        raise Refused(
            f"cannot write {path}: {error.strerror}\n"
            f"  next: give the container a writable folder there, for example --tmpfs {RUN_DIR}"
        ) from None


def prepare(env: Env) -> configparser.RawConfigParser:
    """Write the configuration, and libpq's password file for psql and pg_dump; point the environment at them."""
    parser = effective(env)
    lines = [f"# Written by odoo-run at each start, from {TEMPLATE} and the environment.\n"]
    for section in parser.sections():
        lines.append(f"[{section}]\n")
        for key, value in parser.items(section):
            indented = value.replace("\n", "\n    ")
            lines.append(f"{key} = {indented}\n")
        lines.append("\n")
    write_private(CONFIG, "".join(lines))
    env["ODOO_RC"] = str(CONFIG)
    password = parser.get("options", "db_password", fallback="")
    if password and env.get("PGPASSFILE", str(PGPASS)) == str(PGPASS):
        fields = [parser.get("options", name, fallback="*") or "*" for name in ("db_host", "db_port", "db_user")]
        entry = [fields[0], fields[1], "*", fields[2], password]
        write_private(PGPASS, ":".join(re.sub(r"([\\:])", r"\\\1", field) for field in entry) + "\n")
        env["PGPASSFILE"] = str(PGPASS)
    return parser


# The database --------------------------------------------------------------------------------------------------------


def addresses(host: str, port: int) -> list[Address]:
    """Where libpq would connect: a folder is that of the local socket; several hosts are tried in turn."""
    return [f"{h}/.s.PGSQL.{port}" if h.startswith("/") else (h, port) for h in host.split(",")]


def answers(address: Address) -> str:
    """Empty when something accepts a connection there, else why not."""
    try:
        if isinstance(address, str):
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(3)
                connection.connect(address)
        else:
            socket.create_connection(address, timeout=3).close()
    except OSError as error:
        return str(error)
    return ""


def patience(env: Env) -> float:
    try:
        return float(env.get("ODOO_DB_WAIT") or 60)
    except ValueError:
        raise Refused(f"ODOO_DB_WAIT is a number of seconds, not {env['ODOO_DB_WAIT']!r}") from None


def wait_for_database(options: configparser.RawConfigParser, until: float) -> None:
    host = options.get("options", "db_host", fallback="")
    if not host or is_false(host):
        return
    port = options.get("options", "db_port", fallback="")
    if not (port or "5432").isdigit():
        if is_false(port):
            port = ""
        else:
            raise Refused(f"the port of PostgreSQL is a number, not {port!r}")
    told = False
    while True:
        reasons = [answers(address) for address in addresses(host, int(port or 5432))]
        if not all(reasons):
            return
        if time.monotonic() >= until:
            raise Refused(
                f"PostgreSQL does not answer at {host} port {port or 5432}: {reasons[0]}\n"
                "  next: see that it runs and that this container reaches it; ODOO_DB_WAIT is the patience in seconds",
                5,
            )
        if not told:
            say(f"waiting for PostgreSQL at {host} port {port or 5432}")
            told = True
        time.sleep(0.2)


def connect(psycopg2: Any, options: configparser.RawConfigParser, database: str) -> Any:
    wanted = {"db_host": "host", "db_port": "port", "db_user": "user", "db_password": "password"}
    wanted["db_sslmode"] = "sslmode"
    given = {theirs: options.get("options", ours, fallback="") for ours, theirs in wanted.items()}
    connection = psycopg2.connect(
        dbname=database, connect_timeout=5, **{k: v for k, v in given.items() if v and not is_false(v)}
    )
    connection.autocommit = True
    return connection


def initialise(options: configparser.RawConfigParser, env: Env, until: float) -> None:
    """Install the first modules in the database of PGDATABASE unless that has been done, to the end.

    Decided under a lock in PostgreSQL, so of several containers that start together one does it. A run that was
    interrupted leaves modules marked for installation: it is done again.
    """
    try:
        psycopg2 = importlib.import_module("psycopg2")
    except ImportError:
        return
    name = options.get("options", "db_name", fallback="")
    modules = [module.strip() for module in (env.get("ODOO_INIT") or "base").split(",") if module.strip()]
    connection = None
    while connection is None:
        try:
            connection = connect(psycopg2, options, name)
        except psycopg2.OperationalError as error:
            try:
                # it may not exist yet: Odoo creates it, the lock is then held next door
                connection = connect(psycopg2, options, "postgres")
            except psycopg2.OperationalError:
                final = re.search(r"authentication failed|no pg_hba.conf entry|role .* does not exist", str(error))
                if final or time.monotonic() >= until:
                    raise Refused("PostgreSQL refuses: " + " ".join(str(error).split()), 5) from None
                time.sleep(0.3)
    cursor = connection.cursor()
    # of this name, and of no other use of advisory locks
    cursor.execute("SELECT pg_advisory_lock(hashtext('odoo-run'), hashtext(%s))", (name,))
    if is_initialised(psycopg2, options, name, modules):
        connection.close()
        return
    say(f"initialising database {name} with {','.join(modules)}")
    command = ["odoo", "-d", name, "-i", ",".join(modules), *shlex.split(env.get("ODOO_INIT_OPTIONS", ""))]
    command += ["--workers=0", "--max-cron-threads=0", "--no-http", "--stop-after-init"]
    child = subprocess.Popen(command, env=env)
    stopped: list[int] = []

    def stop(received: int, _frame: object) -> None:
        stopped.append(received)
        child.send_signal(received)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, stop)
    code = child.wait()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_DFL)
    connection.close()
    if stopped:
        raise Refused(f"stopped while initialising database {name}: the next start does it again", 128 + stopped[0])
    if code:
        raise Refused(f"initialising database {name} failed", code if code > 0 else 128 - code)


def is_initialised(psycopg2: Any, options: configparser.RawConfigParser, name: str, modules: list[str]) -> bool:
    try:
        connection = connect(psycopg2, options, name)
    except psycopg2.OperationalError:
        return False
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT to_regclass('ir_module_module') IS NOT NULL")
        if not cursor.fetchone()[0]:
            return False
        cursor.execute("SELECT name, state FROM ir_module_module WHERE name = ANY(%s)", (["base", *modules],))
        states = dict(cursor.fetchall())
        return states.get("base") in ("installed", "to upgrade") and "to install" not in states.values()
    finally:
        connection.close()


# The programs --------------------------------------------------------------------------------------------------------


def health() -> int:
    if MAINTENANCE.exists() or os.environ.get("ODPM_TASK"):
        return 0
    path = os.environ.get("ODOO_HEALTH_PATH", "/web/health")
    if not path:
        reason = answers(("127.0.0.1", HTTP_PORT))
    else:
        connection = http.client.HTTPConnection("127.0.0.1", HTTP_PORT, timeout=4)
        try:
            connection.request("GET", path, headers={"User-Agent": "odoo-run"})
            status = connection.getresponse().status
            reason = "" if status == 200 else f"{path} answers {status}"
        except (OSError, http.client.HTTPException) as error:
            reason = str(error) or type(error).__name__
        finally:
            connection.close()
    if reason:
        say(f"not healthy: {reason}")
    return 1 if reason else 0


def has(arguments: list[str], *names: str) -> bool:
    """Whether an option is among the arguments, in any of the forms -d X, -dX, --database X, --database=X."""
    for argument in arguments:
        for name in names:
            if name.startswith("--"):
                if argument.split("=", 1)[0] == name:
                    return True
            elif argument.startswith(name) and not argument.startswith("--"):
                return True
    return False


def start(arguments: list[str]) -> None:
    env = dict(os.environ)
    is_odoo = not arguments or arguments[0].startswith("-") or arguments[0] == "odoo"
    options = prepare(env)
    if not is_odoo:
        execute(arguments, env)
    arguments = arguments[1:] if arguments[:1] == ["odoo"] else arguments
    serves = not arguments or arguments[0].startswith("-") or arguments[0] == "server"
    asks_only = has(arguments, "-h", "--help", "--version") or bool(arguments and arguments[0] in OFFLINE)
    if not asks_only:
        until = time.monotonic() + patience(env)
        wait_for_database(options, until)
        own = has(arguments, "-d", "--database", "-i", "--init", "-u", "--update", "-c", "--config")
        if serves and env.get("PGDATABASE") and not own:
            initialise(options, env, until)
    # Odoo has it from the file; its children and whoever reads its environment need not
    for name in ("PGPASSWORD", "PASSWORD"):
        env.pop(name, None)
    execute([*(debugged(env) if serves else ["odoo"]), *arguments, *(dev_mode(arguments, env) if serves else [])], env)


def debugged(env: Env) -> list[str]:
    """Odoo, under the debugger where ODPM_DEBUG asks for it; `wait` stops until a client is there."""
    wish = env.get("ODPM_DEBUG", "").strip().lower()
    if wish in ("", "0", "false", "no", "off"):
        return ["odoo"]
    if importlib.util.find_spec("debugpy") is None:
        raise Refused("ODPM_DEBUG is set, but this image has no debugger\n  next: use the scenario developer")
    say(f"the debugger listens on port {DEBUGGER_PORT}" + (" and waits for a client" if wish == "wait" else ""))
    waiting = ["--wait-for-client"] if wish == "wait" else []
    env["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # no page of warnings about modules nobody debugs
    bin_path = env.get("ODOO_BIN", "/opt/odoo/src/odoo/odoo-bin")
    return [sys.executable, "-m", "debugpy", "--listen", f"0.0.0.0:{DEBUGGER_PORT}", *waiting, bin_path]


def dev_mode(arguments: list[str], env: Env) -> list[str]:
    """Odoo's --dev of ODPM_DEV, unless the arguments have their own."""
    wish = env.get("ODPM_DEV", "").strip()
    return [f"--dev={wish}"] if wish and not has(arguments, "--dev") else []


def execute(command: list[str], env: Env) -> None:
    try:
        os.execvpe(command[0], command, env)  # noqa: S606
    except OSError as error:
        raise Refused(f"cannot start {command[0]}: {error.strerror}", 127) from None


def main(arguments: list[str]) -> int:
    if arguments == ["health"]:
        return health()
    try:
        start(arguments)
    except Refused as error:
        say(str(error))
        return error.code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
