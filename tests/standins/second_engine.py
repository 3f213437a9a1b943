"""A second Docker engine in a network namespace of its own, behind an sshd there: the machine of a target.

Program, kernel and file system are those of this machine; engine, images, containers, addresses, ports and firewall are its own. A
pair of virtual devices connects it with this machine and with nothing else.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from odpm_tasks.errors import MachineError
from tests.ports import claim_port
from tests.standins import engine
from tests.standins.common import run
from tests.standins.sshd import SshServer

_HERE, _THERE = "10.213", "10.214"  # the two ends; the rest of an address is the number of this machine


class SecondEngine:
    """`with SecondEngine(folder) as machine: docker --host machine.url`, as root on Linux.

    `here`, `there`: the addresses of this machine and of the other one.
    """

    def __init__(self, folder: Path) -> None:
        number = claim_port()  # claimed by this process: no other one has these names and addresses
        self.name = f"odpm-{number}"
        self._devices = f"odpm{number}a", f"odpm{number}b"
        self.here, self.there = (f"{network}.{number >> 8}.{number & 255}" for network in (_HERE, _THERE))
        self.folder = folder
        self._state = Path(tempfile.mkdtemp(prefix="odpm-engine-", dir="/var/tmp"))
        self.socket = self._state / "docker.sock"
        self._process: subprocess.Popen[bytes] | None = None
        self.ssh = SshServer(folder, {"DOCKER_HOST": f"unix://{self.socket}"}, self.there, within=self.within)

    @property
    def within(self) -> tuple[str, ...]:
        """The words that start a program in the network of the machine."""
        return ("nsenter", f"--net=/run/netns/{self.name}")

    @property
    def url(self) -> str:
        """The machine as `host` of a target."""
        return self.ssh.url("")

    def docker(self, *words: str) -> str:
        return run("docker", "--host", f"unix://{self.socket}", *words)

    def disconnect(self) -> None:
        """Take the machine off every network; containers there reach each other."""
        run("ip", "-netns", self.name, "link", "delete", self._devices[1])

    def load(self, *images: str) -> None:
        """Copy images of this machine's engine to the other one."""
        with subprocess.Popen(["docker", "save", *images], stdout=subprocess.PIPE) as saved:
            words = ["docker", "--host", f"unix://{self.socket}", "load", "--quiet"]
            subprocess.run(words, stdin=saved.stdout, check=True, capture_output=True)
        if saved.returncode:
            raise MachineError(f"docker save {' '.join(images)} failed")

    @contextmanager
    def reaching(self, port: int) -> Iterator[None]:
        """A port of this machine's loopback is one of the other machine, too: that of a registry. By ssh, which reaches nothing else."""
        here = f"127.0.0.1:{port}"
        options = ["-i", str(self.ssh.key), "-o", f"UserKnownHostsFile={self.ssh.known_hosts}", "-o", "BatchMode=yes"]
        place = ["-p", str(self.ssh.port), f"{self.ssh.user}@{self.there}"]
        words = ["ssh", "-N", *options, "-o", "ExitOnForwardFailure=yes", "-R", f"{here}:{here}", *place]
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as forward:
            try:
                deadline = time.monotonic() + 20
                while not engine.ask(*self.within, "bash", "-c", f"echo >/dev/tcp/127.0.0.1/{port} && echo open"):
                    if forward.poll() is not None or time.monotonic() > deadline:
                        raise MachineError(f"port {port} is not forwarded to the second engine")
                    time.sleep(0.1)
                yield
            finally:
                forward.terminate()

    def __enter__(self) -> Self:
        try:
            self._connect()
            self._start()
            self.ssh.__enter__()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def _connect(self) -> None:
        outer, inner = self._devices
        run("ip", "netns", "add", self.name)
        run("ip", "link", "add", outer, "type", "veth", "peer", "name", inner, "netns", self.name)
        run("ip", "address", "add", self.here, "peer", self.there, "dev", outer)
        run("ip", "link", "set", outer, "up")
        for words in (
            ("address", "add", self.there, "peer", self.here, "dev", inner),
            ("link", "set", inner, "up"),
            ("link", "set", "lo", "up"),
        ):
            run("ip", "-netns", self.name, *words)

    def _start(self) -> None:
        unpacked = engine.home() / "root"
        program = shutil.which("dockerd") or str(unpacked / "usr/sbin/dockerd")
        env = {name: value for name, value in os.environ.items() if not name.startswith("DOCKER_")}
        env["PATH"] = f"{unpacked}/usr/sbin:{unpacked}/usr/bin:{env.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        options = {
            "--config-file": self._state / "daemon.json",
            "--host": f"unix://{self.socket}",
            "--data-root": self._state / "data",
            "--exec-root": self._state / "exec",
            "--pidfile": self._state / "pid",
            "--containerd-namespace": self.name,
            "--containerd-plugins-namespace": f"{self.name}-plugins",
        }
        (self._state / "daemon.json").write_text(
            '{"features": {"containerd-snapshotter": true}, "default-address-pools": [{"base": "172.16.0.0/12", "size": 24}]}',
            encoding="utf-8",
        )
        words = [program, *(f"{name}={value}" for name, value in options.items())]
        log = self._state / "log"
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [*self.within, *words], stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env
            )
        deadline = time.monotonic() + 60
        while not engine.ask("docker", "--host", f"unix://{self.socket}", "version", "--format", "{{.Server.Version}}"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
                raise MachineError("the second engine does not start", details=lines)
            time.sleep(0.1)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process and self._process.poll() is None:
            with suppress(Exception):
                if found := self.docker("ps", "--all", "--quiet").split():
                    self.docker("rm", "--force", *found)
        self.ssh.__exit__(kind, error, trace)
        if self._process:
            self._process.terminate()
            self._process.wait(60)
        for words in (("netns", "delete", self.name), ("link", "delete", self._devices[0])):
            subprocess.run(["ip", *words], capture_output=True, check=False)
        for namespace in (self._state / "exec/netns").glob("*"):  # the engine leaves its own mounted
            subprocess.run(["umount", namespace], capture_output=True, check=False)
        shutil.rmtree(self._state, ignore_errors=True)
