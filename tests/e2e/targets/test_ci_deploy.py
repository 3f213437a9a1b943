"""The jobs of docs/ci.md that deploy, as GitHub and GitLab run them: their own commands in a clone one commit deep."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.baked import Built
from tests.e2e.conftest import say
from tests.e2e.harness import REPOSITORY, Bench, docker, git
from tests.e2e.targets.test_bundle import describe
from tests.ports import claim_port
from tests.standins.images import ensure_images
from tests.standins.registry import Registry

pytestmark = [pytest.mark.docker, pytest.mark.long]
pytest_plugins = ["tests.e2e.project.runners"]

PAGE = (REPOSITORY / "docs/ci.md").read_text(encoding="utf-8")
GITHUB, GITLAB = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
KNOWN_HOST = "shop.example ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJqf0000000000000000000000000000000000000000"
PASSWORD = "geheim-4711"


class Runner:
    """A runner with the engine of this machine, and a project whose targets `staging` and `production` are on that engine."""

    def __init__(self, bench: Bench, folder: Path, programs: Path, wheel: Path, registry: Registry) -> None:
        self.bench, self.folder, self.programs, self.wheel = bench, folder, programs, wheel
        self.registry = registry
        self.stack = bench.root.name  # the name of the project: that of its remote
        self.key = folder / "key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)

    def clone(self) -> Path:
        made = self.folder / "runner" / self.stack
        shutil.rmtree(made.parent, ignore_errors=True)
        git("clone", "-q", "--depth=1", f"file://{self.bench.root}", str(made), cwd=self.folder)
        return made

    def shell(self, script: str, clone: Path, given: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a script by bash until the first command that fails; its ssh-agent ends with it. `~/.ssh` is not ours."""
        script = script.replace("~/.ssh", str(self.folder / "ssh")).replace("--break-system-packages ", "")
        ending = "trap 'kill ${SSH_AGENT_PID:-} 2>/dev/null || :' EXIT\n"
        env = self.bench.environment(
            {
                **given,
                "PATH": f"{self.programs}{os.pathsep}{os.environ['PATH']}",
                "ODPM_TASKS": str(self.wheel),
                "ODPM_SCENARIO": "ci",
                "DOCKER_CONFIG": str(self.folder / "docker"),
                "SSH_PRIVATE_KEY": self.key.read_text(encoding="utf-8"),
                "SSH_KNOWN_HOSTS": KNOWN_HOST,
            }
        )
        return subprocess.run(
            ["bash", "-e", "-c", ending + script],
            cwd=clone,
            env=env,
            capture_output=True,
            text=True,
            check=False,
            timeout=900,
        )

    def on_gitlab(self, job: str, image: str) -> subprocess.CompletedProcess[str]:
        described: dict[str, Any] = {**GITLAB[GITLAB[job]["extends"]], **GITLAB[job]}
        before = [line for line in described["before_script"] if not line.startswith("apk ")]
        login = {"CI_REGISTRY": self.registry.address, "CI_REGISTRY_USER": "robot", "CI_REGISTRY_PASSWORD": PASSWORD}
        lines = [*before, "ssh-add -l", *described["script"]]
        return self.shell("\n".join(lines), self.clone(), {**login, "IMAGE": image})

    def on_github(self, target: str, image: str) -> tuple[str, str]:
        """Run the job `deploy`; its output and its summary. Each step is a shell of its own, as there."""
        clone, output = self.clone(), ""
        summary, variables = self.folder / "summary.md", self.folder / "variables"
        for path in (summary, variables):
            path.write_text("", encoding="utf-8")
        login = {"REGISTRY": self.registry.address, "REGISTRY_USER": "robot", "REGISTRY_PASSWORD": PASSWORD}
        files = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_ENV": str(variables)}
        for step in GITHUB["jobs"]["deploy"]["steps"]:
            if "run" not in step:
                continue
            kept = dict(line.split("=", 1) for line in variables.read_text(encoding="utf-8").splitlines())
            done = self.shell(step["run"], clone, {**login, **files, **kept, "TARGET": target, "IMAGE": image})
            assert done.returncode == 0, done.stdout + done.stderr
            output += done.stdout + done.stderr
        assert variables.read_text(encoding="utf-8").startswith("SSH_AUTH_SOCK=/")
        return output, summary.read_text(encoding="utf-8")


@pytest.fixture
def runner(
    tmp_path: Path, clone: Callable[[Path], Bench], python: Path, wheel: Path, registry: Registry, engine: None
) -> Iterator[Runner]:
    ensure_images(("caddy:2",), say)
    found = Runner(clone(tmp_path / f"c{uuid.uuid4().hex[:8]}"), tmp_path, python, wheel, registry)
    target = {"kind": "compose", "domain": "shop.localhost", "database": {"name": "shop"}}
    describe(
        found.bench,
        targets={"staging": target, "production": target},
        web={"domain": "shop.localhost", "tls": "off"},
        services={},
    )
    git("commit", "-qam", "Describe the targets", cwd=found.bench.root)
    names = [f"{found.stack}-{target}" for target in ("staging", "production")]
    for name in names:
        ports = f"ODPM_HTTP_PORT={claim_port()}\\nODPM_HTTPS_PORT={claim_port()}\\nODPM_WEB_BIND=127.0.0.1\\n"
        in_folder(f"mkdir -p /odpm/{name} && printf '{ports}' > /odpm/{name}/.env")
    yield found
    for name in names:
        words = ["docker", "compose", "--project-name", name, "down", "--volumes", "--timeout", "5"]
        subprocess.run(words, capture_output=True, check=False)
        in_folder(f"rm -rf /odpm/{name}")


def in_folder(script: str) -> None:
    docker("run", "--rm", "--network=none", "--volume=/var/lib/odpm:/odpm", "debian:bookworm-slim", "sh", "-c", script)


def test_the_jobs_plan_and_deploy_the_image_by_its_digest(runner: Runner, ci_image: Built) -> None:
    image = ci_image.out.split()[-1]

    # a merge request: the plan is an artifact, and nothing is deployed
    planned = runner.on_gitlab("plan", image)
    assert planned.returncode == 0, planned.stdout + planned.stderr
    artifact = runner.folder / "runner" / runner.stack / GITLAB["plan"]["artifacts"]["paths"][0]
    text = artifact.read_text(encoding="utf-8")
    assert image.partition("@")[2] in text
    assert "downtime" in text
    assert text in planned.stdout
    assert "ED25519" in planned.stdout  # the agent has the key
    assert (runner.folder / "ssh/known_hosts").read_text(encoding="utf-8") == f"{KNOWN_HOST}\n"
    assert not running(runner, "staging")

    # GitLab, the default branch: staging alone
    deployed = runner.on_gitlab("staging", image)
    assert deployed.returncode == 0, deployed.stdout + deployed.stderr
    assert image.partition("@")[2] in running(runner, "staging")
    assert not running(runner, "production")

    # GitHub, the default branch again: the summary says that nothing changes there
    output, summary = runner.on_github("staging", image)
    assert "keep     image" in summary
    assert "downtime none: nothing changes" in summary
    for secret in (PASSWORD, runner.key.read_text(encoding="utf-8").splitlines()[1]):
        assert secret not in output + summary + planned.stdout + planned.stderr + deployed.stdout + deployed.stderr


def running(runner: Runner, target: str) -> str:
    """The images of the containers of a target, one a line."""
    return docker(
        "ps",
        "--no-trunc",
        "--filter",
        f"label=com.docker.compose.project={runner.stack}-{target}",
        "--format",
        "{{.Image}}",
    )
