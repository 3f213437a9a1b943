"""Fetch the sources of a stack, the platform and 30 add-on repositories, from a server on loopback; compared with git.

    .odpm/venv/bin/python -m tests.bench.bench_sources

cold         `inv render` with an empty cache and without a lock: it locks, fetches and checks out. The Python locks
             exist, so uv does not run. Floor: `git clone --depth 1` of the same repositories with the same number of
             parallel jobs (ODPM_JOBS).
second       `inv render` of another project with the same lock and cache; it must not send any request to the server.
nothing      `inv render` again. Floor: `git rev-parse HEAD` in the same checkouts, one after another in one shell.
run          the same without the time that Python takes to start and to import all modules; has a target.
aggregator   git-aggregator (`gitaggregate -j`) on the same repositories, depth 1; printed without a target.
memory       the peak of the odpm process, without child processes, for 5 and for 60 repositories.

Medians of several alternating runs. Data is written to disk (sync) before each run. Files are removed only at the end,
because ext4 is slower for minutes after a removal: 2 GB for each run. The platform is the stand-in of Odoo if it exists,
otherwise as many generated files. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from odpm_tasks.errors import OdpmError
from tests.bench.project import (
    LOCK,
    PYTHON_LOCKS,
    Timing,
    environment,
    locks_of,
    modules,
    run_timed,
    task,
    write_project,
)
from tests.standins import common
from tests.standins.githttp import GitServer
from tests.standins.gitrepo import File, place, write_bare

BRANCH = "19.0"
ADDONS, FEW, MANY = 30, 5, 60
MOST = {"cold": ("floor", 1.2), "second": ("cold", 0.4), "run": ("rev-parse", 2.0)}
TOLD = {"nothing": "rev-parse", "aggregator": "floor"}
MORE = 8.0  # MiB that 55 more repositories may add
OFTEN = 5  # repetitions of the short measurements in a run
PEAK = """
import atexit, pathlib, re, resource
def tell():
    status = pathlib.Path("/proc/self/status")  # unlike ru_maxrss, without the memory of the parent process
    found = re.search(r"VmHWM:\\s+(\\d+) kB", status.read_text()) if status.exists() else None
    print("peak", int(found[1]) * 1024 if found else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
atexit.register(tell)
from invoke.main import program
program.run(["inv", "render"])
"""
LOADED = """
import importlib, resource, sys, time
for name in {modules!r}:
    importlib.import_module(name)
from invoke.main import program
begun, busy = time.perf_counter(), time.process_time()
program.run(["inv", "render"], exit=False)
print("took", time.perf_counter() - begun, time.process_time() - busy)
"""


@dataclass
class Times:
    """Times by kind."""

    took: dict[str, list[Timing]] = field(default_factory=dict)

    def add(self, kind: str, took: Timing) -> None:
        self.took.setdefault(kind, []).append(took)

    def medians(self) -> dict[str, Timing]:
        return {
            kind: Timing(statistics.median(one.wall for one in each), statistics.median(one.processor for one in each))
            for kind, each in self.took.items()
        }


@dataclass(frozen=True)
class Setup:
    """A working folder, the server and the names of its repositories."""

    folder: Path
    server: GitServer
    addons: tuple[str, ...]
    jobs: int
    platform: str = "odoo"

    @property
    def names(self) -> tuple[str, ...]:
        return (self.platform, *self.addons)

    @property
    def cache(self) -> Path:
        return self.folder / "cache"

    def round(self, number: int) -> Setup:
        """The same with a separate folder and cache."""
        folder = self.folder / str(number)
        folder.mkdir()
        return replace(self, folder=folder)

    def project(self, name: str, locks: dict[str, bytes]) -> Path:
        root = self.folder / name
        write_project(root, self.server.url(self.platform), [self.server.url(addon) for addon in self.addons], locks)
        return root

    def render(self, root: Path) -> Timing:
        os.sync()
        return task(root, self.cache, "render", ODPM_JOBS=str(self.jobs))


# --- what the server has -----------------------------------------------------------------------------------------------


def addon(number: int) -> Iterator[File]:
    """A repository with three add-ons: 39 files, about 60 kB of random text."""
    chance = random.Random(number)
    for part in "abc":
        module = f"addon_{number:02d}_{part}"
        yield File(f"{module}/__manifest__.py", b"{'name': 'x', 'version': '19.0.1.0.0'}\n")
        for model in range(12):
            rows = [f"field_{chance.getrandbits(48):x} = fields.Char()\n" for _ in range(chance.randint(10, 80))]
            yield File(f"{module}/models/model_{model}.py", "".join(rows).encode())


def generated_platform() -> Iterator[File]:
    """As many files as Odoo has, in as many folders."""
    chance = random.Random(19)
    yield File("odoo-bin", b"#\n", executable=True)
    for number in range(27_000):
        module = f"addons/module_{number // 60:03d}"
        if number % 60 == 0:
            yield File(f"{module}/__manifest__.py", b"{'name': 'x'}\n")
        yield File(f"{module}/part_{number % 60 // 12}/file_{number}.py", chance.randbytes(3000).hex().encode())


def publish(served: Path) -> str:
    """Write every repository as a bare one; returns a description of the platform."""
    for number in range(MANY):
        write_bare(served / f"addon-{number:02d}", BRANCH, "one", addon(number), "bench")
    write_bare(
        served / "small", BRANCH, "one", [File("odoo-bin", b"#\n", True), File("addons/a/__manifest__.py", b"{}")], "b"
    )
    if (place("odoo/odoo") / "HEAD").exists():
        (served / "odoo").symlink_to(place("odoo/odoo"))
        return "the stand-in of Odoo"
    write_bare(served / "odoo", BRANCH, "one", generated_platform(), "bench")
    return "27,000 generated files"


# --- what is measured --------------------------------------------------------------------------------------------------


def cold(setup: Setup, run: int, times: Times, python_locks: dict[str, bytes]) -> dict[str, bytes]:
    """Ours and the floor, in alternating order. Leaves the project and its cache; returns all its locks."""
    for kind in ("floor", "cold") if run % 2 else ("cold", "floor"):
        if kind == "cold":
            times.add(kind, setup.render(setup.project("first", python_locks)))
        else:
            times.add(kind, clone(setup))
    return locks_of(setup.folder / "first", (LOCK, *PYTHON_LOCKS))


def clone(setup: Setup) -> Timing:
    target = setup.folder / "floor"
    target.mkdir()
    os.sync()

    def one(name: str) -> float:
        words = ["git", "clone", "--quiet", "--depth", "1", "--branch", BRANCH, setup.server.url(name), name]
        return run_timed(words, target).processor

    begun = time.perf_counter()
    with ThreadPoolExecutor(setup.jobs) as pool:
        processor = sum(pool.map(one, setup.names))
    return Timing(time.perf_counter() - begun, processor)


def second(setup: Setup, times: Times, locks: dict[str, bytes]) -> Path:
    root = setup.project("second", locks)
    setup.server.requests.clear()
    times.add("second", setup.render(root))
    assert not setup.server.requests, f"the server got {len(setup.server.requests)} requests"
    return root


def nothing(setup: Setup, times: Times, root: Path) -> None:
    checkouts = [str(root / ".odpm/src" / name) for name in setup.names]
    loop = ["sh", "-c", 'for checkout in "$@"; do git -C "$checkout" rev-parse HEAD; done', "sh", *checkouts]
    env = environment(setup.cache)
    program = LOADED.format(modules=modules(root, env, "render"))
    os.sync()
    for _ in range(OFTEN):
        times.add("rev-parse", run_timed(loop, root, env))
        times.add("python", run_timed([sys.executable, "-c", "import invoke"], root, env))
        times.add("nothing", task(root, setup.cache, "render"))
        output = re.findall(
            r"^took (\S+) (\S+)$", run_timed([sys.executable, "-c", program], root, env).output, re.MULTILINE
        )
        times.add("run", Timing(float(output[0][0]), float(output[0][1])))


def aggregate(setup: Setup, times: Times, program: Path) -> None:
    target = setup.folder / "aggregated"
    target.mkdir()
    rows = [
        f"{target / name}:\n  defaults: {{depth: 1}}\n  remotes: {{origin: '{setup.server.url(name)}'}}\n"
        f"  merges: [origin {BRANCH}]\n  target: origin {BRANCH}\n"
        for name in setup.names
    ]
    (target / "repos.yaml").write_text("".join(rows), encoding="utf-8")
    os.sync()
    times.add("aggregator", run_timed([str(program), "-c", "repos.yaml", "-j", str(setup.jobs)], target))
    for name in setup.names:
        assert (target / name / ".git/shallow").exists(), f"git-aggregator did not fetch {name}"


def git_aggregator() -> Path | None:
    """The program, in its own environment below the cache folder; None if the Python index does not have it."""
    home = common.root() / "git-aggregator"
    try:
        with common.locked(home.name):
            if not (home / "bin/gitaggregate").exists():
                common.run(sys.executable, "-m", "uv", "venv", "--clear", home)
                common.run(
                    sys.executable, "-m", "uv", "pip", "install", "--python", home / "bin/python", "git-aggregator"
                )
    except OdpmError as error:
        print(error, file=sys.stderr)
        return None
    return home / "bin/gitaggregate"


def peak(folder: Path, server: GitServer, number: int, jobs: int, python_locks: dict[str, bytes]) -> float:
    """Peak memory (MiB) of a first `inv render` with this number of repositories."""
    setup = Setup(folder / f"memory-{number}", server, tuple(f"addon-{n:02d}" for n in range(number)), jobs, "small")
    root = setup.project("project", python_locks)
    env = environment(setup.cache, ODPM_JOBS=str(jobs))
    output = run_timed([sys.executable, "-c", PEAK], root, env).output
    return int(re.findall(r"^peak (\d+)$", output, re.MULTILINE)[0]) / (1 << 20)


# --- all of it ---------------------------------------------------------------------------------------------------------


def measure(folder: Path, server: GitServer, runs: int, jobs: int) -> tuple[Times, list[tuple[float, float]]]:
    """All times, and for each run the peak memory with FEW and with MANY repositories."""
    whole = Setup(folder, server, tuple(f"addon-{number:02d}" for number in range(ADDONS)), jobs)
    whole.render(whole.project("warm", {}))  # not measured: creates the Python locks and the byte code
    python_locks = locks_of(folder / "warm", PYTHON_LOCKS)
    program = git_aggregator()
    times, peaks = Times(), []
    for run in range(runs):
        setup = whole.round(run)
        locks = cold(setup, run, times, python_locks)
        nothing(setup, times, second(setup, times, locks))
        if program:
            aggregate(setup, times, program)
        few, many = (peak(setup.folder, server, number, jobs, {}) for number in (FEW, MANY))
        peaks.append((few, many))
    return times, peaks


def report(times: Times, peaks: list[tuple[float, float]]) -> bool:
    """Print the medians; returns whether every target is met. Ratios of processor time depend less on other load."""
    took = times.medians()
    met = True
    for kind, (base, most) in MOST.items():
        ratio, processor = took[kind].wall / took[base].wall, took[kind].processor / took[base].processor
        met = met and ratio <= most
        print(f"{_row(kind, took)}  {ratio:5.2f} times {base} (at most {most}), processor time {processor:.2f}")
    for kind, base in TOLD.items():
        if kind in took:
            print(f"{_row(kind, took)}  {took[kind].wall / took[base].wall:5.2f} times {base}")
    for kind in sorted(took.keys() - MOST.keys() - TOLD.keys()):
        print(_row(kind, took))
    few, many = (statistics.median(column) for column in zip(*peaks, strict=True))
    print(f"memory: {few:.1f} MiB with {FEW} repositories, {many:.1f} with {MANY} (at most {MORE:.0f} more)")
    return met and many - few <= MORE


def _row(kind: str, took: dict[str, Timing]) -> str:
    return f"{kind:<10} {took[kind].wall:7.3f} s, processor time {took[kind].processor:7.3f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs, jobs = parser.parse_args().runs, min(32, 8 * (os.cpu_count() or 1))  # the default of odpm
    before = os.getloadavg()[0]
    with common.scratch() as served, tempfile.TemporaryDirectory(prefix="odpm-bench-") as folder:
        platform = publish(served)
        with GitServer(served) as server:
            times, peaks = measure(Path(folder), server, runs, jobs)
    met = report(times, peaks)
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} at the end"
    print(f"medians of {runs} runs, {ADDONS} repositories and {platform}, {jobs} jobs, {os.cpu_count()} cores, {load}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
