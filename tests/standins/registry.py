"""A container registry on loopback: Debian's `docker-registry`, unpacked in the cache. Its content is removed at exit."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import bcrypt
import trustme

from odpm_tasks.errors import MachineError
from tests.ports import claim_port
from tests.standins.common import Apt, Say, install_folder, line, locked, root, run, scratch, seconds, unpack

SUITE = "trixie"
PACKAGE = "docker-registry"


def _quiet(text: str) -> None:
    """Discard progress lines."""


def ensure_registry(say: Say = _quiet) -> Path:
    """The registry program: on PATH, otherwise from the Debian package, unpacked in the cache."""
    if found := shutil.which(PACKAGE):
        say(line("registry", f"{found} kept"))
        return Path(found)
    final = root() / "registry"
    program = final / "usr/bin" / PACKAGE
    begun = time.monotonic()
    with locked("registry"):
        if program.exists():
            say(line("registry", "kept"))
            return program
        with scratch() as work:
            unpack(Apt(SUITE).download([PACKAGE], work / "debs"), work / "root")
            run(work / "root/usr/bin" / PACKAGE, "--version")
            install_folder(work / "root", final)
    say(line("registry", f"unpacked from packages ({seconds(begun)})"))
    return program


class Registry:
    """`with Registry() as registry: docker push f"{registry.address}/name:tag"`.

    It listens on a free port of loopback, which Docker accepts without TLS, and stores images in a temporary folder.
    `login`: user and password; the registry then uses TLS with its own certificate.
    """

    def __init__(self, say: Say = _quiet, login: tuple[str, str] | None = None) -> None:
        self._program = ensure_registry(say)
        self._login = login
        self._folder: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self.address = ""

    def __enter__(self) -> Self:
        self.address = f"127.0.0.1:{claim_port()}"
        base = root() / "tmp"
        base.mkdir(exist_ok=True)
        self._folder = Path(tempfile.mkdtemp(prefix="work-registry-", dir=base))
        config: dict[str, Any] = {  # JSON is YAML
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self._folder / "data")}, "delete": {"enabled": True}},
            "http": {"addr": self.address},
        }
        if self._login:
            config["http"]["tls"] = self._certificate(self._folder)
            config["auth"] = {"htpasswd": {"realm": "registry", "path": str(self._passwords(self._folder))}}
        file = self._folder / "config.yml"
        file.write_text(json.dumps(config), encoding="utf-8")
        with (self._folder / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [self._program, "serve", file], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        for _ in range(200):
            if self.get("/v2/") is not None:
                return self
            if self._process.poll() is not None:
                break
            time.sleep(0.05)
        output = (self._folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()[-8:]
        self.__exit__(None, None, None)
        raise MachineError("the registry does not start", details=output)

    def get(self, path: str, kind: str = "") -> bytes | None:
        """The body of a GET with this Accept header; None if the request fails."""
        question = urllib.request.Request(f"{'https' if self._login else 'http'}://{self.address}{path}")
        if kind:
            question.add_header("Accept", kind)
        if self._login:
            question.add_header("Authorization", "Basic " + b64encode(":".join(self._login).encode()).decode())
        try:
            with urllib.request.urlopen(question, timeout=5, context=self._trust) as answer:
                return bytes(answer.read())
        except OSError:
            return None

    @property
    def _trust(self) -> ssl.SSLContext | None:
        if not self._login or not self._folder:
            return None
        return ssl.create_default_context(cafile=str(self._folder / "authority"))

    def _certificate(self, folder: Path) -> dict[str, str]:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(folder / "authority")
        own = authority.issue_cert("127.0.0.1")
        own.private_key_and_cert_chain_pem.write_to_path(folder / "certificate")
        return {"key": str(folder / "certificate"), "certificate": str(folder / "certificate")}

    def _passwords(self, folder: Path) -> Path:
        """An htpasswd file with bcrypt, the only format that this registry supports."""
        assert self._login is not None
        user, password = self._login
        path = folder / "htpasswd"
        path.write_text(f"{user}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()}\n", encoding="utf-8")
        return path

    def push_index(self, name: str, images: Mapping[str, str]) -> str:
        """Push images of this engine, by architecture, and a manifest list of them as `name`; returns its reference."""
        repository = f"{self.address}/{name.rpartition(':')[0]}"
        pushed = {f"{repository}:{arch}": image for arch, image in images.items()}
        for own, image in pushed.items():
            run("docker", "tag", image, own)
            try:
                run("docker", "push", "--quiet", own, timeout=600)
            finally:
                run("docker", "image", "rm", own)
        run("docker", "buildx", "imagetools", "create", "--tag", f"{self.address}/{name}", *pushed)
        return f"{self.address}/{name}"

    def tags(self, name: str) -> list[str]:
        """The tags of a repository; empty if it does not exist."""
        body = self.get(f"/v2/{name}/tags/list")
        return sorted(json.loads(body)["tags"] or []) if body else []

    def stored(self) -> int:
        """Total bytes of the pushed blobs; a shared layer counts once."""
        assert self._folder is not None
        return sum(blob.stat().st_size for blob in (self._folder / "data").rglob("blobs/sha256/*/*/data"))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
