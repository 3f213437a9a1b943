"""An OpenSSH server on loopback with its own keys and configuration, from the Debian package if none is installed.

The package is unpacked to `sshd/` in the cache and not installed. As root, the account `sshd` and the folder `/run/sshd`,
which the package would create, are created if missing.
"""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from odpm_tasks.errors import MachineError
from tests.ports import claim_port
from tests.standins.common import Apt, install_folder, is_debian, locked, os_release, root, run, scratch, unpack

PACKAGES = ("openssh-server", "libwrap0")
EMPTY = Path("/run/sshd")


def ensure_sshd() -> list[str]:
    """The command that starts sshd: installed, otherwise unpacked in the cache. Errors: MachineError."""
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin")
    if found:
        _account()
        return [found]
    if not is_debian():
        raise MachineError("sshd is not installed", todo="install OpenSSH's server")
    unpacked = root() / "sshd"
    with locked("sshd"):
        if not (unpacked / "usr/sbin/sshd").exists():
            with scratch() as work:
                debs = Apt(os_release().get("VERSION_CODENAME", "stable")).download(PACKAGES, work / "debs")
                unpack(debs, work / "root")
                install_folder(work / "root", unpacked)
        _account()
    libraries = ":".join(
        str(folder) for folder in (*unpacked.glob("usr/lib/*-linux-gnu"), *unpacked.glob("lib/*-linux-gnu"))
    )
    return ["env", f"LD_LIBRARY_PATH={libraries}", str(unpacked / "usr/sbin/sshd")]


def _account() -> None:
    """Create the account for privilege separation, which sshd needs only as root."""
    if os.geteuid() != 0:
        return
    EMPTY.mkdir(mode=0o755, exist_ok=True)
    try:
        pwd.getpwnam("sshd")
    except KeyError:
        run("useradd", "--system", "--no-create-home", "--home-dir", EMPTY, "--shell", "/usr/sbin/nologin", "sshd")


def make_key(path: Path, passphrase: str = "") -> Path:
    """A key pair: `path` and `path`.pub."""
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", path.name, "-f", path)
    return path


class SshServer:
    """`with SshServer(folder) as server: git clone server.url(PATH)`, as the current user, with `server.key` only.

    The keys, `known_hosts` and the configuration are written to `folder`; `log` is the log file of the server.
    `environment`: of its sessions. `host`: the address that it listens at. `within`: words that start it elsewhere, for example in
    another network namespace.
    """

    def __init__(
        self,
        folder: Path,
        environment: Mapping[str, str] | None = None,
        host: str = "127.0.0.1",
        within: Sequence[str] = (),
    ) -> None:
        self.folder, self._environment, self.host, self._within = folder, environment or {}, host, within
        self._process: subprocess.Popen[bytes] | None = None
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.user = getpass.getuser()
        self.key = make_key(folder / "key")
        self.host_key = make_key(folder / "host_key")
        self.log = folder / "log"
        self.port = claim_port()
        public = (folder / "host_key.pub").read_text(encoding="ascii").split()
        self.known_hosts = folder / "known_hosts"
        self.known_hosts.write_text(f"[{host}]:{self.port} {public[0]} {public[1]}\n", encoding="ascii")

    def url(self, path: Path | str) -> str:
        return f"ssh://{self.user}@{self.host}:{self.port}{path}"

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def client(self, folder: Path) -> Path:
        """A folder for PATH with an `ssh` that has the settings of a user who may log in here."""
        folder.mkdir(parents=True, exist_ok=True)
        config = folder / "ssh_config"
        config.write_text(
            f"Host {self.host}\n  IdentityFile {self.key}\n  IdentitiesOnly yes\n  UserKnownHostsFile {self.known_hosts}\n"
            "  StrictHostKeyChecking yes\n  BatchMode yes\n",
            encoding="utf-8",
        )
        program = folder / "ssh"
        program.write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {config} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
        return folder

    def cut_off(self) -> None:
        """End the server and every connection at once, as where the machine loses its network. `with` starts it again."""
        assert self._process is not None
        found = [self._process.pid]
        for pid in found:
            with suppress(OSError):
                found += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split())
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def __enter__(self) -> Self:
        settings = {
            "ListenAddress": f"{self.host}:{self.port}",
            "HostKey": self.host_key,
            "AuthorizedKeysFile": f"{self.key}.pub",
            "PidFile": "none",
            "StrictModes": "no",
            "PermitRootLogin": "yes",
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "UsePAM": "no",
            "AcceptEnv": "GIT_PROTOCOL",
            "Subsystem": "sftp internal-sftp",
            "LogLevel": "VERBOSE",
        }
        if self._environment:
            settings["SetEnv"] = " ".join(f'"{name}={value}"' for name, value in self._environment.items())
        config = self.folder / "sshd_config"
        config.write_text("".join(f"{key} {value}\n" for key, value in settings.items()), encoding="utf-8")
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [*self._within, *ensure_sshd(), "-D", "-e", "-f", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        deadline = time.monotonic() + 20
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__(None, None, None)
                raise MachineError(
                    "sshd does not start", details=self.log.read_text(encoding="utf-8").splitlines()[-5:]
                )
            time.sleep(0.05)
        return self

    def _answers(self) -> bool:
        try:
            with socket.create_connection((self.host, self.port), 5) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(20)
