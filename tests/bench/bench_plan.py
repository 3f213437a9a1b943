"""`inv plan` with the platform and nine repositories; `inv up` with nothing to do, compared with `docker compose up -d`.

    .odpm/venv/bin/python -m tests.bench.bench_plan [--up]

plan         everything is prepared, no Docker. Floor: Python starts, imports the modules that `inv plan` has imported at
             its end, and runs `git rev-parse HEAD` in each checkout, one after another.
with Docker  the same with a Docker engine; printed without a target.
up           (`--up`, needs an engine) the demo project is started; then `inv up` with nothing to do and
             `docker compose up --detach` on the same stack, alternately.

Medians of several alternating runs. The platform is the stand-in of Odoo if it exists, otherwise as many generated files.
Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.bench.bench_sources import BRANCH, addon, generated_platform
from tests.bench.project import demo, environment, modules, run_timed, task, write_project
from tests.standins.gitrepo import place, write_bare

ADDONS = 9
PLAN, UP = 1.5, 1.3
FLOOR = """
import importlib, subprocess, sys
for name in {modules!r}:
    importlib.import_module(name)
for checkout in {checkouts!r}:
    subprocess.run(["git", "-C", checkout, "rev-parse", "HEAD"], check=True, capture_output=True)
"""
Kinds = Mapping[str, Callable[[], float]]


def in_turn(kinds: Kinds, runs: int) -> dict[str, float]:
    """Medians of runs in alternating order after one round that is not measured."""
    found: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(runs + 1):
        for kind in list(kinds)[:: 1 if number % 2 else -1]:
            taken = kinds[kind]()
            if number:
                found[kind].append(taken)
    return {kind: statistics.median(seconds) for kind, seconds in found.items()}


# --- plan --------------------------------------------------------------------------------------------------------------


def prepared(folder: Path) -> Path:
    """A project with ten repositories after `inv render`."""
    served = folder / "served"
    served.mkdir()
    if (place("odoo/odoo") / "HEAD").exists():
        (served / "odoo.git").symlink_to(place("odoo/odoo"))
    else:
        write_bare(served / "odoo.git", BRANCH, "one", generated_platform(), "bench")
    names = [f"addon-{number:02d}" for number in range(ADDONS)]
    for number, name in enumerate(names):
        write_bare(served / f"{name}.git", BRANCH, "one", addon(number), "bench")
    root = folder / "project"
    write_project(root, "https://git.test/odoo", [f"https://git.test/{name}" for name in names])
    task(root, folder / "cache", "render", ODPM_GIT_MIRROR=f"https://git.test/=file://{served}/")
    return root


def without_docker(folder: Path) -> str:
    """A PATH with every program except `docker`."""
    programs = folder / "bin"
    programs.mkdir()
    for name in itertools.chain.from_iterable(Path(part).glob("*") for part in os.environ["PATH"].split(os.pathsep)):
        if not name.name.startswith("docker") and not (programs / name.name).exists():
            (programs / name.name).symlink_to(name)
    return str(programs)


def plan(folder: Path, runs: int) -> bool:
    root = prepared(folder)
    cut = environment(folder / "cache", PATH=without_docker(folder))
    checkouts = sorted(str(path) for path in (root / ".odpm/src").iterdir())
    assert len(checkouts) == ADDONS + 1
    program = folder / "floor.py"
    program.write_text(FLOOR.format(modules=modules(root, cut, "plan"), checkouts=checkouts), encoding="utf-8")
    words = [sys.executable, "-m", "invoke", "plan"]
    found = in_turn(
        {
            "plan": lambda: run_timed(words, root, cut).wall,
            "floor": lambda: run_timed([sys.executable, str(program)], root, cut).wall,
            "with Docker": lambda: run_timed(words, root, environment(folder / "cache")).wall,
        },
        runs,
    )
    return report_plan(found, "plan", "floor", PLAN)


def report_plan(found: Mapping[str, float], ours: str, floor: str, target: float) -> bool:
    """Print the medians; returns whether the target is met."""
    for kind, seconds in found.items():
        print(f"{kind:<22} {seconds * 1000:8.1f} ms   {seconds / found[floor]:5.2f} x {floor}")
    print(f"{'target':<22} at most {target} x {floor}")
    return found[ours] <= target * found[floor]


# --- up ----------------------------------------------------------------------------------------------------------------


def up(folder: Path, runs: int) -> bool:
    bench = demo(folder / "stack")
    root, env = bench.root, bench.env
    try:
        task(root, folder / "cache", "up", "-i", "base", **env)
        owner = {"ODPM_UID": "1000", "ODPM_GID": "1000"} if os.geteuid() == 0 else {}
        whole = environment(
            folder / "cache", **env, **(owner or {"ODPM_UID": str(os.getuid()), "ODPM_GID": str(os.getgid())})
        )
        found = in_turn(
            {
                "up": lambda: task(root, folder / "cache", "up", **env).wall,
                "docker compose up": lambda: run_timed(["docker", "compose", "up", "--detach"], root, whole).wall,
            },
            runs,
        )
    finally:
        bench.remove()
    return report_plan(found, "up", "docker compose up", UP)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--up", action="store_true", help="measure `inv up` as well: takes minutes")
    parser.add_argument("--runs", type=int, default=9)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    try:
        good = [plan(folder, options.runs), *([up(folder, options.runs)] if options.up else [])]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
