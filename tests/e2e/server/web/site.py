"""A client of a stack behind its reverse proxy: HTTPS with the certificate of the stack, sessions, websockets."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import socket
import ssl
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from tests.e2e.harness import Bench

ROOT = "/data/caddy/pki/authorities/local/root.crt"


@dataclass
class Answer:
    """The answer to a request; `headers` by name in lower case, several values joined by line breaks."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode(errors="replace")


@dataclass
class Site:
    """The site of a bench. `root`: the certificate that it is checked by, PEM; by default that of Caddy's own authority.

    `cookie`: the session that requests belong to; `login` sets it.
    """

    bench: Bench
    root: str = ""
    cookie: str = field(default="", init=False)

    @property
    def port(self) -> int:
        return int(self.bench.env["ODPM_HTTPS_PORT"])

    @property
    def address(self) -> str:
        return f"https://localhost:{self.port}"

    @cached_property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cadata=self.root or self.bench.inside("cat", ROOT, service="web").out)

    def ask(
        self, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None, method: str = ""
    ) -> Answer:
        """One request over a connection of its own. Errors: OSError and http.client.HTTPException where there is no answer."""
        connection = http.client.HTTPSConnection("localhost", self.port, timeout=120, context=self.context)
        try:
            cookie = {"Cookie": f"session_id={self.cookie}"} if self.cookie else {}
            verb = method or ("GET" if body is None else "POST")
            connection.request(verb, path, body, {**cookie, **(headers or {})})
            answer = connection.getresponse()
            found: dict[str, str] = {}
            for name, value in answer.getheaders():
                found[name.lower()] = "\n".join(filter(None, (found.get(name.lower()), value)))
            return Answer(answer.status, found, answer.read())
        finally:
            connection.close()

    def rpc(self, path: str, **params: Any) -> Any:
        """A call of JSON-RPC; returns its result."""
        body = json.dumps({"jsonrpc": "2.0", "method": "call", "params": params}).encode()
        answer = json.loads(self.ask(path, body, {"Content-Type": "application/json"}).body)
        assert "error" not in answer, answer
        return answer["result"]

    def password(self) -> str:
        return (self.bench.root / ".odpm/secrets/server/admin_password").read_text(encoding="utf-8").strip()

    def login(self) -> None:
        """Log in as the administrator, as the login page does."""
        page = self.ask("/web/login?db=project")
        self.cookie = _session(page)
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token, page.text
        form = {"csrf_token": token[1], "login": "admin", "password": self.password(), "db": "project"}
        form_type = {"Content-Type": "application/x-www-form-urlencoded"}
        done = self.ask("/web/login", urlencode(form).encode(), form_type)
        assert done.status in {302, 303}, done.text
        self.cookie = _session(done)

    def websocket(self) -> WebSocket:
        """A websocket of the session."""
        return WebSocket(self)


def _session(answer: Answer) -> str:
    found = re.search(r"^session_id=([^;]+)", answer.headers["set-cookie"], re.MULTILINE)
    assert found
    return found[1]


class WebSocket:
    """A connection of the bus. Frames: RFC 6455, 5.2."""

    def __init__(self, site: Site) -> None:
        plain = socket.create_connection(("localhost", site.port), timeout=30)
        self._socket = site.context.wrap_socket(plain, server_hostname="localhost")
        key = base64.b64encode(os.urandom(16)).decode()
        version = re.search(r'"websocket_worker_version": "([^"]+)"', site.ask("/web/login").text)
        query = f"?version={version[1]}" if version else ""
        self._socket.sendall(
            f"GET /websocket{query} HTTP/1.1\r\nHost: localhost:{site.port}\r\nOrigin: {site.address}\r\n"
            f"Cookie: session_id={site.cookie}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._file = self._socket.makefile("rb")
        self.head = ""
        while (line := self._file.readline().decode()) not in {"\r\n", ""}:
            self.head += line

    def send(self, **message: Any) -> None:
        self._frame(0x1, json.dumps(message).encode())

    def _frame(self, kind: int, data: bytes) -> None:
        mask = os.urandom(4)
        size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + struct.pack("!H", len(data))
        masked = bytes(byte ^ mask[number % 4] for number, byte in enumerate(data))
        self._socket.sendall(bytes([0x80 | kind]) + size + mask + masked)

    def receive(self) -> Any:
        """The next message; None where the other side closes the connection. A ping is answered."""
        while True:
            first, second = self._file.read(2) or (0x88, 0)
            size = second & 0x7F
            if size >= 126:
                size = int.from_bytes(self._file.read(2 if size == 126 else 8))
            data = self._file.read(size)
            match first & 0xF:
                case 0x1:
                    return json.loads(data)
                case 0x9:
                    self._frame(0xA, data)
                case 0xA:
                    continue
                case _:
                    return None

    def close(self) -> None:
        self._socket.close()
