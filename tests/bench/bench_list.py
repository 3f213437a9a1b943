"""The time of `inv --list` with our tasks, compared with an empty invoke collection: `python tests/bench/bench_list.py`.

Both run alternately, so that load on the machine slows both. Python runs without `site` (`-S`): an editable install adds
to every start of Python, which would make the empty collection slower than it is.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
TARGET = 1.3
OURS = "from odpm_tasks import collection\n\nns = collection()\n"
EMPTY = "from invoke import Collection\n\nns = Collection()\n"


def seconds(folder: Path) -> tuple[float, float]:
    """One `inv --list` in a folder: elapsed seconds and processor seconds."""
    path = os.pathsep.join([str(REPOSITORY), sysconfig.get_path("purelib")])
    words = [sys.executable, "-S", "-m", "invoke", "--list"]
    started, used = time.perf_counter(), _processor()
    done = subprocess.run(words, cwd=folder, env={**os.environ, "PYTHONPATH": path}, capture_output=True, check=False)
    spent = time.perf_counter() - started, _processor() - used
    # invoke exits with 1 for an empty collection
    if b"Traceback" in done.stderr or done.returncode not in {0, 1}:
        sys.exit(done.stderr.decode())
    return spent


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


Times = list[tuple[float, float]]


def measure(pairs: int) -> tuple[Times, Times]:
    """Seconds of ours and of the empty collection, in alternating order after one pair that is not measured."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = []
        for name, text in (("ours", OURS), ("empty", EMPTY)):
            folder = Path(scratch) / name
            folder.mkdir()
            (folder / "tasks.py").write_text(text, encoding="utf-8")
            seconds(folder)
            folders.append(folder)
        ours, empty = folders
        found: dict[Path, Times] = {ours: [], empty: []}
        for number in range(pairs):
            for folder in (ours, empty) if number % 2 else (empty, ours):
                found[folder].append(seconds(folder))
        return found[ours], found[empty]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=25)
    ours, empty = measure(parser.parse_args().pairs)
    ratios = []
    for name, column in (("elapsed", 0), ("processor", 1)):
        own, bare = ([times[column] for times in side] for side in (ours, empty))
        ratios.append(statistics.median(own) / statistics.median(bare))
        print(
            f"{name:<18} ours {statistics.median(own) * 1000:6.1f} ms   empty {statistics.median(bare) * 1000:6.1f} ms"
            f"   ratio {ratios[-1]:.2f}   (medians of {len(own)} pairs)"
        )
    print(f"target             at most {TARGET}")
    return 0 if ratios[0] <= TARGET else 1


if __name__ == "__main__":
    sys.exit(main())
