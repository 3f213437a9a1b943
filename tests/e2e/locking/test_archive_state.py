"""The state of the Debian archive in the lock: queried from a mirror, kept, moved by an update. No test needs Docker."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from tests.e2e.failures import Workspace, failure
from tests.standins.archive import DebianArchive, State

pytest_plugins = ["tests.e2e.workspaces"]

FIRST = State("2026-01-01T01:02:03Z", "2026-01-01T04:05:06Z", {})
SECOND = State("2026-02-01T01:02:03Z", "2026-02-03T04:05:06Z", {})


def system(state: State) -> dict[str, str]:
    return {"release": "bookworm", "archive": state.time, "security": state.security_time}


@pytest.fixture
def archive(workspace: Workspace) -> Iterator[DebianArchive]:
    """The archive at its first state; it is the mirror of the workspace."""
    with DebianArchive() as started:
        started.publish(FIRST)
        workspace.bench.env["ODPM_APT_MIRROR"] = started.mirror
        yield started


def test_the_state_is_locked_and_moves_with_update_only(workspace: Workspace, archive: DebianArchive) -> None:
    bench = workspace.bench
    assert f"Debian bookworm {FIRST.time}, security {FIRST.security_time}" in bench.ok("lock").out
    assert workspace.lock()["system"] == system(FIRST)
    bench.ok("lock", "--check")
    archive.publish(SECOND)
    for words in (("lock",), ("lock", "--update", "--only", "web"), ("render",)):
        bench.ok(*words)
        assert workspace.lock()["system"] == system(FIRST)
    assert f"archive {FIRST.time}\nsecurity {FIRST.security_time}\n" in dockerfile(workspace)
    assert SECOND.time in bench.ok("lock", "--update").out
    assert workspace.lock()["system"] == system(SECOND)
    # without a security archive; another release, which the mirror does not have
    bench.env["ODPM_APT_MIRROR"] = archive.mirror.split()[0]
    bench.ok("lock", "--update")
    assert workspace.lock()["system"] == {"release": "bookworm", "archive": SECOND.time}
    workspace.describe(distro={"name": "debian", "version": "13"}, python="3.13")
    assert "drop Debian bookworm" in bench.ok("lock").out
    assert "system" not in workspace.lock()


def dockerfile(workspace: Workspace) -> str:
    return (workspace.root / ".odpm/build/Dockerfile").read_text(encoding="utf-8")


def test_a_mirror_that_does_not_answer_changes_nothing(workspace: Workspace, archive: DebianArchive) -> None:
    workspace.bench.ok("lock")
    workspace.bench.env["ODPM_APT_MIRROR"] = "http://127.0.0.1:9/debian"
    workspace.bench.ok("lock", "--update")
    assert workspace.lock()["system"] == system(FIRST)


def test_without_a_mirror_there_is_a_lock_without_a_state(workspace: Workspace) -> None:
    workspace.bench.ok("lock")
    assert "system" not in workspace.lock()
    workspace.bench.ok("lock", "--check")
    workspace.bench.ok("render", ODPM_SCENARIO="server")
    assert "AS archive" not in dockerfile(workspace)


def test_a_silent_mirror_does_not_stop_a_lock(workspace_locked: Workspace) -> None:
    """It accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        workspace_locked.bench.ok("lock", ODPM_APT_MIRROR=f"http://127.0.0.1:{silent.getsockname()[1]}/debian")
    assert "system" not in workspace_locked.lock()


def test_an_invalid_state_is_reported(workspace_locked: Workspace) -> None:
    path = workspace_locked.root / ".odpm/deps.lock.json"
    data = workspace_locked.lock() | {"system": {"release": "bookworm", "archive": "yesterday"}}
    path.write_text(json.dumps(data), encoding="utf-8")
    failure(workspace_locked.bench.inv("plan"), 3, "system.archive")
    path.write_text(json.dumps(data | {"system": system(FIRST) | {"later": 1}}), encoding="utf-8")
    workspace_locked.bench.ok("lock")
    assert workspace_locked.lock()["system"]["later"] == 1


def test_invalid_settings_are_refused(workspace_locked: Workspace) -> None:
    failure(workspace_locked.bench.inv("lock", "--update", ODPM_APT_MIRROR="mirror"), 4, "ODPM_APT_MIRROR")
