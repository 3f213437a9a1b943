"""The snippets of docs/ci.md, run as GitHub and GitLab run them: their own commands in a clone of the depth they make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.failures import HOST, SALE, WEB, Workspace
from tests.e2e.harness import REPOSITORY, CommandResult, docker, git
from tests.standins.githttp import GitServer
from tests.standins.registry import Registry

pytest_plugins = ["tests.e2e.workspaces", "tests.e2e.project.runners"]

PAGE = (REPOSITORY / "docs/ci.md").read_text(encoding="utf-8")
GITHUB, GITLAB = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
PROJECT = "team/project.git"


@dataclass
class Forge:
    """A git host on loopback that holds the project, and a runner that clones from it."""

    workspace: Workspace
    server: GitServer
    python: Path
    wheel: Path

    @property
    def url(self) -> str:
        return self.server.url(PROJECT)

    def push(self, branch: str) -> str:
        """The project as it is on disk, as one more commit of a branch; its id."""
        root = self.workspace.root
        git("checkout", "-q", "-B", branch, cwd=root)
        git("add", "-A", cwd=root)
        git("commit", "-qm", f"Work on {branch}", "--allow-empty", cwd=root)
        git("push", "-qf", self.url, f"{branch}:{branch}", cwd=root)
        return git("rev-parse", "HEAD", cwd=root)

    def fetched(self, ref: str, depth: int) -> Path:
        """A fresh clone as a runner makes it: one ref, some commits deep, no branch."""
        clone = self.workspace.folder / "runner/project"
        shutil.rmtree(clone, ignore_errors=True)
        clone.mkdir(parents=True)
        git("init", "-q", cwd=clone)
        git("remote", "add", "origin", self.url, cwd=clone)
        git("fetch", "-q", "--no-tags", f"--depth={depth}", "origin", f"+{ref}:refs/remotes/runner", cwd=clone)
        git("checkout", "-q", "--force", "refs/remotes/runner", cwd=clone)
        return clone

    def shell(self, script: str, clone: Path, env: Mapping[str, str]) -> CommandResult:
        """A script as both run one: by bash, until the first command that fails."""
        path = f"{self.python}{os.pathsep}{os.environ['PATH']}"
        env = self.workspace.bench.environment({**env, "PATH": path, "ODPM_TASKS": str(self.wheel)})
        done = subprocess.run(
            ["bash", "-e", "-c", script], cwd=clone, env=env, capture_output=True, text=True, check=False, timeout=900
        )
        return CommandResult(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def forge(workspace_ready: Workspace, python: Path, wheel: Path) -> Iterator[Forge]:
    bare = workspace_ready.host / PROJECT
    git("init", "-q", "--bare", "-b", "main", str(bare), cwd=workspace_ready.folder)
    with GitServer(workspace_ready.host) as server:
        made = Forge(workspace_ready, server, python, wheel)
        made.push("main")
        yield made


def with_sale(forge: Forge) -> None:
    forge.workspace.describe(dependencies=[f"{HOST}{WEB} 19.0", f"{HOST}{SALE} 19.0"])


# --- GitHub --------------------------------------------------------------------------------------------------------


@dataclass
class Job:
    """How a job ended: what each step with commands said, by its name, and the job's summary."""

    steps: dict[str, CommandResult]
    summary: str

    @property
    def code(self) -> int:
        return [ran.code for ran in self.steps.values()][-1]

    @property
    def output(self) -> str:
        return "".join(ran.output for ran in self.steps.values())


def on_github(forge: Forge, job: str, event: str, ref: str, **context: str) -> Job:
    """Run a job of the workflow: its steps in order until one fails."""
    assert event in GITHUB[True]  # YAML reads `on` as a boolean
    summary = forge.workspace.folder / "summary.md"
    summary.write_text("", encoding="utf-8")
    described = GITHUB["jobs"][job]
    uses = [step["uses"].partition("@")[0] for step in described["steps"] if "uses" in step]
    assert uses[0] == "actions/checkout"
    assert "with" not in described["steps"][0]  # its own default: one commit deep
    clone = forge.fetched(ref, depth=1)
    env = {
        **GITHUB["env"],
        **{name: expression(value, context) for name, value in described.get("env", {}).items()},
        "GITHUB_EVENT_NAME": event,
        "GITHUB_BASE_REF": "main" if event == "pull_request" else "",
        "GITHUB_SHA": git("rev-parse", "HEAD", cwd=clone),
        "GITHUB_STEP_SUMMARY": str(summary),
        "GITHUB_OUTPUT": str(summary.with_name("output")),
    }
    steps: dict[str, CommandResult] = {}
    for step in described["steps"]:
        if "run" not in step or not wanted(step.get("if", ""), event):
            continue
        steps[step["name"]] = forge.shell(step["run"], clone, env)
        if steps[step["name"]].code:
            break
    return Job(steps, summary.read_text(encoding="utf-8"))


def expression(text: str, context: Mapping[str, str]) -> str:
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: context[match[1]], text)


def wanted(condition: str, event: str) -> bool:
    match = re.fullmatch(r"(?:github\.event_name == '(\w+)')?", condition)
    assert match, condition
    return match[1] in {None, event}


def pull_request(forge: Forge, branch: str) -> str:
    """What GitHub offers of a pull request: its merge with the main branch, under a ref of its own."""
    root = forge.workspace.root
    git("checkout", "-q", "--detach", "main", cwd=root)
    git("merge", "-q", "--no-ff", "-m", "Merge", branch, cwd=root)
    git("push", "-qf", forge.url, "HEAD:refs/pull/1/merge", cwd=root)
    git("checkout", "-q", branch, cwd=root)
    return "refs/pull/1/merge"


def test_github_tells_what_a_pull_request_does_to_the_lock(forge: Forge) -> None:
    with_sale(forge)
    forge.workspace.bench.ok("lock")
    forge.push("change")
    job = on_github(forge, "check", "pull_request", pull_request(forge, "change"))
    assert job.code == 0, job.output
    assert list(job.steps) == [
        "Install odpm",
        "Show what the change of the lock means",
        "Check description, lock and plan",
    ]
    assert "sale" in job.summary
    assert "sale_thing" in job.summary
    assert "|" in job.summary or "#" in job.summary
    assert "the lock is complete and matches the description" in job.output


def test_github_fails_on_a_stale_lock_and_on_a_wrong_description(forge: Forge) -> None:
    with_sale(forge)
    forge.push("stale")
    job = on_github(forge, "check", "pull_request", pull_request(forge, "stale"))
    assert job.code == 3
    assert "inv lock" in job.output
    assert "sale" in job.output
    forge.workspace.describe(wrong=1)
    forge.push("wrong")
    assert on_github(forge, "check", "pull_request", pull_request(forge, "wrong")).code == 4


def test_github_checks_the_default_branch_without_a_base(forge: Forge) -> None:
    job = on_github(forge, "check", "push", "refs/heads/main")
    assert job.code == 0, job.output
    assert list(job.steps) == ["Install odpm", "Check description, lock and plan"]
    assert job.summary == ""


@pytest.mark.docker
def test_the_image_is_built_and_pushed_from_the_default_branch(forge: Forge, registry: Registry, engine: None) -> None:
    name = f"{registry.address}/{forge.workspace.bench.prefix}/odoo"
    login = {"REGISTRY": registry.address, "REGISTRY_USER": "robot", "REGISTRY_PASSWORD": "geheim-4711"}
    context = {f"vars.{key}": value for key, value in {**login, "IMAGE": name}.items()}
    context["secrets.REGISTRY_PASSWORD"] = login["REGISTRY_PASSWORD"]
    assert GITHUB["jobs"]["image"]["if"] == "github.event_name == 'push'"
    head = git("rev-parse", "main", cwd=forge.workspace.root)
    for setting in ("ODPM_IMAGE_MIRROR", "ODPM_APT_MIRROR"):
        del forge.workspace.bench.env[setting]
    try:
        job = on_github(forge, "image", "push", "refs/heads/main", **context)
        assert job.code == 0, job.output
        assert re.fullmatch(rf"{name}:{head}@sha256:[0-9a-f]{{64}}\n", job.summary)
        output = forge.workspace.folder / "output"
        assert output.read_text(encoding="utf-8") == f"image={job.summary}"  # what the job `deploy` gets
        assert login["REGISTRY_PASSWORD"] not in job.output
        ci = {**login, "IMAGE": name, "REGISTRY_IMAGE": name}
        ran = on_gitlab(forge, "image", "refs/heads/main", {f"CI_{key}": value for key, value in ci.items()})
        assert ran.code == 0, ran.output
        assert job.summary in ran.out  # the same image, by its digest
        dotenv = forge.workspace.folder / "runner/project" / GITLAB["image"]["artifacts"]["reports"]["dotenv"]
        assert dotenv.read_text(encoding="utf-8") == f"IMAGE={job.summary}"
    finally:
        docker("image", "rm", "--force", f"{name}:{head}")


# --- GitLab --------------------------------------------------------------------------------------------------------


def on_gitlab(forge: Forge, job: str, ref: str, more: Mapping[str, str]) -> CommandResult:
    """Run a job of the pipeline: what comes before its script belongs to the container that we do not have."""
    described: dict[str, Any] = GITLAB[job]
    assert described["stage"] in GITLAB["stages"]
    clone = forge.fetched(ref, depth=20)
    known = {
        "CI_PROJECT_DIR": str(clone),
        "CI_COMMIT_SHA": git("rev-parse", "HEAD", cwd=clone),
        "CI_DEFAULT_BRANCH": "main",
        **more,
    }
    variables = {name: re.sub(r"\$(\w+)", lambda m: known[m[1]], text) for name, text in GITLAB["variables"].items()}
    script = "\n".join(described["script"])
    script = script.replace("--break-system-packages ", "")  # of the container's Python; ours is an environment
    return forge.shell(script, clone, {**known, **variables})


REQUEST = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_MERGE_REQUEST_TARGET_BRANCH_NAME": "main"}


def test_gitlab_checks_a_merge_request_and_tells_what_it_does_to_the_lock(forge: Forge) -> None:
    with_sale(forge)
    forge.workspace.bench.ok("lock")
    forge.push("change")
    checked = on_gitlab(forge, "check", "refs/heads/change", REQUEST)
    assert checked.code == 0, checked.output
    told = on_gitlab(forge, "lock", "refs/heads/change", REQUEST)
    assert told.code == 0, told.output
    report = forge.workspace.folder / "runner/project" / GITLAB["lock"]["artifacts"]["paths"][0]
    assert "sale_thing" in report.read_text(encoding="utf-8")
    assert report.read_text(encoding="utf-8") in told.out


def test_gitlab_fails_on_a_stale_lock(forge: Forge) -> None:
    with_sale(forge)
    forge.push("stale")
    ran = on_gitlab(forge, "check", "refs/heads/stale", REQUEST)
    assert ran.code == 3
    assert "inv lock" in ran.err


def test_gitlab_checks_the_default_branch_too(forge: Forge) -> None:
    assert {"if": "$CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH"} in GITLAB["check"]["rules"]
    assert GITLAB["lock"]["rules"] == [{"if": '$CI_PIPELINE_SOURCE == "merge_request_event"'}]
    ran = on_gitlab(forge, "check", "refs/heads/main", {"CI_PIPELINE_SOURCE": "push"})
    assert ran.code == 0, ran.output


def test_a_generated_file_that_was_committed_fails_the_check(forge: Forge) -> None:
    """The plan finds what lock and description do not tell of."""
    compose = forge.workspace.root / "docker-compose.yml"
    compose.write_text(compose.read_text(encoding="utf-8") + "# mine\n", encoding="utf-8")
    git("add", "-f", "docker-compose.yml", cwd=forge.workspace.root)
    forge.push("committed")
    ran = on_gitlab(forge, "check", "refs/heads/committed", REQUEST)
    assert ran.code == 2
    assert "docker-compose.yml" in ran.err


def test_the_commands_of_the_page_are_those_of_both() -> None:
    steps = "\n".join(step.get("run", "") for step in GITHUB["jobs"]["check"]["steps"])
    lines = [*GITLAB["check"]["script"], *GITLAB["lock"]["script"]]
    for command in ("inv validate", "inv lock --check", "inv plan --strict", "--format markdown"):
        assert command in steps
        assert any(command in line for line in lines)
