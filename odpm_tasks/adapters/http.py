"""HTTP requests with this machine's certificates and proxies, several at a time and within a time limit."""

from __future__ import annotations

import atexit
import base64
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache
from http.client import HTTPException
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


def send(request: urllib.request.Request, timeout: float) -> Any:
    """The answer to a request, as `urllib` returns it. Errors: OSError, HTTPException."""
    with _opener_lock:
        opener = _opener()
    return opener.open(request, timeout=timeout)


@cache
def _opener() -> urllib.request.OpenerDirector:
    """One opener for all requests: loading this machine's certificates takes longer than a request."""
    context = ssl.create_default_context()
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context), _Redirects)


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
