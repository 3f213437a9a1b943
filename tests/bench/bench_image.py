"""The image of the demo project (Odoo 19, OCA add-ons), compared with one by a hand-written Dockerfile, `floor/Dockerfile`.

    .odpm/venv/bin/python -m tests.bench.bench_image

Ours is `inv build-image --no-smoke-test` in the scenario ci; it includes the start of Python, reading lock and cache, and
the export of the project's add-ons. The time of the smoke test is printed separately. The floor is `docker buildx build`
on a folder with all sources, which are copied in one layer. Both use the same base image and the same locked Python
packages, without PDF renderer and Node tools (ODPM_BASE_IMAGE_PROFILE=ci).

cold         `--no-cache`: every step runs. Both find downloaded packages in their cache mounts.
nothing      again without changes.
edit         one more line in a module of the developing project; the commit that ours needs is not measured.
requirement  other Python packages; the time to lock them is not measured.
size         the size of the image in the engine.
push         bytes that a registry on loopback adds after the edit (compressed layers); printed without a target.

Medians of several runs in alternating order. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from odpm_tasks.adapters import apt, index_settings
from odpm_tasks.core.image.archive import Mirror, sources_list
from odpm_tasks.core.image.image_spec import UV_VERSION
from tests.bench.project import demo, run_timed, task
from tests.e2e.harness import Bench, docker, git
from tests.standins import common
from tests.standins.images import PROXIES
from tests.standins.registry import Registry

TARGETS = {"cold": 1.1, "nothing": 1.5, "edit": 0.3, "requirement": 1.1, "size": 1.02}
CI = {"ODPM_SCENARIO": "ci", "ODPM_BASE_IMAGE_PROFILE": "ci"}
OFTEN = 3  # repetitions of the build without changes in a run
MODULE = "addons/stack_info/controllers/main.py"
EXTRA = (  # small, pure Python, not used by Odoo
    "boltons", "cachetools", "colorama", "funcy", "inflection", "more-itertools", "pathspec", "sortedcontainers",
    "tabulate", "tomlkit", "toolz", "wcwidth",
)  # fmt: skip


@dataclass
class Side:
    """One of the two: name, image, build function; seconds by kind of build."""

    name: str
    tag: str
    run: Callable[[bool], float]
    module: Path
    took: dict[str, list[float]] = field(default_factory=dict)

    def build(self, kind: str = "", *, cold: bool = False) -> None:
        before = self.id
        taken = self.run(cold)
        if kind:
            self.took.setdefault(kind, []).append(taken)
        if before and before != self.id:
            subprocess.run(["docker", "image", "rm", "--force", before], capture_output=True, check=False)

    @property
    def id(self) -> str:
        words = ["docker", "image", "inspect", "--format", "{{.Id}}", self.tag]
        return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()

    @property
    def size(self) -> int:
        return int(docker("image", "inspect", "--format", "{{.Size}}", self.tag))

    def median(self, kind: str) -> float:
        return statistics.median(self.took[kind])


# --- ours --------------------------------------------------------------------------------------------------------------


def ours(bench: Bench, folder: Path, tag: str) -> Side:
    def build(cold: bool) -> float:
        words = ("build-image", "--no-smoke-test", "--tag", tag, *(["--no-cache"] if cold else []))
        return task(bench.root, folder / "cache", *words, **CI, **bench.env).wall

    return Side("ours", tag, build, bench.root / MODULE)


def lock(bench: Bench, folder: Path, extra: list[str]) -> None:
    """Lock the project with additional packages, and copy the lock to the floor."""
    bench.edit(requirements=extra)
    task(bench.root, folder / "cache", "lock", **bench.env)
    shutil.copy(bench.root / ".odpm/requirements.lock", folder / "floor/requirements.txt")


# --- the floor ---------------------------------------------------------------------------------------------------------


def floor(bench: Bench, folder: Path, tag: str) -> Side:
    """The hand-written Dockerfile with the same sources as ours."""
    context = folder / "floor"
    shutil.copytree(Path(__file__).with_name("floor"), context)
    shutil.copytree(bench.root / ".odpm/src", context / "src", ignore=shutil.ignore_patterns(".git"), symlinks=True)
    shutil.copytree(bench.root / "addons", context / "src/project/addons")
    words = ["docker", "buildx", "build", "--provenance=false", "--load", "--target=ci", f"--tag={tag}"]
    arguments = [f"UV_VERSION={UV_VERSION}", *(name for name in PROXIES if name in os.environ)]
    words += [f"--build-arg={argument}" for argument in arguments]
    index = index_settings.index()
    for secret, text in (
        ("index", index_settings.export_lines(index.variables)),
        ("apt", sources_list("bookworm", Mirror(*apt.machine_mirrors()))),
    ):
        if text:
            (folder / secret).write_text(text, encoding="utf-8")
            words.append(f"--secret=id={secret},src={folder / secret}")
    if index.certificates:
        words.append(f"--secret=id=ca,src={index.certificates}")

    def build(cold: bool) -> float:
        return run_timed([*words, *(["--no-cache"] if cold else []), "."], context).wall

    return Side("floor", tag, build, context / "src/project" / MODULE)


# --- both in turn ------------------------------------------------------------------------------------------------------


def measure(bench: Bench, folder: Path, sides: list[Side], runs: int) -> None:
    chance = random.Random()  # other packages each time, so that the build cache of an earlier day does not apply
    lock(bench, folder, sorted(EXTRA))
    for side in sides:
        side.build()  # not measured: fills the package caches and exports the sources
    for number in range(runs):
        for kind in ("cold", *["nothing"] * OFTEN, "edit", "requirement"):
            if kind == "edit":
                edit(bench, sides, f"{number} {chance.random()}")
            if kind == "requirement":
                lock(bench, folder, sorted(chance.sample(EXTRA, len(EXTRA) // 2)))
            for side in sides if number % 2 else sides[::-1]:
                side.build(kind, cold=kind == "cold")


def edit(bench: Bench, sides: list[Side], line: str) -> None:
    for side in sides:
        with side.module.open("a", encoding="utf-8") as file:
            file.write(f"# {line}\n")
    git("commit", "-qam", "edit", cwd=bench.root)


def pushed(bench: Bench, registry: Registry, sides: list[Side]) -> dict[str, tuple[int, int]]:
    """Bytes that the registry stores for each image, and additional bytes after an edit of one line."""

    def push(side: Side) -> int:
        before = registry.stored()
        docker("push", side.tag)
        return registry.stored() - before

    first = {side.name: push(side) for side in sides}
    edit(bench, sides, f"pushed {random.random()}")
    for side in sides:
        side.build()
    return {side.name: (first[side.name], push(side)) for side in sides}


def check_it_starts(side: Side) -> None:
    """Check that Odoo starts in the image."""
    words = ("-c", "PATH=/opt/odoo/venv/bin:$PATH exec python3 /opt/odoo/src/odoo/odoo-bin --version")
    output = docker("run", "--rm", "--entrypoint=sh", side.tag, *words)
    assert "Odoo" in output, f"{side.name}: {output}"


def report(own: Side, hand: Side) -> bool:
    """Print medians and sizes; returns whether every target is met."""
    met = True
    for kind, most in TARGETS.items():
        sizes = own.size / 1e6, hand.size / 1e6
        mine, theirs = sizes if kind == "size" else (own.median(kind), hand.median(kind))
        unit = "MB" if kind == "size" else "s "
        met = met and mine / theirs <= most
        ratio = f"{mine / theirs:.2f} x floor (at most {most})"
        print(f"{kind:<12} ours {mine:8.2f} {unit}  floor {theirs:8.2f} {unit}  {ratio}")
    return met


def report_rest(bench: Bench, folder: Path, registry: Registry, sides: list[Side]) -> None:
    """Print the figures without a target."""
    for name, (first, more) in pushed(bench, registry, sides).items():
        print(f"push         {name:<5} {common.size(more):>8} after the edit, {common.size(first):>8} at first")
    own, without = sides[0], sides[0].size
    words, env = ("build-image", "--tag", own.tag), {**CI, **bench.env}
    print(f"nothing      ours {task(bench.root, folder / 'cache', *words, **env).wall:8.2f} s   with its smoke test")
    task(bench.root, folder / "cache", *words, **env | {"ODPM_BASE_IMAGE_PROFILE": "medium"})
    whole = common.size(own.size)
    print(f"size         ours {whole} with a PDF renderer (the default), {common.size(without)} without")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3)
    runs, before = parser.parse_args().runs, os.getloadavg()[0]
    with tempfile.TemporaryDirectory(prefix="odpm-bench-") as temporary, Registry(print) as registry:
        folder = Path(temporary)
        bench = demo(folder / "project")
        task(bench.root, folder / "cache", "render", **bench.env)
        name = f"{registry.address}/{bench.prefix}"
        sides = [ours(bench, folder, f"{name}/ours:1"), floor(bench, folder, f"{name}/floor:1")]
        try:
            measure(bench, folder, sides, runs)
            for side in sides:
                check_it_starts(side)
            met = report(*sides)
            report_rest(bench, folder, registry, sides)
        finally:
            for side in sides:
                subprocess.run(["docker", "image", "rm", "--force", side.tag], capture_output=True, check=False)
    load = f"load {before:.1f} before, {os.getloadavg()[0]:.1f} at the end"
    print(f"medians of {runs} runs, {os.cpu_count()} cores, {load}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
