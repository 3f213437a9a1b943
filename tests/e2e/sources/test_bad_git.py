"""Git hosts that fail: unreachable, wrong branch, password wanted, gone in the middle of a fetch."""

from __future__ import annotations

import base64
import os
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.e2e.failures import (
    FILES,
    HOST,
    LOCKS,
    PLATFORM,
    SALE,
    WEB,
    Env,
    FaultyProxy,
    ProcessWatcher,
    Workspace,
    failure,
    grep,
    outcome,
    run_shell,
    suggested_command,
)
from tests.e2e.harness import git
from tests.standins.githttp import GitServer

pytest_plugins = ["tests.e2e.workspaces"]

NOISE = os.urandom(400_000)  # what a fetch cannot compress away


def others_are_there(workspace: Workspace) -> None:
    """The repositories of the same run that could be fetched are in the cache, and no lock tells of a half."""
    assert workspace.stored(PLATFORM)
    assert workspace.stored(SALE)
    assert not (workspace.root / LOCKS[0]).exists()


def mended(workspace: Workspace) -> None:
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    workspace.bench.ok("render")
    assert [entry["url"] for entry in workspace.lock()["dependencies"]] == [f"{HOST}team/sale", f"{HOST}team/web"]


@pytest.mark.parametrize(
    ("link", "told"),
    [
        ("http://127.0.0.1:1/team/web.git", "127.0.0.1:1/team/web.git"),
        ("https://nowhere.invalid/team/web.git", "nowhere.invalid"),
        ("git://127.0.0.1:1/team/web.git", "127.0.0.1"),
        ("ssh://git@127.0.0.1:1/team/web.git", "127.0.0.1"),
        (f"{HOST}team/nothing.git", "team/nothing.git"),
        (f"{HOST}{WEB} 18.0", "'18.0'"),
        (f"{HOST}{WEB} 19.0 {'0' * 39}1", "000000000000"),
    ],
    ids=["refused", "unknown host", "git", "ssh", "no repository", "no branch", "no commit"],
)
def test_a_repository_that_cannot_be_fetched(workspace: Workspace, link: str, told: str) -> None:
    workspace.describe(dependencies=[link, f"{HOST}{SALE} 19.0"])
    failure(workspace.bench.inv("render"), 5, told, "odpm.json")
    others_are_there(workspace)
    mended(workspace)


def test_a_repository_that_is_not_there_on_a_server(workspace: Workspace) -> None:
    workspace.describe(dependencies=[f"{HOST}team/nothing.git", f"{HOST}{SALE} 19.0"])
    with GitServer(workspace.host) as server:
        failure(workspace.bench.inv("render", **workspace.at(server)), 5, "team/nothing.git", "not found")
    others_are_there(workspace)
    mended(workspace)


def test_two_that_cannot_be_fetched_are_both_named(workspace: Workspace) -> None:
    workspace.describe(dependencies=[f"{HOST}{WEB} none", "http://127.0.0.1:1/a/b.git", f"{HOST}{SALE} 19.0"])
    failure(workspace.bench.inv("render"), 5, "'none'", "127.0.0.1:1/a/b.git")
    others_are_there(workspace)


def test_a_missing_platform(workspace: Workspace) -> None:
    workspace.describe(platform={"git": f"{HOST}{PLATFORM} 99.0"}, odoo_version="19.0")
    failure(workspace.bench.inv("render"), 5, "'99.0'", "odoo")
    assert not (workspace.root / ".odpm/src").exists()


def test_a_way_out_that_can_be_typed(workspace: Workspace) -> None:
    with GitServer(workspace.host) as server:
        workspace.describe(dependencies=[f"{server.url(WEB)} nobranch"])
        message = failure(workspace.bench.inv("render"), 5, "'nobranch'")
        run_shell(workspace, suggested_command(message))


class Wall(BaseHTTPRequestHandler):
    """Answers everything with the same page, as the login page of a hotel's network does."""

    def do_GET(self) -> None:
        data = b"<html>Please log in, guest</html>\n"
        self.send_response(self.server.status)  # type: ignore[attr-defined]
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        """Nobody reads it."""


@pytest.fixture(params=[200, 500, 503])
def wall(request: pytest.FixtureRequest) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Wall) as server:
        server.status = request.param  # type: ignore[attr-defined]
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/"
        server.shutdown()


def test_a_server_that_is_no_git_host(workspace: Workspace, wall: str) -> None:
    failure(workspace.bench.inv("render", ODPM_GIT_MIRROR=f"{HOST}={wall}"), 5, wall)
    workspace.bench.ok("render")


# --- passwords ---------------------------------------------------------------------------------------------------

USER, PASSWORD = "robot", "s3cr@t/pa:ss%"
SPELLED = "s3cr%40t%2Fpa%3Ass%25"
TOKEN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, SPELLED, TOKEN)


def nowhere(workspace: Workspace, output: str) -> None:
    for secret in SECRETS:
        assert secret not in output
        assert (
            grep(secret, workspace.root / ".odpm", workspace.root / ".git", workspace.cache, workspace.folder / "home")
            == []
        )


@pytest.mark.parametrize("spelling", ["in the link", "by a variable"])
def test_a_password_in_a_link_works_and_is_neither_shown_nor_stored(workspace: Workspace, spelling: str) -> None:
    with GitServer(workspace.host, auth=(USER, PASSWORD), delay=0.1) as server:
        login = f"{USER}:{SPELLED}" if spelling == "in the link" else "${GIT_LOGIN}"
        link = server.url(WEB).replace("://", f"://{login}@") + " 19.0"
        workspace.describe(dependencies=[link])
        if spelling == "by a variable":
            (workspace.root / ".env").write_text(f"GIT_LOGIN='{USER}:{SPELLED}'\n", encoding="utf-8")
        with ProcessWatcher(workspace.mark, *SECRETS) as watch:
            output = [
                workspace.bench.ok(*words).output
                for words in (("plan",), ("render",), ("plan", "--diff", "--verbose"), ("sources.status",))
            ]
        assert any(" fetch " in line for line in watch.seen), "nobody fetched while we looked"
        assert watch.caught == []
    nowhere(workspace, "".join(output))
    assert (workspace.source("web") / "web_thing/models.py").exists()
    assert workspace.lock()["dependencies"][0]["url"] == f"https://127.0.0.1:{server.port}/team/web"
    assert git("config", "--get", "remote.origin.url", cwd=workspace.source("web")) == server.url(WEB)


def test_a_wrong_password_is_a_failure_that_does_not_show_it(workspace: Workspace) -> None:
    with GitServer(workspace.host, auth=(USER, "another")) as server:
        url = server.url(WEB).replace("://", f"://{USER}:{SPELLED}@")
        workspace.describe(dependencies=[f"{url} 19.0", f"{HOST}{SALE} 19.0"])
        with ProcessWatcher(workspace.mark, *SECRETS) as watch:
            ran = workspace.bench.inv("render")
        failure(ran, 5, server.url(WEB))
        assert watch.caught == []
    nowhere(workspace, ran.output)
    others_are_there(workspace)


def test_a_wanted_password_that_nobody_gives_is_not_waited_for(workspace: Workspace) -> None:
    with GitServer(workspace.host, auth=(USER, PASSWORD)) as server:
        ran = workspace.bench.inv("render", timeout=30, **workspace.at(server))
    failure(ran, 5, "odoo")


@pytest.mark.parametrize(
    "link", ["https://robot:{}@git.test/../web.git", "https://robot:{}@git test/web.git", "ext::http://robot:{}@x/y"]
)
def test_a_refused_link_does_not_show_its_password(workspace: Workspace, link: str) -> None:
    workspace.describe(dependencies=[link.format(SPELLED)])
    for task in ("validate", "plan"):
        ran = workspace.bench.inv(task)
        failure(ran, 4, "dependencies[0]")
        assert SPELLED not in ran.output


def test_a_password_in_a_mirror_is_neither_shown_nor_stored(workspace: Workspace) -> None:
    with GitServer(workspace.host, auth=(USER, PASSWORD), delay=0.05) as server:
        mirror: Env = {"ODPM_GIT_MIRROR": f"{HOST}={server.base.replace('://', f'://{USER}:{SPELLED}@')}"}
        workspace.describe(dependencies=[f"{HOST}{WEB} none"])
        with ProcessWatcher(workspace.mark, *SECRETS) as watch:
            bad = workspace.bench.inv("render", **mirror)
            failure(bad, 5, "'none'")
            workspace.describe()
            good = workspace.bench.ok("render", **mirror)
        assert watch.caught == []
    nowhere(workspace, bad.output + good.output)


# --- servers that go away ------------------------------------------------------------------------------------------


@pytest.fixture
def large(workspace: Workspace) -> Workspace:
    """The dependency holds something that takes a while to send."""
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    return workspace


@pytest.mark.parametrize("after", [10, 1_000, 200_000])
def test_a_server_that_dies_while_it_answers(large: Workspace, after: int) -> None:
    with GitServer(large.host) as server, FaultyProxy(server, after) as proxy:
        rule = f"{HOST}{WEB}={proxy.base}{WEB} {large.bench.env['ODPM_GIT_MIRROR']}"
        failure(large.bench.inv("render", ODPM_GIT_MIRROR=rule), 5, "team/web.git")
        assert proxy.reached.is_set()
        others_are_there(large)
        assert not large.stored(WEB)
        large.bench.ok("render", **large.at(server))
    assert (large.source("web") / "web_thing/noise.bin").read_bytes() == NOISE
    git("fsck", "--no-progress", cwd=large.cache / "git/git.test" / WEB)


def test_what_is_locked_and_cached_needs_no_server(workspace_ready: Workspace) -> None:
    before = outcome(workspace_ready)
    shutil.rmtree(workspace_ready.host)
    for words in (("plan", "--strict"), ("render",), ("lock", "--check"), ("lock",), ("sources.status",)):
        workspace_ready.bench.ok(*words)
    failure(workspace_ready.bench.inv("lock", "--update"), 5, "odoo")
    assert outcome(workspace_ready) == before
