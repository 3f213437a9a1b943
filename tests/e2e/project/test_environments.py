"""Unusual environments: closed and full output, encodings without some characters, a cache of another user."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.e2e.failures import Workspace, failure
from tests.e2e.harness import CommandResult, snapshot

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


@pytest.mark.parametrize("task", ["invoke --list", "invoke --help up", "odpm_tasks --list"])
def test_full_and_closed_output_of_invoke_itself(workspace: Workspace, task: str) -> None:
    for redirect, code, err in ((">/dev/full", 5, FULL), (">&-", 0, ""), ("| true", 0, "")):
        ran = subprocess.run(
            ["sh", "-c", f'"$0" -m {task} {redirect}', sys.executable],
            cwd=workspace.root, env=workspace.bench.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (code, err)


def test_an_encoding_without_some_characters(workspace: Workspace) -> None:
    code, out, err = shell(workspace, "", PYTHONIOENCODING="latin-1")
    assert (code, err) == (0, "")
    assert "git.materialize ? git.lock_verify" in out


@pytest.mark.parametrize("owner", ["me", "nobody"])
def test_a_cache_that_cannot_be_used(workspace_ready: Workspace, owner: str) -> None:
    """Nothing is written into it; what only reads says so, too, where git does not read the folders of another user."""
    if os.geteuid() != 0 or not shutil.which("setpriv"):
        pytest.skip("needs root, and setpriv to give up root's access to all files")
    cache = workspace_ready.cache
    change = ["chmod", "-R", "a-w"] if owner == "me" else ["chown", "-R", "65534:65534"]
    subprocess.run([*change, cache], check=True)
    shutil.rmtree(workspace_ready.source("web"))
    before = snapshot(cache)

    def inv(*words: str) -> CommandResult:
        dropped = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown"]
        ran = subprocess.run(
            [*dropped, sys.executable, "-m", "invoke", *words],
            cwd=workspace_ready.root, env=workspace_ready.bench.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        return CommandResult(ran.returncode, ran.stdout, ran.stderr)

    fix = "chmod -R u+rwX" if owner == "me" else "sudo chown -R root"
    for words in (("render",), ("lock", "--update")):
        failure(inv(*words), 8, "the cache cannot be written", f"{fix} {cache}; or choose", "ODPM_CACHE_DIR=")
    assert inv("plan").code == inv("sources.status").code == 0
    assert before.changed(cache) == []
