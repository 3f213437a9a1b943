"""Other machines for tests of db.pull: checkouts that ssh reaches on loopback, and database managers."""

from __future__ import annotations

import shlex
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.e2e.harness import Bench
from tests.standins.sshd import SshServer

Answer = Callable[[BaseHTTPRequestHandler], None]


def ssh_as(bench: Bench, server: SshServer, known_hosts: Path | None = None, key: Path | None = None) -> dict[str, str]:
    """The environment in which a bench's git, and odpm with it, knows a server and a key. `key`: another one."""
    config = server.folder / f"config-of-{bench.prefix}{'-other' if known_hosts else ''}"
    config.write_text(
        f"Host *\n  UserKnownHostsFile {known_hosts or server.known_hosts}\n  GlobalKnownHostsFile none\n"
        "  IdentityFile none\n  StrictHostKeyChecking ask\n",
        encoding="utf-8",
    )
    return {
        "GIT_SSH_COMMAND": f"ssh -F {shlex.quote(str(config))}",
        "PATH_TO_SSH_KEY": str(key or server.key),
        "SSH_AUTH_SOCK": "",
    }


@contextmanager
def settings_in_dotenv(bench: Bench) -> Iterator[None]:
    """The settings of a bench, which are in its environment, also in its `.env`: a session of ssh has another environment."""
    dotenv = bench.root / ".env"
    lines = [f"{name}='{value}'\n" for name, value in bench.env.items() if name.startswith("ODPM_")]
    dotenv.write_text("".join(lines), encoding="utf-8")
    dotenv.chmod(0o600)
    yield
    dotenv.unlink()


def hostile_checkout(folder: Path, script: str) -> Path:
    """A checkout whose `inv` is a script of the test."""
    program = folder / ".venv/bin/inv"
    program.parent.mkdir(parents=True, exist_ok=True)
    for name in ("odpm.json", "tasks.py"):
        (folder / name).touch()
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(0o755)
    return folder


@contextmanager
def manager(answer: Answer, certificate: Path | None = None) -> Iterator[str]:
    """The address of an HTTP server on loopback; `certificate`: a file with key and certificate, for HTTPS."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer(self)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            answer(self)

        def log_message(self, format: str, *args: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http{'s' if certificate else ''}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def page(status: int, text: str, content: str = "text/html", **headers: str) -> Answer:
    """Answers every request with one page."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in {"Content_Type": content, "Content_Length": str(len(text)), **headers}.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(text.encode())

    return answer


def leading_elsewhere(request: BaseHTTPRequestHandler) -> None:
    """Redirects to the same server under another name."""
    name, _, port = request.headers["Host"].partition(":")
    if name == "localhost":
        page(200, "<html></html>")(request)
    else:
        page(302, "", Location=f"http://localhost:{port}{request.path}")(request)


def self_signed(folder: Path) -> Path:
    """A key and a certificate for 127.0.0.1 that no authority has signed, in one file."""
    path = folder / "server.pem"
    words = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-days",
        "2",
    ]
    words += [
        "-subj",
        "/CN=127.0.0.1",
        "-addext",
        "subjectAltName=IP:127.0.0.1",
        "-keyout",
        str(path),
        "-out",
        str(path),
    ]
    subprocess.run(words, capture_output=True, check=True)
    return path
