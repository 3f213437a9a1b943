"""Clients that send requests to a site all the time: pages, and calls that write."""

from __future__ import annotations

import http.client
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.e2e.server.web.site import Site

READERS, WRITERS = 4, 3


@dataclass
class Load:
    """`seen`: how often each status was the answer; 0 where there was none. `failures`: what happened then.

    `created`: the names of the partners whose creation was answered. `pages`: an answer of each status.
    """

    site: Site
    seen: Counter[int] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)
    created: list[str] = field(default_factory=list)
    retry_after: set[str] = field(default_factory=set)
    pages: dict[int, str] = field(default_factory=dict)

    def explain(self) -> str:
        """What failed, and what the proxy wrote about it."""
        log = self.site.bench.log("web")
        return "\n".join([*self.failures[:5], *[line for line in log.splitlines() if '"error"' in line][-5:]])

    def _ask(self, path: str, body: bytes | None = None) -> bool:
        try:
            answer = self.site.ask(path, body, {"Content-Type": "application/json"} if body else None)
        except (OSError, http.client.HTTPException) as error:
            self.seen[0] += 1
            self.failures.append(f"{path}: {error!r}")
            return False
        self.seen[answer.status] += 1
        self.pages[answer.status] = answer.text
        if answer.status == 503:
            self.retry_after.add(answer.headers.get("retry-after", ""))
        return answer.status == 200 and '"error"' not in answer.text[:200]

    def read(self, number: int) -> None:
        self._ask("/web/login" if number % 2 else "/odoo")

    def write(self, name: str) -> None:
        call = f'"model": "res.partner", "method": "create", "args": [{{"name": "{name}"}}], "kwargs": {{}}'
        body = f'{{"jsonrpc": "2.0", "method": "call", "params": {{{call}}}}}'
        if self._ask("/web/dataset/call_kw/res.partner/create", body.encode()):
            self.created.append(name)

    @contextmanager
    def running(self, word: str) -> Iterator[Load]:
        """Send requests until the end of the block. `word`: in the names of the partners."""
        end = threading.Event()

        def run(kind: str, number: int) -> None:
            count = 0
            while not end.is_set():
                self.read(number) if kind == "read" else self.write(f"{word} {number}-{count}")
                count += 1
                end.wait(0.05)

        kinds = [*(("read", number) for number in range(READERS)), *(("write", number) for number in range(WRITERS))]
        threads = [threading.Thread(target=run, args=one, daemon=True) for one in kinds]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            end.set()
            for thread in threads:
                thread.join(150)
