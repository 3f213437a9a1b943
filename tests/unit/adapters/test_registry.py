"""Image references and authentication of registries."""

from __future__ import annotations

import base64
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from odpm_tasks.adapters.docker.registry import HUB, Reference, digests, reference

DIGEST = "sha256:" + "5" * 64


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgres:15", Reference(HUB, "library/postgres", "15")),
        ("postgres", Reference(HUB, "library/postgres", "latest")),
        ("pgvector/pgvector:pg16", Reference(HUB, "pgvector/pgvector", "pg16")),
        ("docker.io/library/redis:7", Reference(HUB, "library/redis", "7")),
        ("ghcr.io/team/app", Reference("ghcr.io", "team/app", "latest")),
        ("localhost/app:1", Reference("localhost", "app", "1")),
        ("127.0.0.1:5000/a/b/c:1.2", Reference("127.0.0.1:5000", "a/b/c", "1.2")),
        ("registry.example:5000/app", Reference("registry.example:5000", "app", "latest")),
    ],
)
def test_reference_has_the_defaults_of_docker(text: str, expected: Reference) -> None:
    assert reference(text) == expected


def test_plain_http_only_for_loopback() -> None:
    assert reference("127.0.0.1:5000/a:1").base == "http://127.0.0.1:5000/v2/a"
    assert reference("127.0.0.1.example/a:1").base == "https://127.0.0.1.example/v2/a"
    assert reference("localhost.example:80/a:1").base == "https://localhost.example:80/v2/a"


class _Handler(BaseHTTPRequestHandler):
    """A registry that requires a token, and its token server that requires a login."""

    server: _Server

    def do_HEAD(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization", "")))
        if self.headers.get("Authorization") == "Bearer ticket":
            self.send_response(200)
            self.send_header("Docker-Content-Digest", DIGEST)
        else:
            realm = f"{self.server.realm or self.server.base}/token"
            self.send_response(401)
            self.send_header(
                "WWW-Authenticate", f'Bearer realm="{realm}",service="reg",scope="repository:team/app:pull"'
            )
        self.end_headers()

    def do_GET(self) -> None:
        self.server.seen.append((self.path, self.headers.get("Authorization", "")))
        known = self.headers.get("Authorization") == "Basic " + base64.b64encode(b"me:geheim").decode()
        self.send_response(200 if known else 401)
        self.end_headers()
        self.wfile.write(json.dumps({"token": "ticket"}).encode() if known else b"{}")

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing."""


class _Server(ThreadingHTTPServer):
    realm = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str]] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}"

    @property
    def base(self) -> str:
        return f"http://{self.address}"


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server() as served:
        threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield served
        served.shutdown()


@pytest.fixture
def docker_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path))
    return tmp_path / "config.json"


def test_docker_login_gets_a_token(server: _Server, docker_config: Path) -> None:
    auth = base64.b64encode(b"me:geheim").decode()
    docker_config.write_text(json.dumps({"auths": {server.address: {"auth": auth}}}), encoding="utf-8")
    assert digests({"app:1": f"{server.address}/team/app:1"}, 10)() == {"app:1": DIGEST}
    assert [path for path, _ in server.seen] == [
        "/v2/team/app/manifests/1",
        "/token?scope=repository%3Ateam%2Fapp%3Apull&service=reg",
        "/v2/team/app/manifests/1",
    ]


def test_exit_waits_for_running_requests(server: _Server, docker_config: Path) -> None:
    """Otherwise Python may crash at exit while a thread is inside OpenSSL."""
    auth = base64.b64encode(b"me:geheim").decode()
    docker_config.write_text(json.dumps({"auths": {server.address: {"auth": auth}}}), encoding="utf-8")
    ask = (
        f"from odpm_tasks.adapters.docker import registry; registry.digests({{'a': '{server.address}/team/app:1'}}, 60)"
    )
    assert subprocess.run([sys.executable, "-c", ask], check=False).returncode == 0
    assert len(server.seen) == 3


def test_no_login_gives_no_digest_and_no_error(server: _Server, docker_config: Path) -> None:
    assert digests({"app:1": f"{server.address}/team/app:1"}, 10)() == {}
    docker_config.write_text("not json", encoding="utf-8")
    assert digests({"app:1": f"{server.address}/team/app:1"}, 10)() == {}


def test_login_is_not_sent_over_plain_http(server: _Server, docker_config: Path) -> None:
    auth = base64.b64encode(b"me:geheim").decode()
    docker_config.write_text(json.dumps({"auths": {server.address: {"auth": auth}}}), encoding="utf-8")
    server.realm = f"http://0.0.0.0:{server.server_address[1]}"
    assert digests({"app:1": f"{server.address}/team/app:1"}, 10)() == {}
    assert all(not path.startswith("/token") for path, _ in server.seen)


def test_registry_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        asked = {"app:1": f"127.0.0.1:{silent.getsockname()[1]}/app:1"}
        assert digests(asked, 0.2)() == {}


def test_unknown_host() -> None:
    assert digests({"app:1": "no-such-host.invalid/app:1"}, 2)() == {}
