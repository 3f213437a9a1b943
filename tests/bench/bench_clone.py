"""Copies of a database on PostgreSQL 18, on XFS, Btrfs and Docker's own file system: `python -m tests.bench.bench_clone`.

On each the statement with which `db.snapshot` and `db.copy` clone is compared with PostgreSQL's ordinary strategies, in alternation.
Needs root, which mounts the file systems.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from odpm_tasks.core.databases.sql import Strategy, create_copy, drop
from tests.e2e.databases.test_upgrade_postgres import TASKS
from tests.e2e.failures import create_workspace
from tests.e2e.harness import Bench, docker
from tests.ports import claim_port
from tests.standins.engine import ensure_engine
from tests.standins.file_systems import file_system
from tests.standins.images import DEFAULT, ensure_images

ROWS_PER_MB = 1000


@contextmanager
def stack(kind: str, folder: Path, size: int) -> Iterator[Bench]:
    """PostgreSQL 18 with a database of `size` MB on a file system of this kind; `docker`: that of the engine."""
    workspace = create_workspace(folder)
    bench = workspace.bench
    del bench.env["ODPM_IMAGE_MIRROR"]
    bench.env |= {name: str(claim_port()) for name in ("ODOO_PORT", "GEVENT_PORT", "POSTGRES_PORT", "DEBUGGER_PORT")}
    bench.env |= {"ODPM_MAIL": "off"}
    workspace.describe(postgres="18")
    (bench.root / "tasks.py").write_text(TASKS, encoding="utf-8")
    try:
        if kind == "docker":
            yield _filled(bench, size)
            return
        with file_system(kind, folder, f"{size * 6 + 1500}M") as mounted:
            labels = [
                f"--label=com.docker.compose.project={bench.prefix}",
                "--label=com.docker.compose.volume=db-developer-18",
            ]
            place = ["--opt=type=none", "--opt=o=bind", f"--opt=device={mounted}"]
            docker("volume", "create", *labels, *place, f"{bench.prefix}_db-developer-18")
            yield _filled(bench, size)
            bench.remove()
    finally:
        bench.remove()


def _filled(bench: Bench, size: int) -> Bench:
    bench.ok("database")
    docker("volume", "rm", f"{bench.prefix}_odoo-developer")  # there is no Odoo, and no image of it
    bench.inside("createdb", "-U", "postgres", "-O", "odoo", "shop", service="db")
    rows = f"SELECT n, md5(n::text) || repeat('x', 900) AS b FROM generate_series(1, {size * ROWS_PER_MB}) n"
    bench.sql(f"CREATE TABLE a AS {rows}", "shop")
    bench.sql("CHECKPOINT")
    return bench


def script(bench: Bench, text: str) -> None:
    argv = ["docker", "exec", "-i", str(bench.containers()["db"]["Id"]), "psql", "-U", "postgres", "-Xqo", "/dev/null"]
    subprocess.run([*argv, "-v", "ON_ERROR_STOP=1"], input=text, text=True, check=True)


def measure(bench: Bench, rounds: int) -> dict[str, float]:
    """Medians, in seconds."""
    found: dict[str, list[float]] = {}

    def timed(name: str, work: Callable[[], object]) -> None:
        started = time.perf_counter()
        work()
        found.setdefault(name, []).append(time.perf_counter() - started)

    strategies: tuple[Strategy, ...] = ("CLONE", "WAL_LOG", "FILE_COPY")
    for number in range(rounds):
        for strategy in strategies if number % 2 else strategies[::-1]:
            timed(strategy, partial(script, bench, create_copy("shop", "other", "odoo", strategy)))
            script(bench, drop("other"))
    timed("db.snapshot", partial(bench.ok, "db.snapshot", "-d", "shop"))
    return {name: statistics.median(times) for name, times in found.items()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=500, help="of the database, in MB")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()

    def say(text: str) -> None:
        print(text, file=sys.stderr)

    ensure_engine(say)
    ensure_images([*DEFAULT, "postgres:18"], say)
    missed = False
    for kind in ("xfs", "btrfs", "docker"):
        with tempfile.TemporaryDirectory() as folder, stack(kind, Path(folder), options.size) as bench:
            times = measure(bench, options.rounds)
        ordinary = min(times["WAL_LOG"], times["FILE_COPY"])
        print(f"{kind:<8}" + "   ".join(f"{name} {value:.2f} s" for name, value in times.items()), end="")
        print(f"   ratio {times['CLONE'] / ordinary:.2f}", flush=True)
        missed |= kind != "docker" and times["CLONE"] > ordinary
    return int(missed)


if __name__ == "__main__":
    sys.exit(main())
