"""`--no-git-update`: checkouts as they are, git untouched, the lock unread; verified in server, refused in ci."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, GENERATED, LOCKS, WEB, Env, Workspace, checkout_state, failure, file_digests
from tests.e2e.harness import git

pytest_plugins = ["tests.e2e.workspaces"]


@pytest.fixture
def working(workspace_ready: Workspace) -> Workspace:
    """A ground whose user works in the dependency: a branch, a commit, an edit, a new module; and a moved host."""
    web = workspace_ready.source("web")
    git("checkout", "-q", "-b", "fix", cwd=web)
    (web / "web_thing/models.py").write_text("A = 2\n", encoding="utf-8")
    git("commit", "-qam", "Fix", cwd=web)
    (web / "web_thing/models.py").write_text("A = 3\n", encoding="utf-8")
    (web / "web_new").mkdir()
    (web / "web_new/__manifest__.py").write_text("{'name': 'New'}\n", encoding="utf-8")
    workspace_ready.publish(WEB, {**FILES[WEB], "README": "moved\n"})
    return workspace_ready


def test_git_is_unchanged_and_no_network_is_used(working: Workspace) -> None:
    before, git_folder = checkout_state(working.source("web")), file_digests(working.source("web") / ".git")
    nobody: Env = {"ODPM_GIT_MIRROR": "https://git.test/=http://127.0.0.1:9/"}
    working.bench.ok("render", "--no-git-update", **nobody)
    assert "nothing to do" in working.bench.ok("render", "--no-git-update", **nobody).err
    assert checkout_state(working.source("web")) == before
    assert file_digests(working.source("web") / ".git") == git_folder


def test_the_lock_is_not_read_and_not_written(working: Workspace) -> None:
    (working.root / LOCKS[0]).write_text("<<<<<<< ours\n", encoding="utf-8")
    working.bench.ok("render", "--no-git-update")
    assert (working.root / LOCKS[0]).read_text(encoding="utf-8") == "<<<<<<< ours\n"
    failure(working.bench.inv("render"), 3, "merge conflicts")


def test_the_requirements_of_the_checkouts_are_used(working: Workspace) -> None:
    """A module moved to a subfolder on the user's branch changes the addons path; a new requirement the Python locks."""
    web = working.source("web")
    (web / "more/other").mkdir(parents=True)
    (web / "web_thing").rename(web / "more/web_thing")
    (web / "web_new").rename(web / "more/web_new")
    (web / "requirements.txt").write_text("six==1.16.0\n", encoding="utf-8")
    deps = (working.root / LOCKS[0]).read_bytes()
    working.bench.ok("render", "--no-git-update")
    assert "/src/web/more" in (working.root / ".odpm/build/odoo.conf").read_text(encoding="utf-8")
    assert "six==1.16.0" in (working.root / LOCKS[1]).read_text(encoding="utf-8")
    assert (working.root / LOCKS[0]).read_bytes() == deps
    assert "nothing to do" in working.bench.ok("render", "--no-git-update").err
    # and back: the lock counts again, the user's branch on top of it
    working.bench.ok("render")
    assert "six==" not in (working.root / LOCKS[1]).read_text(encoding="utf-8")


def test_the_plan_shows_the_skipped_steps(working: Workspace) -> None:
    output = working.bench.ok("plan", "--no-git-update", "--verbose").out
    for step in ("git.lock_load", "git.resolve", "git.materialize", "git.checkout", "git.lock_verify"):
        row = next(line for line in output.splitlines() if step in line)
        assert "skip" in row, row
        assert "--no-git-update" in row, row


def test_a_missing_checkout_is_reported_with_a_command(working: Workspace) -> None:
    working.describe(dependencies=["https://git.test/team/web.git 19.0", "https://git.test/team/sale.git 19.0"])
    message = failure(working.bench.inv("render", "--no-git-update"), 3, "sale", "--no-git-update")
    assert "odpm.json" in message
    assert not working.source("sale").exists()


def test_server_requires_the_locked_commits(workspace_ready: Workspace) -> None:
    server: Env = {"ODPM_SCENARIO": "server"}
    workspace_ready.bench.ok("render", "--no-git-update", **server)
    web = workspace_ready.source("web")
    (web / "web_thing/models.py").write_text("A = 2\n", encoding="utf-8")
    failure(workspace_ready.bench.inv("render", "--no-git-update", **server), 3, "local changes", "web")
    git("commit", "-qam", "Fix", cwd=web)
    failure(workspace_ready.bench.inv("render", "--no-git-update", **server), 3, "out of date", "web")
    (workspace_ready.root / LOCKS[0]).unlink()
    failure(workspace_ready.bench.inv("render", "--no-git-update", **server), 3, "there is no lock")


def test_ci_refuses_it(workspace_ready: Workspace) -> None:
    before = file_digests(workspace_ready.root)
    failure(workspace_ready.bench.inv("render", "--no-git-update", ODPM_SCENARIO="ci"), 1, "ci", "ODPM_SCENARIO")
    assert file_digests(workspace_ready.root) == before


def test_a_project_without_any_lock_can_be_rendered_from_its_checkouts(workspace_ready: Workspace) -> None:
    for path in GENERATED:
        (workspace_ready.root / path).unlink()
    workspace_ready.bench.ok("render", "--no-git-update")
    assert not (workspace_ready.root / LOCKS[0]).exists()
    assert all((workspace_ready.root / path).exists() for path in GENERATED if path != LOCKS[0])


def test_file_sources_are_linked(workspace_ready: Workspace, tmp_path: Path) -> None:
    folder = tmp_path / "own"
    (folder / "own_thing").mkdir(parents=True)
    (folder / "own_thing/__manifest__.py").write_text("{'name': 'Own'}", encoding="utf-8")
    manifest = json.loads((workspace_ready.root / "odpm.json").read_text(encoding="utf-8"))
    workspace_ready.describe(dependencies=[*manifest["dependencies"], f"file://{folder}"])
    workspace_ready.bench.ok("render", "--no-git-update")
    assert workspace_ready.source("own").readlink() == folder
