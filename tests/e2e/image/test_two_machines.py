"""Two machines build one lock: the same digests. The second machine has an engine without images and cache, another user, umask, time
zone, locale and folder."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.harness import docker, eventually, git
from tests.standins import engine as engines

if TYPE_CHECKING:
    from tests.e2e.image.archive_shop import Shop

pytest_plugins = ["tests.e2e.workspaces", "tests.e2e.image.archive_shop"]
pytestmark = [
    pytest.mark.docker,
    pytest.mark.long,
    pytest.mark.skipif(os.geteuid() != 0, reason="starts an engine, needs root"),
    pytest.mark.skipif(not all(map(shutil.which, ("ip", "setpriv"))), reason="needs ip and setpriv"),
]

UID = 54321
BRIDGE = "odpm-second"
ELSEWHERE = {"TZ": "Asia/Kathmandu", "LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "USER": "somebody"}


@dataclass(frozen=True)
class Machine:
    """The second machine: the address of its engine, and a folder of its user."""

    address: str
    folder: Path

    def docker(self, *words: str) -> str:
        return docker("--host", self.address, *words)

    def inv(self, root: Path, *words: str, **env: str) -> str:
        """Run a task as the user of this machine; its standard output."""
        own = {"DOCKER_HOST": self.address, "HOME": str(self.folder / "home"), **ELSEWHERE}
        settings = {"ODPM_CACHE_DIR": str(self.folder / "cache"), "UV_CACHE_DIR": str(self.folder / "uv")}
        user = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
        # the Python of the tests may be in a folder that only root may read
        user += [
            "--inh-caps=+dac_read_search",
            "--ambient-caps=+dac_read_search",
            "sh",
            "-c",
            'umask 077; exec "$@"',
            "-",
        ]
        done = subprocess.run(
            [*user, sys.executable, "-m", "invoke", *words], cwd=root, env={**env, **own, **settings},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()


@pytest.fixture
def second(engine: None) -> Iterator[Machine]:
    """A second engine with its own data, on a bridge of its own: an engine without a bridge would remove that of the first."""
    unpacked = engines.home() / "root/usr"
    path = os.pathsep.join([str(unpacked / "sbin"), str(unpacked / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"])
    program = shutil.which("dockerd", path=path)
    assert program, "the engine's own program"
    with tempfile.TemporaryDirectory(prefix="odpm-") as name:  # short: the paths of sockets are limited in length
        folder = Path(name)
        folder.chmod(0o755)
        settings = folder / "daemon.json"
        settings.write_text(json.dumps({"features": {"containerd-snapshotter": True}}), encoding="utf-8")
        address = f"unix://{folder}/socket"
        subprocess.run(["ip", "link", "add", BRIDGE, "type", "bridge"], check=True)
        subprocess.run(["ip", "address", "add", "192.0.2.1/24", "dev", BRIDGE], check=True)
        words = ["unshare", "--mount", program, f"--config-file={settings}", f"--host={address}", f"--bridge={BRIDGE}"]
        words += ["--iptables=false", "--ip6tables=false", f"--pidfile={folder}/pid"]
        words += [f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(
                words, env={**os.environ, "PATH": path}, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        try:
            eventually(lambda: answers(address) or process.poll() is not None, 120)
            assert process.poll() is None, (folder / "log").read_text(encoding="utf-8")
            (folder / "socket").chmod(0o666)
            yield Machine(address, folder)
        finally:
            process.terminate()
            process.wait(120)
            subprocess.run(["ip", "link", "delete", BRIDGE], check=False)


def answers(address: str) -> bool:
    return not subprocess.run(["docker", "--host", address, "version"], capture_output=True, check=False).returncode


def clone(shop: Shop, machine: Machine) -> tuple[Path, dict[str, str]]:
    """The project in a folder with another name, without a remote, and the settings for it; all files belong to the other user."""
    workspace, root = shop.workspace, machine.folder / "Elsewhere"
    git("clone", "-q", str(workspace.root), str(root), cwd=machine.folder)
    git("remote", "remove", "origin", cwd=root)
    shutil.copytree(workspace.host, machine.folder / "host")
    (machine.folder / "home").mkdir()
    for folder in (root, machine.folder / "host", machine.folder / "home"):
        for path in (folder, *folder.rglob("*")):
            os.chown(path, UID, UID, follow_symlinks=False)
    for name in ("cache", "uv"):
        (machine.folder / name).mkdir()
        os.chown(machine.folder / name, UID, UID)
    env = workspace.bench.environment()
    return root, {key: value.replace(str(workspace.host), str(machine.folder / "host")) for key, value in env.items()}


def test_two_machines_build_the_same_images(shop: Shop, second: Machine, tmp_path: Path) -> None:
    root, env = clone(shop, second)
    name = f"{shop.workspace.bench.prefix}-second"
    environment = shop.workspace.bench.ok("build", ODPM_SCENARIO="server").out.strip()
    built = second.inv(root, "build-image", "--tag", f"{name}:1", **env)
    assert built == f"{name}:1@{shop.first}"
    assert second.inv(root, "build", **{**env, "ODPM_SCENARIO": "server"}) == environment
    digests = [
        docker(*where, "image", "inspect", "--format", "{{.Id}}", environment)
        for where in ((), ("--host", second.address))
    ]
    assert digests[0] == digests[1]
    archive = tmp_path / "image.tar"
    second.docker("save", "--output", str(archive), f"{name}:1")
    docker("load", "--quiet", "--input", str(archive))
    try:
        compared = json.loads(
            shop.workspace.bench.ok("parity", "--image", shop.tag, "--image", f"{name}:1", "--format", "json").out
        )
        assert compared["equal"] is True
        assert compared["differences"] == []
    finally:
        docker("image", "rm", "--force", f"{name}:1")
