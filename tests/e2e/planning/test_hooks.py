"""Running hooks: folder, environment, failures; hooks of dependencies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.failures import WEB, Env, Workspace, failure
from tests.e2e.services import manifest

pytest_plugins = ["tests.e2e.workspaces"]

TELL = "import os, pathlib\nprint('HOOK', *(os.environ.get(n) for n in {names}), pathlib.Path.cwd(), flush=True)\n"
NAMES = ["ODPM_SCENARIO", "ODPM_PROJECT_DIR", "ODPM_LOCK"]


def write(workspace: Workspace, path: str, text: str) -> None:
    file = workspace.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)


def brings(workspace: Workspace, **files: str) -> None:
    """Publish these files in the dependency; keys are paths."""
    workspace.publish(WEB, {"web_thing/__manifest__.py": "{}", **files})


def hooked(**hooks: Any) -> str:
    return manifest(hooks=hooks)


def test_a_program_runs_in_the_project_with_its_environment(workspace_locked: Workspace) -> None:
    write(
        workspace_locked,
        "tools/tell.sh",
        '#!/bin/sh\necho "HOOK $ODPM_SCENARIO $ODPM_PROJECT_DIR $ODPM_LOCK $(pwd) $1 $TOKEN"\n',
    )
    workspace_locked.describe(hooks={"post_prepare": [["./tools/tell.sh", "a b; echo ${WORD:-$$HOME} *"]]})
    below = workspace_locked.root / "tools"
    root = workspace_locked.root
    write(workspace_locked, ".env", "TOKEN=from-env\n")
    ran = workspace_locked.bench.inv("render", cwd=below)
    assert ran.code == 0, ran.output
    assert f"HOOK developer {root} {root}/.odpm/deps.lock.json {root} a b; echo $HOME * from-env\n" in ran.output


def test_output_is_shown_while_the_hook_runs(workspace_ready: Workspace) -> None:
    go = workspace_ready.folder / "go"
    workspace_ready.describe(
        hooks={"post_prepare": [["sh", "-c", f"echo begun; while ! test -e {go}; do sleep 0.05; done"]]}
    )
    run = workspace_ready.start("render")
    run.wait_until(lambda: "begun" in run.output().output)
    go.touch()
    assert run.end().code == 0


def test_the_same_hook_twice_runs_twice(workspace_ready: Workspace) -> None:
    workspace_ready.describe(hooks={"post_prepare": [["sh", "-c", "echo x >> log"]] * 2})
    workspace_ready.bench.ok("render")
    assert (workspace_ready.root / "log").read_text(encoding="utf-8") == "x\nx\n"


def test_a_function_runs_in_the_project_with_its_environment(workspace_ready: Workspace) -> None:
    body = TELL.format(names=NAMES).replace("\n", "\n    ")
    write(workspace_ready, "tools/hooks.py", f"class Group:\n  @staticmethod\n  def hook():\n    {body}\n")
    workspace_ready.describe(hooks={"post_prepare": "tools.hooks:Group.hook"})
    root = workspace_ready.root
    (root / "below").mkdir()
    ran = workspace_ready.bench.inv("render", cwd=root / "below")
    assert ran.code == 0, ran.output
    assert f"HOOK developer {root} {root}/.odpm/deps.lock.json {root}\n" in ran.output


@pytest.mark.parametrize(
    ("text", "code", "told"),
    [
        (
            "def hook():\n    help()\n\ndef help():\n    raise ValueError('the reason\\nand more')\n",
            1,
            ("ValueError: the reason", "tools/hooks.py:5"),
        ),
        ("import sys\ndef hook():\n    sys.exit('the reason')\n", 1, ("the reason", "tools/hooks.py:3")),
        (
            "import subprocess\ndef hook():\n    subprocess.run(['sh', '-c', 'exit 23'], check=True)\n",
            23,
            ("tools/hooks.py:3",),
        ),
        (
            "from invoke import Context\ndef hook():\n    Context().run('exit 24', hide=True)\n",
            24,
            ("tools/hooks.py:3",),
        ),
        ("def other():\n    pass\n", 4, ("no attribute 'hook'", "tools.hooks:hook")),
        ("a = 1\ndef hook(:\n", 4, ("SyntaxError", "tools/hooks.py:2")),
        ("import no_such_module\n", 4, ("no_such_module", "tools/hooks.py:1")),
    ],
)
def test_a_failing_function_is_reported_with_its_message_and_line(
    workspace_ready: Workspace, text: str, code: int, told: tuple[str, ...]
) -> None:
    write(workspace_ready, "tools/hooks.py", text)
    workspace_ready.describe(hooks={"post_prepare": "tools.hooks:hook"})
    failure(workspace_ready.bench.inv("render"), code, "odpm.json: hooks.post_prepare", *told)


THEIRS = {
    "tools/__init__.py": "",
    "tools/hooks.py": "import pathlib\ndef hook():\n    pathlib.Path('called').write_text('theirs')\n",
    "tell.sh": "#!/bin/sh\necho theirs > $ODPM_PROJECT_DIR/told; echo $(pwd) >> $ODPM_PROJECT_DIR/told\n",
    "odpm.json": hooked(post_prepare=[["sh", "./tell.sh"], "tools.hooks:hook"]),
}


def told(workspace: Workspace) -> dict[str, list[str]]:
    plan = json.loads(workspace.bench.ok("plan", "--format", "json").out)
    found: dict[str, list[str]] = {}
    for step in plan["steps"]:
        if step["id"] == "hooks.post_prepare":
            found.setdefault(step["action"], []).append(step["target"])
    return found


def test_hooks_of_an_untrusted_dependency_are_shown_and_not_run(workspace: Workspace) -> None:
    brings(workspace, **THEIRS)
    workspace.bench.ok("render")
    assert told(workspace) == {"skip": ["web: sh ./tell.sh", "web: tools.hooks:hook"]}
    assert "does not trust web" in workspace.bench.ok("plan").out
    assert not (workspace.root / "told").exists()
    assert not (workspace.source("web") / "called").exists()


def test_hooks_of_a_trusted_dependency_run_in_its_checkout_first(workspace: Workspace) -> None:
    brings(workspace, **THEIRS)
    write(workspace, "tools/hooks.py", "import pathlib\ndef hook():\n    pathlib.Path('called').write_text('ours')\n")
    ours = ["sh", "-c", "cat told > seen; echo ours >> seen"]
    workspace.describe(trust=["web"], hooks={"post_prepare": ["tools.hooks:hook", ours]})
    workspace.bench.ok("render")
    assert (workspace.root / "seen").read_text(encoding="utf-8").split("\n") == [
        "theirs",
        str(workspace.source("web")),
        "ours",
        "",
    ]
    assert (workspace.source("web") / "called").read_text(encoding="utf-8") == "theirs"
    assert (workspace.root / "called").read_text(encoding="utf-8") == "ours"  # of one name, and each its own
    assert told(workspace) == {
        "run": ["web: sh ./tell.sh", "web: tools.hooks:hook", "tools.hooks:hook", f"sh -c {ours[2]}"]
    }


def test_post_clone_of_a_dependency_runs_after_its_checkout(workspace: Workspace) -> None:
    brings(workspace, **{"odpm.json": hooked(post_clone=[["sh", "-c", "echo theirs >> $ODPM_PROJECT_DIR/told"]])})
    workspace.describe(trust=["web"], hooks={"post_clone": [["sh", "-c", "echo ours >> told"]]})
    workspace.bench.ok("lock")
    workspace.bench.ok("plan", "--skip-start", "--out", "saved.json")
    ran = workspace.bench.ok("up", "--plan", "saved.json")  # what was announced is what runs
    assert (workspace.root / "told").read_text(encoding="utf-8").split() == ["ours", "theirs"], ran.output


def test_a_failing_hook_of_a_dependency_names_it(workspace: Workspace) -> None:
    brings(workspace, **{"odpm.json": hooked(post_prepare=[["sh", "-c", "exit 9"]])})
    workspace.describe(trust=["web"])
    failure(workspace.bench.inv("render"), 9, "web: sh -c exit 9", "web: odpm.json: hooks.post_prepare")


def test_without_docker_the_schema_of_the_specification_is_checked(workspace_locked: Workspace, no_docker: Env) -> None:
    workspace_locked.describe(services={"web": {"image": "x", "healthcheck": {"retries": [1]}}})
    field = "services.web.healthcheck.retries: must be a number or a string"
    failure(workspace_locked.bench.inv("render", **no_docker), 4, "odpm.json", field)
    workspace_locked.describe(services={"web": {"image": "x", "depends_on": ["dv"]}})
    failure(workspace_locked.bench.inv("render"), 4, "odpm.json: services.web.depends_on", "the nearest is `db`")
    workspace_locked.describe(services={"web": {"image": "x", "cpus": "${CPUS:-1}"}})
    workspace_locked.bench.ok("render", **no_docker)


@pytest.mark.parametrize("trust", [[], ["web"]])
def test_odd_services_of_a_dependency_are_left_out_and_reported(workspace: Workspace, trust: list[str]) -> None:
    """Everything that reads services comes after the check of their types: of a stranger's and of a trusted one's."""
    odd = {
        "w": {"image": "x", "profiles": 3},
        "v": {"image": "x", "develop": {"watch": True}},
        "u": {"image": "x", "ports": {"80": None}, "depends_on": 1},
        "fine": {"image": "x"},
    }
    keys = {"services": odd, "service_patches": {"odoo": {"volumes": True}}, "hooks": {"pre_up": 4}}
    brings(workspace, **{"odpm.json": json.dumps({"manifest_schema": 2, **keys})})
    workspace.describe(trust=trust)
    for words in (("lock",), ("plan",), ("render",), ("sources.status",), ("plan",)):
        ran = workspace.bench.inv(*words)
        assert ran.code == 0, ran.output
        assert "Traceback" not in ran.output
        if words != ("sources.status",):
            assert "web: w is ignored: profiles: must be a list" in ran.err
            assert "web: v is ignored: develop.watch: must be a list" in ran.err
            assert "web: patch of odoo is ignored: " in ran.err
    assert "fine" in (workspace.root / "docker-compose.yml").read_text(encoding="utf-8")
    assert workspace.bench.ok("validate").code == 0
