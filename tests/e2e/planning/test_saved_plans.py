"""`inv plan --out` and `inv up --plan`: exactly the saved steps, or exit 2 naming what changed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e.failures import FILES, GENERATED, IDENTITY, LOCKS, WEB, Workspace, failure, file_digests, outcome
from tests.e2e.harness import git

pytest_plugins = ["tests.e2e.workspaces"]


def save(workspace: Workspace, *words: str, name: str = "plan.json") -> Path:
    """Save a plan of the steps without Docker, outside of the project."""
    path = workspace.folder / name
    workspace.bench.ok("plan", "--skip-start", *words, "--out", str(path))
    return path


def done(output: str) -> list[str]:
    """The lines of steps in the output of a run or a plan: mark, step, target and detail, without durations."""
    lines = [line.split() for line in output.splitlines() if line[2:4] in {"+ ", "~ ", "> "}]
    return [" ".join(line[:-2] if line[-1] == "s" and line[-2].replace(".", "").isdigit() else line) for line in lines]


def test_a_saved_plan_is_performed_exactly(workspace_ready: Workspace) -> None:
    conf = workspace_ready.root / GENERATED[5]
    conf.write_text(conf.read_text(encoding="utf-8") + "; mine\n", encoding="utf-8")
    workspace_ready.publish(WEB, {**FILES[WEB], "web_new/__manifest__.py": "{'name': 'New'}\n"})
    workspace_ready.bench.ok("lock", "--update")
    announced = done(workspace_ready.bench.ok("plan", "--skip-start").out)
    plan = save(workspace_ready)
    ran = workspace_ready.bench.ok("up", "--plan", str(plan))
    assert done(ran.err) == announced
    assert [line.split()[2] for line in announced][:2] == ["git.checkout", "template.odoo_conf"]
    assert workspace_ready.lock()["dependencies"][0]["commit"] == git(
        "rev-parse", "HEAD", cwd=workspace_ready.source("web")
    )
    assert "nothing to do" in workspace_ready.bench.ok("render").err


def test_a_plan_of_an_empty_project_has_the_result_of_up(workspace: Workspace, workspace_rendered: Workspace) -> None:
    """A `pending` step may become any action: one plan covers the way from an empty folder."""
    plan = save(workspace)
    workspace.bench.ok("up", "--plan", str(plan))
    assert outcome(workspace) == outcome(workspace_rendered)


def test_a_performed_plan_is_refused(workspace_locked: Workspace) -> None:
    plan = save(workspace_locked)
    workspace_locked.bench.ok("up", "--plan", str(plan))
    failure(
        workspace_locked.bench.inv("up", "--plan", str(plan)),
        2,
        "observed state changed",
        ".odpm/state.toml",
        "inv plan --out",
    )


def test_a_plan_without_changes_can_be_repeated(workspace_ready: Workspace) -> None:
    plan = save(workspace_ready)
    assert "nothing to do" in workspace_ready.bench.ok("plan", "--skip-start").out
    for _ in range(2):
        assert "nothing to do" in workspace_ready.bench.ok("up", "--plan", str(plan)).err


def _edit(path: str, more: str) -> object:
    def move(workspace: Workspace) -> None:
        with (workspace.root / path).open("a", encoding="utf-8") as file:
            file.write(more)

    return move


def _relock(workspace: Workspace) -> None:
    workspace.publish(WEB, {**FILES[WEB], "README": "new\n"})
    workspace.bench.ok("lock", "--update")


def _commit(workspace: Workspace) -> None:
    subprocess.run(
        ["git", "commit", "-q", "--allow-empty", "-m", "mine"], cwd=workspace.source("web"), env=IDENTITY, check=True
    )


MOVES = {
    "odpm.json": _edit("odpm.json", "\n"),
    "docker-compose.yml": _edit("docker-compose.yml", "# mine\n"),
    ".odpm/build/Dockerfile": lambda workspace: (workspace.root / ".odpm/build/Dockerfile").unlink(),
    ".odpm/requirements.lock": _edit(LOCKS[1], "\n"),
    f"{LOCKS[0]}: web": _relock,
    ".odpm/src/web": _commit,
    ".odpm/src/odoo": lambda workspace: shutil.rmtree(workspace.source("odoo")),
    "ODOO_PORT": _edit(".env", "ODOO_PORT=8070\n"),
    "the project's add-ons": lambda workspace: (
        workspace.root.joinpath("mine").mkdir()
        or (workspace.root / "mine/__manifest__.py").write_text("{'name': 'Mine'}", encoding="utf-8")
    ),
    ".odpm/templates/odoo.conf.j2": lambda workspace: (
        (workspace.root / ".odpm/templates").mkdir()
        or (workspace.root / ".odpm/templates/odoo.conf.j2").write_text("[options]\n", encoding="utf-8")
    ),
}


@pytest.mark.parametrize("what", MOVES)
def test_a_changed_state_is_refused_and_named(workspace_ready: Workspace, what: str) -> None:
    (workspace_ready.root / ".odpm/build/odoo-run").unlink()  # something to do
    plan = save(workspace_ready)
    MOVES[what](workspace_ready)  # type: ignore[operator]
    before = file_digests(workspace_ready.root)
    message = failure(workspace_ready.bench.inv("up", "--plan", str(plan)), 2, "observed state changed", what)
    assert f"inv plan --out {plan}" in message
    assert file_digests(workspace_ready.root) == before
    save(workspace_ready)
    workspace_ready.bench.ok("up", "--plan", str(plan))


def test_a_new_step_is_refused(workspace_ready: Workspace) -> None:
    """A step can be new although nothing that the plan depends on has changed: the cache lost a commit."""
    new = workspace_ready.publish(WEB, {**FILES[WEB], "README": "new\n"})
    workspace_ready.bench.ok("lock", "--update")
    plan = save(workspace_ready)
    (workspace_ready.cache / "git/git.test" / WEB / "refs/odpm/commits" / new).unlink()
    before = file_digests(workspace_ready.root)
    message = failure(
        workspace_ready.bench.inv("up", "--plan", str(plan)), 2, f"create git.materialize web fetch {new[:8]}"
    )
    assert "is done" not in message
    assert file_digests(workspace_ready.root) == before


def test_every_round_is_checked_against_the_plan(workspace_ready: Workspace) -> None:
    """A hook of the plan edits a generated file; writing that file again is not in the plan."""
    hook = "echo >> .odpm/build/odoo-run"
    workspace_ready.describe(hooks={"post_prepare": [["sh", "-c", hook]]})
    plan = save(workspace_ready)
    failure(
        workspace_ready.bench.inv("up", "--plan", str(plan)),
        2,
        "earlier steps are done",
        "update template.dockerfile",
    )
    assert (workspace_ready.root / ".odpm/build/odoo-run").read_bytes().endswith(b"\n\n")


def test_options_are_part_of_the_plan(workspace_ready: Workspace) -> None:
    plan = save(workspace_ready, "--dev", "reload", "-d", "shop", "-i", "web_thing,mail", "--no-git-update")
    options = json.loads(plan.read_text(encoding="utf-8"))["options"]
    assert options == {
        "database": "shop", "install": ["web_thing", "mail"], "update": [], "no_module_update": False, "demo": False,
        "no_git_update": True, "no_snapshot": False,
        "dev": "reload", "debug": "", "no_debug": False, "skip_start": True,
    }  # fmt: skip
    assert "nothing to do" in workspace_ready.bench.ok("up", "--plan", str(plan)).err
    for words in (
        ("--dev", "all"),
        ("-d", "x"),
        ("-i", "x"),
        ("-u", "x"),
        ("--demo",),
        ("--skip-start",),
        ("--free-ports",),
    ):
        failure(workspace_ready.bench.inv("up", "--plan", str(plan), *words), 1, "--plan cannot be combined with")


def test_what_is_no_plan_of_this_project_is_refused(workspace_ready: Workspace, tmp_path: Path) -> None:
    plan = save(workspace_ready)
    bench = workspace_ready.bench
    failure(bench.inv("up", "--plan", "nowhere.json"), 1, "no such file", "nowhere.json")
    failure(bench.inv("up", "--plan", "odpm.json"), 1, "not a saved plan")
    failure(bench.inv("up", "--plan", str(plan), ODPM_SCENARIO="server"), 1, "developer", "ODPM_SCENARIO=developer")
    data = json.loads(plan.read_text(encoding="utf-8"))
    for changes, word in (
        ({"odpm": "9.0"}, "odpm 9.0"),
        ({"project": {"folder": "x", "name": "y"}}, "another project: y"),
    ):
        plan.write_text(json.dumps({**data, **changes}), encoding="utf-8")
        failure(bench.inv("up", "--plan", str(plan)), 1, word)


def test_out_replaces_only_a_saved_plan(workspace_ready: Workspace) -> None:
    before = (workspace_ready.root / "odpm.json").read_bytes()
    ran = workspace_ready.bench.inv("plan", "--skip-start", "--out", "odpm.json")
    assert ran.code == 1
    assert "not a saved plan of this odpm" in ran.err
    assert (workspace_ready.root / "odpm.json").read_bytes() == before
    save(workspace_ready)
    save(workspace_ready)


def test_out_can_be_a_pipe(workspace_ready: Workspace, tmp_path: Path) -> None:
    """On standard output the saved plan is the only result; a named pipe is written and stays a pipe."""
    bench = workspace_ready.bench
    ran = bench.ok("plan", "--out", "/dev/stdout")
    assert json.loads(ran.out)["odpm_plan"] == 1
    assert ran.err.startswith("plan  developer")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with ThreadPoolExecutor(1) as pool:
        received = pool.submit(pipe.read_text, "utf-8")
        bench.ok("plan", "--out", str(pipe))
        assert received.result(60) == ran.out
    assert pipe.is_fifo()


def test_no_secret_is_in_the_file(workspace_ready: Workspace) -> None:
    (workspace_ready.root / ".env").write_text(
        "SMTP_PASSWORD=hunter2\nODOO_PORT=18069\nUNUSED=geheim\n", encoding="utf-8"
    )
    workspace_ready.describe(odoo_conf={"options": {"smtp_password": "${SMTP_PASSWORD}"}})
    text = save(workspace_ready).read_text(encoding="utf-8")
    for secret in ("hunter2", "geheim", "18069", "UNUSED"):
        assert secret not in text
    assert json.loads(text)["depends_on"]["SMTP_PASSWORD"] == "set"
