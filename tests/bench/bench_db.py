"""Snapshots, backups and restores of a large database, compared with the programs of PostgreSQL and with cp and zip.

    .odpm/venv/bin/python -m tests.bench.bench_db [--size 300M] [--files 300M] [--runs 1]

The database is Odoo's with a table of `--size` bytes of text that compresses to about a third, the filestore has `--files` bytes in
attachments of 1 MB, half of them random. Each task is compared with what does the same without it, alternating, in one run:

snapshot           CREATE DATABASE … TEMPLATE by the faster strategy, and cp -al
restore-snapshot   the same; the task also keeps the state before
backup dump        pg_dump -Fc -Z1, and tar of the files
backup zip         pg_dump, and zip -1 of dump and files
restore dump       pg_restore with two jobs, and tar of the files
restore zip        the same
reset              an installation of the same add-ons

Ratios, and the largest memory of each task. Snapshots and archives are measured before the database is filled, too: `per byte` is the
ratio of what the size adds, without the start of Python, containers and PostgreSQL's programs. What was written before is stored on the
disk before each of them, also by PostgreSQL, so that none pays for another. Exit code 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from tests.bench.project import demo, environment, task
from tests.e2e.harness import Bench

DATABASE, STORE = "project", "/var/lib/odoo/filestore"
UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
FILE = 1 << 20
MEMORY = 200 << 20  # bytes: a task holds the same, whatever the size
FILL = """
CREATE TABLE bench_row (id serial PRIMARY KEY, name text, value text);
INSERT INTO bench_row (name, value)
SELECT md5(n::text), repeat(md5((n * 7)::text) || ' some text of an order line, ', 8) FROM generate_series(1, {rows}) n;
CREATE INDEX ON bench_row (name);
ALTER TABLE bench_row OWNER TO odoo;
ANALYZE bench_row;
CHECKPOINT
"""
_ROW = 640  # bytes of a row with its part of the indexes
FILES = """
import hashlib, os, sys
root, count, size = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
for number in range(count):
    content = os.urandom(size) if number % 2 else (b"%d " % number) * (size // (len(str(number)) + 1))
    name = hashlib.sha1(content).hexdigest()
    os.makedirs(f"{root}/{name[:2]}", exist_ok=True)
    with open(f"{root}/{name[:2]}/{name}", "wb") as file:
        file.write(content)
"""


@dataclass
class Measured:
    """Seconds of a task and of what it is compared with. `target`: of their ratio; `memory`: bytes of the task."""

    name: str
    target: float
    task: list[float] = field(default_factory=list)
    other: list[float] = field(default_factory=list)
    memory: int = 0
    empty: Measured | None = None

    @property
    def ratio(self) -> float:
        return statistics.median(self.task) / statistics.median(self.other)

    @property
    def per_byte(self) -> str:
        """The ratio of the seconds that come with the size; empty where they are too few to compare."""
        if self.empty is None:
            return ""
        own, other = (
            statistics.median(now) - statistics.median(before)
            for now, before in ((self.task, self.empty.task), (self.other, self.empty.other))
        )
        return f"{own / other:.2f} per byte" if other >= 0.5 else ""

    @property
    def reached(self) -> bool:
        return self.ratio <= self.target and self.memory <= MEMORY

    def __str__(self) -> str:
        seconds = f"{statistics.median(self.task):7.1f} s  {statistics.median(self.other):7.1f} s"
        verdict = "reached" if self.reached else "missed"
        text = f"{self.name:<17} {seconds}  {self.ratio:5.2f}  target {self.target:.2f}: {verdict}  {self.memory >> 20} MiB"
        return f"{text}  {self.per_byte}".rstrip()


@dataclass
class Stack:
    """The running stack with its large database, and a folder of the host for archives."""

    bench: Bench
    cache: Path
    folder: Path

    def settle(self) -> None:
        """Store on the disk what was written before, also what PostgreSQL still holds."""
        self.bench.sql("CHECKPOINT")
        os.sync()

    def run(self, *words: str) -> tuple[float, int]:
        """Seconds and bytes of memory of a task and of the programs that it starts."""
        env = environment(self.cache, **self.bench.env)
        self.settle()
        begun = time.perf_counter()
        started = subprocess.Popen(
            [sys.executable, "-m", "invoke", *words], cwd=self.bench.root, env=env,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        assert started.stderr is not None
        said = started.stderr.read()
        _, status, used = os.wait4(started.pid, 0)
        started.returncode = os.waitstatus_to_exitcode(status)
        if started.returncode:
            sys.exit(f"inv {' '.join(words)}: {said.decode()[-1000:]}")
        return time.perf_counter() - begun, used.ru_maxrss * 1024

    def inside(self, service: str, script: str) -> float:
        """Seconds of a shell script in a container, as the user of its files."""
        user = ["-u", "postgres"] if service == "db" else []
        words = ["docker", "exec", *user, str(self.bench.containers()[service]["Id"]), "bash", "-ec", script]
        self.settle()
        begun = time.perf_counter()
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{script[:200]}: {done.stderr[-1000:]}")
        return time.perf_counter() - begun

    def to_file(self, service: str, script: str, target: Path) -> float:
        """Seconds of a script in a container whose output becomes a file of the host."""
        user = ["-u", "postgres"] if service == "db" else []
        words = ["docker", "exec", *user, str(self.bench.containers()[service]["Id"]), "bash", "-ec", script]
        self.settle()
        begun = time.perf_counter()
        with target.open("wb") as file:
            subprocess.run(words, stdout=file, check=True)
        return time.perf_counter() - begun


def fill(stack: Stack, size: int, files: int) -> None:
    stack.bench.sql(FILL.format(rows=max(1, size // _ROW)).replace("CHECKPOINT", ""), DATABASE)
    stack.bench.sql("CHECKPOINT")
    odoo = str(stack.bench.containers()["odoo"]["Id"])
    words = ["python3", "-c", FILES, f"{STORE}/{DATABASE}", str(files // FILE), str(FILE)]
    subprocess.run(["docker", "exec", odoo, *words], check=True)
    print(stack.bench.sql(f"SELECT pg_size_pretty(pg_database_size('{DATABASE}'))"), "in the database", flush=True)


def copy(stack: Stack) -> float:
    """Seconds of a copy by the faster strategy, without odpm. Odoo waits meanwhile."""
    best = []
    for strategy in ("FILE_COPY", "WAL_LOG"):
        stack.bench.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'project'")
        copied = f"CREATE DATABASE bench_copy TEMPLATE {DATABASE} STRATEGY {strategy}"
        lock = f"UPDATE pg_database SET datallowconn = {{}} WHERE datname = '{DATABASE}'"
        stack.bench.sql(lock.format("false"))
        stack.bench.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'project'")
        try:
            best.append(stack.inside("db", f'psql -U postgres -qc "{copied}"'))
        finally:
            stack.bench.sql(lock.format("true"))
        stack.bench.sql("DROP DATABASE bench_copy")
    return min(best)


def linked(stack: Stack) -> float:
    try:
        return stack.inside("odoo", f"cp -al {STORE}/{DATABASE} {STORE}/bench_copy")
    finally:
        stack.inside("odoo", f"rm -rf {STORE}/bench_copy")


def timed(found: Measured, stack: Stack, *words: str) -> None:
    seconds, memory = stack.run(*words)
    found.task.append(seconds)
    found.memory = max(found.memory, memory)
    print(f"{found.name:<17} {seconds:7.1f} s", flush=True)


def snapshots(stack: Stack) -> list[Measured]:
    taken, restored = Measured("snapshot", 1.1), Measured("restore-snapshot", 1.1)
    timed(taken, stack, "db.snapshot", "bench")
    taken.other.append(copy(stack) + linked(stack))
    timed(restored, stack, "db.restore-snapshot", "bench", "--yes")
    restored.other.append(copy(stack) + linked(stack))
    names = [line.split()[1] for line in stack.bench.inv("db.snapshots").out.splitlines() if "before-restore" in line]
    for name in ["bench", *names]:
        stack.bench.inv("db.drop-snapshot", name, "--yes")
    return [taken, restored]


def archives(stack: Stack) -> list[Measured]:
    dumped, zipped = Measured("backup dump", 1.1), Measured("backup zip", 1.1)
    of_dump, of_zip = Measured("restore dump", 1.1), Measured("restore zip", 1.1)
    folder = stack.folder
    timed(dumped, stack, "db.backup", "-o", str(folder / "own.tar"))
    seconds = stack.to_file("db", f"pg_dump -U postgres -Fc -Z1 {DATABASE}", folder / "other.dump")
    seconds += stack.to_file("odoo", f"tar -C {STORE} -c {DATABASE}", folder / "other.tar")
    dumped.other.append(seconds)
    timed(zipped, stack, "db.backup", "-o", str(folder / "own.zip"))
    zipped.other.append(by_zip(stack))
    for restored, name in ((of_dump, "own.tar"), (of_zip, "own.zip")):
        timed(restored, stack, "db.restore", str(folder / name), "-d", "bench_restored", "--no-neutralize")
        (folder / name).unlink()
        stack.bench.inv("db.drop", "bench_restored", "--yes")
        restored.other.append(by_pg_restore(stack))
    return [dumped, zipped, of_dump, of_zip]


def by_zip(stack: Stack) -> float:
    """Seconds of pg_dump and zip -1 of the dump and the files."""
    work = stack.folder / "zip"
    work.mkdir()
    seconds = stack.to_file("db", f"pg_dump -U postgres {DATABASE}", work / "dump.sql")
    with (stack.folder / "other.tar").open("rb") as archive:
        subprocess.run(["tar", "-x", "-C", str(work)], stdin=archive, check=True)
    begun = time.perf_counter()
    subprocess.run(["zip", "-1", "-q", "-r", str(stack.folder / "other.zip"), "."], cwd=work, check=True)
    seconds += time.perf_counter() - begun
    shutil.rmtree(work)
    (stack.folder / "other.zip").unlink()
    return seconds


def by_pg_restore(stack: Stack) -> float:
    """Seconds of a parallel pg_restore and tar of the files."""
    db, odoo = (str(stack.bench.containers()[name]["Id"]) for name in ("db", "odoo"))
    subprocess.run(["docker", "cp", "-q", str(stack.folder / "other.dump"), f"{db}:/tmp/other.dump"], check=True)
    stack.bench.sql("CREATE DATABASE bench_restored OWNER odoo TEMPLATE template0")
    seconds = stack.inside("db", "pg_restore -U postgres --no-owner -j 2 -d bench_restored /tmp/other.dump")
    begun = time.perf_counter()
    with (stack.folder / "other.tar").open("rb") as archive:
        script = f"mkdir {STORE}/bench_restored && tar -x --strip-components 1 -C {STORE}/bench_restored"
        subprocess.run(["docker", "exec", "-i", odoo, "sh", "-c", script], stdin=archive, check=True)
    seconds += time.perf_counter() - begun
    stack.bench.sql("DROP DATABASE bench_restored WITH (FORCE)")
    stack.inside("odoo", f"rm -rf {STORE}/bench_restored")
    stack.inside("db", "rm -f /tmp/other.dump || true")
    return seconds


def resets(stack: Stack) -> list[Measured]:
    found = Measured("reset", 0.1)
    found.other.append(stack.run("up", "-d", "bench_fresh", "-i", "stack_info")[0])
    stack.run("db.reset", "bench_fresh", "-i", "stack_info", "--yes")  # makes the template
    timed(found, stack, "db.reset", "bench_fresh", "-i", "stack_info", "--yes")
    stack.bench.inv("db.drop", "bench_fresh", "--yes")
    return [found]


def number(text: str) -> int:
    return int(float(text[:-1]) * UNITS[text[-1].upper()]) if text[-1].upper() in UNITS else int(text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=number, default="300M", help="of the database")
    parser.add_argument("--files", type=number, default="300M", help="of the filestore")
    parser.add_argument("--runs", type=int, default=1)
    parser.add_argument("--only", choices=("snapshots", "archives", "resets"))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="odpm-bench-"))
    stack = Stack(demo(folder / "project"), folder / "cache", folder)
    parts: dict[str, Callable[[Stack], list[Measured]]] = {
        "snapshots": snapshots,
        "archives": archives,
        "resets": resets,
    }
    found: dict[str, Measured] = {}
    try:
        task(stack.bench.root, stack.cache, "up", "-i", "stack_info", **stack.bench.env)
        chosen = {name: part for name, part in parts.items() if options.only in {None, name}}
        empty = {one.name: one for name, part in chosen.items() if name != "resets" for one in part(stack)}
        fill(stack, options.size, options.files)
        for _ in range(options.runs):
            for part in chosen.values():
                for one in part(stack):
                    known = found.setdefault(one.name, one)
                    known.empty = empty.get(one.name)
                    if known is not one:
                        known.task += one.task
                        known.other += one.other
                        known.memory = max(known.memory, one.memory)
    finally:
        stack.bench.remove()
        shutil.rmtree(folder, ignore_errors=True)
    for one in found.values():
        print(one)
    return 0 if all(one.reached for one in found.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
