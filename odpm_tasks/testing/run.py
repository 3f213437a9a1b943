"""A test run: choose the add-ons, copy a template database for each shard, run, report, clean up."""

from __future__ import annotations

import json
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
from odpm_tasks.core.config.paths import COMPOSE_FILE, ProjectPaths
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.core.testing import records as recording
from odpm_tasks.core.testing import selection
from odpm_tasks.core.testing.junit import junit
from odpm_tasks.core.testing.records import TestRecords
from odpm_tasks.core.testing.results import Result, mapped, results
from odpm_tasks.core.testing.shards import AddonRecord, Shard, shards
from odpm_tasks.core.testing.text import TestRun
from odpm_tasks.errors import OdpmError, ProgramError
from odpm_tasks.parallel import parallel_map
from odpm_tasks.stack import compose, odoo_log
from odpm_tasks.stack.database import demo_options, ignored_addons_error, odoo_failure
from odpm_tasks.stack.databases.full_disk import full_disk
from odpm_tasks.stack.databases.psql import sql
from odpm_tasks.testing import coverage, databases
from odpm_tasks.testing.choice import Choice, TestOptions
from odpm_tasks.testing.pictures import keep_pictures, with_pictures
from odpm_tasks.testing.services import database_container, free_debugger_port
from odpm_tasks.testing.shard import RUNNER, ShardJob, ShardOutcome, remove_filestores, run_shard
from odpm_tasks.testing.templates import template
from odpm_tasks.testing.tools import BROWSER, COVERAGE, tools_folder

FOLDER = ".odpm/testing"
_PROGRAM = Path(__file__).parents[1] / "templates" / RUNNER
_TESTS_FAILED, _HUNG = 1, 70  # exit codes of Odoo and of the program that observes it
_KILLED = frozenset({_HUNG, 137, 143, -9, -15})


@dataclass(frozen=True)
class Finished:
    """A run, and the error that stopped a shard before its tests were complete."""

    run: TestRun
    error: OdpmError | None = None


def run_tests(
    paths: ProjectPaths, observed: RenderedState, graph: AddonGraph, options: TestOptions, choice: Choice
) -> Finished:
    """Test the chosen add-ons; no database stays but with `keep`. Errors: BusyError while another run tests this project."""
    _require_image(paths, observed)
    begun, when = time.monotonic(), f"{datetime.now():%Y-%m-%dT%H:%M:%S}"
    with (
        files.exclusive(paths.odpm / "test.lock", "the tests of this project"),
        database_container(paths, observed) as db,
    ):
        project = compose.compose_project(paths, observed.stack)
        databases.remove_leftovers(paths, project, db)
        databases.make_owner(db)
        records = recording.read_records(files.read_text(paths.root / recording.FILE))
        also = (
            records.template if options.failed else ()
        )  # the conditions in which the tests failed, and no other template
        beforehand = selection.template_addons(graph, choice.addons, also)
        try:
            source = "" if beforehand is None else template(paths, observed, db, beforehand)
        except OdpmError as error:  # an add-on that the tested ones need
            _report(options, when, (), [(choice.addons[0], error.what)])
            raise
        parts = _shards(records, graph, options, choice, beforehand or ())
        tools = tools_folder(paths, observed.manifest.python, _requirements(paths, options))
        folder = _working_folder(paths)
        names = databases.new_names(paths, observed.database, len(parts), databases.existing(db))
        kept: list[str] = []
        killed = True
        try:
            with free_debugger_port(paths, observed, options.debug) as port:
                jobs = [
                    _job(number, part, names, source, folder, options, choice, observed, port, db, tools)
                    for number, part in enumerate(parts, 1)
                ]
                outcomes = _run(paths, observed, jobs, [part.installs for part in parts], db)
                killed = any(outcome.code in _KILLED for outcome in outcomes)
            finished = _collect(paths, observed, graph, choice, outcomes, begun, beforehand or ())
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
            if killed:
                remove_filestores(paths, observed, names)
            shutil.rmtree(folder, ignore_errors=True)
    run = replace(finished.run, kept=tuple(kept), seconds=time.monotonic() - begun)
    _report(options, when, run.results, run.broken)
    return Finished(run, finished.error)


def _report(options: TestOptions, when: str, found: Sequence[Result], broken: Sequence[tuple[str, str]]) -> None:
    if options.junit:
        files.write(Path.cwd() / options.junit, junit(found, when, broken))


def _require_image(paths: ProjectPaths, observed: RenderedState) -> None:
    """Check that the image exists, and that containers get this one. Errors: ProgramError."""
    if not docker.image_id(observed.image):
        todo = "inv up" if observed.scenario.mounts else "inv build-image"
        raise ProgramError(f"there is no image {observed.image}", todo=f"build it: {todo}")
    if observed.scenario.mounts and observed.image not in (files.read_text(paths.compose) or ""):
        raise ProgramError(
            "the project changed, its containers would still use another image",
            where=COMPOSE_FILE,
            details=[f"the image is now {observed.image}"],
            todo="inv up",
        )


def _requirements(paths: ProjectPaths, options: TestOptions) -> list[str]:
    """The packages for the tests of this run."""
    return [*([COVERAGE] if options.coverage else []), *([BROWSER] if paths.settings.browser else [])]


def _shards(
    records: TestRecords, graph: AddonGraph, options: TestOptions, choice: Choice, beforehand: Sequence[str]
) -> tuple[Shard, ...]:
    known = records.addons
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
    beforehand: Sequence[str],
) -> Finished:
    """The results of all shards, their logs and screenshots; records durations, failures and the add-ons of the template."""
    found: list[Result] = []
    broken: list[tuple[str, str]] = []
    logs: list[str] = []
    pictures: list[str] = []
    installed: dict[str, float] = {}
    error: OdpmError | None = None
    for outcome in outcomes:
        kept = keep_pictures(paths, outcome.job.folder)
        pictures += kept.values()
        ran = mapped(results(_masked(paths, outcome.events)), observed.stack.container_paths)
        found += with_pictures(ran, kept)
        installed |= recording.install_times(outcome.log)
        log = odoo_log.keep_log(paths, "test", outcome.job.database, outcome.log)
        logs.append(log)
        bad = any(one.bad for one in ran)
        problem = _problem(paths, observed, outcome, log, bad=bad)
        if problem:
            error = error or problem
            failed = odoo_log.find_failure(observed, odoo_log.masked(paths, outcome.log))
            names = [failed.addon] if failed and failed.addon else choice.addons[:1]
            broken += [] if bad else [(name, problem.what) for name in names]
    unique = list(dict.fromkeys(broken))
    run = TestRun(
        choice.addons, tuple(found), time.monotonic() - begun, tuple(unique), (), tuple(logs), tuple(pictures)
    )
    before = recording.read_records(files.read_text(paths.root / recording.FILE))
    complete = () if choice.restricted or error else choice.addons
    own = [name for name, _ in unique if name in graph.addons]
    after = recording.updated(before, found, installed, complete, own, beforehand)
    files.write(paths.root / recording.FILE, recording.write_records(after).encode(), derived=True)
    return Finished(run, error)


def _problem(
    paths: ProjectPaths, observed: RenderedState, outcome: ShardOutcome, log: str, *, bad: bool
) -> OdpmError | None:
    """Why a shard did not come to its end; None where tests failed at most."""
    database, code = outcome.job.database, outcome.code
    if code == 0:
        return ignored_addons_error(outcome.log)
    whole = f"the whole log: {log}"
    if full := full_disk(paths, observed, database, odoo_log.masked(paths, outcome.log), whole):
        return full
    if bad and code in {_TESTS_FAILED, _HUNG}:
        return None
    if code in _KILLED:
        return ProgramError(
            f"the container of the tests on {database} was killed ({code}), perhaps because memory ran out",
            details=[whole],
            todo="look at the memory: docker stats; fewer shards need less",
        )
    return odoo_failure(paths, observed, database, code, outcome.log, whole)


def _masked(paths: ProjectPaths, events: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events without passwords."""
    lines = odoo_log.masked(paths, [json.dumps(one).replace("@", "\\u0040") for one in events]) if events else []
    for line in lines:
        found = json.loads(line)
        yield {name: redact(value) if isinstance(value, str) else value for name, value in found.items()}
