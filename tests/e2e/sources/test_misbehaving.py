"""Git servers that stumble, hang, refuse or say no, and what each costs: tries, seconds, a message."""

from __future__ import annotations

import os
import re
import shutil
import socket
import time
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import fetch, log, remote
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import CommitMissingError
from tests.e2e.failures import (
    FILES,
    HOST,
    PLATFORM,
    SALE,
    WEB,
    Env,
    FaultyProxy,
    Workspace,
    failure,
    processes,
    publish,
)
from tests.e2e.harness import git as plain_git
from tests.standins.githttp import DROP, HANG, Fault, GitServer

pytest_plugins = ["tests.e2e.workspaces"]

RELUCTANT = {"uploadpack.allowAnySHA1InWant": "false"}  # with the old protocol: nothing but what branches end in
LONG = pytest.mark.long
NO_FILTER = {"uploadpack.allowFilter": "false"}
NO_TREELESS = {"uploadpackfilter.tree.allow": "false"}


def first(repository: str, times: int, fault: int) -> Fault:
    """A fault of one repository, so many times."""
    return lambda path, number: fault if path == repository and number < times else None


def with_both(workspace: Workspace) -> None:
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])


def others_are_there(workspace: Workspace) -> None:
    assert workspace.stored(PLATFORM)
    assert workspace.stored(SALE)
    assert not workspace.stored(WEB)


# --- that stumble: asked again -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", [503, DROP, *(pytest.param(fault, marks=LONG) for fault in (500, 502, 429))])
def test_a_server_that_fails_twice(workspace: Workspace, fault: int) -> None:
    with_both(workspace)
    with GitServer(workspace.host, fault=first(WEB, 2, fault)) as server:
        ran = workspace.bench.ok("render", **workspace.at(server))
    told = [line for line in ran.err.splitlines() if line.startswith("web: ")]
    assert len(told) == 2, ran.err
    assert re.search(r"; retry in 0\.[3-7] s, attempt 2 of 3$", told[0])
    assert re.search(r"; retry in [12]\.\d s, attempt 3 of 3$", told[1])
    assert server.began.count(WEB) == 2 + 3  # a shallow fetch is three requests


@pytest.mark.parametrize("fault", [503, *(pytest.param(fault, marks=LONG) for fault in (500, DROP))])
def test_a_server_that_always_fails(workspace: Workspace, fault: int) -> None:
    with_both(workspace)
    with GitServer(workspace.host, fault=first(WEB, 1000, fault)) as server:
        failure(
            workspace.bench.inv("render", **workspace.at(server)), 5, f"{server.url(WEB)}, tried 3 times", "odpm.json"
        )
        assert server.began.count(WEB) == 3
    others_are_there(workspace)


def test_a_truncated_pack_is_fetched_again(workspace: Workspace) -> None:
    noise = os.urandom(400_000)
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": noise})
    with_both(workspace)
    with GitServer(workspace.host) as server, FaultyProxy(server, 200_000, times=1) as proxy:
        rule = f"{HOST}{WEB}={proxy.base}{WEB} {workspace.bench.env['ODPM_GIT_MIRROR']}"
        ran = workspace.bench.ok("render", ODPM_GIT_MIRROR=rule)
    assert "2 of 3" in ran.err
    assert (workspace.source("web") / "web_thing/noise.bin").read_bytes() == noise


def test_ctrl_c_during_the_delay_before_a_retry(workspace: Workspace) -> None:
    with_both(workspace)
    with GitServer(workspace.host, fault=lambda *_: 503) as server:
        run = workspace.start("render", **workspace.at(server))
        run.wait_until(lambda: "3 of 3" in run.output().err)  # two seconds, more or less, begin
        ran = run.interrupt()
        before = len(server.began)
        time.sleep(0.5)
        assert len(server.began) == before
    assert ran.code == 130, ran.output
    assert not processes(workspace.mark)


# --- that say no: asked once ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "told"), [(401, "could not read Username"), (403, "403"), (404, "not found"), (410, "410")]
)
def test_a_refusal_of_the_server_is_not_retried(workspace: Workspace, fault: int, told: str) -> None:
    with_both(workspace)
    with GitServer(workspace.host, fault=first(WEB, 1000, fault)) as server:
        message = failure(workspace.bench.inv("render", **workspace.at(server)), 5, server.url(WEB), told, "odpm.json")
        assert server.began.count(WEB) == 1
    assert "tried" not in message
    others_are_there(workspace)


def test_a_missing_branch_is_requested_once_as_branch_and_once_as_tag(workspace: Workspace) -> None:
    workspace.describe(dependencies=[f"{HOST}{WEB} none", f"{HOST}{SALE} 19.0"])
    with GitServer(workspace.host) as server:
        failure(workspace.bench.inv("render", **workspace.at(server)), 5, "'none'")
        assert server.began.count(WEB) == 4
    others_are_there(workspace)


# --- that hang -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", [0, 2], ids=["at once", "before the pack"])
def test_a_silent_server_times_out(workspace: Workspace, where: int) -> None:
    with_both(workspace)
    timeout: Env = {"ODPM_GIT_TIMEOUT": "2"}
    with GitServer(
        workspace.host, fault=lambda path, number: HANG if path == WEB and number == where else None
    ) as server:
        begun = time.monotonic()
        ran = workspace.bench.inv("render", **workspace.at(server), **timeout)
        assert 2 <= time.monotonic() - begun < 30
        failure(ran, 5, f"{server.url(WEB)} did not respond for 2 s", "odpm.json", "ODPM_GIT_TIMEOUT")
        assert server.began.count(WEB) == where + 1
    assert not processes(workspace.mark)
    others_are_there(workspace)


@pytest.mark.parametrize("scheme", ["http", "ssh", "git"])
def test_a_closed_port(workspace: Workspace, scheme: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"{scheme}://127.0.0.1:{silent.getsockname()[1]}/team/web.git"
        workspace.describe(dependencies=[f"{url} 19.0", f"{HOST}{SALE} 19.0"])
        begun = time.monotonic()
        failure(workspace.bench.inv("render", ODPM_GIT_TIMEOUT="1", timeout=30), 5, f"{url} did not respond for 1 s")
        assert time.monotonic() - begun < 30
    assert not processes(workspace.mark)
    assert workspace.stored(SALE)


def test_a_server_that_stops_sending_times_out(workspace: Workspace) -> None:
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": os.urandom(400_000)})
    with_both(workspace)
    with GitServer(workspace.host) as server, FaultyProxy(server, 200_000, silent=True) as proxy:
        rule = f"{HOST}{WEB}={proxy.base}{WEB} {workspace.bench.env['ODPM_GIT_MIRROR']}"
        ran = workspace.bench.inv("render", ODPM_GIT_MIRROR=rule, ODPM_GIT_TIMEOUT="2", timeout=20)
        failure(ran, 5, f"{proxy.base}{WEB} did not respond for 2 s")
    assert not processes(workspace.mark)
    others_are_there(workspace)


def test_a_slow_server_that_keeps_sending_does_not_time_out(workspace: Workspace) -> None:
    with_both(workspace)
    with GitServer(workspace.host, delay=1.2) as server:  # three requests take longer than a silence may
        workspace.bench.ok("render", ODPM_GIT_TIMEOUT="3", **workspace.at(server))


# --- that keep commits or filters for themselves ---------------------------------------------------------------------


@pytest.fixture(scope="session")
def long_branch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with a branch of more commits than a walk's first step shows. Only to copy."""
    repo = tmp_path_factory.mktemp("grown") / "web.git"
    for number in range(130):
        publish(repo, {**FILES[WEB], "web_thing/number.txt": f"{number}\n"})
    return repo


@pytest.fixture
def grown(workspace: Workspace, long_branch: Path) -> list[str]:
    """The commits of the dependency's branch, oldest first."""
    shutil.rmtree(workspace.host / WEB)
    shutil.copytree(long_branch, workspace.host / WEB)
    return plain_git("rev-list", "--reverse", "19.0", cwd=workspace.host / WEB).splitlines()


@pytest.mark.parametrize(
    ("back", "more"),
    [
        pytest.param(1, {}, id="near, filters"),
        pytest.param(90, NO_FILTER, id="behind the first step, no filters"),
        pytest.param(125, NO_TREELESS, id="far, no treeless"),
        *(
            pytest.param(back, more, marks=LONG)
            for back, more in (
                (1, NO_FILTER),
                (1, NO_TREELESS),
                (90, {}),
                (90, NO_TREELESS),
                (125, {}),
                (125, NO_FILTER),
            )
        ),
    ],
)
def test_a_commit_that_is_not_served_by_id_is_fetched_with_its_branch(
    workspace: Workspace, grown: list[str], back: int, more: dict[str, str]
) -> None:
    commit = grown[-1 - back]
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0 {commit}"])
    with GitServer(workspace.host, settings={**RELUCTANT, **more}, old=True) as server:
        workspace.bench.ok("render", **workspace.at(server))
    checkout, store = workspace.source("web"), workspace.cache / "git/git.test" / WEB
    assert plain_git("rev-parse", "HEAD", cwd=checkout) == commit
    assert plain_git("status", "--porcelain", cwd=checkout) == ""
    assert plain_git("rev-list", "--count", commit, cwd=store) == "1"  # no deeper than it had to be
    whole = plain_git("rev-list", "--objects", "--missing=print", commit, cwd=store)
    assert "?" not in whole
    assert plain_git("config", "--get-regexp", "promisor|partial|core.bare", cwd=store) == "core.bare true"


def test_a_commit_that_its_branch_has_lost_is_missing(workspace: Workspace, grown: list[str]) -> None:
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0 {grown[-3]}", f"{HOST}{SALE} 19.0"])
    plain_git("branch", "--force", "19.0", grown[1], cwd=workspace.host / WEB)
    with GitServer(workspace.host, settings=RELUCTANT, old=True) as server:
        ran = workspace.bench.inv("render", **workspace.at(server))
    failure(ran, 5, f"does not provide the commit {grown[-3][:12]}", "change or remove it in the link of web")
    others_are_there(workspace)


@pytest.mark.parametrize(
    ("scenario", "command"),
    [
        ("developer", ": inv lock --update --only web"),
        ("server", ": ODPM_SCENARIO=developer inv lock --update --only web; then commit the lock"),
    ],
)
def test_a_locked_commit_that_is_gone_is_locked_where_the_scenario_may_write(
    workspace: Workspace, grown: list[str], scenario: str, command: str
) -> None:
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0"])
    with GitServer(workspace.host, settings=RELUCTANT, old=True) as server:
        workspace.bench.ok("lock", **workspace.at(server))
        shutil.rmtree(workspace.cache)
        plain_git("branch", "--force", "19.0", grown[1], cwd=workspace.host / WEB)
        ran = workspace.bench.inv("render", **workspace.at(server), ODPM_SCENARIO=scenario)
    failure(ran, 5, f"does not provide the commit {grown[-1][:12]}", command)


def test_lost_commits_have_an_error_of_their_own(workspace: Workspace, grown: list[str], tmp_path: Path) -> None:
    with GitServer(workspace.host, settings=RELUCTANT, old=True) as server:
        source = remote.remote(server.url(WEB))
        with pytest.raises(CommitMissingError):
            fetch.fetch(tmp_path / "store", source, "1" * 40, branch="19.0")
        assert fetch.fetch(tmp_path / "store", source, grown[5], branch="19.0") == grown[5]


@pytest.mark.parametrize(("settings", "old"), [(NO_FILTER, False), (NO_TREELESS, True)], ids=["ignored", "refused"])
def test_history_of_a_server_that_sends_everything(tmp_path: Path, settings: dict[str, str], old: bool) -> None:
    days = [f"2025-0{month}-10" for month in range(1, 6)]
    commits = [publish(tmp_path / "host/web.git", {"day": day}, date=day) for day in days]
    store = tmp_path / "cache/web.git"
    with GitServer(tmp_path / "host", settings=settings, old=old) as server:
        source = remote.remote(server.url("web.git"))
        assert fetch.commit_at(store, source, "19.0", "2025-03-31") == commits[2]
        assert fetch.commit_at(store, source, "19.0", "2025-12-31") == commits[4]  # quiet for months
        for commit in (commits[1], commits[4]):
            fetch.fetch(store, source, commit)
        found = log.fetch_log(store, source, commits[1], commits[4])
    assert [name for name, _, _ in found.commits] == commits[:1:-1]
    assert git.store_has(store, commits[1])


# --- what is said where nobody watches -------------------------------------------------------------------------------


def test_one_line_for_each_fetched_repository_and_none_for_cached_ones(workspace: Workspace) -> None:
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": os.urandom(400_000)})
    with_both(workspace)
    with GitServer(workspace.host) as server:
        ran = workspace.bench.ok("render", **workspace.at(server))
        told = sorted(line for line in ran.err.splitlines() if line.startswith("fetched "))
        assert [re.sub(r" [0-9a-f]{8}\b", " ID", re.sub(r"\.\d\d KiB", " KiB", line)) for line in told] == [
            "fetched odoo 19.0 ID",
            "fetched sale 19.0 ID",
            "fetched web 19.0 ID  391 KiB",
        ]
        assert "\r" not in ran.err
        assert "\x1b" not in ran.err
        assert "objects" not in ran.err
        again = workspace.bench.ok("lock", "--update", **workspace.at(server))
        assert "fetched" not in again.err
