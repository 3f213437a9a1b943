"""kill -9 at random moments, many runs at once: whatever happens, the next run ends in the same state, byte for byte."""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Callable

import pytest

from tests.e2e.failures import FILES, HOST, SALE, WEB, Workspace, leftovers, outcome, processes
from tests.e2e.harness import Bench, git
from tests.standins.githttp import GitServer

pytest_plugins = ["tests.e2e.workspaces"]

BOTH = [f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"]
MANY = {f"web_thing/data/part{number:03}.txt": f"{number}\n" * 50 for number in range(300)}


def cold(workspace: Workspace) -> None:
    """Nothing locked, nothing checked out, an empty cache."""
    for path in (workspace.root / ".odpm", workspace.cache):
        shutil.rmtree(path, ignore_errors=True)
    (workspace.root / "docker-compose.yml").unlink(missing_ok=True)


def unlocked(workspace: Workspace) -> None:
    """Everything is there but the lock."""
    (workspace.root / ".odpm/deps.lock.json").unlink(missing_ok=True)


def without_checkouts(workspace: Workspace) -> None:
    shutil.rmtree(workspace.root / ".odpm/src", ignore_errors=True)


def without_cache(workspace: Workspace) -> None:
    shutil.rmtree(workspace.cache, ignore_errors=True)


STATES: tuple[Callable[[Workspace], None], ...] = (cold, unlocked, without_checkouts, without_cache)


@pytest.fixture
def large(workspace: Workspace) -> Workspace:
    """A ground whose dependency has some hundred files, so that a checkout takes its time."""
    workspace.publish(WEB, {**FILES[WEB], **MANY})
    workspace.describe(dependencies=BOTH)
    return workspace


def kill_at_random(workspace: Workspace, seeds: range) -> None:
    """A run from some state, killed at some moment; every third time another one after it; then one that is let go on."""
    with GitServer(workspace.host, delay=0.02) as server:
        there = workspace.at(server)
        workspace.bench.ok("render", **there)
        expected = outcome(workspace)
        begun = time.monotonic()
        cold(workspace)
        workspace.bench.ok("render", **there)
        whole = time.monotonic() - begun
        for seed in seeds:
            dice = random.Random(seed)
            state = STATES[seed % len(STATES)]
            state(workspace)
            for _ in range(2 if seed % 3 == 0 else 1):
                run = workspace.start("render", **there)
                time.sleep(dice.uniform(0.1, 1.1 * whole))
                run.kill(programs=seed % 2 == 0)
            ran = workspace.bench.inv("render", **there)
            says = f"seed {seed}, {state.__name__}"
            assert ran.code == 0, f"{says}\n{ran.output}\n{server.complaints}"
            assert outcome(workspace) == expected, says
            assert leftovers(workspace) == [], says
        assert "nothing to do" in workspace.bench.ok("render", **there).err
    assert not processes(workspace.mark)


def test_eight_runs_killed_at_random_moments(large: Workspace) -> None:
    kill_at_random(large, range(8))


@pytest.mark.long
@pytest.mark.parametrize("part", range(10))
def test_hundreds_of_runs_killed_at_random_moments(large: Workspace, part: int) -> None:
    kill_at_random(large, range(1000 + 40 * part, 1040 + 40 * part))


@pytest.mark.parametrize("many", [2, pytest.param(8, marks=pytest.mark.long)])
def test_several_runs_of_one_project_at_once(large: Workspace, many: int) -> None:
    """One works, the others are told who; whoever comes after them finds everything done."""
    large.bench.ok("render")
    expected = outcome(large)
    cold(large)
    with GitServer(large.host, delay=0.05) as server:
        runs = [large.start("render", **large.at(server)) for _ in range(many)]
        ended = [run.end() for run in runs]
    assert {ran.code for ran in ended} <= {0, 6}, [ran.output for ran in ended]
    assert any(ran.code == 0 for ran in ended)
    assert all("holds" in ran.err or "process" in ran.err for ran in ended if ran.code == 6), [ran.err for ran in ended]
    assert outcome(large) == expected
    assert "nothing to do" in large.bench.ok("render").err


@pytest.mark.parametrize("many", [2, pytest.param(8, marks=pytest.mark.long)])
def test_several_projects_on_one_cache_at_once(large: Workspace, many: int) -> None:
    """Two pins of one repository among them: each project gets its own, and each commit is fetched once."""
    old = large.publish(WEB, {**FILES[WEB], "README": "old\n"})
    new = large.publish(WEB, {**FILES[WEB], **MANY})
    workspaces = []
    for number in range(many):
        env = {**large.bench.env, "ODPM_COMPOSE_PREFIX": f"{large.bench.prefix}-{number}"}
        each = Workspace(large.folder, Bench(large.folder / f"project-{number}", env))
        shutil.copytree(large.root, each.root)
        each.describe(dependencies=[f"{HOST}{WEB} 19.0{f' {old}' if number % 2 else ''}", BOTH[1]])
        workspaces.append(each)
    with GitServer(large.host, delay=0.05) as server:
        runs = [each.start("render", **each.at(server)) for each in workspaces]
        for run in runs:
            assert run.end(120).code == 0, run.output().output
        packs = [r.path for r in server.requests if r.path.endswith("upload-pack") and r.sent > 1000]
    for number, each in enumerate(workspaces):
        assert git("rev-parse", "HEAD", cwd=each.source("web")) == (old if number % 2 else new)
        assert git("status", "--porcelain", cwd=each.source("web")) == ""
        git("fsck", "--no-progress", "--no-dangling", cwd=each.source("web"))
        each.bench.ok("plan", "--strict")
    assert len([path for path in packs if "web.git" in path]) <= 2 * len({old, new}), packs
