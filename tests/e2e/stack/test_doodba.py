"""The words of doodba on a running stack: `collection(words="doodba")`, each by the command line that its users type."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.harness import Bench, CommandResult, get

pytestmark = pytest.mark.docker

TASKS = 'from odpm_tasks import collection\n\nns = collection(words="doodba")\n'
HOOKS = """\
repos:
  - repo: local
    hooks:
      - {id: no-tabs, name: no tabs, entry: "\\t", language: pygrep, files: '[.]py$'}
"""
MADE = ("doodba_tasks.py", "__pycache__", ".pre-commit-config.yaml", ".vscode", ".run", "addons/doodba_try")


@pytest.fixture
def used(developer: Bench) -> Iterator[Bench]:
    """The running stack, with a second file of tasks; everything that the words make is removed again."""
    (developer.root / "doodba_tasks.py").write_text(TASKS, encoding="utf-8")
    yield developer
    for name in MADE:
        path = developer.root / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def word(bench: Bench, *words: str, cwd: str = "") -> CommandResult:
    # the program pre-commit is in the environment of the tests
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return bench.inv("-c", "doodba_tasks", *words, cwd=bench.root / cwd, PATH=path)


def done(bench: Bench, *words: str, cwd: str = "") -> CommandResult:
    ran = word(bench, *words, cwd=cwd)
    assert ran.code == 0, f"{' '.join(words)} ended with {ran.code}\n{ran.output}"
    return ran


def test_a_day_with_the_words_of_doodba(used: Bench) -> None:
    state = "SELECT state FROM ir_module_module WHERE name = 'doodba_try'"
    assert len(done(used, "logs", "-c", "db", "-t", "3", "--no-follow").out.splitlines()) == 3
    done(used, "scaffold", "doodba_try", "--path", "addons")
    own = "addons/doodba_try"
    done(used, "install", "--cur-file", f"{own}/__manifest__.py")
    assert used.sql(state, "project") == "installed"
    done(used, "updatepot", "--no-msgmerge", cwd=own)
    assert "Project-Id-Version" in (used.root / own / "i18n/doodba_try.pot").read_text(encoding="utf-8")
    done(used, "uninstall", "-m", "doodba_try", "--yes")
    assert used.sql(state, "project") == "uninstalled"
    done(used, "develop")
    done(used, "write-code-workspace-file")
    assert "debugpy" in (used.root / ".vscode/launch.json").read_text(encoding="utf-8")
    done(used, "stop")
    assert used.containers() == {}
    assert used.url("") in done(used, "start", "restart", "--no-quick").out
    assert get(used.url())[0] == 200


def test_lint_ends_as_the_projects_hooks_do(used: Bench) -> None:
    (used.root / ".pre-commit-config.yaml").write_text(HOOKS, encoding="utf-8")
    assert "no tabs" in done(used, "lint").output
    file = used.root / "addons/stack_info/__init__.py"
    before = file.read_bytes()
    file.write_bytes(before + b"x = [\t1]\n")
    try:
        ran = word(used, "lint")
    finally:
        file.write_bytes(before)
    assert ran.code == 1
    assert "addons/stack_info/__init__.py" in ran.output


def test_outside_of_an_add_on_a_word_says_what_to_name(used: Bench) -> None:
    ran = word(used, "install")
    assert ran.code == 1
    assert "this is not in a folder of an add-on" in ran.err
    assert "name it: -m NAME,NAME" in ran.err
