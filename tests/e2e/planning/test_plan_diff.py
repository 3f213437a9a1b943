"""`inv plan --diff` and `--format json` of moving repositories: commits as far as they are local, without network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from typing import Any

import jsonschema

from odpm_tasks.core.planning.document import schema
from tests.e2e.failures import HOST, WEB, Workspace
from tests.e2e.harness import git
from tests.e2e.sources.test_offline import offline, pytestmark  # noqa: F401 - looked at without any network

pytest_plugins = ["tests.e2e.workspaces"]
PEOPLE = {
    "GIT_AUTHOR_NAME": "t", "GIT_AUTHOR_EMAIL": "t@t", "GIT_COMMITTER_NAME": "t", "GIT_COMMITTER_EMAIL": "t@t",
    "GIT_COMMITTER_DATE": "2025-10-02T23:30:00-0200",
}  # fmt: skip


def push(workspace: Workspace, *subjects: str) -> list[str]:
    """A commit for each subject on the host's branch; their ids."""
    clone = workspace.folder / "work"
    shutil.rmtree(clone, ignore_errors=True)
    git("clone", "-q", str(workspace.host / WEB), str(clone), cwd=workspace.folder)
    made = []
    for subject in subjects:
        words = ["git", "commit", "-q", "--allow-empty", "-m", subject]
        subprocess.run(words, cwd=clone, env={**os.environ, **PEOPLE}, check=True)
        made.append(git("rev-parse", "HEAD", cwd=clone))
    git("push", "-q", cwd=clone)
    return made


def move_of(workspace: Workspace) -> dict[str, Any]:
    data = json.loads(offline(workspace.bench, "plan", "--format", "json").out)
    jsonschema.validate(data, schema())
    (move,) = [step["move"] for step in data["steps"] if step["move"]]
    assert isinstance(move, dict)
    return move


def test_old_and_new_commit_with_date_and_subject(workspace_ready: Workspace) -> None:
    old = workspace_ready.lock()["dependencies"][0]["commit"]
    _, new = push(workspace_ready, "[FIX] web: one", "[ADD] web: \x1b[31mtwo")
    workspace_ready.bench.ok("lock", "--update")
    output = offline(workspace_ready.bench, "plan", "--diff").out
    assert f"      - {old[:8]}  2025-09-18  x\n" in output
    assert f"      + {new[:8]}  2025-10-03  [ADD] web: ?[31mtwo\n" in output  # UTC
    assert "the commits between are not on this machine" in output
    move = move_of(workspace_ready)
    assert (move["repository"], move["old"]["commit"], move["new"]["commit"]) == ("web", old, new)
    assert move["between"] is None


def test_commits_between_where_the_history_is_local(workspace_ready: Workspace) -> None:
    first, second, third = push(workspace_ready, "one", "two", "three")
    workspace_ready.bench.ok("sources.unshallow", "web")
    workspace_ready.bench.ok("lock", "--update")
    move = move_of(workspace_ready)
    assert [commit["commit"] for commit in move["between"]["commits"]] == [third, second, first]
    assert (move["between"]["count"], move["between"]["rewritten"]) == (3, False)
    output = offline(workspace_ready.bench, "plan", "--diff").out
    assert (
        output.index(f"+ {third[:8]}")
        < output.index(f"  {second[:8]}  2025-10-03  two")
        < output.index(f"  {first[:8]}")
    )


def test_a_commit_that_is_not_in_the_cache_yet(workspace_ready: Workspace) -> None:
    """A colleague changed the pin; nothing was fetched."""
    old = workspace_ready.lock()["dependencies"][0]["commit"]
    (new,) = push(workspace_ready, "one")
    workspace_ready.describe(dependencies=[f"{HOST}{WEB} 19.0 {new}"])
    workspace_ready.bench.env["ODPM_GIT_MIRROR"] = f"{HOST}=http://127.0.0.1:9/"
    move = move_of(workspace_ready)
    assert move["old"] == {"commit": old, "date": "2025-09-18", "subject": "x"}
    assert move["new"] == {"commit": new, "date": None, "subject": None}
    assert f"+ {new[:8]}  not on this machine yet" in offline(workspace_ready.bench, "plan", "--diff").out


def test_diffs_of_files_as_data(workspace_ready: Workspace) -> None:
    path = workspace_ready.root / "docker-compose.yml"
    path.write_text(path.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    steps = json.loads(offline(workspace_ready.bench, "plan", "--diff", "--format", "json").out)["steps"]
    changed = {step["target"]: step for step in steps if step["diff"]}
    assert list(changed) == ["docker-compose.yml"]
    assert changed["docker-compose.yml"]["diff"][-1] == "-# mine"
    assert changed["docker-compose.yml"]["drift"] is True
