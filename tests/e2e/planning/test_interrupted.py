"""Interrupted and concurrent runs: Ctrl-C, kill -9, power loss, two at once."""

from __future__ import annotations

import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time
import uuid
from pathlib import Path

import pytest

from odpm_tasks.adapters.docker import buildx
from tests.e2e.failures import (
    FILES,
    HOST,
    WEB,
    BackgroundRun,
    Env,
    FaultyProxy,
    Workspace,
    eventually,
    failure,
    file_digests,
    leftovers,
    outcome,
    processes,
)  # fmt: skip
from tests.e2e.harness import Bench, CommandResult, git
from tests.standins.githttp import GitServer

pytest_plugins = ["tests.e2e.workspaces"]

NOISE = os.urandom(400_000)
MANY = {f"web_thing/data/part{number:04}.txt": f"{number}\n" * 20 for number in range(3000)}


def interrupted(ran: CommandResult, workspace: Workspace) -> None:
    """Code 130, one line, and no process left."""
    assert ran.code == 130, ran.output
    assert ran.out == ""
    assert "Traceback" not in ran.err
    talk = [
        line
        for line in ran.err.splitlines()
        if not re.match(r"fetched |warning  |  \S+ +(create|update|run|keep) ", line)
    ]
    assert len(talk) == 1, ran.err
    assert talk[0].startswith("odpm: interrupted")
    assert eventually(lambda: not processes(workspace.mark)), processes(workspace.mark)


def ends_well(workspace: Workspace, workspace_rendered: Workspace) -> None:
    """The same command continues and gives the same bytes as an uninterrupted run."""
    workspace.bench.ok("render")
    assert outcome(workspace) == outcome(workspace_rendered)
    assert "nothing to do" in workspace.bench.ok("render").err


# --- Ctrl-C ----------------------------------------------------------------------------------------------------------


def test_ctrl_c_while_waiting_for_a_server(workspace: Workspace, workspace_rendered: Workspace) -> None:
    with GitServer(workspace.host, held=True) as server:
        run = workspace.start("render", **workspace.at(server))
        run.wait_until(lambda: run.runs(" fetch "))
        interrupted(run.interrupt(), workspace)
    assert leftovers(workspace) == []
    ends_well(workspace, workspace_rendered)


def test_ctrl_c_in_the_middle_of_a_clone(workspace: Workspace, workspace_rendered: Workspace) -> None:
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    with GitServer(workspace.host) as server, FaultyProxy(server, 200_000, silent=True) as proxy:
        run = workspace.start("render", **workspace.at(proxy))
        run.wait_until(proxy.reached.is_set)
        interrupted(run.interrupt(), workspace)
    workspace.bench.ok("render")
    assert (workspace.source("web") / "web_thing/noise.bin").read_bytes() == NOISE
    assert git("status", "--porcelain", cwd=workspace.source("web")) == ""
    assert leftovers(workspace) == []


def test_ctrl_c_while_a_hook_runs(workspace_locked: Workspace) -> None:
    workspace_locked.describe(hooks={"post_prepare": [["sleep", "60"]]})
    run = workspace_locked.start("render")
    run.wait_until(lambda: run.runs("sleep 60$"))
    interrupted(run.interrupt(), workspace_locked)
    workspace_locked.describe()
    workspace_locked.bench.ok("render")


def test_ctrl_c_while_waiting_for_another_run(workspace: Workspace) -> None:
    """Two projects need one repository: the second waits for the first's fetch and can be interrupted."""
    twin = Workspace(
        workspace.folder,
        Bench(
            workspace.folder / "twin", {**workspace.bench.env, "ODPM_COMPOSE_PREFIX": f"{workspace.bench.prefix}-twin"}
        ),
    )
    shutil.copytree(workspace.root, twin.root)
    with GitServer(workspace.host, held=True) as server:
        first = workspace.start("render", **workspace.at(server))
        first.wait_until(lambda: first.runs(" fetch "))
        second = twin.start("render", **workspace.at(server))
        second.wait_until((twin.root / ".odpm/run.lock").exists)
        interrupted(second.interrupt(), twin)
        server.release()
        assert first.end().code == 0, first.output().output


@pytest.mark.parametrize("times", [3, pytest.param(100, marks=pytest.mark.long)])
def test_ctrl_c_at_any_moment(workspace_locked: Workspace, workspace_rendered: Workspace, times: int) -> None:
    """Including the moment between fork and exec of a program."""
    moments, workspace = random.Random(times), workspace_locked
    for _ in range(times):
        for folder in (workspace.cache, workspace.root / ".odpm/src"):
            shutil.rmtree(folder, ignore_errors=True)
        run = workspace.start("render")
        run.wait_until(lambda: run.runs(r"\bgit\b"))  # noqa: B023 - called at once
        time.sleep(moments.uniform(0, 0.4))
        ran = run.interrupt()
        if ran.code not in {0, -signal.SIGINT}:  # it was done, and just leaving
            interrupted(ran, workspace)
    ends_well(workspace, workspace_rendered)


@pytest.mark.docker
def test_ctrl_c_during_an_image_build(workspace_locked: Workspace, engine: None) -> None:
    workspace = workspace_locked
    for name in ("ODPM_IMAGE_MIRROR", "ODPM_APT_MIRROR"):  # the images and packages of this machine
        del workspace.bench.env[name]
    never_seen = uuid.uuid4()  # so that no cache has this step
    workspace.bench.template(lambda ours: ours.replace("AS dev\n", f"AS dev\nRUN : {never_seen}; sleep 5\n"))
    workspace.bench.ok("render")
    run = workspace.start("build")
    run.wait_until(lambda: run.runs("buildx"), 60)
    time.sleep(1.5)  # into the build itself
    interrupted(run.interrupt(), workspace)
    recorded = ("state.toml", "packages.json")  # how long a build took, and its packages
    before = file_digests(workspace.root, *recorded)
    tag = workspace.bench.ok("build").out.strip()
    try:
        assert file_digests(workspace.root, *recorded) == before
        done = subprocess.run(["docker", "image", "inspect", tag], capture_output=True, check=False)
        assert done.returncode == 0
    finally:
        subprocess.run(["docker", "rmi", tag], capture_output=True, check=False)


@pytest.mark.docker
@pytest.mark.parametrize("moment", [0.3, *(pytest.param(moment, marks=pytest.mark.long) for moment in (0.2, 0.6))])
def test_a_build_survives_the_end_of_another_that_shared_its_steps(tmp_path: Path, engine: None, moment: float) -> None:
    """BuildKit runs a step of two builds once; if the first build is ended, the second one loses the step."""
    words = ["docker", "buildx", "build", "--progress=plain", f"--secret=id=known,src={tmp_path}/secret", str(tmp_path)]
    step = f"RUN --mount=type=secret,id=known,required=true : {uuid.uuid4()}; "
    recipe = f"FROM debian:bookworm-slim\nCOPY secret /there\n{step}sleep 1\n{step}cat /run/secrets/known\n"
    (tmp_path / "Dockerfile").write_text(recipe, encoding="utf-8")
    (tmp_path / "secret").write_text(str(uuid.uuid4()), encoding="utf-8")
    other = subprocess.Popen(words, stderr=subprocess.DEVNULL)
    time.sleep(0.3)
    end = threading.Timer(moment, other.terminate)
    end.start()
    outcome = buildx.build_with_retry(words, lambda _: None)
    end.join()
    assert other.wait(60) != 0
    assert outcome.ok, outcome.tail()


# --- kill -9 ---------------------------------------------------------------------------------------------------------


def deadly_git(folder: Path, number: int) -> Env:
    """A `git` in front of PATH that is the real one, and kills odpm (its parent) with SIGKILL after the call `number`.

    Where two calls go on at once the numbers are not exact; that is no matter.
    """
    folder.mkdir(exist_ok=True)
    counter = folder / "calls"
    counter.write_text("", encoding="utf-8")
    script = f'#!/bin/sh\n{shutil.which("git")} "$@"\ncode=$?\necho "$*" >> {counter}\n'
    script += f'test "$(wc -l < {counter})" -ge {number} && kill -9 $PPID\nexit $code\n'
    (folder / "git").write_text(script, encoding="utf-8")
    (folder / "git").chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}


def killed(workspace: Workspace, number: int) -> bool:
    """Whether a run was killed after its git call of that number; False where it made fewer."""
    return workspace.bench.inv("render", **deadly_git(workspace.folder / "deadly", number)).code == -9


@pytest.mark.parametrize("number", [4, 9])
def test_a_run_killed_after_some_git_call_is_finished_by_the_next(
    workspace_locked: Workspace, workspace_rendered: Workspace, number: int
) -> None:
    if not killed(workspace_locked, number):
        pytest.skip(f"a run makes fewer than {number} calls of git")
    ends_well(workspace_locked, workspace_rendered)


@pytest.mark.long
@pytest.mark.parametrize("number", range(1, 40))
def test_a_run_killed_after_any_git_call_is_finished_by_the_next(
    workspace: Workspace, workspace_rendered: Workspace, number: int
) -> None:
    if not killed(workspace, number):
        pytest.skip(f"a run makes fewer than {number} calls of git")
    ends_well(workspace, workspace_rendered)


def test_leftovers_of_killed_runs_are_removed(workspace_locked: Workspace) -> None:
    """A partial checkout of the platform is a gigabyte; without cleaning, each killed run leaves one."""
    for number in (5, 9):
        killed(workspace_locked, number)
    workspace_locked.bench.ok("render")
    assert leftovers(workspace_locked) == []
    assert [path for path in workspace_locked.cache.rglob(".*.git.*") if path.is_dir()] == []


@pytest.mark.long
def test_runs_killed_at_some_moment_are_finished_by_the_next(
    workspace: Workspace, workspace_rendered: Workspace
) -> None:
    for pause in (0.25, 0.45, 0.7, 1.0):
        run = workspace.start("render")
        eventually(lambda run=run: run.process.poll() is not None, pause)  # type: ignore[misc]
        run.kill()
    ends_well(workspace, workspace_rendered)


def test_power_loss_in_the_middle_of_a_clone(workspace: Workspace) -> None:
    workspace.publish(WEB, {**FILES[WEB], "web_thing/noise.bin": NOISE})
    with GitServer(workspace.host) as server, FaultyProxy(server, 200_000, silent=True) as proxy:
        run = workspace.start("render", **workspace.at(proxy))
        run.wait_until(proxy.reached.is_set)
        run.kill(programs=True)
    workspace.bench.ok("render")
    assert (workspace.source("web") / "web_thing/noise.bin").read_bytes() == NOISE


def test_a_run_killed_in_the_middle_of_a_clone_whose_git_goes_on(workspace: Workspace) -> None:
    """kill -9 ends odpm only: its git still writes into the cache while the next run starts."""
    with GitServer(workspace.host, held=True) as server:
        run = workspace.start("render", **workspace.at(server))
        run.wait_until(lambda: run.runs(" fetch "))
        run.kill()
        server.release()
        workspace.bench.ok("render", **workspace.at(server))
    assert eventually(lambda: not processes(workspace.mark))
    assert git("status", "--porcelain", cwd=workspace.source("web")) == ""
    workspace.bench.ok("plan", "--strict")


def moving(workspace: Workspace) -> tuple[BackgroundRun, str]:
    """A run in the middle of moving a checkout from one commit to another, with thousands of files; and the new commit."""
    workspace.publish(WEB, {**FILES[WEB], **MANY})
    workspace.bench.ok("lock", "--update", "--only", "web")
    workspace.bench.ok("render")
    later = workspace.publish(WEB, {**FILES[WEB], **{path: text + "later\n" for path, text in MANY.items()}})
    workspace.bench.ok("lock", "--update", "--only", "web")
    run = workspace.start("render")
    first = workspace.source("web") / next(iter(MANY))
    run.wait_until(lambda: not first.exists() or "later" in first.read_text(encoding="utf-8"))
    return run, later


@pytest.mark.parametrize("how", ["the run", pytest.param("the machine", marks=pytest.mark.long)])
def test_a_run_killed_in_the_middle_of_a_checkout_is_finished_by_the_next(
    workspace_locked: Workspace, how: str
) -> None:
    run, later = moving(workspace_locked)
    run.kill(programs=how == "the machine")
    workspace_locked.bench.ok("render")
    web = workspace_locked.source("web")
    assert git("rev-parse", "HEAD", cwd=web) == later
    assert git("status", "--porcelain", cwd=web) == ""


def test_ctrl_c_in_the_middle_of_a_checkout(workspace_locked: Workspace) -> None:
    run, later = moving(workspace_locked)
    interrupted(run.interrupt(), workspace_locked)
    workspace_locked.bench.ok("render")
    web = workspace_locked.source("web")
    assert git("rev-parse", "HEAD", cwd=web) == later
    assert git("status", "--porcelain", cwd=web) == ""


def test_a_run_killed_while_it_locks_keeps_the_old_lock_or_has_the_new_one(workspace_ready: Workspace) -> None:
    old = outcome(workspace_ready)
    workspace_ready.publish(WEB, {**FILES[WEB], "new.txt": "new\n"})
    texts = set()
    for number in (4, 9):
        workspace_ready.bench.inv("lock", "--update", **deadly_git(workspace_ready.folder / "deadly", number))
        texts.add((workspace_ready.root / ".odpm/deps.lock.json").read_text(encoding="utf-8"))
    workspace_ready.bench.ok("lock", "--update")
    new = (workspace_ready.root / ".odpm/deps.lock.json").read_text(encoding="utf-8")
    assert texts <= {old[".odpm/deps.lock.json"], new}
    workspace_ready.bench.ok("render")
    assert (workspace_ready.source("web") / "new.txt").exists()
    assert leftovers(workspace_ready) == []


# --- two at once -------------------------------------------------------------------------------------------------------


def test_a_second_run_names_the_process_that_holds_the_project(
    workspace: Workspace, workspace_rendered: Workspace
) -> None:
    with GitServer(workspace.host, held=True) as server:
        first = workspace.start("render", **workspace.at(server))
        first.wait_until(lambda: first.runs(" fetch "))
        for words in (("render",), ("lock",)):
            failure(workspace.bench.inv(*words, **workspace.at(server)), 6, f"process {first.pid}")
        workspace.bench.ok("plan")  # looking is free
        assert first.process.poll() is None
        server.release()
        assert first.end().code == 0, first.output().output
    ends_well(workspace, workspace_rendered)


def test_a_killed_run_holds_nothing(workspace: Workspace, workspace_rendered: Workspace) -> None:
    with GitServer(workspace.host, held=True) as server:
        run = workspace.start("render", **workspace.at(server))
        run.wait_until(lambda: run.runs(" fetch "))
        run.kill(programs=True)
    ends_well(workspace, workspace_rendered)


def test_two_projects_fetch_one_repository_at_once(workspace: Workspace, workspace_rendered: Workspace) -> None:
    twin = Workspace(
        workspace.folder,
        Bench(
            workspace.folder / "twin", {**workspace.bench.env, "ODPM_COMPOSE_PREFIX": f"{workspace.bench.prefix}-twin"}
        ),
    )
    shutil.copytree(workspace.root, twin.root)
    with GitServer(workspace.host, delay=0.2) as server:
        runs = [each.start("render", **workspace.at(server)) for each in (workspace, twin)]
        for run in runs:
            assert run.end().code == 0, run.output().output
    locks = {(each.root / ".odpm/deps.lock.json").read_bytes() for each in (workspace, twin, workspace_rendered)}
    assert len(locks) == 1
    assert HOST.encode() in locks.pop()
