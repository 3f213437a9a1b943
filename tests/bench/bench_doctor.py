"""`inv doctor` where all is well, on a running stack: seconds, and compared with the programs that it has to ask.

    .odpm/venv/bin/python -m tests.bench.bench_doctor [--runs 9]

The demo project runs. The floor is `inv plan --strict` on the same stack, alternately: the check of the project is a plan, and every
other check runs beside it. Exit code 1 if a target is missed or if something is found.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.bench.bench_plan import in_turn
from tests.bench.project import demo, run_timed, task
from tests.standins.wkhtmltopdf import ensure_wkhtmltopdf

SECONDS, RATIO = 2.0, 2.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=9)
    runs = parser.parse_args().runs
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    bench = demo(folder / "stack")
    if package := ensure_wkhtmltopdf(print):  # with the one of the distribution, doctor says what reports lack
        bench.env["ODPM_WKHTMLTOPDF"] = str(package)
    try:
        task(bench.root, folder / "cache", "up", "-i", "base", **bench.env)
        shown = task(bench.root, folder / "cache", "doctor", **bench.env).output
        found = in_turn(
            {
                "doctor": lambda: task(bench.root, folder / "cache", "doctor", **bench.env).wall,
                "plan": lambda: task(bench.root, folder / "cache", "plan", "--strict", **bench.env).wall,
                "docker info": lambda: run_timed(["docker", "info"], bench.root).wall,
            },
            runs,
        )
    finally:
        bench.remove()
        shutil.rmtree(folder, ignore_errors=True)
    print(shown.strip())
    for kind, seconds in found.items():
        print(f"{kind:<14} {seconds * 1000:8.1f} ms   {seconds / found['plan']:5.2f} x plan")
    print(f"target         at most {SECONDS} s and {RATIO} x plan; nothing found")
    well = shown.strip().endswith("nothing found")
    return 0 if well and found["doctor"] <= SECONDS and found["doctor"] <= RATIO * found["plan"] else 1


if __name__ == "__main__":
    sys.exit(main())
