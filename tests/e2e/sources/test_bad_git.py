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
    Choke,
    Env,
    Ground,
    Watch,
    failure,
    grep,
    outcome,
    type_in,
    way_out,
)
from tests.e2e.harness import git
from tests.standins.githttp import GitServer

pytest_plugins = ["tests.e2e.grounds"]

NOISE = os.urandom(400_000)  # what a fetch cannot compress away


def others_are_there(ground: Ground) -> None:
    """The repositories of the same run that could be fetched are in the cache, and no lock tells of a half."""
    assert ground.stored(PLATFORM)
    assert ground.stored(SALE)
    assert not (ground.root / LOCKS[0]).exists()


def mended(ground: Ground) -> None:
    ground.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    ground.bench.ok("render")
    assert [entry["url"] for entry in ground.lock()["dependencies"]] == [f"{HOST}team/sale", f"{HOST}team/web"]


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
def test_a_repository_that_cannot_be_fetched(ground: Ground, link: str, told: str) -> None:
    ground.describe(dependencies=[link, f"{HOST}{SALE} 19.0"])
    failure(ground.bench.inv("render"), 5, told, "odpm.json")
    others_are_there(ground)
    mended(ground)


def test_a_repository_that_is_not_there_on_a_server(ground: Ground) -> None:
    ground.describe(dependencies=[f"{HOST}team/nothing.git", f"{HOST}{SALE} 19.0"])
    with GitServer(ground.host) as server:
        failure(ground.bench.inv("render", **ground.at(server)), 5, "team/nothing.git", "not found")
    others_are_there(ground)
    mended(ground)


def test_two_that_cannot_be_fetched_are_both_named(ground: Ground) -> None:
    ground.describe(dependencies=[f"{HOST}{WEB} none", "http://127.0.0.1:1/a/b.git", f"{HOST}{SALE} 19.0"])
    failure(ground.bench.inv("render"), 5, "'none'", "127.0.0.1:1/a/b.git")
    others_are_there(ground)


def test_a_missing_platform(ground: Ground) -> None:
    ground.describe(platform={"git": f"{HOST}{PLATFORM} 99.0"}, odoo_version="19.0")
    failure(ground.bench.inv("render"), 5, "'99.0'", "odoo")
    assert not (ground.root / ".odpm/src").exists()


def test_a_way_out_that_can_be_typed(ground: Ground) -> None:
    with GitServer(ground.host) as server:
        ground.describe(dependencies=[f"{server.url(WEB)} nobranch"])
        message = failure(ground.bench.inv("render"), 5, "'nobranch'")
        type_in(ground, way_out(message))


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


def test_a_server_that_is_no_git_host(ground: Ground, wall: str) -> None:
    failure(ground.bench.inv("render", ODPM_GIT_MIRROR=f"{HOST}={wall}"), 5, wall)
    ground.bench.ok("render")


# --- passwords ---------------------------------------------------------------------------------------------------

USER, PASSWORD = "robot", "s3cr@t/pa:ss%"
SPELLED = "s3cr%40t%2Fpa%3Ass%25"
TOKEN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
SECRETS = (PASSWORD, SPELLED, TOKEN)


def nowhere(ground: Ground, said: str) -> None:
    for secret in SECRETS:
        assert secret not in said
        assert grep(secret, ground.root / ".odpm", ground.root / ".git", ground.cache, ground.folder / "home") == []


@pytest.mark.parametrize("spelling", ["in the link", "by a variable"])
def test_a_password_in_a_link_works_and_is_neither_shown_nor_stored(ground: Ground, spelling: str) -> None:
    with GitServer(ground.host, auth=(USER, PASSWORD), delay=0.1) as server:
        login = f"{USER}:{SPELLED}" if spelling == "in the link" else "${GIT_LOGIN}"
        link = server.url(WEB).replace("://", f"://{login}@") + " 19.0"
        ground.describe(dependencies=[link])
        if spelling == "by a variable":
            (ground.root / ".env").write_text(f"GIT_LOGIN='{USER}:{SPELLED}'\n", encoding="utf-8")
        with Watch(ground.mark, *SECRETS) as watch:
            said = [
                ground.bench.ok(*words).said
                for words in (("plan",), ("render",), ("plan", "--diff", "--verbose"), ("status",))
            ]
        assert any(" fetch " in line for line in watch.seen), "nobody fetched while we looked"
        assert watch.caught == []
    nowhere(ground, "".join(said))
    assert (ground.source("web") / "web_thing/models.py").exists()
    assert ground.lock()["dependencies"][0]["url"] == f"https://127.0.0.1:{server.port}/team/web"
    assert git("config", "--get", "remote.origin.url", cwd=ground.source("web")) == server.url(WEB)


def test_a_wrong_password_is_a_failure_that_does_not_show_it(ground: Ground) -> None:
    with GitServer(ground.host, auth=(USER, "another")) as server:
        url = server.url(WEB).replace("://", f"://{USER}:{SPELLED}@")
        ground.describe(dependencies=[f"{url} 19.0", f"{HOST}{SALE} 19.0"])
        with Watch(ground.mark, *SECRETS) as watch:
            ran = ground.bench.inv("render")
        failure(ran, 5, server.url(WEB))
        assert watch.caught == []
    nowhere(ground, ran.said)
    others_are_there(ground)


def test_a_wanted_password_that_nobody_gives_is_not_waited_for(ground: Ground) -> None:
    with GitServer(ground.host, auth=(USER, PASSWORD)) as server:
        ran = ground.bench.inv("render", timeout=30, **ground.at(server))
    failure(ran, 5, "odoo")


@pytest.mark.parametrize(
    "link", ["https://robot:{}@git.test/../web.git", "https://robot:{}@git test/web.git", "ext::http://robot:{}@x/y"]
)
def test_a_refused_link_does_not_show_its_password(ground: Ground, link: str) -> None:
    ground.describe(dependencies=[link.format(SPELLED)])
    for task in ("validate", "plan"):
        ran = ground.bench.inv(task)
        failure(ran, 4, "dependencies[0]")
        assert SPELLED not in ran.said


def test_a_password_in_a_mirror_is_neither_shown_nor_stored(ground: Ground) -> None:
    with GitServer(ground.host, auth=(USER, PASSWORD), delay=0.05) as server:
        mirror: Env = {"ODPM_GIT_MIRROR": f"{HOST}={server.base.replace('://', f'://{USER}:{SPELLED}@')}"}
        ground.describe(dependencies=[f"{HOST}{WEB} none"])
        with Watch(ground.mark, *SECRETS) as watch:
            bad = ground.bench.inv("render", **mirror)
            failure(bad, 5, "'none'")
            ground.describe()
            good = ground.bench.ok("render", **mirror)
        assert watch.caught == []
    nowhere(ground, bad.said + good.said)


# --- servers that go away ------------------------------------------------------------------------------------------


@pytest.fixture
def large(ground: Ground) -> Ground:
    """The dependency holds something that takes a while to send."""
    ground.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    ground.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    return ground


@pytest.mark.parametrize("after", [10, 1_000, 200_000])
def test_a_server_that_dies_while_it_answers(large: Ground, after: int) -> None:
    with GitServer(large.host) as server, Choke(server, after) as choke:
        rule = f"{HOST}{WEB}={choke.base}{WEB} {large.bench.env['ODPM_GIT_MIRROR']}"
        failure(large.bench.inv("render", ODPM_GIT_MIRROR=rule), 5, "team/web.git")
        assert choke.reached.is_set()
        others_are_there(large)
        assert not large.stored(WEB)
        large.bench.ok("render", **large.at(server))
    assert (large.source("web") / "web_thing/noise.bin").read_bytes() == NOISE
    git("fsck", "--no-progress", cwd=large.cache / "git/git.test" / WEB)


def test_what_is_locked_and_cached_needs_no_server(ground_ready: Ground) -> None:
    before = outcome(ground_ready)
    shutil.rmtree(ground_ready.host)
    for words in (("plan", "--strict"), ("render",), ("lock", "--check"), ("lock",), ("status",)):
        ground_ready.bench.ok(*words)
    failure(ground_ready.bench.inv("lock", "--update"), 5, "odoo")
    assert outcome(ground_ready) == before
