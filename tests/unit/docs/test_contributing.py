"""What contributors use: the hooks and the CI run the checks of the tests, and both requirements files are pinned and disjoint."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from typing import Any

import yaml
from invoke.parser import Parser

from tests.unit.docs.pages import PAGES, ROOT
from tests.unit.test_style import CHECKS


def load(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def own_tasks() -> set[str]:
    text = (ROOT / "tasks.py").read_text(encoding="utf-8")
    return set(re.findall(r"^@task\(.*?^def (\w+)\(c", text, re.MULTILINE | re.DOTALL))


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    found = {}
    for line in lines:
        if line and not line.startswith(("#", "-e ")):
            match = re.fullmatch(r"([\w.-]+)==([\w.]+)", line)
            assert match is not None, f"{name}: {line} is not pinned"
            found[re.sub(r"[-_.]+", "-", match[1]).lower()] = match[2]
    return found


def test_requirements_are_pinned_and_in_one_file_each() -> None:
    assert not set(pins("requirements.txt")) & set(pins("tests/requirements.txt"))
    assert {"pytest", "mypy", "ruff", "import-linter", "hypothesis", "zensical", "pre-commit"} <= set(
        pins("tests/requirements.txt")
    )


def test_the_hooks_are_local_and_run_every_check() -> None:
    repositories = load(".pre-commit-config.yaml")["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = [hook["entry"] for hook in repositories[0]["hooks"]]
    for check in CHECKS:
        words = [word for word in check.split() if not word.startswith("-") and word != "."]
        assert any(" ".join(words) in hook for hook in hooks), check
    for hook in hooks:
        for path in re.findall(r"\btests/\S+", hook):
            assert (ROOT / path).exists(), path


def test_the_workflow_runs_tasks_that_exist() -> None:
    jobs = load(".github/workflows/ci.yml")["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    tasks = {match[1] for command in commands if (match := re.match(r"python3 tasks\.py (\w+)", command))}
    assert tasks == own_tasks() == {"demo", "lint", "test"}
    actions = {step["uses"].partition("@")[0] for job in jobs.values() for step in job["steps"] if "uses" in step}
    assert {action.partition("/")[0] for action in actions} == {"actions"}


def test_the_commands_of_this_repository_on_the_pages_are_understood() -> None:
    spec = importlib.util.spec_from_file_location("own_tasks", ROOT / "tasks.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    parser = Parser(contexts=module.ns.to_contexts())
    for page in PAGES.values():
        for block in page.blocks:
            for command in re.findall(r"^\$ python3 tasks\.py ([^#\n]+)", block.text, re.MULTILINE):
                assert parser.parse_argv(command.split()), command


def test_the_page_explains_setup_tests_style_golden_cases_and_releases() -> None:
    headings = re.findall(r"^#+ (.+)$", PAGES["CONTRIBUTING.md"].prose, re.MULTILINE)
    assert {"Setup", "Tests", "Style", "Add a golden case", "Release"} <= set(headings)
    assert Path(ROOT / ".ci/run").read_text(encoding="utf-8").endswith("exec python3 tasks.py test\n")
