"""From an edit to the page that shows it: `inv watch`, compared with Odoo's own `--dev=reload`.

    .odpm/venv/bin/python -m tests.bench.bench_watch [--rounds 3] [--edits 8]

The demo project runs. Each round edits a Python file of its add-on `--edits` times under Odoo's reload, then as often under `inv watch`
on the same stack without `--dev`, and loads the page until it shows the edit. Exit code 1 if the median of ours is more than 1.3 times
that of Odoo's.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.project import demo, environment, task
from tests.e2e.harness import Bench

RATIO = 1.3
FILE = "addons/stack_info/controllers/main.py"
LIMIT, PAGE_TIMEOUT = 60.0, 2.0  # seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--edits", type=int, default=8)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    bench = demo(folder / "stack")
    cache = folder / "cache"
    bench.env["ODPM_WKHTMLTOPDF"] = "distribution"
    times: dict[str, list[float]] = {"--dev=reload": [], "inv watch": []}
    try:
        for number in range(options.rounds):
            task(bench.root, cache, "up", "--dev=reload", **bench.env)
            times["--dev=reload"] += edits(bench, options.edits, f"own {number}")
            task(bench.root, cache, "up", "--dev=none", **bench.env)
            with watching(bench, cache):
                times["inv watch"] += edits(bench, options.edits, f"watch {number}")
    finally:
        bench.remove()
        shutil.rmtree(folder, ignore_errors=True)
    medians = {name: statistics.median(found) for name, found in times.items()}
    for name, found in times.items():
        ratio = medians[name] / medians["--dev=reload"]
        print(
            f"{name:<14} {medians[name]:6.2f} s   {min(found):6.2f} to {max(found):6.2f} s   {ratio:5.2f} x --dev=reload"
        )
    print(f"target         at most {RATIO} x --dev=reload")
    return 0 if medians["inv watch"] <= RATIO * medians["--dev=reload"] else 1


def edits(bench: Bench, count: int, name: str) -> list[float]:
    """Seconds from each of several edits to the page that shows it. Between two edits Odoo is idle; the first is not counted."""
    file = bench.root / FILE
    found = []
    for number in range(count + 1):
        text = file.read_text(encoding="utf-8")
        start = text.index('TITLE = "')
        title = f"{name} edit {number}"
        time.sleep(1.5)
        begun = time.perf_counter()
        file.write_text(f'{text[:start]}TITLE = "{title}"{text[text.index(chr(10), start) :]}', encoding="utf-8")
        while title not in page(bench):
            if time.perf_counter() - begun > LIMIT:
                sys.exit(f"{title!r} is not served within {LIMIT:.0f} s")
            time.sleep(0.02)
        found.append(time.perf_counter() - begun)
    return found[1:]


def page(bench: Bench) -> str:
    """The page; empty without an answer. While Odoo goes down, a connection may never get one."""
    try:
        with urllib.request.urlopen(bench.url("/stack"), timeout=PAGE_TIMEOUT) as answer:
            return str(answer.read().decode())
    except OSError:
        return ""


@contextmanager
def watching(bench: Bench, cache: Path) -> Iterator[None]:
    words = [sys.executable, "-m", "invoke", "watch"]
    with tempfile.TemporaryFile() as output:
        running = subprocess.Popen(
            words,
            cwd=bench.root,
            env=environment(cache, **bench.env),
            stdout=output,
            stderr=output,
            stdin=subprocess.DEVNULL,
        )
        try:
            time.sleep(5)
            yield
        finally:
            running.terminate()
            running.wait()


if __name__ == "__main__":
    sys.exit(main())
