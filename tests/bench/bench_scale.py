"""One, two and four web servers of a target on this machine: requests per second, and what stops them.

    .odpm/venv/bin/python -m tests.bench.bench_scale [--seconds 10] [--replicas 1,2,4]

The demo project's image is pushed to a registry on loopback and its rendered Compose files are started as they are, with PostgreSQL,
Caddy and the other roles. Sixteen clients of `wrk` ask for the login page through Caddy (HTTP). Printed for each number of web servers:
requests per second, the 99th percentile, failed requests, the processors that each service used, the memory of one web server, and
the connections of PostgreSQL. Exit code 1 if a request failed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.bench_web import Side, wrk_script
from tests.bench.project import demo, task
from tests.e2e.harness import docker, eventually
from tests.e2e.targets.test_bundle import DOMAIN, Bundle
from tests.standins.images import ensure_images
from tests.standins.registry import Registry

SERVICES = ("web", "db", "proxy")
NAME = "production"


def processor_seconds(bundle: Bundle, service: str) -> float:
    """Of all containers of a service since they started, by the counters of their control groups (version 2 and 1)."""
    script = (
        "cat /sys/fs/cgroup/cpu.stat 2>/dev/null | sed -n 's/^usage_usec //p' || true;"
        "cat /sys/fs/cgroup/cpuacct/cpuacct.usage 2>/dev/null | sed 's/...$//' || true"
    )
    return sum(
        int(docker("exec", one, "sh", "-c", script).split()[0]) / 1e6
        for one in bundle.ok("docker", "compose", "ps", "-q", service).split()
    )


def measure(bundle: Bundle, replicas: int, script: Path, seconds: int) -> int:
    """Print the figures of one number of web servers; returns how many requests failed."""
    bundle.ok("docker", "compose", "up", "--detach", "--wait", "--scale", f"web={replicas}")
    eventually(lambda: bundle.get("/web/login") == "200")
    cores = ",".join(map(str, sorted(os.sched_getaffinity(0))))
    side = Side("web", f"http://127.0.0.1:{bundle.port}/web/login", "", cores, DOMAIN)
    side.turn(script, 3)
    side.times.clear()
    before, begun = {name: processor_seconds(bundle, name) for name in SERVICES}, time.monotonic()
    side.turn(script, seconds)
    passed = time.monotonic() - begun
    used = ", ".join(f"{name} {(processor_seconds(bundle, name) - before[name]) / passed:.2f}" for name in SERVICES)
    one = bundle.ok("docker", "compose", "ps", "-q", "web").split()[0]
    memory = docker("stats", "--no-stream", "--format", "{{.MemUsage}}", one).split(" /")[0]
    statement = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'shop'"
    (db,) = bundle.ok("docker", "compose", "ps", "-q", "db").split()
    connections = docker("exec", db, "psql", "-U", "postgres", "-qAt", "-c", statement)
    print(
        f"{replicas} web: {side.rates[-1]:6.1f} requests/s, p99 {side.percentile(0.99):6.1f} ms, {side.failed} failed;"
        f" processors: {used} of {len(os.sched_getaffinity(0))}; memory of one: {memory};"
        f" connections: {connections}",
        flush=True,
    )
    return side.failed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--replicas", default="1,2,4")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    bench, cache = demo(folder / "project"), folder / "cache"
    ensure_images(("caddy:2",), print)
    failed = 0
    with Registry() as registry:
        bench.edit(
            web={"domain": DOMAIN, "tls": "off"},
            targets={NAME: {"kind": "compose", "domain": DOMAIN, "database": {"name": "shop"}}},
        )
        task(bench.root, cache, "lock", **bench.env)
        bench.commit("The locks and a target")
        env = {**bench.env, "ODPM_SCENARIO": "ci"}
        built = task(bench.root, cache, "build-image", "--tag", f"{registry.address}/shop:1", "--push", **env)
        words = ["deploy.render", NAME, "--output", str(folder / "machine"), "--image", built.output.split()[-1]]
        task(bench.root, cache, *words, **bench.env)
        bundle = Bundle(folder / "machine", f"project-{NAME}")
        try:
            bundle.ok("./make-secrets.sh")
            script = wrk_script(folder)
            for replicas in map(int, options.replicas.split(",")):
                failed += measure(bundle, replicas, script, options.seconds)
        finally:
            bundle.run("docker", "compose", "--profile", "*", "down", "--volumes", "--timeout", "5")
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
