"""Unusual environments: closed and full output, encodings without some characters."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.e2e.failures import Workspace

pytest_plugins = ["tests.e2e.workspaces"]
FULL = """\
odpm: cannot write the output: No space left on device
  where: standard output
  next:  check the file or device that the output goes to, then run the same command again
"""


def shell(workspace: Workspace, redirect: str, **env: str) -> tuple[int, str, str]:
    """Exit code, standard output, standard error of `inv plan` with a redirection."""
    ran = subprocess.run(
        ["sh", "-c", f'"$0" -m invoke plan {redirect}', sys.executable],
        cwd=workspace.root, env=workspace.bench.environment(env),
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    return ran.returncode, ran.stdout, ran.stderr


@pytest.mark.parametrize(("redirect", "code", "err"), [(">&-", 0, ""), (">/dev/full", 5, FULL), ("2>/dev/full", 0, "")])
def test_closed_and_full_output(workspace: Workspace, redirect: str, code: int, err: str) -> None:
    found, out, got = shell(workspace, redirect)
    assert (found, got) == (code, err)
    assert ("pin odoo" in out) == redirect.startswith("2")


def test_an_encoding_without_some_characters(workspace: Workspace) -> None:
    code, out, err = shell(workspace, "", PYTHONIOENCODING="latin-1")
    assert (code, err) == (0, "")
    assert "git.materialize ? git.lock_verify" in out
