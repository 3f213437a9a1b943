"""Tasks on databases that are killed at any time: nothing is lost, nothing half made has a name, and the next run goes on."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.databases.test_copies import copied, databases, folders, quiet
from tests.e2e.databases.test_neutralize import parameters
from tests.e2e.databases.test_snapshots import DATABASE, attach, attachments, hidden
from tests.e2e.harness import Bench

__all__ = ["copied"]
pytestmark = [pytest.mark.docker, pytest.mark.long]

SOURCE, MADE, RENAMED = "acme-source", "acme-made", "acme-renamed"
TIMES = 12


@dataclass(frozen=True)
class Killed:
    """A task that is killed. `prepared`: `MADE` is a copy of `SOURCE` before each run; else there is none, unless `kept`."""

    words: tuple[str, ...]
    prepared: bool = False
    kept: bool = False


TASKS = {
    "db.backup zip": Killed(("db.backup", "-d", SOURCE, "-o", "{folder}")),
    "db.backup dump": Killed(("db.backup", "-d", SOURCE, "-o", "{folder}", "--archive", "dump")),
    "db.copy": Killed(("db.copy", SOURCE, MADE, "--no-neutralize")),
    "db.drop": Killed(("db.drop", MADE, "--yes"), prepared=True),
    "db.neutralize": Killed(("db.neutralize", MADE, "--yes"), prepared=True),
    "db.rename": Killed(("db.rename", MADE, RENAMED), prepared=True),
    "db.reset": Killed(("db.reset", MADE, "-i", "base", "--yes"), kept=True),
    "db.restore": Killed(("db.restore", "{archive}", "-d", MADE, "--no-neutralize")),
    "db.restore --replace": Killed(("db.restore", "{archive}", "-d", SOURCE, "--no-neutralize", "--replace", "--yes")),
    "db.restore-snapshot": Killed(("db.restore-snapshot", "good", "-d", SOURCE, "--yes")),
    "db.snapshot": Killed(("db.snapshot", "-d", SOURCE)),
}


@pytest.mark.parametrize("kind", TASKS)
def test_a_run_killed_at_any_time(copied: Bench, tmp_path: Path, kind: str) -> None:
    task, folder, archive = TASKS[kind], tmp_path / "made", tmp_path / "acme.zip"
    for number in range(5):
        attach(copied, f"acme {number}", str(number).encode() * 100_000)
    copied.ok("db.copy", DATABASE, SOURCE)
    quiet(copied, SOURCE)
    good = attachments(copied, SOURCE)
    folder.mkdir()
    copied.ok("db.snapshot", "good", "-d", SOURCE)
    copied.ok("db.backup", "-d", SOURCE, "-o", str(archive))
    words = [word.format(folder=folder, archive=archive) for word in task.words]
    if task.kept:
        copied.ok(*words)  # makes what later runs copy
    prepare(copied, task)
    begun = time.monotonic()
    copied.ok(*words)
    longest, dice, done = time.monotonic() - begun, random.Random(), 0
    for _ in range(TIMES):
        prepare(copied, task)
        seconds = dice.uniform(0.2, 1.1) * longest  # Python starts in the first fifth
        with copied.running(*words) as run, suppress(subprocess.TimeoutExpired):
            run.wait(seconds)
            done += 1
        assert copied.inv("db.drop", "acme-none", "--yes").code == 4  # there is none; what was left is finished
        check(copied, kind, good, f"killed after {seconds:.3f} of {longest:.3f} s")
        for path in folder.glob("*.[zt]*"):
            path.unlink()  # complete: the next run would find its name taken
    assert done < TIMES, "no run was killed"
    prepare(copied, task)
    copied.ok(*words)
    assert not any(name.startswith("odpm.new") for name in folders(copied))
    if kind == "db.neutralize":
        assert parameters(copied, MADE)["database.is_neutralized"] == "true"
    copied.ok("db.restore-snapshot", "good", "-d", SOURCE, "--yes")
    assert attachments(copied, SOURCE) == good
    assert len([*folder.iterdir()]) == kind.startswith("db.backup")


def prepare(bench: Bench, task: Killed) -> None:
    known = databases(bench)
    if RENAMED in known:
        bench.ok("db.rename", RENAMED, MADE)
    elif task.prepared and MADE not in known:
        bench.ok("db.copy", SOURCE, MADE, "--no-neutralize")
    elif MADE in known and not (task.prepared or task.kept):
        bench.ok("db.drop", MADE, "--yes")


def check(bench: Bench, kind: str, good: Mapping[str, str], moment: str) -> None:
    """Each database is whole, and exactly those exist that may exist."""
    found = {*bench.sql("SELECT datname FROM pg_database WHERE datallowconn AND datname LIKE 'acme%'").split()}
    assert hidden(bench) == [], moment
    assert SOURCE in found, moment
    if kind == "db.rename":
        assert len(found & {MADE, RENAMED}) == 1, moment
    if kind in {"db.neutralize", "db.reset"}:
        assert MADE in found, moment
    for name in found:
        fresh = kind == "db.reset" and name == MADE
        assert attachments(bench, name) == ({} if fresh else good), (moment, name)
        assert bench.sql("SELECT state FROM ir_module_module WHERE name = 'base'", name) == "installed", (moment, name)
    stored = {name for name in folders(bench) if name.startswith(("acme", "odpm.new"))}
    assert stored <= found, moment
