"""The snippets of docs/ci.md: their commands parse, and each event reaches the target that the page names."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from invoke.parser import Parser

from odpm_tasks import collection

PAGE = (Path(__file__).parents[3] / "docs/ci.md").read_text(encoding="utf-8")
GITHUB, GITLAB = (yaml.safe_load(text) for text in re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL))
CHOICE = r"\$\{\{ github\.ref_type == '(\w+)' && '(\w+)' \|\| '(\w+)' \}\}"


def scripts() -> Iterator[str]:
    for job in GITHUB["jobs"].values():
        yield from (step["run"] for step in job["steps"] if "run" in step)
    for job in GITLAB.values():
        if isinstance(job, dict):
            yield from ("\n".join(job[part]) for part in ("before_script", "script") if part in job)


def tasks() -> list[str]:
    return [found for script in scripts() for found in re.findall(r"\binv ([^>)\n]+)", script)]


@pytest.mark.parametrize("script", [*scripts()])
def test_a_script_is_one_of_a_shell(script: str) -> None:
    done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("line", tasks())
def test_a_task_has_these_options(line: str) -> None:
    (context,) = Parser(contexts=collection().to_contexts()).parse_argv(shlex.split(line))
    assert context.name == shlex.split(line)[0]


def test_every_deployment_names_the_image_that_was_built() -> None:
    deploying = [line for line in tasks() if line.startswith("deploy.")]
    assert len(deploying) == 7
    assert [line for line in deploying if not line.strip().endswith('--image "$IMAGE"')] == []
    deploy, image = GITHUB["jobs"]["deploy"], GITHUB["jobs"]["image"]
    assert deploy["needs"] == "image"
    assert deploy["env"]["IMAGE"] == "${{ needs.image.outputs.image }}"
    assert image["outputs"]["image"] == "${{ steps.image.outputs.image }}"
    (step,) = (step for step in image["steps"] if step.get("id") == "image")
    assert 'echo "image=$image" >> "$GITHUB_OUTPUT"' in step["run"]
    assert GITLAB["image"]["artifacts"]["reports"]["dotenv"] == "image.env"
    assert GITLAB["image"]["script"][-1] == 'echo "IMAGE=$image" | tee image.env'
    assert GITLAB["stages"].index("image") < GITLAB["stages"].index("deploy")


@pytest.mark.parametrize(("ref_type", "target"), [("branch", "staging"), ("tag", "production")])
def test_github_deploys_the_branch_to_staging_and_a_tag_to_production(ref_type: str, target: str) -> None:
    job = GITHUB["jobs"]["deploy"]
    assert job["if"] == GITHUB["jobs"]["image"]["if"] == "github.event_name == 'push'"
    assert GITHUB[True]["push"] == {"branches": ["main"], "tags": ["v*"]}  # YAML reads `on` as a boolean

    def chosen(text: str) -> str:
        return re.sub(CHOICE, lambda match: match[2] if ref_type == match[1] else match[3], text)

    assert chosen(job["environment"]) == chosen(job["env"]["TARGET"]) == target
    assert chosen(job["concurrency"]["group"]) == f"deploy-{target}"
    assert job["concurrency"]["cancel-in-progress"] is False


REQUEST = {"CI_PIPELINE_SOURCE": "merge_request_event", "CI_DEFAULT_BRANCH": "main"}
MERGE = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_BRANCH": "main", "CI_DEFAULT_BRANCH": "main"}
OTHER = {**MERGE, "CI_COMMIT_BRANCH": "feature"}
TAG = {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1", "CI_DEFAULT_BRANCH": "main"}


def starts(job: dict[str, Any], variables: dict[str, str]) -> bool:
    """Whether one of the rules of a job is true: `$A`, or `$A == B`."""
    for rule in job["rules"]:
        left, _, right = rule["if"].partition(" == ")
        value = variables.get(left.removeprefix("$"))
        if value and (not right or value == (variables.get(right[1:]) if right[0] == "$" else right.strip('"'))):
            return True
    return False


@pytest.mark.parametrize(
    ("variables", "jobs"),
    [
        (REQUEST, {"check", "lock", "image", "plan"}),
        (MERGE, {"check", "image", "staging"}),
        (TAG, {"check", "image", "production"}),
        (OTHER, set()),
    ],
    ids=["merge request", "default branch", "tag", "other branch"],
)
def test_gitlab_starts_the_jobs_of_an_event(variables: dict[str, str], jobs: set[str]) -> None:
    described = {name: job for name, job in GITLAB.items() if isinstance(job, dict) and "rules" in job}
    assert {name for name, job in described.items() if starts(job, variables)} == jobs


@pytest.mark.parametrize("target", ["staging", "production"])
def test_gitlab_deploys_one_after_the_other_and_each_job_to_its_target(target: str) -> None:
    job = GITLAB[target]
    assert job["extends"] == ".target"
    assert job["environment"] == job["resource_group"] == target
    assert [line.split()[2] for line in job["script"]] == [target, target]


def test_the_key_comes_from_a_secret_and_the_hosts_are_verified() -> None:
    assert "StrictHostKeyChecking" not in PAGE
    (step,) = (step for step in GITHUB["jobs"]["deploy"]["steps"] if "SSH_PRIVATE_KEY" in step.get("env", {}))
    assert step["env"]["SSH_PRIVATE_KEY"] == "${{ secrets.SSH_PRIVATE_KEY }}"
    assert step["env"]["SSH_KNOWN_HOSTS"] == "${{ vars.SSH_KNOWN_HOSTS }}"
    assert not any("ssh-keyscan" in script for script in scripts())
