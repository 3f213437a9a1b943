"""The group `sources.*`, the shared cache that is deleted or pruned, and checkouts that are worked in."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.failures import (
    FILES,
    HOST,
    PLATFORM,
    SALE,
    WEB,
    Env,
    FaultyProxy,
    Workspace,
    checkout_state,
    failure,
    file_digests,
    grep,
    leftovers,
    publish,
    run_shell,
    suggested_command,
)
from tests.e2e.harness import Bench, git, snapshot
from tests.standins.githttp import GitServer

pytest_plugins = ["tests.e2e.workspaces"]

MODELS = "web_thing/models.py"
LATER = {**FILES[WEB], MODELS: "A = 2\n", "web_thing/new.py": "N = 1\n"}
LATEST = {**LATER, MODELS: "A = 3\n"}


def twin(workspace: Workspace, name: str) -> Workspace:
    """Another project beside the first, described and locked as that is; the host and the cache are the same."""
    env = {**workspace.bench.env, "ODPM_COMPOSE_PREFIX": f"{workspace.bench.prefix}-{name}"}
    other = Workspace(workspace.folder, Bench(workspace.folder / name, env))
    shutil.copytree(workspace.root, other.root, ignore=shutil.ignore_patterns("src", "state.toml", "run.lock*"))
    return other


def moves(workspace: Workspace, files: dict[str, str | bytes]) -> str:
    """The host's `web` moves on, and the project follows."""
    commit = workspace.publish(WEB, files)
    workspace.bench.ok("lock", "--update", "--only", "web")
    workspace.bench.ok("render")
    return commit


def work(checkout: Path, file: str, text: str, message: str = "mine") -> str:
    """One more commit of the user's."""
    (checkout / file).write_text(text, encoding="utf-8")
    git("add", "-A", cwd=checkout)
    git("commit", "-qm", message, cwd=checkout)
    return git("rev-parse", "HEAD", cwd=checkout)


def sound(checkout: Path) -> None:
    """Nothing is missing or broken, of any branch, stash or reflog."""
    output = git("fsck", "--no-progress", "--no-dangling", "--strict", cwd=checkout)
    assert output == ""
    git("log", "-p", "--all", "--reflog", cwd=checkout)
    git("status", cwd=checkout)


def held(workspace: Workspace, repository: str = WEB) -> set[str]:
    return {path.name for path in (workspace.cache / "git/git.test" / repository / "refs/odpm/commits").glob("*")}


def status(workspace: Workspace) -> dict[str, dict[str, Any]]:
    data = json.loads(workspace.bench.ok("sources.status", "--format", "json").out)
    return {source["name"]: source for source in data["sources"]}


def size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


# --- sources.status ----------------------------------------------------------------------------------------------------


def test_status_of_locked_sources(workspace_ready: Workspace) -> None:
    web = status(workspace_ready)["web"]
    locked = workspace_ready.lock()["dependencies"][0]["commit"]
    assert (web["kind"], web["url"], web["branch"], web["locked"]) == ("dependency", f"{HOST}{WEB}", "19.0", locked)
    assert (web["checkout"], web["commit"], web["history"]) == ("locked", locked, "shallow")
    assert (web["changes"], web["untracked"], web["stashes"], web["on_top"]) == (0, 0, 0, 0)
    assert status(workspace_ready)["odoo"]["kind"] == "platform"


def test_status_shows_local_work_in_a_checkout(workspace_ready: Workspace) -> None:
    web = workspace_ready.source("web")
    (web / MODELS).write_text("A = 'stashed'\n", encoding="utf-8")
    git("stash", cwd=web)
    git("checkout", "-q", "-b", "mine", cwd=web)
    for number in range(2):
        work(web, MODELS, f"A = 'mine {number}'\n")
    (web / MODELS).write_text("A = 'changed'\n", encoding="utf-8")
    (web / "note.txt").write_text("untracked\n", encoding="utf-8")
    found = status(workspace_ready)["web"]
    assert (found["checkout"], found["own_branch"], found["on_top"]) == ("branch", "mine", 2)
    assert (found["changes"], found["untracked"], found["stashes"]) == (1, 1, 1)
    output = workspace_ready.bench.ok("sources.status").out
    assert "your branch mine with 2 commits on top" in output
    for words in ("1 local change", "1 untracked", "1 stash", "shallow"):
        assert words in " ".join(output.split())


@pytest.mark.parametrize("state", ["absent", "commit", "elsewhere", "foreign", "gone", "link"])
def test_status_shows_the_state_of_each_checkout(workspace_ready: Workspace, state: str) -> None:
    workspace, web = workspace_ready, workspace_ready.source("web")
    if state in {"absent", "foreign", "link"}:
        shutil.rmtree(web)
    if state == "foreign":
        web.mkdir()
    if state == "commit":
        work(web, MODELS, "A = 'mine'\n")
    if state == "elsewhere":
        workspace.publish(WEB, LATER)
        workspace.bench.ok("lock", "--update", "--only", "web")
    if state == "gone":
        shutil.rmtree(workspace.cache / "git/git.test" / WEB)
    if state == "link":
        target = workspace.folder / "work/web"
        git("clone", "-q", str(workspace.host / WEB), str(target), cwd=workspace.folder)
        workspace.describe(dependencies=[f"file://{target}"])
        workspace.bench.ok("render")
    assert status(workspace)["web"]["checkout"] == state
    assert workspace.bench.ok("sources.status").err == ""


def test_status_changes_nothing_and_uses_no_network(workspace_ready: Workspace) -> None:
    (workspace_ready.source("web") / MODELS).touch()  # git would like to note that in its index
    before, cache = snapshot(workspace_ready.root), snapshot(workspace_ready.cache)
    shutil.rmtree(workspace_ready.host)
    workspace_ready.bench.ok("sources.status")
    workspace_ready.bench.ok("sources.status", "--format", "json")
    assert before.changed(workspace_ready.root) == []
    assert cache.changed(workspace_ready.cache) == []


def test_status_without_a_cache_or_a_lock(workspace_ready: Workspace) -> None:
    shutil.rmtree(workspace_ready.cache)
    assert {name: found["checkout"] for name, found in status(workspace_ready).items()} == {
        "odoo": "gone",
        "web": "gone",
    }
    (workspace_ready.root / ".odpm/deps.lock.json").unlink()
    assert "inv lock" in workspace_ready.bench.ok("sources.status").out
    failure(workspace_ready.bench.inv("sources.status", "--format", "yaml"), 1, "'yaml'")


def test_status_wraps_its_lines_and_shows_the_cache(workspace_ready: Workspace) -> None:
    output = workspace_ready.bench.ok("sources.status").out
    assert "\x1b" not in output
    assert all(len(line) <= 80 for line in output.splitlines() if str(workspace_ready.folder) not in line)
    data = json.loads(workspace_ready.bench.ok("sources.status", "--format", "json").out)["cache"]
    assert data["path"] == str(workspace_ready.cache)
    assert data["projects"] == 1
    assert {store["url"]: store["commits"] for store in data["stores"]} == {f"{HOST}odoo/odoo": 1, f"{HOST}team/web": 1}
    for store in data["stores"]:
        assert store["bytes"] == size(Path(store["path"]))
    assert data["bytes"] == size(workspace_ready.cache) > sum(store["bytes"] for store in data["stores"])


# --- the cache is deleted ----------------------------------------------------------------------------------------------


def test_a_deleted_cache_is_restored_and_local_work_is_complete(workspace_ready: Workspace) -> None:
    """A branch on the commit of now, one on a commit of an earlier lock, a stash on that: all rest on the cache."""
    workspace, web = workspace_ready, workspace_ready.source("web")
    git("checkout", "-q", "-b", "early", cwd=web)
    early = work(web, "web_thing/early.py", "E = 1\n")
    (web / MODELS).write_text("A = 'stashed'\n", encoding="utf-8")
    git("stash", cwd=web)
    git("checkout", "-q", "--detach", "HEAD~1", cwd=web)
    moves(workspace, LATER)
    git("checkout", "-q", "-b", "late", cwd=web)
    late = work(web, "web_thing/late.py", "L = 1\n")
    before = checkout_state(web)
    shutil.rmtree(workspace.cache)
    workspace.bench.ok("render")
    assert "nothing to do" in workspace.bench.ok("render").err
    assert checkout_state(web) == before
    for checkout in (web, workspace.source("odoo")):
        sound(checkout)
    assert (git("rev-parse", "early", cwd=web), git("rev-parse", "late", cwd=web)) == (early, late)
    git("checkout", "-q", "early", cwd=web)
    git("stash", "pop", "-q", cwd=web)
    assert (web / MODELS).read_text(encoding="utf-8") == "A = 'stashed'\n"


@pytest.mark.parametrize("part", ["git", "facts", "projects", "git/git.test/odoo"])
def test_a_part_of_the_cache_is_deleted(workspace_ready: Workspace, part: str) -> None:
    shutil.rmtree(workspace_ready.cache / part)
    workspace_ready.bench.ok("render")
    for name in ("web", "odoo"):
        sound(workspace_ready.source(name))
    assert "nothing to do" in workspace_ready.bench.ok("render").err
    assert (workspace_ready.cache / part).exists()


def test_a_cache_in_another_folder(workspace_ready: Workspace) -> None:
    """The checkouts go on borrowing from the old one as long as it is there."""
    elsewhere = str(workspace_ready.folder / "elsewhere")
    git("checkout", "-q", "-b", "mine", cwd=workspace_ready.source("web"))
    mine = work(workspace_ready.source("web"), MODELS, "A = 'mine'\n")
    workspace_ready.bench.ok("render", ODPM_CACHE_DIR=elsewhere)
    sound(workspace_ready.source("web"))
    shutil.rmtree(workspace_ready.cache)
    workspace_ready.bench.ok("render", ODPM_CACHE_DIR=elsewhere)
    for name in ("web", "odoo"):
        sound(workspace_ready.source(name))
    assert git("rev-parse", "HEAD", cwd=workspace_ready.source("web")) == mine


def test_the_plan_shows_that_the_cache_is_missing(workspace_ready: Workspace) -> None:
    shutil.rmtree(workspace_ready.cache / "git")
    output = workspace_ready.bench.ok("plan").out
    assert "fetch" in output
    assert "restore missing commits" in output


def test_work_on_top_of_a_commit_that_is_lost_everywhere(workspace_ready: Workspace) -> None:
    """The cache is deleted and the server has rewritten its branch: what is there stays, and there is a way on."""
    workspace, web = workspace_ready, workspace_ready.source("web")
    git("checkout", "-q", "-b", "mine", cwd=web)
    work(web, "web_thing/mine.py", "M = 1\n")
    git("checkout", "-q", "--detach", "HEAD~1", cwd=web)
    shutil.rmtree(workspace.host / WEB)
    moves(workspace, LATER)
    before = checkout_state(web)
    shutil.rmtree(workspace.cache)
    message = failure(workspace.bench.inv("render"), 5, str(web), "neither the cache nor the server")
    assert file_digests(web) == before[0]
    run_shell(workspace, suggested_command(message))
    workspace.bench.ok("render")
    sound(web)
    aside = web.with_name("web.mine")
    assert file_digests(aside) == before[0]
    assert git("show", "mine:web_thing/mine.py", cwd=aside) == "M = 1"


# --- two projects ------------------------------------------------------------------------------------------------------


def test_two_projects_with_different_pins_of_one_repository(workspace_ready: Workspace) -> None:
    """Each stays as it is whatever the other does, also when its user fetches by hand."""
    first, second = workspace_ready, twin(workspace_ready, "second")
    between = {**LATER, "web_thing/between.py": "B = 1\n"}  # commits that the store does not hold
    first.publish(WEB, between)
    moves(second, LATER)
    third = twin(second, "third")
    first.publish(WEB, between)
    moves(third, LATEST)
    commits = [git("rev-parse", "HEAD", cwd=workspace.source("web")) for workspace in (first, second, third)]
    assert len(set(commits)) == 3
    first.publish(WEB, {**LATEST, MODELS: "A = 4\n"})
    for workspace, commit in zip((first, second, third), commits, strict=True):
        assert "nothing to do" in workspace.bench.ok("render").err
        web = workspace.source("web")
        assert git("rev-parse", "HEAD", cwd=web) == commit
        git("fetch", "-q", str(first.host / WEB), "+refs/heads/*:refs/remotes/origin/*", cwd=web)
        git("merge-base", "--is-ancestor", commit, "origin/19.0", cwd=web)
        sound(web)


def test_a_checkout_needs_space_for_files_and_little_for_git(workspace_ready: Workspace) -> None:
    """Several megabytes that do not compress, and eight projects that use them."""
    noise: dict[str, str | bytes] = {f"web_thing/noise{number}.bin": os.urandom(1_000_000) for number in range(4)}
    moves(workspace_ready, {**FILES[WEB], **noise})
    others = [twin(workspace_ready, f"project{number}") for number in range(7)]
    for other in others:
        other.bench.ok("render")
    store = size(workspace_ready.cache / "git/git.test" / WEB)
    assert 4_000_000 < store < 4_400_000
    for workspace in (workspace_ready, *others):
        assert (workspace.source("web") / "web_thing/noise3.bin").stat().st_size == 1_000_000
        assert size(workspace.source("web") / ".git") < store * 0.05


# --- sources.prune -----------------------------------------------------------------------------------------------------


def test_prune_lists_asks_and_removes_unused_parts(workspace_ready: Workspace) -> None:
    workspace = workspace_ready
    first = git("rev-parse", "HEAD", cwd=workspace.source("web"))
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    workspace.bench.ok("render")
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0"])
    workspace.bench.ok("render")
    noise = os.urandom(500_000)
    second = moves(workspace, {**LATER, "web_thing/noise.bin": noise})
    third = moves(workspace, LATEST)
    shutil.rmtree(workspace.source("sale"))
    before = snapshot(workspace.cache / "git")
    ran = workspace.bench.inv("sources.prune")
    assert ran.code == 1
    assert "next:  inv sources.prune --yes" in ran.err
    assert "git.test/team/sale  unused" in ran.out
    assert "git.test/team/web  2 of 3 commits" in ran.out
    assert before.changed(workspace.cache / "git") == []
    whole = size(workspace.cache)
    ran = workspace.bench.ok("sources.prune", "--yes")
    assert "freed" in ran.err
    assert whole - size(workspace.cache) > 500_000
    assert held(workspace) == {third}
    assert not {first, second} & set(git("rev-list", "--all", cwd=workspace.cache / "git/git.test" / WEB).split())
    assert not (workspace.cache / "git/git.test" / SALE).exists()
    git("fsck", "--no-progress", "--strict", cwd=workspace.cache / "git/git.test" / WEB)
    for name in ("web", "odoo"):
        sound(workspace.source(name))
    assert "nothing is unused" in workspace.bench.ok("sources.prune").err
    assert "nothing to do" in workspace.bench.ok("render").err
    assert moves(workspace, LATER) in held(workspace)
    sound(workspace.source("web"))


def rebase(web: Path) -> None:
    """A branch on an old commit."""
    git("checkout", "-q", "-b", "mine", cwd=web)
    work(web, "web_thing/mine.py", "M = 1\n")
    git("checkout", "-q", "--detach", "HEAD~1", cwd=web)


def bare_branch(web: Path) -> None:
    """A name for an old commit, and nothing on top."""
    git("branch", "mine", cwd=web)


def stashed(web: Path) -> None:
    (web / MODELS).write_text("A = 'stashed'\n", encoding="utf-8")
    git("stash", "-q", cwd=web)


def forgotten(web: Path) -> None:
    """A commit that only the reflog still knows."""
    work(web, MODELS, "A = 'forgotten'\n")
    git("checkout", "-q", "--detach", "HEAD~1", cwd=web)


def dropped(web: Path) -> None:
    """A stash that was dropped: no name is left, but git could still find it."""
    stashed(web)
    git("stash", "drop", "-q", cwd=web)


@pytest.mark.parametrize("mine", [rebase, bare_branch, stashed, forgotten, dropped])
def test_prune_keeps_the_commits_below_local_work(workspace_ready: Workspace, mine: Callable[[Path], None]) -> None:
    workspace, web = workspace_ready, workspace_ready.source("web")
    base = git("rev-parse", "HEAD", cwd=web)
    mine(web)
    moves(workspace, LATER)
    workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])
    workspace.bench.ok("render")
    workspace.describe()
    workspace.bench.ok("render")
    objects = git("cat-file", "--batch-all-objects", "--batch-check", cwd=web)
    before = checkout_state(web)
    workspace.bench.ok("sources.prune", "--yes")
    assert base in held(workspace)
    assert checkout_state(web) == before
    sound(web)
    assert git("cat-file", "--batch-all-objects", "--batch-check", cwd=web) == objects


def test_prune_keeps_files_that_a_local_commit_shares_with_another_project(workspace_ready: Workspace) -> None:
    """git writes no object that the store holds already, for whichever commit."""
    other = twin(workspace_ready, "other")
    text = "".join(f"B = {number}\n" for number in range(1000))
    commit = moves(other, {**LATER, "web_thing/both.py": text})
    web = workspace_ready.source("web")
    git("checkout", "-q", "-b", "mine", cwd=web)
    work(web, "web_thing/both.py", text)
    blob = git("rev-parse", "HEAD:web_thing/both.py", cwd=web)
    assert not (web / ".git/objects" / blob[:2] / blob[2:]).exists(), "it is not borrowed, so this shows nothing"
    shutil.rmtree(other.root)
    workspace_ready.bench.ok("sources.prune", "--yes")
    assert commit not in held(workspace_ready)
    assert git("show", "mine:web_thing/both.py", cwd=web) + "\n" == text
    sound(web)


def test_prune_keeps_what_other_projects_use_and_ignores_deleted_projects(workspace_ready: Workspace) -> None:
    other = twin(workspace_ready, "other")
    later = moves(other, LATER)
    workspace_ready.bench.ok("sources.prune", "--yes")
    assert later in held(workspace_ready)
    sound(other.source("web"))
    shutil.rmtree(other.root)
    ran = workspace_ready.bench.inv("sources.prune")
    assert "1 project that no longer exists" in ran.out
    workspace_ready.bench.ok("sources.prune", "--yes")
    assert later not in held(workspace_ready)
    assert "1 project uses" in workspace_ready.bench.ok("sources.prune").out
    sound(workspace_ready.source("web"))


def test_prune_keeps_a_store_in_doubt(workspace_ready: Workspace) -> None:
    """A checkout that git cannot read to its end: nobody knows what it needs."""
    web = workspace_ready.source("web")
    first = git("rev-parse", "HEAD", cwd=web)
    moves(workspace_ready, LATER)
    mine = work(web, MODELS, "A = 'mine'\n")
    tree = git("rev-parse", f"{mine}^{{tree}}", cwd=web)
    (web / ".git/objects" / tree[:2] / tree[2:]).unlink()
    ran = workspace_ready.bench.ok("sources.prune", "--yes")
    assert "cannot determine which objects" in ran.err
    assert first in held(workspace_ready)


def test_prune_finishes_a_killed_prune(workspace_ready: Workspace) -> None:
    """It had let go of a commit, and was about to write the new pack."""
    moves(workspace_ready, {**LATER, "web_thing/noise.bin": os.urandom(100_000)})
    gone = git("rev-parse", "HEAD", cwd=workspace_ready.source("web"))
    moves(workspace_ready, LATEST)
    store = workspace_ready.cache / "git/git.test" / WEB
    git("update-ref", "-d", f"refs/odpm/commits/{gone}", cwd=store)
    workspace_ready.bench.ok("sources.prune", "--yes")
    assert size(store) < 100_000
    git("fsck", "--no-progress", "--strict", cwd=store)
    sound(workspace_ready.source("web"))
    assert "nothing is unused" in workspace_ready.bench.ok("sources.prune").err


def test_prune_removes_leftovers_of_killed_runs(workspace_ready: Workspace) -> None:
    cache = workspace_ready.cache
    store = cache / "git/git.test" / WEB
    shutil.copytree(store, store.with_name(f".{store.name}.123456"))
    shutil.copytree(store, store.with_name(f"{store.name}.dates"))
    (store / "objects/pack/tmp_pack_abc").write_bytes(b"x" * 100_000)
    tree = cache / "trees/git.test/team/web" / ("a" * 40)
    tree.mkdir(parents=True)
    (tree / "file").write_bytes(b"x" * 1000)
    (cache / "fingerprints").mkdir(exist_ok=True)
    (cache / "fingerprints" / ("0" * 32 + ".json")).write_text("{}", encoding="utf-8")
    (cache / "facts/git.test/team/web" / ("a" * 40 + ".json")).write_text("{}", encoding="utf-8")
    ran = workspace_ready.bench.inv("sources.prune")
    assert "2 leftovers of killed runs" in ran.out
    workspace_ready.bench.ok("sources.prune", "--yes")
    names = {path.name for path in cache.rglob("*")}
    assert not {name for name in names if "123456" in name or "tmp_pack" in name or name.endswith(".dates")}
    assert not names & {"a" * 40, "a" * 40 + ".json", "0" * 32 + ".json"}
    assert "nothing to do" in workspace_ready.bench.ok("render").err


def test_prune_keeps_the_fingerprint_of_a_used_folder(workspace_ready: Workspace) -> None:
    target = workspace_ready.folder / "work/web"
    git("clone", "-q", str(workspace_ready.host / WEB), str(target), cwd=workspace_ready.folder)
    shutil.rmtree(workspace_ready.source("web"))
    workspace_ready.describe(dependencies=[f"file://{target}"])
    workspace_ready.bench.ok("render")
    known = set((workspace_ready.cache / "fingerprints").iterdir())
    assert known
    workspace_ready.bench.ok("sources.prune", "--yes")
    assert set((workspace_ready.cache / "fingerprints").iterdir()) == known


def test_prune_fails_while_another_project_runs(workspace_ready: Workspace) -> None:
    """A project that is at work may be about to use what nobody uses yet."""
    other = twin(workspace_ready, "other")
    other.bench.ok("render")
    other.publish(PLATFORM, {**FILES[PLATFORM], "noise.bin": os.urandom(400_000)})
    later = moves(workspace_ready, LATER)
    moves(workspace_ready, LATEST)
    with GitServer(workspace_ready.host) as server, FaultyProxy(server, 200_000, silent=True) as proxy:
        run = other.start("lock", "--update", **other.at(proxy))
        run.wait_until(proxy.reached.is_set)
        ran = workspace_ready.bench.inv("sources.prune", "--yes")
        assert ran.code == 6
        assert str(other.root) in ran.err
        assert str(run.pid) in ran.err
        assert later in held(workspace_ready)
        run.interrupt()
    workspace_ready.bench.ok("sources.prune", "--yes")
    assert later not in held(workspace_ready)


# --- sources.unshallow -------------------------------------------------------------------------------------------------


@pytest.fixture
def aged(workspace_ready: Workspace) -> Workspace:
    """The checkout of `web` stands on the third of four commits, of which the store holds only that one; a second branch."""
    workspace_ready.publish(WEB, LATER)
    moves(workspace_ready, LATEST)
    workspace_ready.publish(WEB, {**LATEST, MODELS: "A = 4\n"})
    workspace_ready.publish(WEB, FILES[WEB], "18.0")
    workspace_ready.bench.ok("sources.prune", "--yes")
    return workspace_ready


def test_a_source_with_history_can_be_changed_and_pushed(aged: Workspace) -> None:
    web = aged.source("web")
    here = git("rev-parse", "HEAD", cwd=web)
    store = snapshot(aged.cache / "git")
    ran = aged.bench.ok("sources.unshallow", "web")
    assert "3 commits" in ran.err
    assert git("rev-parse", "HEAD", cwd=web) == here
    assert git("rev-list", "--count", "origin/19.0", cwd=web) == "4"
    assert set(git("branch", "-r", "--format=%(refname:short)", cwd=web).split()) == {"origin/18.0", "origin/19.0"}
    assert git("config", "remote.origin.url", cwd=web) == f"{HOST}{WEB}"
    sound(web)
    assert snapshot(aged.cache / "git").keys() == store.keys()
    found = status(aged)["web"]
    assert (found["checkout"], found["history"], found["behind"], found["ahead"]) == ("locked", "whole", 1, 0)
    assert "already has its full history" in aged.bench.ok("sources.unshallow", "web").err

    git("checkout", "-q", "-b", "mine", cwd=web)
    mine = work(web, MODELS, "A = 'mine'\n")
    fork = aged.folder / "fork.git"
    git("init", "-q", "--bare", str(fork), cwd=aged.folder)
    git("push", "-q", str(fork), "mine", cwd=web)
    assert git("rev-list", "--count", "mine", cwd=fork) == "4"
    for words in (("render",), ("plan", "--verbose")):
        ran = aged.bench.ok(*words)
    assert "with your branch mine on top" in ran.out
    assert git("rev-parse", "HEAD", cwd=web) == mine
    assert "your branch mine with 1 commit on top" in aged.bench.ok("sources.status").out


def test_a_checkout_with_history_needs_no_cache(aged: Workspace) -> None:
    aged.bench.ok("sources.unshallow", "web")
    shutil.rmtree(aged.cache)
    sound(aged.source("web"))
    aged.bench.ok("render")
    sound(aged.source("web"))
    aged.bench.ok("sources.prune", "--yes")
    sound(aged.source("web"))


@pytest.mark.parametrize("by_id", [True, False])
def test_a_checkout_with_history_keeps_it_when_the_lock_changes(aged: Workspace, by_id: bool) -> None:
    web = aged.source("web")
    aged.bench.ok("sources.unshallow", "web")
    git("branch", "mine", cwd=web)
    aged.publish(WEB, {**LATEST, MODELS: "A = 5\n"})
    with GitServer(aged.host) as server:
        aged.bench.ok("lock", "--update", "--only", "web", **aged.at(server))
    old: Env = {}
    if not by_id:  # with protocol 0 a server may give branches only, and this one has moved on
        git("config", "uploadpack.allowAnySHA1InWant", "false", cwd=aged.host / WEB)
        aged.publish(WEB, {**LATEST, MODELS: "A = 6\n"})
        old = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "protocol.version", "GIT_CONFIG_VALUE_0": "0"}
    aged.bench.ok("render", **old)
    assert git("rev-parse", "HEAD", cwd=web) == aged.lock()["dependencies"][0]["commit"]
    assert git("rev-list", "--count", "HEAD", cwd=web) == "5"
    assert git("merge-base", "HEAD", "mine", cwd=web) == git("rev-parse", "mine", cwd=web)
    assert not (web / ".git/shallow").exists()
    sound(web)
    assert "nothing to do" in aged.bench.ok("render").err


def test_history_that_the_user_fetched_by_hand(aged: Workspace) -> None:
    web = aged.source("web")
    git("fetch", "-q", "--unshallow", str(aged.host / WEB), "+refs/heads/*:refs/remotes/origin/*", cwd=web)
    sound(web)
    moves(aged, {**LATEST, MODELS: "A = 5\n"})
    assert git("rev-list", "--count", "HEAD", cwd=web) == "5"
    shutil.rmtree(aged.cache)
    sound(web)


def test_unshallow_leaves_other_projects_alone(aged: Workspace) -> None:
    other = twin(aged, "other")
    other.bench.ok("render")
    before = snapshot(other.source("web"))
    aged.bench.ok("sources.unshallow", "web")
    assert before.changed(other.source("web")) == []
    assert status(other)["web"]["history"] == "shallow"
    assert git("rev-list", "--count", "HEAD", cwd=other.source("web")) == "1"
    assert "nothing to do" in other.bench.ok("render").err


def test_unshallow_keeps_an_origin_of_the_users_own(aged: Workspace) -> None:
    web = aged.source("web")
    git("remote", "set-url", "origin", "https://git.test/me/web.git", cwd=web)
    aged.bench.ok("sources.unshallow", "web")
    assert git("config", "remote.origin.url", cwd=web) == "https://git.test/me/web.git"
    assert git("config", "remote.upstream.url", cwd=web) == f"{HOST}{WEB}"
    assert git("rev-list", "--count", "upstream/19.0", cwd=web) == "4"


def test_unshallow_on_top_of_work_after_the_cache_was_deleted(aged: Workspace) -> None:
    web = aged.source("web")
    git("checkout", "-q", "-b", "mine", cwd=web)
    mine = work(web, MODELS, "A = 'mine'\n")
    shutil.rmtree(aged.cache / "git")
    aged.bench.ok("sources.unshallow", "web")
    assert git("rev-parse", "HEAD", cwd=web) == mine
    assert git("rev-list", "--count", "HEAD", cwd=web) == "4"
    sound(web)


def test_unshallow_with_a_password(aged: Workspace) -> None:
    user, password = "robot", "s3cr@t"
    with GitServer(aged.host, auth=(user, password)) as server:
        mirror: Env = {"ODPM_GIT_MIRROR": f"{HOST}={server.base.replace('://', f'://{user}:s3cr%40t@')}"}
        ran = aged.bench.ok("sources.unshallow", "web", **mirror)
    assert git("rev-list", "--count", "origin/19.0", cwd=aged.source("web")) == "4"
    for secret in (password, "s3cr%40t"):
        assert secret not in ran.output
        assert grep(secret, aged.root / ".odpm", aged.cache) == []


def test_unshallow_without_a_server_and_killed_halfway(aged: Workspace) -> None:
    web = aged.source("web")
    before = checkout_state(web)
    mirror: Env = {"ODPM_GIT_MIRROR": f"{HOST}=http://127.0.0.1:1/"}
    failure(aged.bench.inv("sources.unshallow", "web", **mirror), 5, "127.0.0.1")
    assert checkout_state(web) == before
    sound(web)
    aged.publish(WEB, {**LATEST, "web_thing/noise.bin": os.urandom(400_000)})
    with GitServer(aged.host) as server, FaultyProxy(server, 100_000, silent=True) as proxy:
        run = aged.start("sources.unshallow", "web", **aged.at(proxy))
        run.wait_until(proxy.reached.is_set)
        run.kill(programs=True)
    assert checkout_state(web) == before
    sound(web)
    aged.bench.ok("sources.unshallow", "web")
    assert git("rev-list", "--count", "origin/19.0", cwd=web) == "5"
    sound(web)
    assert leftovers(aged) == []


def test_unshallow_of_a_folder_that_is_not_a_checkout(workspace_ready: Workspace) -> None:
    failure(workspace_ready.bench.inv("sources.unshallow", "nothing"), 1, "'nothing'", "odoo, web")
    shutil.rmtree(workspace_ready.source("web"))
    failure(workspace_ready.bench.inv("sources.unshallow", "web"), 1, "not checked out yet", "inv render")
    git("clone", "-q", str(workspace_ready.host / WEB), str(workspace_ready.source("web")), cwd=workspace_ready.root)
    failure(workspace_ready.bench.inv("sources.unshallow", "web"), 1, "your own")
    failure(workspace_ready.bench.inv("sources.unshallow", "web", ODPM_SCENARIO="ci"), 1, "ci")
    workspace_ready.describe(dependencies=[f"file://{workspace_ready.folder / 'work/web'}"])
    publish(workspace_ready.folder / "work/web", {})
    failure(workspace_ready.bench.inv("sources.unshallow", "web"), 1, "a link to your own folder", "work/web")


# --- as a part of a project's own tasks --------------------------------------------------------------------------------


def test_the_group_in_a_projects_own_tasks(workspace: Workspace) -> None:
    tasks = workspace.root / "tasks.py"

    def listed(without: str) -> set[str]:
        tasks.write_text(f"from odpm_tasks import collection\n\nns = collection({without})\n", encoding="utf-8")
        return {word for word in workspace.bench.ok("--list").out.split() if word.startswith("sources.")}

    assert listed("") == {"sources.status", "sources.tree", "sources.prune", "sources.unshallow"}
    assert listed("'sources.prune'") == {"sources.status", "sources.tree", "sources.unshallow"}
    assert listed("'sources'") == set()
    tasks.write_text(
        "import odpm_tasks\nfrom invoke import task\n\nns = odpm_tasks.collection('sources')\n\n\n"
        "@task\ndef mine(c):\n    odpm_tasks.sources_status(c, format='json')\n\n\nns.add_task(mine)\n",
        encoding="utf-8",
    )
    workspace.bench.ok("render")
    assert {source["name"] for source in json.loads(workspace.bench.ok("mine").out)["sources"]} == {"odoo", "web"}
