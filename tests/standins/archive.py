"""A Debian archive on loopback with several states, and a snapshot service of them.

Its packages are tiny and have the names that an image asks for. Its indexes are signed with a key of its own, which the base image
of a test must trust.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import shutil
import tarfile
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import unquote

from tests.ports import claim_port
from tests.standins.common import Apt, is_debian, os_release, run

Packages = Mapping[str, str]  # name -> version
CODENAME = "bookworm"


def deb(name: str, version: str) -> bytes:
    """A package with one file; the same arguments give the same bytes."""
    control = f"Package: {name}\nVersion: {version}\nArchitecture: all\nMaintainer: tests <t@t>\nDescription: {name}\n"
    members = {
        "debian-binary": b"2.0\n",
        "control.tar.gz": _tar({"./control": control.encode()}),
        "data.tar.gz": _tar({f"./usr/share/odpm-test/{name}": f"{name} {version}\n".encode()}),
    }
    found = b"!<arch>\n"
    for member, data in members.items():
        header = f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n"
        found += header.encode() + data + b"\n" * (len(data) % 2)
    return found


def _tar(files: Mapping[str, bytes]) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.GNU_FORMAT) as archive:
        folders = {"./"} | {f"{parent}/" for name in files for parent in map(str, Path(name).parents) if parent != "."}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(f"./{folder.removeprefix('./')}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            archive.addfile(entry)
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(data), 0o644
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(plain.getvalue(), mtime=0)


@dataclass(frozen=True)
class State:
    """A state of both archives: `time` and `security_time` (ISO 8601, UTC) of their indexes, and the packages of each."""

    time: str
    security_time: str
    packages: Packages
    security: Packages = field(default_factory=dict)


class DebianArchive:
    """`with DebianArchive() as archive: archive.publish(State(…)); archive.mirror; archive.snapshot`.

    The mirror has the last published state, or that of `show`. The snapshot service has every published state; `snapshots` False:
    it answers no request. `served`: the paths of all requests.
    """

    def __init__(self) -> None:
        self.states: list[State] = []
        self.current = -1
        self.snapshots = True
        self.served: list[str] = []
        self._files: dict[tuple[int, str], bytes] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="odpm-archive-")  # short, because gpg has a socket in it
        self._server = ThreadingHTTPServer(("127.0.0.1", claim_port()), self._handler())
        if not shutil.which("gpg") and is_debian():
            Apt(os_release().get("VERSION_CODENAME", "stable")).install("gpg")
        self._gpg("--quick-generate-key", "tests <t@t>", "ed25519", "sign", "never")

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    @property
    def mirror(self) -> str:
        """The value of ODPM_APT_MIRROR."""
        return f"{self.address}/debian {self.address}/debian-security"

    @property
    def snapshot(self) -> str:
        """The value of ODPM_APT_SNAPSHOT."""
        return f"{self.address}/snapshot"

    def keyring(self) -> bytes:
        """The public key, for `signed-by` of apt."""
        return self._gpg("--export")

    def publish(self, state: State) -> None:
        """Add a state; the mirror has it from now on."""
        number = len(self.states)
        self.states.append(state)
        for kind, suite, time, packages in (
            ("debian", CODENAME, state.time, state.packages),
            ("debian", f"{CODENAME}-updates", state.time, {}),
            ("debian-security", f"{CODENAME}-security", state.security_time, state.security),
        ):
            self._add(number, kind, suite, time, packages)
        self.current = number

    def _add(self, number: int, kind: str, suite: str, time: str, packages: Packages) -> None:
        entries = []
        for name, version in sorted(packages.items()):
            data, path = deb(name, version), f"pool/{name}_{version}_all.deb"
            self._files[number, f"{kind}/{path}"] = data
            entries.append(
                f"Package: {name}\nVersion: {version}\nArchitecture: all\nFilename: {path}\nSize: {len(data)}\n"
                f"SHA256: {hashlib.sha256(data).hexdigest()}\nDescription: {name}\n\n"
            )
        index = "".join(entries).encode()
        rows = []
        for architecture in ("amd64", "arm64"):
            path = f"main/binary-{architecture}/Packages"
            for name, data in ((path, index), (f"{path}.xz", _xz(index))):
                self._files[number, f"{kind}/dists/{suite}/{name}"] = data
                rows.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {name}\n")
        label = "Debian-Security" if kind == "debian-security" else "Debian"
        release = (
            f"Origin: Debian\nLabel: {label}\nSuite: oldstable\nCodename: {suite}\n"
            f"Date: {datetime.fromisoformat(time):%a, %d %b %Y %H:%M:%S} UTC\n"
            f"Architectures: amd64 arm64\nComponents: main\nSHA256:\n{''.join(rows)}"
        )
        self._files[number, f"{kind}/dists/{suite}/InRelease"] = self._gpg("--clearsign", data=release.encode())

    def _gpg(self, *words: str, data: bytes | None = None) -> bytes:
        options = (
            "--homedir",
            self._folder.name,
            "--batch",
            "--quiet",
            "--yes",
            "--pinentry-mode=loopback",
            "--passphrase=",
        )
        target = Path(self._folder.name, "output")
        run("gpg", *options, f"--output={target}", *words, data=data)
        return target.read_bytes() if target.exists() else b""

    def answer(self, path: str) -> bytes | None:
        """The file of a path; None where there is none."""
        parts = unquote(path).strip("/").split("/")
        if parts[0] != "snapshot":
            return self._files.get((self.current, "/".join(parts)))
        if not self.snapshots or parts[1] != "archive":
            return None
        kind, moment = parts[2], datetime.strptime(parts[3], "%Y%m%dT%H%M%S%z")
        times = [state.security_time if kind == "debian-security" else state.time for state in self.states]
        before = [number for number, time in enumerate(times) if datetime.fromisoformat(time) <= moment]
        return self._files.get((before[-1], f"{kind}/{'/'.join(parts[4:])}")) if before else None

    def _handler(archive) -> type[BaseHTTPRequestHandler]:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                archive.served.append(self.path)
                body = archive.answer(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *words: object) -> None:
                """Do not log requests."""

        return Handler

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        run("gpgconf", "--homedir", self._folder.name, "--kill", "all")
        self._folder.cleanup()


def _xz(data: bytes) -> bytes:
    import lzma

    return lzma.compress(data)


def versions(names: Iterable[str], version: str) -> Packages:
    """Packages that all have one version."""
    return dict.fromkeys(names, version)
