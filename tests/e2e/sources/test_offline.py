"""With lock and cache complete nothing asks the network: seen in a network namespace that has none, not even loopback."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.e2e.failures import FILES, GENERATED, WEB, Workspace
from tests.e2e.harness import Bench, CommandResult

pytest_plugins = ["tests.e2e.workspaces"]
CUT_OFF = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--net"]
pytestmark = pytest.mark.skipif(
    subprocess.run([*CUT_OFF, "true"], capture_output=True, check=False).returncode != 0,
    reason="this machine lets nobody make a network namespace",
)


def offline(bench: Bench, *words: str, **env: str) -> CommandResult:
    """A task in a network namespace of its own. Docker's socket is a file, so the engine answers."""
    argv = [*CUT_OFF, sys.executable, "-m", "invoke", *words]
    done = subprocess.run(
        argv, cwd=bench.root, env=bench.environment(env), capture_output=True, text=True, timeout=600, check=False
    )
    return CommandResult(done.returncode, done.stdout, done.stderr)


def test_the_namespace_has_no_network() -> None:
    """The ground of the other tests: a server on loopback that answers here does not answer there."""
    probe = "import socket; socket.create_connection(('127.0.0.1', 1), 2)"
    cut = subprocess.run([*CUT_OFF, sys.executable, "-c", probe], capture_output=True, text=True, check=False)
    assert "Network is unreachable" in cut.stderr


def test_a_colleagues_clone_is_rendered_from_lock_and_cache(workspace_locked: Workspace) -> None:
    (workspace_locked.root / ".env").write_text(
        "ODPM_GIT_MIRROR=https://git.test/=http://127.0.0.1:9/\n", encoding="utf-8"
    )
    del workspace_locked.bench.env["ODPM_GIT_MIRROR"]
    workspace_locked.bench.ok(
        "render", ODPM_GIT_MIRROR=f"https://git.test/=file://{workspace_locked.host}/"
    )  # fills the cache
    for path in GENERATED[3:]:
        (workspace_locked.root / path).unlink()
    subprocess.run(["rm", "-rf", str(workspace_locked.root / ".odpm/src")], check=True)
    for scenario in ("developer", "server", "ci"):
        ran = offline(workspace_locked.bench, "render", ODPM_SCENARIO=scenario)
        assert ran.code == 0, ran.output
    for words in (
        ("plan", "--strict"),
        ("lock", "--check"),
        ("lock",),
        ("validate",),
        ("lock", "--diff"),
        ("sources.status",),
    ):
        ran = offline(workspace_locked.bench, *words)
        assert ran.code == 0, f"{words}\n{ran.output}"


def test_a_commit_missing_in_the_cache_is_reported(workspace_locked: Workspace) -> None:
    ran = offline(workspace_locked.bench, "render", ODPM_GIT_MIRROR="https://git.test/=http://127.0.0.1:9/")
    assert ran.code == 5, ran.output
    assert "Traceback" not in ran.output
    workspace_locked.publish(WEB, {**FILES[WEB], "README": "new\n"})
    assert offline(workspace_locked.bench, "plan").code == 0
