"""ODPM_IDE and `inv ide` in a project: what a run writes, what it leaves alone, and what a plan says."""

from __future__ import annotations

import json

import pytest

from tests.e2e.failures import Env, Workspace
from tests.e2e.harness import git

pytest_plugins = ["tests.e2e.workspaces"]
VSCODE: Env = {"ODPM_IDE": "vscode"}
SETTINGS = '{\n    // of the team\n    "editor.rulers": [88],\n}\n'


@pytest.fixture
def desk(workspace_ready: Workspace) -> Workspace:
    """A prepared project in a git repository."""
    git("init", "-q", cwd=workspace_ready.root)
    return workspace_ready


def test_ide_writes_what_a_later_run_keeps(desk: Workspace) -> None:
    ran = desk.bench.ok("ide", "vscode")
    assert "ODPM_IDE=vscode in .env" in ran.err
    configuration = json.loads((desk.root / ".vscode/launch.json").read_text(encoding="utf-8"))["configurations"][0]
    assert configuration["connect"]["port"] == int(desk.bench.env.get("DEBUGGER_PORT", 5678))
    assert {one["remoteRoot"] for one in configuration["pathMappings"]} >= {"/opt/odoo/src/odoo", "/opt/odoo/src/web"}
    assert ".vscode" not in git("status", "--porcelain", cwd=desk.root)
    assert "nothing to do" in desk.bench.ok("ide", **VSCODE).err
    assert "nothing to do" in desk.bench.ok("render", **VSCODE).err
    assert desk.bench.inv("plan", "--strict", "--skip-start", **VSCODE).code == 0


def test_ide_prints_what_to_add_to_a_file_that_git_tracks(desk: Workspace) -> None:
    file = desk.root / ".vscode/settings.json"
    file.parent.mkdir()
    file.write_text(SETTINGS, encoding="utf-8")
    git("add", ".vscode/settings.json", cwd=desk.root)
    ran = desk.bench.ok("ide", "vscode")
    assert "git tracks .vscode/settings.json" in ran.err
    assert '+    "search.exclude": {' in ran.out
    assert file.read_text(encoding="utf-8") == SETTINGS
    patch = desk.folder / "patch"
    patch.write_text(ran.out, encoding="utf-8")
    git("apply", str(patch), cwd=desk.root)
    assert file.read_text(encoding="utf-8").startswith(SETTINGS.rstrip("}\n"))
    assert desk.bench.ok("ide", "vscode").out == ""


def test_files_that_git_clean_removes_come_back(desk: Workspace) -> None:
    desk.bench.ok("render", **VSCODE)
    before = (desk.root / ".vscode/launch.json").read_bytes()
    git("clean", "-qfdx", "--exclude=odpm.json", "--exclude=tasks.py", "--exclude=.odpm/*.lock*", cwd=desk.root)
    assert not (desk.root / ".vscode").exists()
    desk.bench.ok("render", **VSCODE)
    assert (desk.root / ".vscode/launch.json").read_bytes() == before


def test_a_broken_file_ends_the_run_and_says_where(desk: Workspace) -> None:
    file = desk.root / ".vscode/launch.json"
    file.parent.mkdir()
    file.write_text('{\n  "version": "0.2.0"\n  "configurations": []\n}\n', encoding="utf-8")
    plan = desk.bench.inv("plan", "--skip-start", "--strict", **VSCODE)
    assert plan.code == 2
    assert "blocked" in plan.out
    ran = desk.bench.inv("render", **VSCODE)
    assert ran.code == 4
    assert ".vscode/launch.json is not valid JSON: line 3, column 3" in ran.err
    assert "next:  fix it, or move the file elsewhere, then: inv ide" in ran.err


def test_ide_is_for_developers_and_needs_a_name(desk: Workspace) -> None:
    assert desk.bench.inv("ide").code == 4
    assert desk.bench.inv("ide", "vim").code == 4
    assert desk.bench.inv("ide", "vscode", ODPM_SCENARIO="server").code == 1
