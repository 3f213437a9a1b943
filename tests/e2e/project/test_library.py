"""The library as installed: a wheel in a separate environment, and the examples of docs/ with it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from odpm_tasks.tasks.namespace import TASKS
from tests.e2e.harness import REPOSITORY, Bench, CommandResult, get, git

EXAMPLES = REPOSITORY / "docs/examples"


def run(*words: str | Path, cwd: Path) -> str:
    done = subprocess.run(
        [str(word) for word in words], cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{words[0]}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources, because a build writes into its source tree."""
    base = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPOSITORY / "odpm_tasks", base / "tree/odpm_tasks", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, base / "tree")
    run(
        Path(sys.executable).with_name("uv"),
        "build",
        "-q",
        "--wheel",
        "--out-dir",
        base / "dist",
        base / "tree",
        cwd=base,
    )
    return next((base / "dist").glob("*.whl"))


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel and its dependencies, without this checkout."""

    python: Path

    def inv(self, bench: Bench, *words: str) -> CommandResult:
        env = {name: value for name, value in bench.environment().items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
        done = subprocess.run(
            [str(self.python.with_name("inv")), *words], cwd=bench.root, env=env, capture_output=True, text=True,
            timeout=900, stdin=subprocess.DEVNULL, check=False,
        )  # fmt: skip
        return CommandResult(done.returncode, done.stdout, done.stderr)

    def ok(self, bench: Bench, *words: str) -> CommandResult:
        ran = self.inv(bench, *words)
        assert ran.code == 0, f"inv {' '.join(words)} ended with {ran.code}\n{ran.output}"
        return ran


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    base = tmp_path_factory.mktemp("installed")
    uv = Path(sys.executable).with_name("uv")
    run(uv, "venv", "-q", "--python", sys.executable, base / "venv", cwd=base)
    python = base / "venv/bin/python"
    run(uv, "pip", "install", "-q", "--python", python, wheel, cwd=base)
    return Installed(python)


@pytest.fixture
def example(tmp_path: Path, make_bench: Callable[[Path], Bench]) -> Callable[[str], Bench]:
    """Copies an example into a new git repository."""

    def copy(name: str) -> Bench:
        root = tmp_path / name
        shutil.copytree(EXAMPLES / name, root, ignore=shutil.ignore_patterns("__pycache__"))
        git("init", "-q", "-b", "main", cwd=root)
        git("add", "-A", cwd=root)
        git("commit", "-qm", "A project", cwd=root)
        return make_bench(root)

    return copy


def test_the_wheel_contains_templates_types_and_licence(wheel: Path) -> None:
    names = set(zipfile.ZipFile(wheel).namelist())
    for file in (REPOSITORY / "odpm_tasks/templates").iterdir():
        if file.is_file():
            assert f"odpm_tasks/templates/{file.name}" in names
    assert "odpm_tasks/py.typed" in names
    assert any(name.endswith("LICENSE") for name in names)
    assert not [name for name in names if not name.startswith(("odpm_tasks/", "odpm_tasks-5"))]


def test_the_pinned_packages_install_on_the_oldest_python(tmp_path: Path) -> None:
    """Debian 12 has 3.11.2: a pin that needs a later 3.11 ends the first command of the README."""
    words = ("--python-version", "3.11.0", "--only-binary", ":all:", "-q", "-o", tmp_path / "resolved.txt")
    pins = [REPOSITORY / name for name in ("requirements.txt", "tests/requirements.txt")]
    run(Path(sys.executable).with_name("uv"), "pip", "compile", *pins, *words, cwd=REPOSITORY)
    assert "soupsieve==" in (tmp_path / "resolved.txt").read_text(encoding="utf-8")


def test_the_installed_package_is_imported(installed: Installed, tmp_path: Path) -> None:
    out = run(
        installed.python, "-c", "import odpm_tasks; print(odpm_tasks.__file__, odpm_tasks.__version__)", cwd=tmp_path
    )
    assert out.startswith(str(installed.python.parents[1]))
    assert out.split()[1] == "5.0.0"


@pytest.mark.docker
def test_the_shortest_project_lists_its_tasks_and_starts(
    installed: Installed, example: Callable[[str], Bench], engine: None
) -> None:
    bench = example("shortest")
    listed = installed.ok(bench, "--list").out
    assert {line.split()[0] for line in listed.splitlines() if re.match(r"  \S", line)} == set(TASKS)
    ran = installed.ok(bench, "up")
    assert ran.out.splitlines()[0] == f"http://localhost:{bench.env['ODOO_PORT']}/web/login?db=shortest"
    assert get(f"http://localhost:{bench.env['ODOO_PORT']}/web/login")[0] == 200
    assert get(f"http://localhost:{bench.env['ODOO_PORT']}/hello") == (200, "Hello from shortest")
    changed = git("status", "--porcelain", "--untracked-files=all", cwd=bench.root).splitlines()
    locks = ("deps.lock.json", "requirements.lock", "requirements.developer.lock", ".gitignore")
    assert sorted(changed) == sorted(f"?? .odpm/{name}" for name in locks)
    bench.remove()


@pytest.mark.docker
def test_a_task_of_the_project_runs_its_step_between_render_and_up(
    installed: Installed, example: Callable[[str], Bench], engine: None
) -> None:
    bench = example("own-task")
    listed = installed.ok(bench, "--list").out
    assert re.search(r"^  fresh +Render, check the licences, then start the stack\.", listed, re.MULTILINE)

    # a step that refuses ends the task after `render` and before `up`
    tasks = bench.root / "tasks.py"
    text = tasks.read_text(encoding="utf-8")
    tasks.write_text(text.replace('"OPL-1"', '"LGPL-3"'), encoding="utf-8")
    refused = installed.inv(bench, "fresh")
    assert refused.code == 1
    assert re.search(r"^proprietary: .*web_responsive", refused.err, re.MULTILINE)
    assert "Traceback" not in refused.output
    assert (bench.root / "docker-compose.yml").exists()
    assert not bench.containers()


@pytest.mark.long
@pytest.mark.docker
def test_an_own_task_made_of_ours_brings_the_stack_up(
    installed: Installed, example: Callable[[str], Bench], engine: None
) -> None:
    bench = example("own-task")
    installed.ok(bench, "fresh")
    status, page = get(f"http://localhost:{bench.env['ODOO_PORT']}/notes")
    assert status == 200
    assert "web_responsive: LGPL-3" in page.splitlines()
    again = installed.ok(bench, "fresh")
    assert again.err.count("nothing to do") == 2
    bench.remove()


def test_byte_code_is_kept_for_the_library_and_not_for_the_project(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "tasks.py").write_text("from odpm_tasks import collection\n\nns = collection()\n", encoding="utf-8")
    shutil.copy(REPOSITORY / "odpm.json", root)
    kept = {"PYTHONPYCACHEPREFIX": str(tmp_path / "bytecode"), "PYTHONDONTWRITEBYTECODE": ""}
    Bench(root, kept).ok("validate")
    written = list((tmp_path / "bytecode").rglob("*.pyc"))
    assert any(path.match("odpm_tasks/project.*.pyc") for path in written)
    assert not any(path.match("project/*.pyc") for path in written)
    shutil.rmtree(tmp_path / "bytecode")
    Bench(root, {**kept, "PYTHONDONTWRITEBYTECODE": "1"}).ok("validate")
    assert not (tmp_path / "bytecode").exists()
