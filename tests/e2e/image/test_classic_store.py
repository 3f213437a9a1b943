"""An engine with the classic image store: unsupported options give an error with the setting to change."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import Workspace, failure
from tests.e2e.harness import eventually
from tests.standins import engine as engines

pytest_plugins = ["tests.e2e.workspaces"]
pytestmark = pytest.mark.docker


@pytest.fixture
def classic(engine: None) -> Iterator[str]:
    """A second engine without networks and images; its address."""
    unpacked = engines.home() / "root/usr"
    path = os.pathsep.join([str(unpacked / "sbin"), str(unpacked / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"])
    program = shutil.which("dockerd", path=path)
    assert program, "the engine's own program"
    with tempfile.TemporaryDirectory(
        prefix="odpm-"
    ) as paths:  # short, because the paths of its sockets are limited in length
        settings = Path(paths, "daemon.json")
        settings.write_text("{}", encoding="utf-8")
        address = f"unix://{paths}/socket"
        # in a separate network namespace, because an engine without a bridge removes an existing one; in a separate mount
        # namespace, so that its mounts are removed at the end
        words = ["unshare", "--net", "--mount", program, f"--config-file={settings}", f"--host={address}"]
        words += ["--bridge=none", "--iptables=false", "--ip6tables=false", f"--pidfile={paths}/pid"]
        words += [f"--data-root={paths}/data", f"--exec-root={paths}/exec"]
        with Path(paths, "log").open("wb") as log:
            process = subprocess.Popen(
                words, env={**os.environ, "PATH": path}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            eventually(lambda: answers(address) or process.poll() is not None, 60)
            assert process.poll() is None, Path(paths, "log").read_text(encoding="utf-8")
            yield address
        finally:
            process.terminate()
            process.wait(60)


def answers(address: str) -> bool:
    return not subprocess.run(["docker", "--host", address, "version"], capture_output=True, check=False).returncode


def test_unsupported_options_are_refused_before_the_build(workspace_locked: Workspace, classic: str) -> None:
    for words in (
        ("--platform", "linux/amd64,linux/arm64"),
        ("--cache-to", f"type=local,dest={workspace_locked.folder}/layers"),
        ("--cache-to", "type=registry,ref=127.0.0.1:9/cache"),
    ):
        failure(
            workspace_locked.bench.inv("build-image", *words, DOCKER_HOST=classic, ODPM_SCENARIO="ci"),
            8,
            "classic image store",
            "containerd-snapshotter",
        )
