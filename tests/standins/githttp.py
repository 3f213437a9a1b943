"""A smart-HTTP git server on loopback for a folder of bare repositories: `git http-backend` behind http.server.

It records requests and can simulate git hosts: delays, authentication, refused requests, faults.
"""

from __future__ import annotations

import base64
import hmac
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import IO, Self
from urllib.parse import unquote, urlsplit

from tests.ports import claim_port

BLOCK = 1 << 16
SETTINGS = {
    "uploadpack.allowFilter": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "safe.directory": "*",
    "http.receivepack": "true",
}
HANG, DROP = 0, 1  # faults besides a status: no response until the server stops; close the connection at once
Fault = Callable[[str, int], int | None]


@dataclass(frozen=True)
class Request:
    """One request and its response; `received` and `sent` are the bytes of the bodies."""

    method: str
    path: str
    query: str
    status: int
    received: int
    sent: int

    @property
    def repository(self) -> str:
        """The path of the repository, without the endpoint that git appends."""
        return _repository(self.path)


def _repository(path: str) -> str:
    for end in ("/info/refs", "/git-upload-pack", "/git-receive-pack"):
        if path.endswith(end):
            return path.removesuffix(end).lstrip("/")
    return path.lstrip("/")


class GitServer:
    """`with GitServer(folder) as server: git clone server.url("OCA/web.git")`.

    `delay`: seconds before each response; `held`: no response before `release()`. `auth` (user, password): other requests
    get 401. `settings` override git's configuration. `old`: protocol version 0, in which a server may refuse commits that
    are not the tip of a branch. `fault` gets the path of a repository and the number of earlier requests for it; it returns
    a status, HANG, DROP, or None for a normal response. `requests`: completed requests in order; `began`: started ones;
    tests may clear both.
    `complaints`: messages of git about refused requests.
    """

    def __init__(
        self,
        folder: Path,
        *,
        delay: float = 0.0,
        held: bool = False,
        auth: tuple[str, str] | None = None,
        host: str = "127.0.0.1",
        settings: Mapping[str, str] | None = None,
        old: bool = False,
        fault: Fault = lambda repository, number: None,
    ) -> None:
        self.folder = folder.resolve()
        self.delay = delay
        self.answering = threading.Event()
        if not held:
            self.answering.set()
        self.auth = auth
        self.settings = {**SETTINGS, **(settings or {})}
        self.old = old
        self.fault = fault
        self.began: list[str] = []
        self.over = threading.Event()
        self.requests: list[Request] = []
        self.complaints: list[str] = []
        self._server = _Server((host, claim_port()), _Handler)
        self._server.owner = self
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def base(self) -> str:
        """The URL of the folder with a trailing slash: the TO of a mirror rule."""
        return f"http://{self._server.server_address[0]!s}:{self.port}/"

    def url(self, repository: str, *, with_auth: bool = False) -> str:
        login = f"{self.auth[0]}:{self.auth[1]}@" if with_auth and self.auth else ""
        return f"{self.base.replace('://', '://' + login)}{repository.lstrip('/')}"

    def release(self) -> None:
        """Answer what was asked and will be asked."""
        self.answering.set()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.over.set()
        self.release()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    owner: GitServer
    guard = threading.Lock()
    daemon_threads = True
    request_queue_size = 128


class _Handler(BaseHTTPRequestHandler):
    """One request: headers become the environment of `git http-backend`, bodies are streamed both ways."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # otherwise a small response in two writes waits 40 ms for an acknowledgement
    server: _Server
    received = 0
    sent = 0

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def _answer(self) -> None:
        owner = self.server.owner
        self.received = self.sent = 0
        owner.answering.wait()
        time.sleep(owner.delay)
        fault = self._fault()
        if fault in {HANG, DROP}:
            if fault == HANG:
                owner.over.wait()
            self.close_connection = True
            status = 499
        elif fault is not None:
            self._drain()
            status = self._plain(fault, b"not now")
        elif not self._allowed():
            self._drain()
            status = self._plain(401, b"password please", ("WWW-Authenticate", 'Basic realm="git"'))
        else:
            status = self._backend()
        parts = urlsplit(self.path)
        owner.requests.append(Request(self.command, unquote(parts.path), parts.query, status, self.received, self.sent))

    def _fault(self) -> int | None:
        owner, repository = self.server.owner, _repository(unquote(urlsplit(self.path).path))
        with self.server.guard:
            number = owner.began.count(repository)
            owner.began.append(repository)
        return owner.fault(repository, number)

    def _allowed(self) -> bool:
        auth = self.server.owner.auth
        if auth is None:
            return True
        wanted = "Basic " + base64.b64encode(":".join(auth).encode()).decode()
        return hmac.compare_digest(wanted, self.headers.get("Authorization", ""))

    def _environment(self) -> dict[str, str]:
        owner, parts = self.server.owner, urlsplit(self.path)
        env = {key: value for key, value in os.environ.items() if not key.startswith("GIT_")}
        env |= {
            "GIT_PROJECT_ROOT": str(owner.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_CONFIG_COUNT": str(len(owner.settings)),
            "PATH_INFO": unquote(parts.path),
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "REMOTE_ADDR": self.client_address[0],
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "GIT_PROTOCOL": "" if owner.old else self.headers.get("Git-Protocol", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
        }
        for number, (key, value) in enumerate(owner.settings.items()):
            env |= {f"GIT_CONFIG_KEY_{number}": key, f"GIT_CONFIG_VALUE_{number}": value}
        if owner.auth:
            env["REMOTE_USER"] = owner.auth[0]
        if "Content-Length" in self.headers:
            env["CONTENT_LENGTH"] = self.headers["Content-Length"]
        return env

    def _body(self) -> Iterator[bytes]:
        """The body of the request in blocks; git sends a large one with chunked encoding."""
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            while length := int(self.rfile.readline().split(b";")[0] or b"0", 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return
        left = int(self.headers.get("Content-Length", "0"))
        while left and (block := self.rfile.read(min(BLOCK, left))):
            left -= len(block)
            yield block

    def _drain(self) -> None:
        for block in self._body():
            self.received += len(block)

    def _backend(self) -> int:
        with (
            tempfile.TemporaryFile() as complaints,
            subprocess.Popen(
                ["git", "http-backend"],
                env=self._environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=complaints,
            ) as process,
        ):
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                self._feed(process.stdin)
                status = self._relay(process.stdout)
            except (BrokenPipeError, ConnectionResetError):
                process.kill()  # the client closed the connection
                self.close_connection = True
                return 499
            if status >= 400:
                complaints.seek(0)
                words = complaints.read().decode(errors="replace").strip()
                self.server.owner.complaints.append(f"{self.path}: {status} {words}")
            return status

    def _feed(self, stdin: IO[bytes]) -> None:
        """Send the whole request first: the service reads it before it responds."""
        try:
            for block in self._body():
                self.received += len(block)
                stdin.write(block)
            stdin.close()
        except BrokenPipeError:
            self._drain()

    def _relay(self, stdout: IO[bytes]) -> int:
        status, headers = 200, []
        while row := stdout.readline().decode("latin-1").strip():
            name, _, value = row.partition(":")
            if name.lower() == "status":
                status = int(value.split()[0])
            else:
                headers.append((name, value.strip()))
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        while block := stdout.read1(BLOCK):  # type: ignore[attr-defined]
            self.sent += len(block)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        self.wfile.write(b"0\r\n\r\n")
        return status

    def _plain(self, status: int, data: bytes, *headers: tuple[str, str]) -> int:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(data)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.sent += len(data)
        return status

    def log_message(self, format: str, *args: object) -> None:
        """Do nothing: `requests` records the requests."""
