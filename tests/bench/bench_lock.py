"""`inv lock` of 60 repositories in four levels from a slow server, compared with fetches by plain git.

    .odpm/venv/bin/python -m tests.bench.bench_lock

The floor fetches the same commits by plain git, all repositories of a level in parallel. Each run starts with an empty
cache and without a lock. For "ours" the Python locks exist, so that both do the same work; for "ours, Python too" uv also
locks debugger and reload, two packages of the Python index. Exit code 1 if the target is missed.
"""

from __future__ import annotations

import json
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.project import LOCK, PYTHON_LOCKS, locks_of, run_timed, task, write_project
from tests.standins.githttp import GitServer
from tests.standins.gitrepo import File, write_bare

LEVELS, WIDTH, DELAY, RUNS, TARGET = 4, 15, 0.1, 5, 1.4


def name(level: int, number: int) -> str:
    return f"repo-{level}-{number:02d}"


def make(folder: Path, base: Callable[[str], str]) -> None:
    """Each repository has two add-ons and depends on one repository of the next level; the platform has no dependencies."""
    for level in range(LEVELS):
        for number in range(WIDTH):
            own = name(level, number).replace("-", "_")
            files = [
                File(f"{own}_{part}/__manifest__.py", b"{'name': 'x', 'version': '19.0.1.0.0'}") for part in ("a", "b")
            ]
            if level + 1 < LEVELS:
                below = name(level + 1, number)
                files.append(File("oca_dependencies.txt", f"{below} {base(below)} 19.0\n".encode()))
            write_bare(folder / f"{name(level, number)}.git", "19.0", "one", files, "bench")
    platform = [File("odoo-bin", b"#\n", True), File("addons/base/__manifest__.py", b"{}")]
    write_bare(folder / "platform.git", "19.0", "one", platform, "bench")


def ours(work: Path, base: Callable[[str], str], python_locks: dict[str, bytes]) -> tuple[float, dict[str, bytes]]:
    root = work / "project"
    write_project(root, base("platform"), [base(name(0, number)) for number in range(WIDTH)], python_locks)
    taken = task(root, work / "cache", "lock").wall
    lock = json.loads((root / ".odpm" / LOCK).read_text(encoding="utf-8"))
    assert len(lock["dependencies"]) == LEVELS * WIDTH
    return taken, locks_of(root, PYTHON_LOCKS)


def plain(work: Path, base: Callable[[str], str], at_once: int) -> float:
    def fetch(repository: str) -> None:
        store = f"{repository}.git"
        run_timed(["git", "init", "-q", "--bare", store], work)
        branch = "refs/heads/19.0:refs/heads/19.0"
        run_timed(["git", "-C", store, "fetch", "-q", "--no-tags", "--depth=1", base(repository), branch], work)

    begun = time.monotonic()
    with ThreadPoolExecutor(at_once) as pool:
        for level in range(LEVELS):
            names = [name(level, number) for number in range(WIDTH)]
            list(pool.map(fetch, [*names, "platform"] if level == 0 else names))
    return time.monotonic() - begun


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    figures: dict[str, list[float]] = {"ours, Python too": [], "ours": [], "floor": [], "one by one": []}
    python_locks: dict[str, bytes] = {}
    try:
        with GitServer(folder / "served", delay=DELAY) as server:
            (folder / "served").mkdir(exist_ok=True)
            make(folder / "served", server.url)
            for run in range(RUNS):
                for kind, seconds in figures.items():
                    if kind == "one by one" and run:
                        continue
                    work = folder / f"{kind.replace(' ', '-')}-{run}"
                    work.mkdir()
                    if kind.startswith("ours"):
                        taken, python_locks = ours(work, server.url, python_locks if kind == "ours" else {})
                        seconds.append(taken)
                    else:
                        seconds.append(plain(work, server.url, WIDTH + 1 if kind == "floor" else 1))
                    shutil.rmtree(work)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    floor = statistics.median(figures["floor"])
    for kind, seconds in figures.items():
        print(f"{kind:<17} {statistics.median(seconds):6.2f} s   {statistics.median(seconds) / floor:5.2f} x floor")
    return int(statistics.median(figures["ours"]) > TARGET * floor)


if __name__ == "__main__":
    sys.exit(main())
