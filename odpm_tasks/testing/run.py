"""A test run: choose the add-ons, copy a template database for each shard, run, report, clean up."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.command import redact
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.addons.graph import AddonGraph
from odpm_tasks.core.config.paths import SOURCE_ROOT, ProjectPaths, source_folder
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.testing import records as recording
from odpm_tasks.core.testing import selection
from odpm_tasks.core.testing.junit import junit
from odpm_tasks.core.testing.results import Result, mapped, results
from odpm_tasks.core.testing.shards import AddonRecord, Shard, shards
from odpm_tasks.core.testing.text import TestRun
from odpm_tasks.errors import MachineError, OdpmError, ProgramError
from odpm_tasks.parallel import parallel_map
from odpm_tasks.stack import compose, odoo_log
from odpm_tasks.stack.database import demo_options, odoo_failure, sql
from odpm_tasks.testing import coverage, databases
from odpm_tasks.testing.choice import Choice, TestOptions
from odpm_tasks.testing.services import database_container, free_debugger_port
from odpm_tasks.testing.shard import RUNNER, ShardJob, ShardOutcome, run_shard
from odpm_tasks.testing.templates import template
from odpm_tasks.testing.tools import COVERAGE, tools_folder

FOLDER = ".odpm/testing"
_PROGRAM = Path(__file__).parents[1] / "templates" / RUNNER
_TESTS_FAILED, _HUNG = 1, 70  # exit codes of Odoo and of the program that observes it


@dataclass(frozen=True)
class Finished:
    """A run, and the error that stopped a shard before its tests were complete."""

    run: TestRun
    error: OdpmError | None = None


def run_tests(
    paths: ProjectPaths, observed: RenderedState, graph: AddonGraph, options: TestOptions, choice: Choice
) -> Finished:
    """Test the chosen add-ons; no database stays but with `keep`. Errors: BusyError while another run tests this project."""
    if not docker.image_id(observed.image):
        todo = "inv up" if observed.scenario.mounts else "inv build-image"
        raise ProgramError(f"there is no image {observed.image}", todo=f"build it: {todo}")
    begun, when = time.monotonic(), f"{datetime.now():%Y-%m-%dT%H:%M:%S}"
    with (
        files.exclusive(paths.odpm / "test.lock", "the tests of this project"),
        database_container(paths, observed) as db,
    ):
        project = compose.compose_project(paths, observed.stack)
        databases.remove_leftovers(paths, project, db)
        databases.make_owner(db)
        beforehand = selection.template_addons(graph, choice.addons)
        source = "" if beforehand is None else template(paths, observed, db, beforehand)
        parts = _shards(paths, graph, options, choice, beforehand or ())
        tools = tools_folder(paths, observed.manifest.python, [COVERAGE] if options.coverage else [])
        folder = _working_folder(paths)
        names = databases.new_names(paths, observed.database, len(parts), databases.existing(db))
        kept: list[str] = []
        try:
            with free_debugger_port(paths, observed, options.debug) as port:
                jobs = [
                    _job(number, part, names, source, folder, options, choice, observed, port, db, tools)
                    for number, part in enumerate(parts, 1)
                ]
                outcomes = _run(paths, observed, jobs, [part.installs for part in parts], db)
            finished = _collect(paths, observed, graph, choice, outcomes, begun)
            if options.coverage and tools:
                measured = coverage.write_coverage(paths, observed, folder, tools, [job.folder for job in jobs])
                finished = Finished(replace(finished.run, coverage=measured), finished.error)
            if options.keep:
                kept += names
                for name in names:
                    databases.keep(db, name)
        finally:
            databases.stop_containers(f"{project}-test-")
            with suppress(OdpmError):
                databases.drop(paths, db, [name for name in names if name not in kept])
            shutil.rmtree(folder, ignore_errors=True)
    run = replace(finished.run, kept=tuple(kept), seconds=time.monotonic() - begun)
    if options.junit:
        files.write(Path.cwd() / options.junit, junit(run.results, when, run.broken))
    return Finished(run, finished.error)


def _shards(
    paths: ProjectPaths, graph: AddonGraph, options: TestOptions, choice: Choice, beforehand: Sequence[str]
) -> tuple[Shard, ...]:
    known = recording.read_records(files.read_text(paths.root / recording.FILE)).addons
    if choice.restricted:  # by class only where every test of the add-on runs
        known = {name: AddonRecord(one.install, {"": one.seconds}) for name, one in known.items()}
    needed = {name: selection.needs(graph, [name]) - {*beforehand} for name in choice.addons}
    return shards(choice.addons, options.shards, known, needed)


def _working_folder(paths: ProjectPaths) -> Path:
    """An empty folder for the containers of this run, with the program that observes Odoo; any user may write there."""
    folder = paths.root / FOLDER / "run"
    with files.disk_errors(folder):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        shutil.copyfile(_PROGRAM, folder / RUNNER)
        (folder / RUNNER).chmod(0o644)
        folder.chmod(0o777)
    return folder


def _job(
    number: int,
    part: Shard,
    names: Sequence[str],
    source: str,
    folder: Path,
    options: TestOptions,
    choice: Choice,
    observed: RenderedState,
    port: int,
    db: str,
    tools: Path | None,
) -> ShardJob:
    own = folder / f"shard-{number}"
    own.mkdir()
    own.chmod(0o777)
    words = [
        "--test-enable",
        f"--test-tags={choice.test_tags(part)}",
        *demo_options(observed.manifest.odoo_version, False),
        *options.more,
    ]
    return ShardJob(
        number,
        names[number - 1],
        source,
        tuple(words),
        own,
        0 if options.debug else options.timeout,
        options.keep,
        (*databases.existing(db), *names),
        port,
        coverage.measured_folders(observed) if options.coverage else (),
        tools,
    )


def _run(
    paths: ProjectPaths, observed: RenderedState, jobs: Sequence[ShardJob], installs: Sequence[Sequence[str]], db: str
) -> list[ShardOutcome]:
    counts = dict.fromkeys((job.number for job in jobs), 0)
    with terminal.activity() as show:

        def progress(job: ShardJob, text: str) -> None:
            counts[job.number] += 1
            show.note(job.database, text)

        def work(pair: tuple[ShardJob, Sequence[str]]) -> ShardOutcome:
            job, addons = pair
            databases.create(observed, db, job.database, job.template)
            present = _installed(db, job.database, addons) if job.template else frozenset()
            new, old = [a for a in addons if a not in present], [a for a in addons if a in present]
            words = [*([f"-i{','.join(new)}"] if new else []), *([f"-u{','.join(old)}"] if old else [])]
            return run_shard(paths, observed, replace(job, words=(*words, *job.words)), progress)

        return parallel_map(paths, work, list(zip(jobs, installs, strict=True)))


def _installed(db: str, database: str, addons: Sequence[str]) -> frozenset[str]:
    """Those of the add-ons that the template has: Odoo installed them itself. They are updated, which runs their tests, too."""
    rows = sql(db, "SELECT name FROM ir_module_module WHERE state = 'installed'", database).splitlines()
    return frozenset(rows) & {*addons}


def _collect(
    paths: ProjectPaths,
    observed: RenderedState,
    graph: AddonGraph,
    choice: Choice,
    outcomes: Sequence[ShardOutcome],
    begun: float,
) -> Finished:
    """The results of all shards, their logs and screenshots; records durations and failures."""
    found: list[Result] = []
    broken: list[tuple[str, str]] = []
    logs: list[str] = []
    pictures: list[str] = []
    installed: dict[str, float] = {}
    error: OdpmError | None = None
    for outcome in outcomes:
        ran = mapped(results(_masked(paths, outcome.events)), _places(observed))
        found += ran
        installed |= recording.install_times(outcome.log)
        log = odoo_log.keep_log(paths, "test", outcome.job.database, outcome.log)
        logs.append(log)
        pictures += _screenshots(paths, outcome.job.folder)
        problem = _problem(paths, observed, outcome, log, bad=any(one.bad for one in ran))
        if problem:
            error = error or problem
            failed = odoo_log.find_failure(observed, odoo_log.masked(paths, outcome.log))
            names = [failed.addon] if failed and failed.addon else []
            broken += [(name, problem.what) for name in names or choice.addons[:1]]
    unique = list(dict.fromkeys(broken))
    run = TestRun(
        choice.addons, tuple(found), time.monotonic() - begun, tuple(unique), (), tuple(logs), tuple(pictures)
    )
    before = recording.read_records(files.read_text(paths.root / recording.FILE))
    complete = () if choice.restricted or error else choice.addons
    own = [name for name, _ in unique if name in graph.addons]
    after = recording.updated(before, found, installed, complete, own)
    files.write(paths.root / recording.FILE, recording.write_records(after).encode(), derived=True)
    return Finished(run, error)


def _problem(
    paths: ProjectPaths, observed: RenderedState, outcome: ShardOutcome, log: str, *, bad: bool
) -> OdpmError | None:
    """Why a shard did not come to its end; None where tests failed at most."""
    database, code = outcome.job.database, outcome.code
    if code == 0:
        missing = [line for line in outcome.log if "invalid module names, ignored" in line]
        return (
            ProgramError("Odoo does not find an add-on", details=missing[-1:], todo="inv mod.missing")
            if missing
            else None
        )
    if any("No space left on device" in line for line in outcome.log):
        return MachineError(
            "the disk is full",
            details=[f"the tests on {database} stopped; the whole log: {log}"],
            todo="free some space, then run the same command again",
        )
    if bad and code in {_TESTS_FAILED, _HUNG}:
        return None
    if code in {137, -9}:
        return ProgramError(
            f"the container of the tests on {database} was killed, perhaps because memory ran out",
            details=[f"the whole log: {log}"],
            todo="look at the memory: docker stats; fewer shards need less",
        )
    return odoo_failure(paths, observed, database, code, outcome.log, f"the whole log: {log}")


def _masked(paths: ProjectPaths, events: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events without passwords."""
    lines = odoo_log.masked(paths, [json.dumps(one).replace("@", "\\u0040") for one in events]) if events else []
    for line in lines:
        found = json.loads(line)
        yield {name: redact(value) if isinstance(value, str) else value for name, value in found.items()}


def _places(observed: RenderedState) -> list[tuple[str, str]]:
    """Folders in the container and in the checkout, each with its slash at the end, the longest first."""
    stack = observed.stack
    found = [(f"{stack.own_folder}/", "")]
    found += [
        (f"{SOURCE_ROOT}/{source.name}/", f"{source_folder(source.name)}/") for source in stack.resolution.sources
    ]
    return sorted(found, key=lambda place: -len(place[0]))


def _screenshots(paths: ProjectPaths, folder: Path) -> list[str]:
    """Move the pictures of failed browser tests to `.odpm/logs/`; returns their paths in the checkout."""
    owner, moved = paths.root.stat(), []
    for picture in sorted(folder.rglob("*.png")):
        target = paths.odpm / "logs" / f"{datetime.now():%Y%m%d-%H%M%S}-test-{picture.name}"
        with files.disk_errors(target):
            target.parent.mkdir(exist_ok=True)
            shutil.copyfile(picture, target)
            if os.geteuid() == 0:
                os.chown(target, owner.st_uid, owner.st_gid)
        moved.append(str(target.relative_to(paths.root)))
    return moved
