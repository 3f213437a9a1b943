"""`python3 tasks.py demo`, as a stranger types it who has just cloned this repository."""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.harness import REPOSITORY, Bench, CommandResult, get, git
from tests.standins.common import root as standins_root

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, make_bench: Callable[[Path], Bench]) -> Bench:
    """A clone of what is committed here, and nothing beside it."""
    root = tmp_path_factory.mktemp("stranger") / "odpm_tasks"
    git("clone", "-q", str(REPOSITORY), str(root), cwd=REPOSITORY)
    bench = make_bench(root)
    bench.env.pop("ODPM_GIT_MIRROR", None)
    bench.env["ODPM_CACHE_DIR"] = str(standins_root().parent)  # what it makes of packages is made once a machine
    return bench


def check_first_screen(bench: Bench, user: str, password: str, database: str) -> None:
    """Log in as a browser does and load the web client: its scripts have every module that they need, its menu the add-ons."""
    opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())

    def load(path: str, data: object = None) -> str:
        body = None if data is None else json.dumps(data).encode()
        request = urllib.request.Request(bench.url(path), body, {"Content-Type": "application/json"} if body else {})
        with opener.open(request, timeout=300) as answer:
            return str(answer.read().decode())

    parameters = {"db": database, "login": user, "password": password}
    session = json.loads(load("/web/session/authenticate", {"jsonrpc": "2.0", "method": "call", "params": parameters}))
    assert session["result"]["is_admin"], session
    scripts = re.findall(r'<script[^>]+src="(/web/assets/[^"]+)"', load("/odoo"))
    text = "".join(map(load, scripts))
    needed = dict(re.findall(r"odoo\.define\([\"']([^\"']+)[\"'],\s*\[([^\]]*)\]", text))
    assert len(needed) > 500
    missing = {name for names in needed.values() for name in re.findall(r"[\"']([^\"']+)", names)} - set(needed)
    assert not {name for name in missing if name.startswith("@")}
    menus = json.loads(load("/web/webclient/load_menus"))
    assert {"Apps", "Settings"} <= {menu["name"] for menu in menus.values()}


def bare(bench: Bench, *words: str, **env: str) -> CommandResult:
    """`python3 tasks.py …` by the machine's own Python, outside of any environment."""
    clean = {name: value for name, value in bench.environment(env).items() if name != "VIRTUAL_ENV"}
    done = subprocess.run(
        ["/usr/bin/env", "python3", "tasks.py", *words], cwd=bench.root, env=clean, capture_output=True, text=True,
        stdin=subprocess.DEVNULL, check=False, timeout=900,
    )  # fmt: skip
    return CommandResult(done.returncode, done.stdout, done.stderr)


def test_without_an_engine_it_shows_what_can_be_shown_and_what_to_type(stranger: Bench) -> None:
    """The first run of all: it makes the environment, too."""
    assert not (stranger.root / ".odpm/venv").exists()
    ran = bare(stranger, "demo", DOCKER_HOST="tcp://127.0.0.1:1")
    assert ran.code == 8, ran.output
    assert ran.err.count("installing requirements.txt") == 1
    assert re.search(r"pending +compose\.up", ran.out), ran.out
    assert re.search(r"git\.checkout .*\.odpm/src/odoo", ran.out), ran.out
    assert "python3 tasks.py demo --yes" in ran.err
    assert "Traceback" not in ran.output
    for made in ("docker-compose.yml", ".odpm/deps.lock.json", ".odpm/src/odoo/odoo-bin"):
        assert (stranger.root / made).is_file()
    assert stranger.containers() == {}


def test_it_ends_with_a_login_page(stranger: Bench, engine: None) -> None:
    ran = bare(stranger, "demo", "--yes")
    assert ran.code == 0, ran.output
    url = re.search(r"^http://\S+", ran.out, re.M)
    assert url, ran.out
    assert stranger.env["ODOO_PORT"] in url[0]
    status, page = get(url[0])
    assert status == 200
    assert "oe_login_form" in page
    login = re.search(r"user (\S+), password (\S+), database (\S+)", ran.out)
    assert login, ran.out
    assert stranger.authenticate(login[3], login[1], login[2])
    assert "What this Odoo is made of" in get(stranger.url("/stack"))[1]
    check_first_screen(stranger, *login.groups())


def test_the_next_start_installs_nothing(stranger: Bench) -> None:
    stamp = stranger.root / ".odpm/venv/made-from"
    before = stamp.stat().st_mtime_ns
    begun = time.monotonic()
    ran = bare(stranger, "--list")
    assert ran.code == 0, ran.output
    assert time.monotonic() - begun < 5
    assert {"demo", "lint", "test", "up"} <= set(re.findall(r"^  (\S+)", ran.out, re.M))
    assert "installing" not in ran.err
    assert stamp.stat().st_mtime_ns == before


def test_it_leaves_the_clone_as_it_was_but_for_the_locks(stranger: Bench) -> None:
    seen = git("status", "--porcelain", "--untracked-files=all", cwd=stranger.root).splitlines()
    locks = {".odpm/deps.lock.json", ".odpm/requirements.developer.lock", ".odpm/requirements.lock"}
    assert {line[3:] for line in seen} <= {*locks, ".odpm/.gitignore"}
