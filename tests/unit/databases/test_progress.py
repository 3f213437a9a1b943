"""Progress in bytes: at most every fifth of a second, with rate and time left."""

from __future__ import annotations

from odpm_tasks.adapters.terminal import Activity
from odpm_tasks.databases.progress import ByteProgress


class Shown(Activity):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[tuple[object, ...]] = []

    def note(self, name: str, text: str, percent: int | None = None, size: str = "", rate: str = "") -> None:
        self.lines.append((name, text, percent, size, rate))


def test_rate_and_time_left() -> None:
    now = 100.0
    show = Shown()
    progress = ByteProgress(show, "shop", 40_000_000, clock=lambda: now)
    now += 1
    progress.add(10_000_000, "database")
    progress.add(10_000_000, "database")
    now += 1
    progress.add(0, "files")
    now += 1
    progress.add(40_000_000, "files")
    assert show.lines == [
        ("shop", "database, 3 s left", 25, "10.0 MB", "10.0 MB/s"),
        ("shop", "files, 2 s left", 50, "20.0 MB", "10.0 MB/s"),
        ("shop", "files", 99, "60.0 MB", "20.0 MB/s"),
    ]
