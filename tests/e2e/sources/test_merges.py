"""Merges of pull requests from the lock to the checkout: on two machines, with work of the user, without network, killed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import HOST, LOCKS, WEB, Env, Workspace, failure, publish
from tests.e2e.harness import git
from tests.standins.githttp import GitServer

pytest_plugins = ["tests.e2e.workspaces"]
NOWHERE: Env = {"ODPM_GIT_MIRROR": f"{HOST}=http://127.0.0.1:9/"}
ADDON = {
    "web_thing/__manifest__.py": "{'name': 'Web thing'}\n",
    "web_thing/models.py": "A = 1\n",
    ".gitignore": "*.log\n",
}
MORE = {**ADDON, "web_more/__manifest__.py": "{'name': 'More'}\n", "web_more/static/x.txt": "x\n"}
FIX = {**ADDON, "web_thing/fix.py": "B = 2\n"}
MOVED_ON = {**ADDON, "web_thing/models.py": "A = 2\n"}


def web(*merges: str) -> dict[str, Any]:
    return {"git": f"{HOST}{WEB} 19.0", "merges": list(merges)}


@pytest.fixture
def merging(workspace: Workspace) -> Workspace:
    """A workspace whose `web` has two pull requests and merges the first; the branch has moved on. Nothing is locked."""
    publish(workspace.host / WEB, MORE, date="2026-01-02", pull="1")
    publish(workspace.host / WEB, FIX, date="2026-01-03", pull="2")
    publish(workspace.host / WEB, MOVED_ON, date="2026-01-04")
    workspace.describe(dependencies=[web("#1")])
    return workspace


@pytest.fixture
def merged(merging: Workspace) -> Workspace:
    merging.bench.ok("render")
    return merging


def entry(workspace: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = workspace.lock()["dependencies"][0]
    return found


def commit_file(checkout: Path, name: str) -> str:
    (checkout / name).write_text("mine\n", encoding="utf-8")
    git("add", "-A", cwd=checkout)
    git("commit", "-q", "-m", "mine", cwd=checkout)
    return git("rev-parse", "HEAD", cwd=checkout)


def test_a_merge_from_the_lock_to_the_checkout(merging: Workspace) -> None:
    ran = merging.bench.ok("render")
    path = merging.source("web")
    locked = entry(merging)
    assert f"({locked['commit'][:8]} + refs/pull/1/head {locked['merges'][0]['commit'][:8]})" in ran.err
    assert git("log", "--format=%an|%s", cwd=path) == "odpm|odpm: merge refs/pull/1/head"
    assert git("rev-parse", "HEAD^{tree}", cwd=path) == locked["merged_tree"]
    assert (path / "web_more/static/x.txt").is_file()
    assert (path / "web_thing/models.py").read_text(encoding="utf-8") == "A = 2\n"
    for words in (("render",), ("render", "--no-git-update")):
        assert "nothing to do" in merging.bench.ok(*words, **NOWHERE).err
    merging.bench.ok("sources.prune", "--yes")
    assert merging.bench.ok("lock", "--check", **NOWHERE).code == 0
    merging.describe(dependencies=[web("#1", "#2")])
    assert "pin web with #2" in merging.bench.ok("plan", **NOWHERE).out
    merging.bench.ok("render")
    assert (path / "web_thing/fix.py").is_file()
    assert git("status", "--porcelain", cwd=path) == ""
    assert git("for-each-ref", "--format=%(refname)", cwd=path) == "refs/odpm/base"


def test_work_on_top_of_a_merge_is_kept_also_without_the_cache(merged: Workspace) -> None:
    path = merged.source("web")
    git("checkout", "-q", "-b", "mine", cwd=path)
    own = commit_file(path, "own.py")
    assert "your branch mine with 1 commit on top" in merged.bench.ok("sources.status").out
    assert "nothing to do" in merged.bench.ok("render").err
    merged.describe(dependencies=[web("#2")])
    merged.bench.ok("lock")
    assert "your branch 'mine'" in merged.bench.inv("render").err
    shutil.rmtree(merged.cache)
    merged.bench.inv("render")
    git("fsck", "--no-progress", cwd=path)
    assert git("rev-parse", "HEAD", cwd=path) == own
    merged.bench.ok("sources.unshallow", "web")
    assert git("rev-list", "--count", "HEAD", cwd=path) == "5"  # three commits, the merge and the user's
    git("checkout", "-q", "--detach", "HEAD~1", cwd=path)
    merged.bench.ok("render")
    assert git("log", "-1", "--format=%s", cwd=path) == "odpm: merge refs/pull/2/head"
    assert git("rev-parse", "mine", cwd=path) == own
    assert "as locked, with history" in merged.bench.ok("sources.status").out


def test_a_server_makes_the_same_commit_from_the_lock_alone(merged: Workspace, tmp_path: Path) -> None:
    """Another machine with another cache, a git configuration that would change merges, and one request for each repository."""
    expected = git("rev-parse", "HEAD", cwd=merged.source("web"))
    home = tmp_path / "hostile"
    home.mkdir()
    (home / ".gitconfig").write_text(
        '[merge]\n\tdefault = mine\n\trenames = false\n[merge "mine"]\n\tdriver = false\n[commit]\n\tgpgSign = true\n'
        "[core]\n\tautocrlf = true\n",
        encoding="utf-8",
    )
    publish(merged.host / WEB, FIX, date="2026-02-01", pull="1")
    shutil.rmtree(merged.source("web"))
    env: Env = {"ODPM_SCENARIO": "server", "ODPM_CACHE_DIR": str(tmp_path / "cache-of-the-server"), "HOME": str(home)}
    with GitServer(merged.host) as server:
        merged.bench.ok("render", **env, **merged.at(server))
        fetches = [request for request in server.requests if request.method == "POST" and request.repository == WEB]
    assert git("rev-parse", "HEAD", cwd=merged.source("web")) == expected
    assert len(fetches) == 1, [request.path for request in fetches]
    for words in (("render",), ("render", "--no-git-update"), ("plan", "--strict")):
        merged.bench.ok(*words, **{**env, **NOWHERE})
    lock = json.loads((merged.root / LOCKS[0]).read_text(encoding="utf-8"))
    lock["dependencies"][0] |= {
        "merged_tree": git("rev-parse", "HEAD:web_more", cwd=merged.source("web")),
        "merged_by": "2.99.1",
    }
    (merged.root / LOCKS[0]).write_text(json.dumps(lock), encoding="utf-8")
    ran = merged.bench.inv("render", **env)
    failure(
        ran,
        5,
        "merges refs/pull/1/head into web differently from git 2.99.1, which wrote the lock",
        "inv lock --update --only web",
    )
    assert git("rev-parse", "HEAD", cwd=merged.source("web")) == expected


def test_a_run_that_was_killed_before_the_merge_is_finished_by_the_next(merging: Workspace, tmp_path: Path) -> None:
    real, killed = shutil.which("git"), tmp_path / "killed"
    wrapper = tmp_path / "bin/git"
    wrapper.parent.mkdir()
    wrapper.write_text(
        f'#!/bin/sh\nfor word; do [ "$word" = merge-tree ] && [ ! -e {killed} ] && touch {killed} && kill -KILL $PPID && exit 1; done\n'
        f'exec {real} "$@"\n',
        encoding="utf-8",
    )
    wrapper.chmod(0o755)
    env: Env = {"PATH": f"{wrapper.parent}{os.pathsep}{os.environ['PATH']}"}
    assert merging.bench.inv("lock", **env).code != 0
    assert killed.exists()
    assert not (merging.root / LOCKS[0]).exists()
    assert list((merging.cache / "git/git.test/team").glob(".web.git.merge.*"))
    merging.bench.ok("render", **env)
    assert git("log", "-1", "--format=%an", cwd=merging.source("web")) == "odpm"
    merging.bench.ok("sources.prune", "--yes")
    assert not list((merging.cache / "git/git.test/team").glob(".web.git.merge.*"))
    assert "nothing to do" in merging.bench.ok("render", **NOWHERE).err


def test_a_conflict_changes_nothing(merged: Workspace) -> None:
    publish(merged.host / WEB, {**ADDON, "web_thing/models.py": "A = 3\n"}, date="2026-01-05", pull="3")
    merged.describe(dependencies=[web("#1", "#3")])
    lock, head = (merged.root / LOCKS[0]).read_bytes(), git("rev-parse", "HEAD", cwd=merged.source("web"))
    failure(
        merged.bench.inv("render"), 5, "refs/pull/3/head", "conflicts", "files: web_thing/models.py (contents)", most=7
    )
    assert (merged.root / LOCKS[0]).read_bytes() == lock
    assert git("rev-parse", "HEAD", cwd=merged.source("web")) == head
    assert not list((merged.cache / "git/git.test/team").glob(".web.git.merge.*"))


def test_which_merges_are_upstream(merging: Workspace) -> None:
    """1 is merged, 2 was merged as another commit, 3 moved, 4 is gone, 5 is open."""
    for number in ("3", "4", "5"):
        publish(merging.host / WEB, {**ADDON, f"web_thing/{number}.py": "\n"}, date=f"2026-01-1{number}", pull=number)
    merging.describe(dependencies=[web("#1", "#2", "#3", "#4", "#5")])
    merging.bench.ok("lock")
    bare = merging.host / WEB
    tree = git("rev-parse", "refs/pull/1/head^{tree}", cwd=bare)
    merge = git("commit-tree", "-p", "19.0", "-p", "refs/pull/1/head", "-m", "Merge", tree, cwd=bare)
    git("update-ref", "refs/heads/19.0", merge, cwd=bare)
    publish(bare, {**MORE, "web_thing/fix.py": FIX["web_thing/fix.py"]}, date="2026-02-02")
    publish(bare, {**ADDON, "web_thing/3.py": "3\n"}, date="2026-02-03", pull="3")
    git("update-ref", "-d", "refs/pull/4/head", cwd=bare)
    found = json.loads(merging.bench.ok("sources.status", "--refresh", "--format", "json").out)["sources"][1]["merges"]
    assert [(state["ref"].split("/")[2], state["state"]) for state in found] == [
        ("1", "upstream"),
        ("2", "contained"),
        ("3", "moved"),
        ("4", "gone"),
        ("5", "open"),
    ]
    assert "refs/pull/4/head" in merging.bench.ok("sources.status", **NOWHERE).out
    ran = merging.bench.ok("sources.status", "--refresh", **NOWHERE)
    assert ran.out.count("not known: ") == 5


def test_the_difference_of_locks_shows_merges(merged: Workspace) -> None:
    git("add", "-A", cwd=merged.root)
    git("commit", "-q", "-m", "Lock", cwd=merged.root)
    merged.describe(dependencies=[web("#2")])
    merged.bench.ok("lock")
    out = merged.bench.ok("lock", "--diff").out
    for words in ("merges refs/pull/2/head", "no longer merges refs/pull/1/head", "- web_more", "~ web_thing"):
        assert words in out
    assert "1 repository moved" in out
