"""An engine that keeps images in its own store, not in containerd's: what it refuses is told with the setting to change."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.failures import Ground, failure
from tests.e2e.harness import eventually
from tests.standins import engine as engines

pytest_plugins = ["tests.e2e.grounds"]
pytestmark = pytest.mark.docker


@pytest.fixture
def classic(engine: None, tmp_path: Path) -> Iterator[str]:
    """A second engine, without networks and without images; its address."""
    unpacked = engines.home() / "root/usr"
    path = os.pathsep.join([str(unpacked / "sbin"), str(unpacked / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"])
    program = shutil.which("dockerd", path=path)
    assert program, "the engine's own program"
    (tmp_path / "daemon.json").write_text("{}", encoding="utf-8")
    address = f"unix://{tmp_path}/socket"
    # in a network of its own: an engine that starts without a bridge takes away the one that it finds
    words = [
        "unshare",
        "--net",
        program,
        "--config-file",
        str(tmp_path / "daemon.json"),
        "--host",
        address,
        "--bridge=none",
    ]
    words += ["--iptables=false", "--ip6tables=false", f"--pidfile={tmp_path}/pid"]
    words += [f"--data-root={tmp_path}/data", f"--exec-root={tmp_path}/exec"]
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            words, env={**os.environ, "PATH": path}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
        )
    try:
        asked = ["docker", "--host", address, "version"]
        eventually(lambda: not subprocess.run(asked, capture_output=True, check=False).returncode, 60)
        yield address
    finally:
        process.terminate()
        process.wait(60)


def test_what_it_cannot_do_is_refused_before_anything_is_built(ground_locked: Ground, classic: str) -> None:
    for words in (
        ("--platform", "linux/amd64,linux/arm64"),
        ("--cache-to", f"type=local,dest={ground_locked.folder}/layers"),
        ("--cache-to", "type=registry,ref=127.0.0.1:9/cache"),
    ):
        failure(
            ground_locked.bench.inv("build-image", *words, DOCKER_HOST=classic, ODPM_SCENARIO="ci"),
            8,
            "classic image store",
            "containerd-snapshotter",
        )
