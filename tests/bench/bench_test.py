"""`inv test`: from a cached template compared with a new database, and two shards compared with one.

    .odpm/venv/bin/python -m tests.bench.bench_test [--runs 3] [--only template|shards] [--addons NAMES]

from nothing   Odoo creates a database, installs the demo's add-on with what it needs, and runs its tests, as `inv test` did before.
template       `inv test`; the template exists.
one, two       `inv test NAMES` in one shard and in two, of an add-on of the platform whose tests take minutes.

Medians of alternating runs after one round that is not measured: it makes the template and records the durations by which shards are
divided. Exit code 1 if a target is missed. The ratio of shards needs two cores that do nothing else; the load is printed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from odpm_tasks.errors import ProgramError
from tests.bench.project import demo, environment, task
from tests.e2e.harness import Bench

TEMPLATE, SHARDS = 1 / 3, 0.65
FRESH = "bench_fresh"
ADDONS = "hr_holidays"


def from_nothing(bench: Bench, cache: Path) -> float:
    """Seconds of Odoo in the running container, with a database that does not exist yet."""
    words = ["-d", FRESH, "-i", "stack_info", "--test-enable", "--test-tags=/stack_info", "--without-demo=True"]
    more = ["--stop-after-init", "--http-port=8899", "--max-cron-threads=0"]
    try:
        return task(bench.root, cache, "exec", "--", "odoo", *words, *more, **bench.env).wall
    finally:
        bench.sql(f"DROP DATABASE IF EXISTS {FRESH} WITH (FORCE)")


def alternating(names: Sequence[str], ways: Sequence[Callable[[], float]], runs: int) -> list[float]:
    """The median of each way, in seconds; the first round is not measured."""
    rounds: list[list[float]] = []
    for number in range(runs + 1):
        rounds.append([way() for way in ways])
        times = "   ".join(f"{name} {seconds:6.1f} s" for name, seconds in zip(names, rounds[-1], strict=True))
        print(f"{times}   load {os.getloadavg()[0]:.1f}{'' if number else '   not measured'}", flush=True)
    return [statistics.median(found) for found in zip(*rounds[1:], strict=True)]


def reached(what: str, measured: float, base: float, target: float) -> bool:
    """Print a ratio with its target; whether it was reached."""
    ratio = measured / base
    print(f"{what}: {ratio:.2f}, target {target:.2f}: {'reached' if ratio <= target else 'missed'}", flush=True)
    return ratio <= target


def from_template(bench: Bench, cache: Path, runs: int) -> bool:
    ways = (lambda: from_nothing(bench, cache), lambda: task(bench.root, cache, "test", **bench.env).wall)
    fresh, copied = alternating(("from nothing", "template"), ways, runs)
    return reached("template / from nothing", copied, fresh, TEMPLATE)


def sharded(bench: Bench, cache: Path, runs: int, addons: str) -> bool:
    def seconds(shards: int) -> float:
        words = [sys.executable, "-m", "invoke", "test", addons, "--shards", str(shards)]
        begun = time.perf_counter()
        done = subprocess.run(
            words, cwd=bench.root, env=environment(cache, **bench.env), capture_output=True, check=False
        )
        if done.returncode not in {0, ProgramError.exit_code}:  # some tests of Odoo count queries, and fail elsewhere
            sys.exit(done.stderr.decode()[-2000:])
        return time.perf_counter() - begun

    one, two = alternating(("one", "two"), (lambda: seconds(1), lambda: seconds(2)), runs)
    return reached(f"two shards / one, {addons}", two, one, SHARDS)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", choices=("template", "shards"))
    parser.add_argument("--addons", default=ADDONS)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    bench, cache, done = demo(folder / "project"), folder / "cache", []
    try:
        task(bench.root, cache, "up", "-i", "base", **bench.env)
        if options.only != "shards":
            done.append(from_template(bench, cache, options.runs))
        if options.only != "template":
            done.append(sharded(bench, cache, options.runs, options.addons))
    finally:
        bench.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(done) else 1


if __name__ == "__main__":
    sys.exit(main())
