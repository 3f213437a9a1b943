"""A client that sends requests to a stack all the time, while something else happens to it."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager


class Client:
    """Sends requests one after the other. `seen`: their statuses; 0 where there was no answer.

    `cut`: the longest time, in seconds, that a request without an answer took; a connection that is refused takes none.
    """

    def __init__(self, url: str, login: str = "") -> None:
        """`login`: a page that is requested once before, which gives the session its database."""
        self.url, self._login, self._end = url, login, threading.Event()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor()
        )  # the session names the database
        self.seen: list[int] = []
        self.downtime = 0.0  # seconds from the first request without an answer 200 to the next one with it, in all
        self._down_since = 0.0
        self.cut = 0.0

    def ask(self, url: str = "") -> int:
        """The status of an answer; 0 where there is none."""
        try:
            with self._opener.open(url or self.url, timeout=60) as answer:
                answer.read()
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def _run(self) -> None:
        while not self._end.is_set():
            begun = time.monotonic()
            self.seen.append(self.ask())
            if not self.seen[-1]:
                self.cut = max(self.cut, time.monotonic() - begun)
            if self.seen[-1] != 200:
                self._down_since = self._down_since or begun
            elif self._down_since:
                self.downtime += time.monotonic() - self._down_since
                self._down_since = 0.0
            time.sleep(0.05)

    @contextmanager
    def sending(self) -> Iterator[Client]:
        """Send requests until the end of the block."""
        if self._login:
            self.ask(self._login)
        thread = threading.Thread(target=self._run, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._end.set()
            thread.join(90)
