"""The debugger of a running Odoo, as an editor uses it: breakpoints by the path of the file on the host."""

from __future__ import annotations

import json
import shutil
import threading
import time
import urllib.error
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.dap import DapClient
from tests.e2e.harness import Bench, docker, eventually, get

pytestmark = pytest.mark.docker
OWN = "addons/stack_info/controllers/main.py"
DEPENDENCY = ".odpm/src/partner-contact/partner_firstname/models/res_partner.py"
PLATFORM = ".odpm/src/odoo/addons/web/controllers/home.py"
TITLE = "What this Odoo is made of"


@pytest.fixture(scope="module")
def debugged(developer: Bench) -> Iterator[Bench]:
    """The running project with debugger, reload and the files of VS Code."""
    developer.ok("ide", "vscode")
    developer.ok("up", "--debug", "--dev=reload")
    yield developer
    developer.ok("up", "--no-debug", "--dev=none")
    shutil.rmtree(developer.root / ".vscode")


def line_of(bench: Bench, path: str, text: str) -> int:
    """The first line that contains `text`."""
    lines = (bench.root / path).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def attached(bench: Bench) -> DapClient:
    """A client with the launch configuration that odpm wrote for VS Code."""
    text = (bench.root / ".vscode/launch.json").read_text(encoding="utf-8")
    configurations = json.loads(text.replace("${workspaceFolder}", str(bench.root)))["configurations"]
    return DapClient(next(one for one in configurations if one["name"] == "Odoo: attach"))


@contextmanager
def in_background(work: Callable[[], Any]) -> Iterator[list[Any]]:
    """Runs a request that stops at a breakpoint; it must have an answer at the end of the block."""
    answers: list[Any] = []
    thread = threading.Thread(target=lambda: answers.append(work()), daemon=True)
    thread.start()
    yield answers
    thread.join(60)
    assert answers, "the request has no answer"


def hit(bench: Bench, client: DapClient, path: str, line: int, work: Callable[[], Any], hold: float = 0) -> Any:
    """Run a request; it stops at the line; after `hold` seconds it goes on. Returns its answer."""
    with in_background(work) as answers:
        file, at, thread = client.stopped()
        assert (Path(file), at) == (bench.root / path, line)
        time.sleep(hold)
        client.set_breakpoints(bench.root / path, ())
        client.proceed(thread)
    return answers[0]


def stops(bench: Bench, places: Sequence[tuple[str, int, Callable[[], Any]]], hold: float = 0) -> None:
    """Attach with a breakpoint at each place, and hit each once by its request."""
    with attached(bench) as client:
        verified = client.attach({bench.root / path: [line] for path, line, _ in places})
        assert set(map(all, verified.values())) == {True}
        for path, line, work in places:
            hit(bench, client, path, line, work, hold)


def page(bench: Bench) -> tuple[int, str]:
    return get(bench.url("/stack"), timeout=300)


def test_breakpoints_of_the_project_a_dependency_and_the_platform_also_after_a_reload(debugged: Bench) -> None:
    def create() -> Any:
        return debugged.call("project", "res.partner", "create", {"lastname": "Breakpoint"})

    stops(
        debugged,
        (
            (OWN, line_of(debugged, OWN, "modules = request"), lambda: page(debugged)),
            (DEPENDENCY, line_of(debugged, DEPENDENCY, "created_partners = self.browse()"), create),
            (
                PLATFORM,
                line_of(debugged, PLATFORM, "request.params['login_success'] = False"),
                lambda: get(debugged.url("/web/login")),
            ),
        ),
    )
    started = debugged.containers()["odoo"]["State"]["StartedAt"]
    file = debugged.root / OWN
    before = file.read_text(encoding="utf-8")
    try:
        with attached(debugged) as client:
            client.attach({})
            reload(debugged, client, before.replace(TITLE, "Reloaded under the debugger"))
        stops(debugged, [(OWN, line_of(debugged, OWN, "modules = request"), lambda: page(debugged))])
    finally:
        file.write_text(before, encoding="utf-8")
    assert debugged.containers()["odoo"]["State"]["StartedAt"] == started


def reload(bench: Bench, client: DapClient, text: str) -> None:
    """Save the file until Odoo reloads, which ends the client's session, and Odoo serves it."""

    def saved_and_reloaded() -> bool:
        (bench.root / OWN).write_text(text, encoding="utf-8")
        return client.ended(6)

    eventually(saved_and_reloaded, 60)

    def served() -> bool:
        with suppress(OSError):
            return "Reloaded under the debugger" in get(bench.url("/stack"))[1]
        return False

    eventually(served, 120)


def test_debugger_and_reload_stay_on_for_later_commands(debugged: Bench) -> None:
    debugged.ok("plan", "--strict")
    debugged.ok("up", "-u", "stack_info")
    debugged.ok("restart")
    processes = docker("top", str(debugged.containers()["odoo"]["Id"]), "-ww", "-eo", "pid,args")
    assert "--dev=reload" in processes
    assert "debugpy/adapter" in processes


def test_odoo_has_no_time_limits(debugged: Bench) -> None:
    script = "from odoo.tools import config\nprint('limits', config['limit_time_real'], config['limit_time_cpu'])\n"
    assert "limits 0 0" in debugged.inv("shell", feed=script).out


@pytest.mark.long
def test_a_breakpoint_outlasts_the_default_time_limits_of_odoo(debugged: Bench) -> None:
    """120 seconds, checked once in a minute."""
    started = debugged.containers()["odoo"]["State"]["StartedAt"]
    stops(debugged, [(OWN, line_of(debugged, OWN, "modules = request"), lambda: page(debugged))], hold=200)
    state = debugged.containers()["odoo"]["State"]
    assert (state["StartedAt"], state["Health"]["Status"]) == (started, "healthy")


def test_odoo_waits_for_a_client(debugged: Bench) -> None:
    ran = debugged.ok("up", "--debug=wait")
    assert "waits for a client" in ran.out
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        get(debugged.url("/stack"), timeout=0)
    stops(debugged, [(OWN, line_of(debugged, OWN, "modules = request"), lambda: page(debugged))])
