"""Load on a server behind its reverse proxy: pages compared with Odoo alone, then many websockets, and the memory of all services.

    .odpm/venv/bin/python -m tests.bench.bench_web [--pairs 4] [--seconds 8] [--sockets 200]

Sixteen clients of `wrk` ask for a page, in turns of Caddy's container (HTTPS) and of Odoo's container itself, both at their own
addresses: on loopback a program of Docker would copy what is sent to Caddy. The login page as new visitors, then the web client as a
user. This is done twice: with Odoo and PostgreSQL on one half of the cores, the proxy and the clients on the other one, which shows what
the proxy costs a client; and with all cores for all, where the proxy and encryption also take time of processors from Odoo. Printed:
requests per second and the 99th percentile of the time to an answer, of all answers of each side. Then many websockets of the bus are
open, and one real message must arrive at each. During all of it the memory of the containers is observed.

Exit code 1 if a request failed, if requests per second or the 99th percentile are worse than 0.95 of Odoo alone, if a websocket missed
the message, or if a container used more than 0.9 of its memory, lost a process for it, or was restarted.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from tests.bench.project import demo, task
from tests.e2e.harness import Bench, docker
from tests.e2e.server.web.site import Site, WebSocket
from tests.ports import claim_port
from tests.standins.images import ensure_images
from tests.standins.wrk import ensure_wrk

CLIENTS = 16
PAGES = {
    "login page": ("/web/login", "oe_login_form"),
    "web client": ("/odoo", "odoo.__session_info__"),
}  # path, word in it
TARGET, MEMORY_TARGET = 0.95, 0.9
# the counters of the control groups, version 2 and 1
EVENTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")
PAUSE = 1.5  # seconds between two turns: Odoo still answers requests whose clients are gone
ARRIVAL = 60.0  # seconds that a message may take to all websockets
# Prints each answer's time in microseconds with how often it was seen, and what failed; an answer that is not 200 counts as failed.
SCRIPT = """
local threads = {}
other = 0
function setup(thread)
  table.insert(threads, thread)
  local host, port = (os.getenv("CONNECT_TO") or ""):match("(.*):(.*)")
  if host then thread.addr = wrk.lookup(host, port)[1] end
end
function response(status) if status ~= 200 then other = other + 1 end end
function done(summary, latency)
  local errors, unexpected = summary.errors, 0
  for _, thread in ipairs(threads) do unexpected = unexpected + thread:get("other") end
  io.write(string.format("odpm %d %d %d", summary.requests, summary.duration,
    unexpected + errors.connect + errors.read + errors.write + errors.timeout))
  for place = 1, #latency do io.write(string.format(" %d:%d", latency(place))) end
  io.write("\\n")
end
"""
NOTIFY = """
import time
env["bus.bus"]._sendone(env.ref("base.partner_admin"), "odpm.bench", {"sent": time.time()})
env.cr.commit()
"""


@dataclass
class Side:
    """What was measured of one address. `times`: microseconds to an answer -> how often; `rates`: requests per second of each turn.

    `connect_to`: address and port that the clients connect to in place of those of the page.
    """

    name: str
    address: str  # of the page
    cookie: str
    cores: str  # that the clients run on, as `taskset` writes them
    host: str = ""  # that they ask for, where the address has another one
    connect_to: str = ""
    times: Counter[int] = field(default_factory=Counter)
    rates: list[float] = field(default_factory=list)
    failed: int = 0

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the answers came."""
        left = share * self.times.total()
        for microseconds, count in sorted(self.times.items()):
            left -= count
            if left <= 0:
                return microseconds / 1000
        return float("inf")

    def turn(self, script: Path, seconds: int) -> None:
        """Send requests for this long."""
        words = ["taskset", "-c", self.cores, *ensure_wrk(), "-t1", f"-c{CLIENTS}", f"-d{seconds}s"]
        words += ["--timeout=20s", "-s", str(script)]
        words += ["-H", "Accept-Encoding: gzip, deflate, br, zstd"]
        words += ["-H", f"Cookie: session_id={self.cookie}"] if self.cookie else []
        words += ["-H", f"Host: {self.host}"] if self.host else []
        time.sleep(PAUSE)
        done = subprocess.run(
            [*words, self.address], env={**os.environ, "CONNECT_TO": self.connect_to}, capture_output=True, text=True,
            timeout=seconds + 60, check=False,
        )  # fmt: skip
        found = re.search(r"^odpm (\d+) (\d+) (\d+)((?: \d+:\d+)*)$", done.stdout, re.MULTILINE)
        if not found:
            sys.exit(f"wrk ended with {done.returncode}\n{done.stdout}{done.stderr}")
        self.rates.append(int(found[1]) / int(found[2]) * 1e6)
        self.failed += int(found[3])
        for pair in found[4].split():
            microseconds, count = pair.split(":")
            self.times[int(microseconds)] += int(count)


@dataclass
class Memory:
    """The largest share of its memory that each container used, by service."""

    bench: Bench
    peaks: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def observed(self) -> Iterator[None]:
        names = {found["Id"]: service for service, found in self.bench.containers().items()}
        end = threading.Event()

        def look() -> None:
            while not end.wait(1):
                for line in docker("stats", "--no-stream", "--no-trunc", "--format", "{{json .}}", *names).splitlines():
                    row: dict[str, str] = json.loads(line)
                    share = float(row["MemPerc"].rstrip("%")) / 100
                    service = names[row["ID"]]
                    self.peaks[service] = max(share, self.peaks.get(service, 0))

        thread = threading.Thread(target=look)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def failures(self, before: dict[str, dict[str, Any]]) -> list[str]:
        """What exceeded its limit, was killed or restarted since `before`."""
        found = [
            f"{service} used {share:.0%} of its memory"
            for service, share in self.peaks.items()
            if share > MEMORY_TARGET
        ]
        for service, container in self.bench.containers().items():
            if (
                container["State"]["OOMKilled"]
                or container["State"]["StartedAt"] != before[service]["State"]["StartedAt"]
            ):
                found.append(f"{service} was restarted")
            kills = re.search(r"^oom_kill (\d+)", self.bench.inside("cat", *EVENTS, service=service).out, re.MULTILINE)
            if kills and int(kills[1]):
                found.append(f"{service}: {kills[1]} processes were ended for want of memory")
        return found


def wrk_script(folder: Path) -> Path:
    """The program of `wrk` that prints what `Side.turn` reads."""
    script = folder / "wrk.lua"
    script.write_text(SCRIPT, encoding="utf-8")
    return script


def place(bench: Bench, own: bool) -> str:
    """Give the containers their cores; returns those of the clients. `own`: Odoo and PostgreSQL do not share theirs."""
    cores = sorted(os.sched_getaffinity(0))
    listed = [",".join(map(str, part)) for part in (cores[: len(cores) // 2], cores[len(cores) // 2 :])]
    server, clients = listed if own and listed[0] else [",".join(map(str, cores))] * 2
    for service, container in bench.containers().items():
        docker("update", f"--cpuset-cpus={server if service in ('odoo', 'db') else clients}", container["Id"])
    return clients


def pages(bench: Bench, kind: str, own: bool, folder: Path, pairs: int, seconds: int) -> list[str]:
    """Compare both addresses of a page in turns; each comes first as often. Returns what misses its target."""
    cores, site = place(bench, own), Site(bench)
    if kind == "web client":
        site.login()
    script = wrk_script(folder)
    path, word = PAGES[kind]
    kind = f"{kind}, {'own' if own else 'shared'} cores"
    page = site.ask(path)
    assert page.status == 200, page.text
    assert word in page.text
    odoo, proxy = (
        bench.containers()[service]["NetworkSettings"]["Networks"][f"{bench.prefix}_default"]["IPAddress"]
        for service in ("odoo", "web")
    )
    alone = Side("Odoo alone", f"http://{odoo}:8069{path}", site.cookie, cores)
    # the port is the same inside
    to = f"{proxy}:{bench.env['ODPM_HTTPS_PORT']}"
    behind = Side("behind Caddy", f"{site.address}{path}", site.cookie, cores, connect_to=to)
    for side in (alone, behind):
        replace(side, times=Counter(), rates=[]).turn(script, 3)  # what is made once
    for number in range(pairs):
        for side in (alone, behind) if number % 2 else (behind, alone):
            side.turn(script, seconds)
    for side in (alone, behind):
        print(
            f"{kind}, {side.name:<12} {statistics.median(side.rates):6.1f} requests/s, p50 {side.percentile(0.5):6.1f} ms,"
            f" p99 {side.percentile(0.99):6.1f} ms, {side.times.total()} requests, {side.failed} failed",
            flush=True,
        )
    ratios = {
        "requests per second": statistics.median(two / one for one, two in zip(alone.rates, behind.rates, strict=True)),
        "99th percentile": alone.percentile(0.99) / behind.percentile(0.99),
    }
    print(f"{kind}, of Odoo alone: " + ", ".join(f"{name} {ratio:.3f}" for name, ratio in ratios.items()), flush=True)
    missed = [f"{kind}, {name}: {ratio:.3f} of Odoo alone" for name, ratio in ratios.items() if ratio < TARGET]
    return missed + [f"{kind}, {side.name}: {side.failed} requests failed" for side in (alone, behind) if side.failed]


def sockets(bench: Bench, count: int) -> list[str]:
    """Open websockets, send one message of the bus, and wait for it at each. Returns what failed."""
    site = Site(bench)
    site.login()
    begun = time.monotonic()
    opened: list[WebSocket] = []
    arrived: list[float] = []
    try:
        for _ in range(count):
            socket = site.websocket()
            opened.append(socket)
            socket.send(event_name="subscribe", data={"channels": [], "last": 0})
        refused = sum("101 Switching" not in socket.head for socket in opened)
        print(f"{count} websockets: open after {time.monotonic() - begun:.1f} s, {refused} refused", flush=True)

        def wait(socket: WebSocket) -> None:
            try:
                for message in iter(socket.receive, None):
                    for one in message:
                        if one["message"]["type"] == "odpm.bench":
                            arrived.append(time.time() - one["message"]["payload"]["sent"])
                            return
            except (OSError, ValueError):
                return  # closed, or silent for longer than its time limit

        threads = [threading.Thread(target=wait, args=(socket,), daemon=True) for socket in opened]
        for thread in threads:
            thread.start()
        ran = bench.inv("shell", feed=NOTIFY)
        assert ran.code == 0, ran.output
        end = time.monotonic() + ARRIVAL
        for thread in threads:
            thread.join(max(0, end - time.monotonic()))
    finally:
        for socket in opened:
            socket.close()
    last = f", the last after {max(arrived):.1f} s" if arrived else ""
    print(f"{count} websockets: the message arrived at {len(arrived)}{last}", flush=True)
    return [] if len(arrived) == count else [f"the message arrived at {len(arrived)} of {count} websockets"]


def measure(bench: Bench, folder: Path, pairs: int, seconds: int, count: int) -> list[str]:
    """All of it on a running stack; returns what misses its target."""
    memory, before = Memory(bench), bench.containers()
    missed: list[str] = []
    for name, run in (
        *((kind, partial(pages, bench, kind, own, folder, pairs, seconds)) for own in (True, False) for kind in PAGES),
        ("websockets", partial(sockets, bench, count)),
    ):
        memory.peaks = {}
        with memory.observed():
            missed += run()
        print(
            f"memory, {name}: " + ", ".join(f"{one} {share:.0%}" for one, share in sorted(memory.peaks.items())),
            flush=True,
        )
        missed += memory.failures(before)
    return missed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--sockets", type=int, default=200)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    bench, cache = demo(folder / "project"), folder / "cache"
    ensure_images(("caddy:2",), print)
    try:
        task(bench.root, cache, "lock", **bench.env)
        bench.env |= {"ODPM_SCENARIO": "server", "ODPM_CACHE_DIR": str(cache), "ODPM_WEB_BIND": "127.0.0.1"}
        bench.env |= {name: str(claim_port()) for name in ("ODPM_HTTP_PORT", "ODPM_HTTPS_PORT")}
        bench.edit(web={"domain": "localhost", "tls": "internal"})
        bench.commit("The locks and a domain")
        task(bench.root, cache, "up", **bench.env)
        missed = measure(bench, folder, options.pairs, options.seconds, options.sockets)
    finally:
        bench.remove()
        shutil.rmtree(folder, ignore_errors=True)
    print("missed: " + ("; ".join(missed) or "nothing"))
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
