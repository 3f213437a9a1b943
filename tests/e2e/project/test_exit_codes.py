"""The exit codes of docs/tasks.md, each provoked by the causes that the page names; none of these runs needs Docker.

Causes that need Docker are tested where their services run: `parity` in tests/e2e/image/test_parity.py, a failed `test`, `exec` and
`up` in tests/e2e/stack/test_tasks.py, a busy port in tests/e2e/stack/test_ports_and_costs.py, no disk space in
tests/e2e/stack/test_bad_machine.py.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from tests.e2e.failures import FILES, LOCKS, WEB, Env, Workspace
from tests.standins.githttp import GitServer
from tests.unit.docs.pages import PAGES, ROOT, rows

pytest_plugins = ["tests.e2e.workspaces"]

HOLD = """
import sys
from pathlib import Path
from odpm_tasks.adapters.files import exclusive
with exclusive(Path(sys.argv[1]), "this project"):
    print("held", flush=True)
    sys.stdin.read()
"""


@dataclass(frozen=True)
class Case:
    """A command in a rendered project, after `prepare` has changed it."""

    name: str
    code: int
    words: str
    prepare: Callable[[Workspace], object] | None = None
    env: Env = field(default_factory=dict)


def edit_compose(workspace: Workspace) -> None:
    path = workspace.root / "docker-compose.yml"
    path.write_text(path.read_text(encoding="utf-8") + "# edited\n", encoding="utf-8")


def save_plan_then_edit(workspace: Workspace) -> None:
    workspace.bench.ok("plan", "--skip-start", "--out", "saved.json")
    edit_compose(workspace)


def move_web(workspace: Workspace) -> None:
    """Local changes in a checkout whose pin moves."""
    (workspace.source("web") / "web_thing/models.py").write_text("A = 2  # mine\n", encoding="utf-8")
    workspace.publish(WEB, {**FILES[WEB], "web_thing/models.py": "A = 3\n"})
    workspace.bench.ok("lock", "--update", "--only", "web")


def damage_lock(workspace: Workspace) -> None:
    (workspace.root / LOCKS[0]).write_text("{", encoding="utf-8")


def pin_in_manifest(workspace: Workspace) -> None:
    """`locks` of odpm.json names another commit than the lock."""
    commit = workspace.publish(WEB, {**FILES[WEB], "web_thing/models.py": "A = 3\n"})
    workspace.describe(locks={"git": {"https://git.test/team/web": commit}})


def leave_unused_commit(workspace: Workspace) -> None:
    workspace.publish(WEB, {**FILES[WEB], "web_thing/models.py": "A = 3\n"})
    workspace.bench.ok("lock", "--update", "--only", "web")
    workspace.bench.ok("render")


CASES = (
    Case("success", 0, "validate"),
    Case("plan-without-drift", 0, "plan --skip-start --strict"),
    Case("usage", 1, "plan --format yaml"),
    Case("plan-with-another-option", 1, "up --plan saved.json --database demo"),
    Case("not-a-saved-plan", 1, "up --plan odpm.json"),
    Case("prune-without-a-terminal", 1, "sources.prune", leave_unused_commit),
    Case("drift", 2, "plan --skip-start --strict", edit_compose),
    Case("saved-plan-of-another-state", 2, "up --plan saved.json", save_plan_then_edit),
    Case("lock-missing", 3, "render", lambda workspace: (workspace.root / LOCKS[0]).unlink(), {"ODPM_SCENARIO": "server"}),
    Case("lock-incomplete", 3, "lock --check", lambda workspace: workspace.describe(dependencies=["https://git.test/team/sale.git"])),
    Case("lock-contradicted", 3, "lock --check", pin_in_manifest),
    Case("lock-damaged", 3, "render", damage_lock),
    Case("lock-in-server", 3, "lock", env={"ODPM_SCENARIO": "server"}),
    Case("description-invalid", 4, "validate", lambda workspace: workspace.describe(pyton="3.11")),
    Case("env-invalid", 4, "plan --skip-start", lambda workspace: (workspace.root / ".env").write_text("no equals sign\n")),
    Case("unknown-scenario", 4, "plan", env={"ODPM_SCENARIO": "production"}),
    Case("init-in-a-project", 4, "init --yes"),
    Case("git-failed", 5, "lock --update", env={"ODPM_GIT_MIRROR": "https://git.test/=file:///nowhere/"}),
    Case("local-work", 7, "render", move_web),
    Case("hook", 42, "render", lambda workspace: workspace.describe(hooks={"post_prepare": [["sh", "-c", "exit 42"]]})),
)  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_cause_ends_with_its_documented_code(request: pytest.FixtureRequest, case: Case) -> None:
    # a command that changes nothing uses the workspace of the session
    name = "workspace_ready" if case.prepare else "workspace_rendered"
    workspace: Workspace = request.getfixturevalue(name)
    if case.prepare:
        case.prepare(workspace)
    ran = workspace.bench.inv(*case.words.split(), **case.env)
    assert ran.code == case.code, ran.output
    assert "Traceback" not in ran.output
    if case.code in range(2, 9):
        assert "  next:  " in ran.err


def test_another_run_is_6(workspace_ready: Workspace) -> None:
    words = [sys.executable, "-c", HOLD, str(workspace_ready.root / ".odpm/run.lock")]
    with subprocess.Popen(words, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        ran = workspace_ready.bench.inv("render")
        holder.communicate("")
    assert ran.code == 6, ran.output
    assert f"process {holder.pid}" in ran.err


def test_no_docker_is_8(workspace_ready: Workspace, no_docker: Env) -> None:
    ran = workspace_ready.bench.inv("build", **no_docker)
    assert ran.code == 8, ran.output
    assert "docker is not installed" in ran.err


def test_an_interrupted_run_is_130(workspace: Workspace) -> None:
    with GitServer(workspace.host, delay=2) as server:
        run = workspace.start("render", **workspace.at(server))
        run.wait_until(lambda: run.runs(" fetch "))
        assert run.interrupt().code == 130


def test_every_documented_code_is_provoked_here() -> None:
    documented = {int(row[0]) for row in rows(PAGES["docs/tasks.md"].section("## Exit codes"))}
    assert {case.code for case in CASES} | {6, 8, 130} == documented | {42}


def test_a_saved_plan_is_a_json_file_without_values_of_settings(workspace_ready: Workspace) -> None:
    (workspace_ready.root / ".env").write_text("TOKEN=topsecret\n", encoding="utf-8")
    workspace_ready.bench.ok("plan", "--skip-start", "--out", "saved.json")
    text = (workspace_ready.root / "saved.json").read_text(encoding="utf-8")
    assert json.loads(text)
    assert "topsecret" not in text


def test_a_foreign_folder_in_the_place_of_a_checkout_is_7(workspace_locked: Workspace) -> None:
    folder = workspace_locked.source("web")
    folder.mkdir(parents=True)
    (folder / "mine.txt").write_text("mine\n", encoding="utf-8")
    ran = workspace_locked.bench.inv("render")
    assert ran.code == 7, ran.output
    assert (folder / "mine.txt").read_text(encoding="utf-8") == "mine\n"
