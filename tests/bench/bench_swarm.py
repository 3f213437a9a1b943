"""A rolling update of three web servers in a Swarm: `deploy.up` compared with `docker service update` alone.

    .odpm/venv/bin/python -m tests.bench.bench_swarm [--times 3]

A Swarm of one node on this engine runs the demo project's image, from a registry on loopback, with three web servers, PostgreSQL, Caddy
and the other roles. Each round deploys a release whose image differs in one line, without an update of an add-on, and returns to the
image before with `docker service update --image` for the web servers alone. Both end when the Swarm says that the service has
converged. Also printed: the kilobytes that the registry stored for the line. Target: 1.2 times.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
from pathlib import Path

from tests.bench.project import demo, run_timed, task
from tests.e2e.harness import docker, eventually
from tests.e2e.targets.test_bundle import DOMAIN
from tests.ports import claim_port
from tests.standins.images import ensure_images
from tests.standins.registry import Registry

TARGET = 1.2
NAME = "production"
STACK = f"project-{NAME}"
MODULE = "addons/stack_info/controllers/main.py"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    times = parser.parse_args().times
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    bench, cache = demo(folder / "project"), folder / "cache"
    ensure_images(("caddy:2", "debian:bookworm-slim"), print)

    def shell(script: str) -> None:
        docker(
            "run", "--rm", "--network=none", "--volume=/var/lib/odpm:/odpm", "debian:bookworm-slim", "sh", "-c", script
        )

    with Registry() as registry:

        def build(number: int) -> str:
            module = bench.root / MODULE
            module.write_text(f"{module.read_text(encoding='utf-8')}# {number}\n", encoding="utf-8")
            bench.commit(f"Line {number}")
            words = ["build-image", "--tag", f"{registry.address}/shop:{number}", "--push", "--no-smoke-test"]
            return task(bench.root, cache, *words, **{**bench.env, "ODPM_SCENARIO": "ci"}).output.split()[-1]

        swarm = {"kind": "swarm", "domain": DOMAIN, "replicas": {"web": 3}, "database": {"name": "shop"}}
        bench.edit(web={"domain": DOMAIN, "tls": "off"}, targets={NAME: swarm})
        task(bench.root, cache, "lock", **bench.env)
        before = build(0)
        shell(
            f"mkdir -p /odpm/{STACK} && printf 'ODPM_HTTP_PORT={claim_port()}\\nODPM_HTTPS_PORT={claim_port()}\\n'"
            f" > /odpm/{STACK}/.env"
        )
        docker("swarm", "init", "--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1")
        try:
            docker("node", "update", "--label-add", "odpm.data=true", docker("node", "ls", "--format", "{{.ID}}"))
            task(bench.root, cache, "deploy.up", NAME, "--image", before, **bench.env)
            ours: list[float] = []
            floor: list[float] = []
            for number in range(1, times + 1):
                size = registry.stored()
                image = build(number)
                print(f"one line: the registry stored {(registry.stored() - size) / 1024:.0f} KB", flush=True)
                ours.append(task(bench.root, cache, "deploy.up", NAME, "--image", image, **bench.env).wall)
                words = ["docker", "service", "update", "--quiet", "--image", before, f"{STACK}_web"]
                floor.append(run_timed(words, bench.root).wall)
                before = image
                print(f"deploy.up {ours[-1]:.1f} s, docker service update {floor[-1]:.1f} s", flush=True)
        finally:
            docker("stack", "rm", STACK)
            eventually(lambda: not docker("ps", "-aq", "--filter", f"label=com.docker.stack.namespace={STACK}"))
            docker("swarm", "leave", "--force")
            volumes = docker("volume", "ls", "-q", "--filter", f"name={STACK}_").split()
            docker("volume", "rm", "--force", *volumes)
            shell(f"rm -rf /odpm/{STACK}")
            shutil.rmtree(folder, ignore_errors=True)
    ratio = statistics.median(mine / alone for mine, alone in zip(ours, floor, strict=True))
    print(f"deploy.up is {ratio:.2f} times docker service update; target {TARGET}")
    return 1 if ratio > TARGET else 0


if __name__ == "__main__":
    sys.exit(main())
