"""Style, types and layers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHECKS = ("ruff check -q .", "ruff format -q --check .", "mypy --no-error-summary", "lint-imports --no-logo")


@pytest.mark.parametrize("check", CHECKS)
def test_style_types_and_layers(check: str) -> None:
    program, *words = check.split()
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *words],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
