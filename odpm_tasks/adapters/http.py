"""HTTP requests with this machine's certificates and proxies, several at a time and within a time limit."""

from __future__ import annotations

import atexit
import base64
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from functools import cache
from http.client import HTTPException
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit, urlunsplit

T = TypeVar("T")

_opener_lock = threading.Lock()


def send(request: urllib.request.Request, timeout: float) -> Any:
    """The answer to a request, as `urllib` returns it. Errors: OSError, HTTPException."""
    with _opener_lock:
        opener = _opener()
    return opener.open(request, timeout=timeout)


@cache
def _opener() -> urllib.request.OpenerDirector:
    """One opener for all requests: loading this machine's certificates takes longer than a request."""
    context = ssl.create_default_context()
    return urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))


def get(url: str, timeout: float, limit: int) -> bytes | None:
    """The first `limit` bytes of a file; None where it cannot be had. A login in the URL is sent as HTTP basic."""
    parts = urlsplit(url)
    headers = {}
    if parts.username is not None:
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    plain = urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))
    try:
        with send(urllib.request.Request(plain, headers=headers), timeout) as answer:  # noqa: S310 - of a checked setting
            data: bytes = answer.read(limit)
            return data
    except (OSError, HTTPException, ValueError):
        return None


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
