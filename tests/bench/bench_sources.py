"""Getting the sources of a stack, 30 add-on repositories and the platform, from a server on loopback; beside plain git.

    .odpm/venv/bin/python -m tests.bench.bench_sources

cold         `inv render` with an empty cache and no lock of the repositories, so that it locks, fetches and checks out.
             The Python locks are given: uv has no part in it. Floor: `git clone --depth 1` of the same repositories, as
             many at once (ODPM_JOBS is the same number).
second       `inv render` of another project with the same lock and cache. The server must not be asked anything.
nothing      `inv render` once more. Floor: `git rev-parse HEAD` in the same checkouts, one after another in one shell.
run          the same, from when Python has imported all that it will need: judged. What the start of Python, of invoke
             (`import invoke`) and of our modules takes is told by `nothing`.
aggregator   git-aggregator (`gitaggregate -j`) on the same repositories, depth 1. Told, not judged.
memory       the peak of the odpm process itself, programs that it starts left out, for 5 and for 60 repositories.

Medians of several runs in turn; what was written is on the disk before the next one begins, and nothing is removed before
the end: for minutes ext4 looks for other inodes than those of removed files. That is 2 GB for each run. The platform is the
stand-in of Odoo where this machine has it, else as many files made up. Ends with 1 where a target is missed.
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
from tests.bench.project import LOCK, PYTHON_LOCKS, Took, environment, lay, locks_of, modules, ran, task
from tests.standins import common
from tests.standins.githttp import GitServer
from tests.standins.gitrepo import File, place, write_bare

BRANCH = "19.0"
ADDONS, FEW, MANY = 30, 5, 60
MOST = {"cold": ("floor", 1.2), "second": ("cold", 0.4), "run": ("rev-parse", 2.0)}
TOLD = {"nothing": "rev-parse", "aggregator": "floor"}
MORE = 8.0  # MiB that 55 repositories more may cost the process
OFTEN = 5  # times that nothing is done in a run: it is over soon
PEAK = """
import atexit, pathlib, re, resource
def tell():
    status = pathlib.Path("/proc/self/status")  # what it began as is not counted there, as it is in ru_maxrss
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
    """What everything took, by kind."""

    took: dict[str, list[Took]] = field(default_factory=dict)

    def add(self, kind: str, took: Took) -> None:
        self.took.setdefault(kind, []).append(took)

    def medians(self) -> dict[str, Took]:
        return {
            kind: Took(statistics.median(one.wall for one in each), statistics.median(one.processor for one in each))
            for kind, each in self.took.items()
        }


@dataclass(frozen=True)
class Ground:
    """A folder to work in, the server, and the names of its repositories."""

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

    def round(self, number: int) -> Ground:
        """The same with a folder, and so a cache, of its own."""
        folder = self.folder / str(number)
        folder.mkdir()
        return replace(self, folder=folder)

    def project(self, name: str, locks: dict[str, bytes]) -> Path:
        root = self.folder / name
        lay(root, self.server.url(self.platform), [self.server.url(addon) for addon in self.addons], locks)
        return root

    def render(self, root: Path) -> Took:
        os.sync()
        return task(root, self.cache, "render", ODPM_JOBS=str(self.jobs))


# --- what the server has -----------------------------------------------------------------------------------------------


def addon(number: int) -> Iterator[File]:
    """A repository of three add-ons: 39 files, about 60 kB of text that is like nothing else."""
    chance = random.Random(number)
    for part in "abc":
        module = f"addon_{number:02d}_{part}"
        yield File(f"{module}/__manifest__.py", b"{'name': 'x', 'version': '19.0.1.0.0'}\n")
        for model in range(12):
            rows = [f"field_{chance.getrandbits(48):x} = fields.Char()\n" for _ in range(chance.randint(10, 80))]
            yield File(f"{module}/models/model_{model}.py", "".join(rows).encode())


def made_up_platform() -> Iterator[File]:
    """As many files as Odoo has, in as many folders."""
    chance = random.Random(19)
    yield File("odoo-bin", b"#\n", executable=True)
    for number in range(27_000):
        module = f"addons/module_{number // 60:03d}"
        if number % 60 == 0:
            yield File(f"{module}/__manifest__.py", b"{'name': 'x'}\n")
        yield File(f"{module}/part_{number % 60 // 12}/file_{number}.py", chance.randbytes(3000).hex().encode())


def publish(served: Path) -> str:
    """Every repository, as a bare one that the server gives; tells which platform it is."""
    for number in range(MANY):
        write_bare(served / f"addon-{number:02d}", BRANCH, "one", addon(number), "bench")
    write_bare(
        served / "small", BRANCH, "one", [File("odoo-bin", b"#\n", True), File("addons/a/__manifest__.py", b"{}")], "b"
    )
    if (place("odoo/odoo") / "HEAD").exists():
        (served / "odoo").symlink_to(place("odoo/odoo"))
        return "the stand-in of Odoo"
    write_bare(served / "odoo", BRANCH, "one", made_up_platform(), "bench")
    return "27,000 files made up"


# --- what is measured --------------------------------------------------------------------------------------------------


def cold(ground: Ground, run: int, times: Times, python_locks: dict[str, bytes]) -> dict[str, bytes]:
    """Ours and the floor, who goes first alternates. Leaves a project and its cache; gives all its locks."""
    for kind in ("floor", "cold") if run % 2 else ("cold", "floor"):
        if kind == "cold":
            times.add(kind, ground.render(ground.project("first", python_locks)))
        else:
            times.add(kind, clone(ground))
    return locks_of(ground.folder / "first", (LOCK, *PYTHON_LOCKS))


def clone(ground: Ground) -> Took:
    target = ground.folder / "floor"
    target.mkdir()
    os.sync()

    def one(name: str) -> float:
        words = ["git", "clone", "--quiet", "--depth", "1", "--branch", BRANCH, ground.server.url(name), name]
        return ran(words, target).processor

    begun = time.perf_counter()
    with ThreadPoolExecutor(ground.jobs) as pool:
        processor = sum(pool.map(one, ground.names))
    return Took(time.perf_counter() - begun, processor)


def second(ground: Ground, times: Times, locks: dict[str, bytes]) -> Path:
    root = ground.project("second", locks)
    ground.server.requests.clear()
    times.add("second", ground.render(root))
    assert not ground.server.requests, f"the server was asked {len(ground.server.requests)} times"
    return root


def nothing(ground: Ground, times: Times, root: Path) -> None:
    checkouts = [str(root / ".odpm/src" / name) for name in ground.names]
    loop = ["sh", "-c", 'for checkout in "$@"; do git -C "$checkout" rev-parse HEAD; done', "sh", *checkouts]
    env = environment(ground.cache)
    program = LOADED.format(modules=modules(root, env, "render"))
    os.sync()
    for _ in range(OFTEN):
        times.add("rev-parse", ran(loop, root, env))
        times.add("python", ran([sys.executable, "-c", "import invoke"], root, env))
        times.add("nothing", task(root, ground.cache, "render"))
        said = re.findall(r"^took (\S+) (\S+)$", ran([sys.executable, "-c", program], root, env).said, re.MULTILINE)
        times.add("run", Took(float(said[0][0]), float(said[0][1])))


def aggregate(ground: Ground, times: Times, program: Path) -> None:
    target = ground.folder / "aggregated"
    target.mkdir()
    rows = [
        f"{target / name}:\n  defaults: {{depth: 1}}\n  remotes: {{origin: '{ground.server.url(name)}'}}\n"
        f"  merges: [origin {BRANCH}]\n  target: origin {BRANCH}\n"
        for name in ground.names
    ]
    (target / "repos.yaml").write_text("".join(rows), encoding="utf-8")
    os.sync()
    times.add("aggregator", ran([str(program), "-c", "repos.yaml", "-j", str(ground.jobs)], target))
    for name in ground.names:
        assert (target / name / ".git/shallow").exists(), f"git-aggregator did not bring {name}"


def git_aggregator() -> Path | None:
    """The program, in an environment of its own below the cache folder; None where the index of this machine lacks it."""
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
    """MiB that the process itself has at most, with so many repositories, from nothing."""
    ground = Ground(folder / f"memory-{number}", server, tuple(f"addon-{n:02d}" for n in range(number)), jobs, "small")
    root = ground.project("project", python_locks)
    env = environment(ground.cache, ODPM_JOBS=str(jobs))
    said = ran([sys.executable, "-c", PEAK], root, env).said
    return int(re.findall(r"^peak (\d+)$", said, re.MULTILINE)[0]) / (1 << 20)


# --- all of it ---------------------------------------------------------------------------------------------------------


def measure(folder: Path, server: GitServer, runs: int, jobs: int) -> tuple[Times, list[tuple[float, float]]]:
    """Every time, and of each run the peaks of FEW and of MANY repositories."""
    whole = Ground(folder, server, tuple(f"addon-{number:02d}" for number in range(ADDONS)), jobs)
    whole.render(whole.project("warm", {}))  # not measured: makes the Python locks, and Python compiles what it runs
    python_locks = locks_of(folder / "warm", PYTHON_LOCKS)
    program = git_aggregator()
    times, peaks = Times(), []
    for run in range(runs):
        ground = whole.round(run)
        locks = cold(ground, run, times, python_locks)
        nothing(ground, times, second(ground, times, locks))
        if program:
            aggregate(ground, times, program)
        few, many = (peak(ground.folder, server, number, jobs, {}) for number in (FEW, MANY))
        peaks.append((few, many))
    return times, peaks


def report(times: Times, peaks: list[tuple[float, float]]) -> bool:
    """Print the medians; whether every target is met. The processor's ratios are told: others on the machine blur them less."""
    took = times.medians()
    met = True
    for kind, (base, most) in MOST.items():
        ratio, processor = took[kind].wall / took[base].wall, took[kind].processor / took[base].processor
        met = met and ratio <= most
        print(f"{_row(kind, took)}  {ratio:5.2f} times {base} (at most {most}), of the processor {processor:.2f}")
    for kind, base in TOLD.items():
        if kind in took:
            print(f"{_row(kind, took)}  {took[kind].wall / took[base].wall:5.2f} times {base}")
    for kind in sorted(took.keys() - MOST.keys() - TOLD.keys()):
        print(_row(kind, took))
    few, many = (statistics.median(column) for column in zip(*peaks, strict=True))
    print(f"memory: {few:.1f} MiB with {FEW} repositories, {many:.1f} with {MANY} (at most {MORE:.0f} more)")
    return met and many - few <= MORE


def _row(kind: str, took: dict[str, Took]) -> str:
    return f"{kind:<10} {took[kind].wall:7.3f} s, of the processor {took[kind].processor:7.3f} s"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs, jobs = parser.parse_args().runs, min(32, 8 * (os.cpu_count() or 1))  # what odpm takes by itself
    before = os.getloadavg()[0]
    with common.scratch() as served, tempfile.TemporaryDirectory(prefix="odpm-bench-") as folder:
        platform = publish(served)
        with GitServer(served) as server:
            times, peaks = measure(Path(folder), server, runs, jobs)
    met = report(times, peaks)
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} at the end"
    print(
        f"medians of {runs} runs, {ADDONS} repositories and {platform}, {jobs} at once, {os.cpu_count()} cores, {load}"
    )
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
