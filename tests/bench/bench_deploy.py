"""Deployments with an update and rollbacks on a server, under a client that sends requests all the time.

    .odpm/venv/bin/python -m tests.bench.bench_deploy [--times 5]

Each round raises the version of the demo's add-on, deploys, and returns with `up --rollback --database`. Printed: the time without an
answer, and that of `odoo -u` alone in a second container on the same database; the containers, images, volumes, releases and
snapshots that are there after each round. Exit code 1 if an answer had another status than 200, or if one of these numbers grows
after the third round.
"""

from __future__ import annotations

import argparse
import re
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench.project import demo, run_timed, task
from tests.e2e.harness import Bench, docker
from tests.e2e.polling import Client

ADDON = "addons/stack_info/__manifest__.py"
DATABASE = "project"
SETTLED = 3  # rounds after which the kept releases and snapshots are complete


def things(bench: Bench) -> dict[str, int]:
    """How many of each kind belong to the project."""
    label = f"label=com.docker.compose.project={bench.prefix}"
    snapshots = bench.sql("SELECT count(*) FROM pg_database WHERE datname LIKE 'odpm.%'")
    return {
        "containers": len(docker("ps", "-aq", "--filter", label).split()),
        "volumes": len(docker("volume", "ls", "-q", "--filter", label).split()),
        "images": len(docker("image", "ls", "-q").split()),
        "releases": len([*(bench.root / ".odpm/releases").glob("[!.]*/")]),
        "snapshots": int(snapshots),
        "files": sum(1 for path in (bench.root / ".odpm").glob("*")),
    }


def raise_version(bench: Bench, number: int) -> None:
    path = bench.root / ADDON
    text = re.sub(r'"version": "[^"]+"', f'"version": "19.0.2.{number}.0"', path.read_text(encoding="utf-8"))
    path.write_text(text, encoding="utf-8")
    bench.commit(f"Version {number}")


def bare_update(bench: Bench) -> float:
    """Seconds of `odoo -u` in a second container."""
    words = ["docker", "compose", "--project-name", bench.prefix, "run", "--rm", "--no-deps", "-T", "odoo", "odoo"]
    words += ["-d", DATABASE, "-u", "stack_info", "--stop-after-init", "--no-http"]
    return run_timed(words, bench.root, bench.environment()).wall


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5)
    times = parser.parse_args().times
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    bench, cache = demo(folder / DATABASE), folder / "cache"
    try:
        task(bench.root, cache, "lock", **bench.env)
        bench.commit("The locks")
        bench.env |= {"ODPM_SCENARIO": "server", "ODPM_CACHE_DIR": str(cache)}
        task(bench.root, cache, "up", **bench.env)
        bare = bare_update(bench)
        statuses: set[int] = set()
        counts: list[dict[str, int]] = []
        deploying: list[float] = []
        returning: list[float] = []
        for number in range(1, times + 1):
            raise_version(bench, number)
            for words, found in ((("up",), deploying), (("up", "--rollback", "--database", "--yes"), returning)):
                with Client(bench.url(f"/web/login?db={DATABASE}")).sending() as client:
                    task(bench.root, cache, *words, **bench.env)
                found.append(client.downtime)
                statuses |= {*client.seen}
            counts.append(things(bench))
            print(
                f"round {number}: deployment {deploying[-1]:.1f} s, rollback {returning[-1]:.1f} s  {counts[-1]}",
                flush=True,
            )
    finally:
        bench.remove()
        shutil.rmtree(folder, ignore_errors=True)
    print(
        f"without an answer: deployment {statistics.median(deploying):.1f} s, rollback {statistics.median(returning):.1f} s"
    )
    print(f"odoo -u alone: {bare:.1f} s; deployment / odoo -u: {statistics.median(deploying) / bare:.2f}")
    grown = [kind for kind in counts[0] for one in counts[SETTLED:] if one[kind] > counts[SETTLED - 1][kind]]
    print(f"statuses: {sorted(statuses - {0})}; grown: {', '.join(grown) or 'nothing'}")
    return 0 if statuses <= {200, 0} and not grown else 1


if __name__ == "__main__":
    sys.exit(main())
