"""Servers of a closed network on loopback: a Debian mirror and a package index, both with a password.

The Debian mirror forwards requests to the mirror of the machine. Indexes (`dists/`) are cached, so that two builds get the
same packages. The package index has the given packages.
"""

from __future__ import annotations

import base64
import hashlib
import io
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self

from tests.ports import claim_port
from tests.standins.common import mirrors

USER = "team"


def wheel(name: str, version: str, code: str) -> tuple[str, bytes]:
    """A wheel with one module: file name and content."""
    module, info = name.replace("-", "_"), f"{name.replace('-', '_')}-{version}.dist-info"
    files = {
        f"{module}.py": code,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = []
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            lines.append(f"{path},sha256={digest},{len(text)}")
        archive.writestr(f"{info}/RECORD", "\n".join([*lines, f"{info}/RECORD,,"]) + "\n")
    return f"{module}-{version}-py3-none-any.whl", data.getvalue()


class Mirrors:
    """`with Mirrors(password, dict([wheel("acme", "1.0", "")])) as mirrors: mirrors.debian; mirrors.index`."""

    def __init__(self, password: str, wheels: Mapping[str, bytes]) -> None:
        self.password, self.wheels = password, wheels
        self.served: list[str] = []
        self._lists: dict[str, tuple[int, str, bytes]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", claim_port()), self._handler())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @property
    def debian(self) -> str:
        """The value of ODPM_APT_MIRROR: the archive and, if this machine has one, the security archive.

        BuildKit's cache does not distinguish mirrors: indexes of an incomplete mirror would get into images of other tests.
        """
        base = f"http://{USER}:{self.password}@{self.address}"
        return f"{base}/debian {base}/debian-security" if mirrors().security else f"{base}/debian"

    @property
    def index(self) -> str:
        return f"http://{USER}:{self.password}@{self.address}/simple/"

    def answer(self, path: str) -> tuple[int, str, bytes]:
        """Status, content type and body."""
        if "/dists/" not in path:
            return self._fetch(path)
        if path not in self._lists:
            self._lists[path] = self._fetch(path)
        return self._lists[path]

    def _fetch(self, path: str) -> tuple[int, str, bytes]:
        archive = {"debian": mirrors().archive, "debian-security": mirrors().security}.get(path.split("/")[1])
        if archive:
            try:
                with urllib.request.urlopen(f"{archive}/{path.split('/', 2)[2]}", timeout=60) as found:
                    return 200, "application/octet-stream", found.read()
            except urllib.error.HTTPError as error:
                return error.code, "text/plain", b""
        name = path.rsplit("/", 1)[-1]
        if name in self.wheels:
            return 200, "application/octet-stream", self.wheels[name]
        wanted = path.removeprefix("/simple/").strip("/").replace("-", "_")
        links = [f'<a href="/files/{file}">{file}</a>' for file in self.wheels if file.startswith(f"{wanted}-")]
        return (200, "text/html", "\n".join(links).encode()) if links else (404, "text/plain", b"")

    def _handler(mirrors_) -> type[BaseHTTPRequestHandler]:
        expected = "Basic " + base64.b64encode(f"{USER}:{mirrors_.password}".encode()).decode()

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers.get("Authorization") != expected:
                    self.send_response(401)
                    self.send_header("WWW-Authenticate", 'Basic realm="team"')
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                status, kind, body = mirrors_.answer(self.path)
                if status == 200:
                    mirrors_.served.append(self.path)
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

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
