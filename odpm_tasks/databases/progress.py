"""The progress of work whose size is known: percent, rate and time left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from odpm_tasks.adapters import terminal
from odpm_tasks.core.text import size

INTERVAL = 0.2  # seconds between two lines


@dataclass
class ByteProgress:
    """How many of `total` bytes are done. `total`: an estimate; `name`: the line on the terminal."""

    show: terminal.Activity
    name: str
    total: int
    done: int = 0
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self._begun, self._shown = self.clock(), 0.0
        self._guard = threading.Lock()

    def add(self, count: int, text: str) -> None:
        """Count bytes and show them; `text`: what they are. From any thread."""
        with self._guard:
            self.done += count
            now = self.clock()
            if now - self._shown < INTERVAL:
                return
            self._shown = now
        rate = self.done / max(now - self._begun, 0.01)
        left = (self.total - self.done) / rate if rate and self.total > self.done else 0
        percent = min(99, self.done * 100 // self.total) if self.total else None
        remaining = f"{text}, {left:.0f} s left" if left else text
        self.show.note(self.name, remaining, percent, size=size(self.done), rate=f"{size(int(rate))}/s")

    def of(self, text: str) -> Callable[[int], None]:
        """`add` for bytes of one kind; `text`: what they are."""
        return lambda count: self.add(count, text)
