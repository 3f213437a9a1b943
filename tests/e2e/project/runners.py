"""Fixtures of a runner of a CI: a bare Python, and the distribution of this tree that it installs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.harness import REPOSITORY


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of a bare Python, as a runner has it: pip, and nothing of ours."""
    folder = tmp_path_factory.mktemp("python")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "venv", "-q", "--seed", "--python", sys.executable, folder / "venv"], check=True)
    return folder / "venv/bin"


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `ODPM_TASKS` may be: the distribution of this tree, built from a copy."""
    base = tmp_path_factory.mktemp("wheel")
    shutil.copytree(REPOSITORY / "odpm_tasks", base / "tree/odpm_tasks", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(REPOSITORY / name, base / "tree")
    uv = Path(sys.executable).with_name("uv")
    subprocess.run([uv, "build", "-q", "--wheel", "--out-dir", base / "dist", base / "tree"], check=True)
    return next((base / "dist").glob("*.whl"))
