"""`inv lock` of repositories with merges from a slow server, compared with the same merges by plain git.

    .odpm/venv/bin/python -m tests.bench.bench_merges

Each repository has the size of a small one of the OCA (1,200 files, 2,400 commits) and three pull requests. The floor
fetches the branch and the pull requests with their history, all repositories in parallel, and merges them with `git merge-
tree` and `git commit-tree`; "in a working tree" clones and pulls, as a person would. Each run starts with an empty cache and
without a lock. The Python locks exist. Exit code 1 if the target is missed.
"""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.bench.project import LOCK, PYTHON_LOCKS, locks_of, run_timed, task, write_project
from tests.standins.githttp import GitServer

REPOSITORIES, COMMITS, FILES, DELAY, RUNS, TARGET = 12, 2_400, 1_200, 0.1, 5, 1.2
PULLS = ("refs/pull/1/head", "refs/pull/2/head", "refs/pull/3/head")
CHANGED = 1_000  # files that the branch changes; the pull requests change others
DAY = 86400


def make(repo: Path, seed: int) -> None:
    """One pack, written by `git fast-import`; the pull requests begin 10, 40 and 100 commits before the tip."""
    subprocess.run(["git", "init", "-q", "--bare", "--template=", "-b", "19.0", str(repo)], check=True)
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        subprocess.run(["git", "-C", str(repo), "config", key, "true"], check=True)
    end = int(time.time()) - DAY
    feed: list[str] = []

    def commit(ref: str, number: int, files: dict[str, str], start: str = "") -> None:
        when = end - (COMMITS - number) * DAY // 3
        feed.append(f"commit {ref}\nmark :{len(marks) + 1}\ncommitter b <b@b> {when} +0000\ndata 2\nx\n{start}")
        feed.extend(f"M 100644 inline {name}\ndata {len(text)}\n{text}\n" for name, text in files.items())
        marks.append(ref)

    def text(file: int, version: int) -> str:
        return "".join(f"{hash((seed, file, line, version if line == 7 else 0))}\n" for line in range(60))

    marks: list[str] = []
    names = [f"addon_{number % 20}/file_{number}.py" for number in range(FILES)]
    first = {name: text(number, 0) for number, name in enumerate(names)}
    first |= {f"addon_{number}/__manifest__.py": "{'name': 'x', 'version': '19.0.1.0.0'}\n" for number in range(20)}
    commit("refs/heads/19.0", 0, first)
    for number in range(1, COMMITS):
        commit(
            "refs/heads/19.0",
            number,
            {names[n % CHANGED]: text(n % CHANGED, number) for n in range(number, number + 4)},
        )
    for pull, behind in zip(PULLS, (10, 40, 100), strict=True):
        changed = {
            names[CHANGED + behind]: text(CHANGED + behind, 0) + "# changed\n",
            f"addon_{behind}/__manifest__.py": "{'name': 'y'}\n",
        }
        commit(pull, COMMITS - behind // 2, changed, f"from :{COMMITS - behind}\n")
    options = ["-c", "fastimport.unpackLimit=0"]
    subprocess.run(
        ["git", *options, "-C", str(repo), "fast-import", "--quiet"], input="".join(feed).encode(), check=True
    )


def ours(work: Path, base: Callable[[str], str], python_locks: dict[str, bytes]) -> tuple[float, dict[str, bytes]]:
    root = work / "project"
    dependencies = [base(f"repo-{number}.git") for number in range(1, REPOSITORIES)]
    write_project(root, base("repo-0.git"), dependencies, python_locks, ["#1", "#2", "#3"])
    taken = task(root, work / "cache", "lock").wall
    lock = json.loads((root / ".odpm" / LOCK).read_text(encoding="utf-8"))
    assert [len(entry["merges"]) for entry in lock["dependencies"]] == [3] * (REPOSITORIES - 1)
    return taken, locks_of(root, PYTHON_LOCKS)


def plain(work: Path, base: Callable[[str], str]) -> float:
    def one(number: int) -> None:
        store, url = work / f"repo-{number}.git", base(f"repo-{number}.git")
        run_timed(["git", "init", "-q", "--bare", str(store)], work)
        specs = [f"+{ref}:{ref}" for ref in ("refs/heads/19.0", *(PULLS if number else ()))]
        run_timed(["git", "-C", str(store), "fetch", "-q", "--no-tags", url, *specs], work)
        tip = "refs/heads/19.0"
        for pull in PULLS if number else ():
            tree = run_timed(["git", "-C", str(store), "merge-tree", "--write-tree", tip, pull], work).output.split()[0]
            words = ["git", "-c", "user.name=b", "-c", "user.email=b@b", "-C", str(store), "commit-tree"]
            tip = run_timed([*words, "-p", tip, "-p", pull, "-m", "x", tree], work).output.strip()

    return in_parallel(one)


def working_tree(work: Path, base: Callable[[str], str]) -> float:
    def one(number: int) -> None:
        clone, url = work / f"repo-{number}", base(f"repo-{number}.git")
        run_timed(["git", "clone", "-q", "-b", "19.0", url, str(clone)], work)
        for pull in PULLS if number else ():
            words = ["git", "-c", "user.name=b", "-c", "user.email=b@b", "-C", str(clone), "pull", "-q", "--no-rebase"]
            run_timed([*words, "--no-edit", url, pull], work)

    return in_parallel(one)


def in_parallel(one: Callable[[int], None]) -> float:
    begun = time.monotonic()
    with ThreadPoolExecutor(REPOSITORIES) as pool:
        list(pool.map(one, range(REPOSITORIES)))
    return time.monotonic() - begun


def main() -> int:
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    figures: dict[str, list[float]] = {"ours, Python too": [], "ours": [], "floor": [], "in a working tree": []}
    python_locks: dict[str, bytes] = {}
    try:
        with GitServer(folder / "served", delay=DELAY) as server:
            (folder / "served").mkdir(exist_ok=True)
            for number in range(REPOSITORIES):
                make(folder / "served" / f"repo-{number}.git", number)
            for run in range(RUNS):
                for kind, seconds in figures.items():
                    if kind == "ours, Python too" and run:
                        continue
                    work = folder / f"{kind.replace(' ', '-')}-{run}"
                    work.mkdir()
                    if kind.startswith("ours"):
                        taken, python_locks = ours(work, server.url, python_locks if kind == "ours" else {})
                        seconds.append(taken)
                    else:
                        seconds.append((plain if kind == "floor" else working_tree)(work, server.url))
                    shutil.rmtree(work)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    floor = statistics.median(figures["floor"])
    for kind, seconds in figures.items():
        print(f"{kind:<17} {statistics.median(seconds):6.2f} s   {statistics.median(seconds) / floor:5.2f} x floor")
    return int(statistics.median(figures["ours"]) > TARGET * floor)


if __name__ == "__main__":
    sys.exit(main())
