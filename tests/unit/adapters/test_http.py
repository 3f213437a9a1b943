"""HTTP requests: logins and redirects, files that end early, limits. Real servers on loopback."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from odpm_tasks.adapters import http
from odpm_tasks.errors import ProgramError

LOGIN = "Basic dXNlcjpzZWNyZXQ="  # user:secret


@contextmanager
def server(location: str = "", announced: int = 3) -> Iterator[tuple[str, list[str | None]]]:
    """A server that sends three bytes, or first redirects; yields its address and the logins that it was sent."""
    logins: list[str | None] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            logins.append(self.headers["Authorization"])
            if location and self.path != "/file":
                self.send_response(302)
                self.send_header("Location", location)
                self.end_headers()
                return
            self.send_response(200 if self.path in {"/", "/file"} else 404)
            self.send_header("Content-Length", str(announced))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(b"abc")

        do_HEAD = do_GET

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"127.0.0.1:{running.server_port}", logins
        running.shutdown()


def test_a_login_is_not_sent_to_the_server_of_a_redirect() -> None:
    with server() as (other, seen), server(f"http://{other}/file") as (first, logins):
        assert http.get(f"http://user:secret@{first}/", 9, 99) == b"abc"
        assert (logins, seen) == ([LOGIN], [None])


def test_a_login_is_kept_where_a_server_redirects_to_itself() -> None:
    with server("/file") as (address, logins):
        assert http.get(f"http://user:secret@{address}/", 9, 99) == b"abc"
        assert logins == [LOGIN, LOGIN]


def test_a_whole_file_with_its_progress() -> None:
    sizes: list[int] = []
    with server() as (address, _):
        assert http.download(f"http://{address}/", 9, 3, sizes.append) == b"abc"
        assert http.available(f"http://{address}/", 9)
        assert not http.available(f"http://{address}/other", 9)
    assert sizes == [3]


@pytest.mark.parametrize(
    ("announced", "limit", "path", "reason"),
    [(5, 99, "", "the connection ended early"), (3, 2, "", "larger than"), (3, 99, "other", "HTTP status 404")],
)
def test_why_a_file_cannot_be_had(announced: int, limit: int, path: str, reason: str) -> None:
    with server(announced=announced) as (address, _), pytest.raises(ProgramError, match=reason):
        http.download(f"http://user:secret@{address}/{path}", 9, limit, lambda size: None)
