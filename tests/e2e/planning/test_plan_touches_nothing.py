"""`inv plan` changes neither the project nor its repositories nor the cache, and uses neither Docker nor network.

`--refresh` asks git servers and fills the cache; of the project it touches as little.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, GENERATED, PLATFORM, SALE, WEB, Env, Workspace, failure
from tests.e2e.harness import Bench, git, snapshot
from tests.e2e.sources.test_offline import offline, pytestmark  # noqa: F401 - without a network namespace there is nothing to see
from tests.standins.githttp import GitServer

pytest_plugins = ["tests.e2e.workspaces"]
NO_BYTE_CODE = {"PYTHONDONTWRITEBYTECODE": "1"}
NOBODY = {"ODPM_GIT_MIRROR": "https://git.test/=http://127.0.0.1:9/"}
ENGINE = "/var/run/docker.sock"


WAYS: tuple[tuple[str, ...], ...] = (
    (), ("--verbose",), ("--diff",), ("--format", "json"), ("--skip-start",), ("--diff", "--format", "json"),
)  # fmt: skip
FEW_WAYS = (WAYS[0], WAYS[-1])


def looks(bench: Bench, out: Path, env: Env, ways: Sequence[tuple[str, ...]] = WAYS) -> None:
    """Read-only commands, in a network namespace without network."""
    for words in (*ways, ("--out", str(out))):
        ran = offline(bench, "plan", *words, **NO_BYTE_CODE, **env)
        assert ran.code == 0, f"{words}\n{ran.output}"
        assert "Traceback" not in ran.output
        if "json" in words:
            assert json.loads(ran.out)["steps"]
    assert json.loads(out.read_text(encoding="utf-8"))["depends_on"]


def see_untouched(workspace: Workspace, env: Env, ways: Sequence[tuple[str, ...]] = WAYS) -> None:
    time.sleep(0.05)  # a file written now has another time
    before = snapshot(workspace.root), snapshot(workspace.folder)
    looks(workspace.bench, workspace.folder.parent / f"{workspace.folder.name}.plan.json", env, ways)
    assert [each.changed(root) for each, root in zip(before, (workspace.root, workspace.folder), strict=True)] == [
        [],
        [],
    ]


def fresh(workspace: Workspace) -> None:
    pass


def locked(workspace: Workspace) -> None:
    workspace.bench.ok("lock")


def unread(workspace: Workspace) -> None:
    """The cache contains the commits; their facts are not cached yet."""
    workspace.bench.ok("lock")
    shutil.rmtree(workspace.cache / "facts")


def prepared(workspace: Workspace) -> None:
    workspace.bench.ok("render")


def beside_a_folder(workspace: Workspace) -> None:
    """A `file://` source whose files are too new for cached fingerprints."""
    addons = workspace.folder / "addons"
    (addons / "mine").mkdir(parents=True)
    (addons / "mine/__manifest__.py").write_text("{'name': 'Mine'}", encoding="utf-8")
    workspace.describe(dependencies=[f"https://git.test/{WEB} 19.0", f"file://{addons}"])
    workspace.bench.ok("render")
    time.sleep(2.1)


def drifted(workspace: Workspace) -> None:
    """A changed lock, an edited file, a deleted file, a checkout with the user's work, one whose index git would refresh."""
    workspace.bench.ok("render")
    workspace.publish(WEB, {**FILES[WEB], "README": "new\n"})
    workspace.bench.ok("lock", "--update")
    conf = workspace.root / GENERATED[5]
    conf.write_text(conf.read_text(encoding="utf-8") + "; mine\n", encoding="utf-8")
    (workspace.root / GENERATED[4]).unlink()
    os.utime(workspace.source("odoo") / "odoo-bin", (1, 1))
    (workspace.source("odoo") / "requirements.txt").write_text("# mine\n", encoding="utf-8")


def without_its_cache(workspace: Workspace) -> None:
    workspace.bench.ok("render")
    shutil.rmtree(workspace.cache)


@pytest.mark.parametrize("state", [locked, unread, prepared, beside_a_folder, drifted, without_its_cache])
def test_nothing_is_changed(workspace: Workspace, state: Callable[[Workspace], None], no_docker: Env) -> None:
    state(workspace)
    see_untouched(workspace, NOBODY, WAYS if state is drifted else FEW_WAYS)
    for scenario in ("server", "ci") if state in {prepared, drifted} else ():
        see_untouched(workspace, {"ODPM_SCENARIO": scenario, **NOBODY}, WAYS[-1:])


def test_a_fresh_project_stays_fresh(workspace: Workspace) -> None:
    see_untouched(workspace, NOBODY, FEW_WAYS)
    assert not (workspace.root / ".odpm").exists()
    assert not workspace.cache.exists()


def test_git_does_not_refresh_an_index(workspace_ready: Workspace) -> None:
    """`git status` refreshes an index with outdated times."""
    checkout = workspace_ready.source("web")
    os.utime(checkout / "web_thing/models.py", (1, 1))
    before = (checkout / ".git/index").stat().st_mtime_ns
    workspace_ready.bench.ok("plan", ODPM_SCENARIO="server")
    assert (checkout / ".git/index").stat().st_mtime_ns == before
    git("status", cwd=checkout)
    assert (checkout / ".git/index").stat().st_mtime_ns != before  # it was there to be refreshed


def steps_of(workspace: Workspace, *words: str, **env: str) -> dict[str, list[str]]:
    """The steps of `inv plan`; checks that the project is unchanged afterwards."""
    time.sleep(0.05)
    before = snapshot(workspace.root)
    output = workspace.bench.ok("plan", *words, "--skip-start", "--format", "json", **NO_BYTE_CODE, **env).out
    assert before.changed(workspace.root) == []
    found: dict[str, list[str]] = {}
    for step in json.loads(output)["steps"]:
        found.setdefault(step["id"], []).append(f"{step['action']} {step['target']} {step['detail']}".strip())
    return found


def test_refresh_shows_the_files_of_a_fresh_clone(workspace_locked: Workspace) -> None:
    commit = workspace_locked.lock()["dependencies"][0]["commit"][:8]
    with GitServer(workspace_locked.host) as server:
        before = steps_of(workspace_locked, **workspace_locked.at(server))
        assert before["compose.generate"] == ["pending  known after git.materialize"]
        assert not server.requests
        assert not workspace_locked.cache.exists()
        found = steps_of(workspace_locked, "--refresh", **workspace_locked.at(server))
        asked = len(server.requests)
        assert asked
        assert steps_of(workspace_locked, "--refresh", **workspace_locked.at(server)) == found
        assert len(server.requests) == asked  # lock and cache tell all of it now
    assert found["git.materialize"] == ["keep  2 repositories in the cache"]
    assert f"create .odpm/src/web 19.0 {commit}" in found["git.checkout"]
    assert found["python.lock"] == ["keep .odpm/requirements.lock"]
    assert found["compose.generate"] == ["create docker-compose.yml"]
    assert not [line for lines in found.values() for line in lines if line.startswith("pending")]
    in_image = steps_of(workspace_locked, ODPM_SCENARIO="ci", **NOBODY)["compose.generate"]
    assert in_image == found["compose.generate"]
    release, *files = steps_of(workspace_locked, ODPM_SCENARIO="server", **NOBODY)["compose.generate"]
    assert release.startswith("create .odpm/releases/")
    assert files == found["compose.generate"]


def test_refresh_shows_the_pins_of_the_future_lock(workspace: Workspace) -> None:
    tips = {name: git("rev-parse", "--short=8", "19.0", cwd=workspace.host / name) for name in (PLATFORM, WEB, SALE)}
    found = steps_of(workspace, "--refresh")
    (told,) = found["git.resolve"]
    assert told.startswith("create .odpm/deps.lock.json add odoo")
    assert {f"odoo {tips[PLATFORM]}", f"web {tips[WEB]}"} <= set(re.findall(r"\w+ [0-9a-f]{8}", told))
    assert found["python.lock"][0].startswith("create .odpm/requirements.lock")
    workspace.bench.ok("lock")
    workspace.describe(dependencies=[f"https://git.test/{name} 19.0" for name in (WEB, SALE)])
    assert steps_of(workspace)["git.resolve"] == ["update .odpm/deps.lock.json pin sale 19.0"]
    found = steps_of(workspace, "--refresh")
    assert found["git.resolve"] == [f"update .odpm/deps.lock.json add sale {tips[SALE]}"]
    assert f"create .odpm/src/sale 19.0 {tips[SALE]}" in found["git.checkout"]


def test_refresh_in_strict_scenarios_requires_the_lock(workspace: Workspace) -> None:
    with GitServer(workspace.host) as server:
        for scenario in ("server", "ci"):
            env = {"ODPM_SCENARIO": scenario, **workspace.at(server)}
            failure(workspace.bench.inv("plan", "--refresh", **env), 3, "there is no lock", scenario)
        workspace.bench.ok("lock")
        workspace.describe(dependencies=[f"https://git.test/{name} 19.0" for name in (WEB, SALE)])
        failure(workspace.bench.inv("plan", "--refresh", **env), 3, "the lock is incomplete")
        assert not server.requests


def test_refresh_cannot_be_combined_with_out(workspace: Workspace) -> None:
    """`up --plan` compares a plan with what can be observed without network."""
    ran = workspace.bench.inv("plan", "--refresh", "--out", "p.json")
    assert "inv plan --refresh && inv plan --out p.json" in failure(ran, 1, "--refresh")
    failure(workspace.bench.inv("plan", "--refresh", "--no-git-update"), 1, "--no-git-update")
    assert not (workspace.root / "p.json").exists()
