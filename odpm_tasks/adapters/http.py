"""HTTP requests with this machine's certificates and proxies, several at a time and within a time limit."""

from __future__ import annotations

import atexit
import base64
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache
from http.client import HTTPConnection, HTTPException
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

from odpm_tasks.errors import ProgramError

T = TypeVar("T")

_CHUNK = 1 << 16
_FAILURES = (OSError, HTTPException, ValueError)
_opener_lock = threading.Lock()


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follow redirects as urllib does, but send the login of a server to that server only."""

    def redirect_request(self, req: urllib.request.Request, *answer: Any) -> urllib.request.Request | None:
        redirected = super().redirect_request(req, *answer)
        if redirected and urlsplit(redirected.full_url)[:2] != urlsplit(req.full_url)[:2]:
            redirected.remove_header("Authorization")
        return redirected


def send(request: urllib.request.Request, timeout: float, *, direct: bool = False) -> Any:
    """The answer to a request, as `urllib` returns it; `direct`: without a proxy. Errors: OSError, HTTPException."""
    with _opener_lock:
        opener = _opener(direct)
    return opener.open(request, timeout=timeout)


@cache
def _opener(direct: bool) -> urllib.request.OpenerDirector:
    """One opener for all requests: loading this machine's certificates takes longer than a request."""
    context = ssl.create_default_context()
    handlers = [urllib.request.HTTPSHandler(context=context), _Redirects()]
    return urllib.request.build_opener(*handlers, *([urllib.request.ProxyHandler({})] if direct else []))


def get(url: str, timeout: float, limit: int) -> bytes | None:
    """The first `limit` bytes of a file; None where it cannot be had. A login in the URL is sent as HTTP basic."""
    try:
        with send(_request(url), timeout) as answer:
            data: bytes = answer.read(limit)
            return data
    except _FAILURES:
        return None


def date(url: str, timeout: float) -> str | None:
    """The date in a server's answer, also where it has no such file; None where it does not answer or gives none."""
    try:
        with send(_request(url, "HEAD"), timeout) as answer:
            found: str | None = answer.headers.get("Date")
            return found
    except urllib.error.HTTPError as error:
        return error.headers.get("Date")
    except _FAILURES:
        return None


def available(url: str, timeout: float) -> bool:
    """Whether a server has a file: the answer to HEAD."""
    try:
        with send(_request(url, "HEAD"), timeout) as answer:
            return bool(answer.status == 200)
    except _FAILURES:
        return False


def call(url: str, timeout: float) -> Any:
    """The answer of a method without parameters by JSON-RPC, without a proxy; None where none comes."""
    body = b'{"jsonrpc": "2.0", "method": "call", "params": {}}'
    request = urllib.request.Request(url, body, {"Content-Type": "application/json", "User-Agent": "odpm"})  # noqa: S310 - of a container
    try:
        with send(request, timeout, direct=True) as answer:
            return json.load(answer)
    except _FAILURES:
        return None


def local_status(
    port: int, path: str, timeout: float, redirects: int = 3, headers: Mapping[str, str] | None = None
) -> int:
    """The status of a page of this machine, 0 where no answer comes. Redirects are followed with their cookies; no proxy is used."""
    cookies: dict[str, str] = {}
    status = 0
    for _ in range(redirects + 1):
        connection = HTTPConnection("127.0.0.1", port, timeout=timeout)
        try:
            header = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())} if cookies else {}
            connection.request("GET", path, headers={"User-Agent": "odpm", **(headers or {}), **header})
            answer = connection.getresponse()
            status, location = answer.status, answer.headers.get("Location")
            cookies |= dict(
                text.partition(";")[0].partition("=")[::2] for text in answer.headers.get_all("Set-Cookie", [])
            )
            answer.read()
        except _FAILURES:
            return 0
        finally:
            connection.close()
        if location is None or not 300 <= status < 400:
            break
        parts = urlsplit(location)
        path = urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return status


def download(url: str, timeout: float, limit: int, progress: Callable[[int], None]) -> bytes:
    """The whole of a file. `limit`: bytes; `progress` is called with the bytes so far.

    Errors: ProgramError with the reason, without the login of the URL.
    """
    parts: list[bytes] = []
    size = 0
    try:
        with send(_request(url), timeout) as answer:
            while chunk := answer.read(_CHUNK):
                parts.append(chunk)
                size += len(chunk)
                progress(size)
                if size > limit:
                    raise ProgramError(f"the file is larger than {limit // 1_000_000} MB")
            if answer.length:  # the rest of the announced length; http.client reports no error
                raise ProgramError("the connection ended early")
    except urllib.error.HTTPError as error:
        raise ProgramError(f"HTTP status {error.code}") from None
    except _FAILURES as error:
        raise ProgramError(str(getattr(error, "reason", "") or type(error).__name__)) from None
    return b"".join(parts)


def open_page(url: str, timeout: float, body: bytes | None = None, content: str = "", *, direct: bool) -> Any:
    """The answer of a page, to be read and closed by the caller; with `body` it is posted, as `content` or else as a form.

    `direct`: without a proxy. Errors: ProgramError with the reason.
    """
    request = _request(url, "GET" if body is None else "POST")
    request.data = body
    if content:
        request.add_header("Content-Type", content)
    try:
        return send(request, timeout, direct=direct)
    except urllib.error.HTTPError as error:
        raise ProgramError(f"HTTP status {error.code}") from None
    except _FAILURES as error:
        reason = getattr(error, "reason", error)
        todo = ""
        if isinstance(reason, ssl.SSLCertVerificationError):
            reason, todo = f"its certificate is not valid: {reason.verify_message}", _OWN_AUTHORITY
        raise ProgramError(str(reason) or type(error).__name__, todo=todo) from None


_OWN_AUTHORITY = "SSL_CERT_FILE=FILE in the environment names certificate authorities of your own"


def limit_pauses(answer: Any, timeout: float) -> None:
    """Limit the time between two parts of an answer that has begun, in seconds."""
    connection = getattr(getattr(answer.fp, "raw", None), "_sock", None)
    if connection is not None:
        connection.settimeout(timeout)


def _request(url: str, method: str = "GET") -> urllib.request.Request:
    """A request whose login, if the URL has one, is sent as HTTP basic."""
    parts = urlsplit(url)
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    return urllib.request.Request(plain, headers=headers, method=method)  # noqa: S310 - of a checked setting


def in_parallel(calls: Mapping[str, Callable[[], T | None]], timeout: float) -> Callable[[], dict[str, T]]:
    """Start every call; the result waits for them and returns their values by name, without those that are None.

    It returns at most `timeout` seconds after the start; calls that have not ended by then are missing.
    """
    found: dict[str, T] = {}
    deadline = time.monotonic() + timeout

    def run(name: str, call: Callable[[], T | None]) -> None:
        if (value := call()) is not None:
            found[name] = value

    # daemon threads: a DNS server that hangs must not keep Python from exiting
    threads = [threading.Thread(target=run, args=pair, daemon=True) for pair in calls.items()]
    for thread in threads:
        thread.start()

    def wait() -> dict[str, T]:
        for thread in threads:
            thread.join(max(0.0, deadline - time.monotonic()))
        return dict(found)

    # also if the run fails in the meantime: Python may crash if it exits while a thread is inside OpenSSL
    atexit.register(wait)
    return wait
