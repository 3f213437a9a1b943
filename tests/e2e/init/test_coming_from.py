"""docs/coming-from.md: every command of a section succeeds in a copy of the golden input of that section."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.failures import IDENTITY
from tests.e2e.harness import REPOSITORY, Bench, git, inv_programs
from tests.unit.docs.pages import Page
from tests.unit.init.projects import copied

PAGE = Page(REPOSITORY / "docs/coming-from.md")
GOLDEN = REPOSITORY / "tests/golden"
# heading -> folder below tests/golden whose `input` is the project of the other tool
CASES = {
    "odpm 4": "migrate/odpm4",
    "doodba": "convert/doodba",
    "git-aggregator": "convert/aggregator",
    "odoo-devops-tools": "convert/ini-include",
    "Git submodules (Odoo.sh, camptocamp)": "convert/submodules-camptocamp",
    "A Compose project": "convert/compose",
    "click-odoo and pip": "convert/pip",
}


def commands(heading: str) -> list[str]:
    """The lines after the prompts in the console blocks of a section."""
    section = PAGE.section(f"## {heading}")
    blocks = [block for block in PAGE.blocks if block.language == "console" and block.text in section]
    return [line.removeprefix("$ ") for block in blocks for line in block.text.splitlines() if line.startswith("$ ")]


def test_every_section_has_a_project_and_commands() -> None:
    headings = [line.removeprefix("## ") for line in PAGE.text.splitlines() if line.startswith("## ")]
    assert headings == list(CASES)
    assert all(commands(heading) for heading in headings)


@pytest.mark.parametrize("heading", CASES)
def test_the_commands_of_a_section_succeed(heading: str, tmp_path: Path) -> None:
    case, root = GOLDEN / CASES[heading], tmp_path / "shop"
    (tmp_path / "home").mkdir()
    copied(case, root)
    if not (root / ".git").exists():
        git("init", "-q", "-b", "main", cwd=root)
        git("add", "-A", cwd=root)
        git("commit", "-qm", "The project of the other tool", cwd=root)
    bench = Bench(root, {"HOME": str(tmp_path / "home"), "ODPM_CACHE_DIR": str(tmp_path / "cache")})
    path = f"{inv_programs()}{os.pathsep}{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = "set -e\n" + "\n".join(commands(heading))
    done = subprocess.run(
        ["sh", "-xc", script], cwd=root, env=bench.environment({"PATH": path, **IDENTITY}), capture_output=True,
        text=True, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert "odpm.json is valid" in done.stdout
