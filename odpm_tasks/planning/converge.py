"""The loop of a run: observe, plan, perform the steps that are ready, and observe again until no step is left."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.adapters.git.checkout import remove_leftovers
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.databases.names import check_name
from odpm_tasks.core.planning import planner
from odpm_tasks.core.planning.observed import ObservedState, RenderedState, ResolvedState, RunningState
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.step_text import step_lines
from odpm_tasks.core.planning.steps import ORDER, PREPARING, STARTING, Plan, Step
from odpm_tasks.errors import ProgramError
from odpm_tasks.planning import observe
from odpm_tasks.planning.progress import print_done
from odpm_tasks.sources import cache
from odpm_tasks.stack.prefetch import DockerQueries

BeforeRound = Callable[[ObservedState, Sequence[Step]], None]


@dataclass(frozen=True)
class RunResult:
    """What a run did, and the state that was observed after it."""

    steps: tuple[Step, ...]
    observed: ObservedState
    paths: ProjectPaths

    @property
    def changed(self) -> bool:
        """Whether any step other than hooks and checks was performed."""
        return any(step.action != "run" for step in self.steps)


def plan(
    paths: ProjectPaths, step_ids: Sequence[str], options: RunOptions, queries: DockerQueries | None, *, refresh: bool
) -> Plan:
    """See `Project.plan`."""
    read_only = replace(paths, writes_cache=False)
    cache.require_access(paths, write=False)
    observed = observe.observe(read_only, step_ids, options, docker_early=True, queries=queries)
    chosen = _choose_ports(read_only, observed, free=False, record=False)
    if chosen is not read_only:
        read_only, observed = chosen, observe.observe(chosen, step_ids, options, docker_early=True)
    _check_database(observed, options)
    made = planner.plan(observed, step_ids)  # raises LockError before any network request
    if not refresh or isinstance(observed, ResolvedState):
        return made
    from odpm_tasks.locking import resolve

    resolved = resolve.resolve_online(paths, observed)
    again = observe.observe(read_only, step_ids, options, docker_early=True, resolved=resolved, queries=queries)
    return planner.plan(again, step_ids)


def converge(
    paths: ProjectPaths,
    step_ids: Sequence[str],
    options: RunOptions,
    before: BeforeRound | None,
    queries: DockerQueries | None,
) -> RunResult:
    """See `Project.converge`; the caller holds the project's lock. `queries` are valid until the first step is performed."""
    done: list[Step] = []
    warned: set[str] = set()
    cache.register(paths)
    remove_leftovers(paths.odpm / "src")
    for _ in range(len(ORDER)):
        observed = observe.observe(paths, step_ids, options, queries=queries)
        chosen = _choose_ports(paths, observed, free=options.free_ports, record=True)
        if chosen is not paths:
            paths, observed = chosen, observe.observe(chosen, step_ids, options)
        if isinstance(observed, RunningState):
            options = replace(options, free_ports=False)
        queries = None
        _check_database(observed, options)
        now = planner.plan(observed, step_ids)
        for warning in observed.warnings:
            if warning not in warned:
                terminal.warn(warning)
        warned |= set(observed.warnings)
        todo = [step for step in now.ready if not (step.action == "run" and step in done)]
        if before:
            before(observed, todo)
        if STARTING & {*step_ids} and isinstance(observed, RunningState) and observed.running.refusals:
            docker.require()  # an engine that is too old comes first
            raise observed.running.refusals[0]  # before an image is built
        if not todo:
            _check_complete(now)
            return RunResult(tuple(done), observed, paths)
        if any(step in done for step in todo if step.action != "run"):
            raise _still_pending(todo)
        from odpm_tasks.planning.steps import perform  # imports everything that steps need

        for step_id, group in groupby(todo, key=lambda step: step.id):
            steps = tuple(group)
            started = time.monotonic()
            perform(paths, observed, step_id, steps, options)
            for step in steps:
                print_done(step, terminal.duration(started))
            done += steps
            if step_id in {"db.create", "db.update"}:
                options = replace(options, install=(), update=(), no_module_update=True)
    raise _still_pending(done[-1:])


def _choose_ports(paths: ProjectPaths, observed: ObservedState, *, free: bool, record: bool) -> ProjectPaths:
    """The paths with the ports to publish; the same paths where nothing changes. `free`: with `--free-ports`."""
    if not isinstance(observed, RunningState) or observed.running.image is None:
        return paths
    from odpm_tasks.stack import ports

    paths = ports.keep_published(paths, observed, record=record)
    return ports.choose_free_ports(paths, observed) if free else paths


def _check_database(observed: ObservedState, options: RunOptions) -> None:
    """Check that a run may create or change the database. Errors: DescriptionError."""
    if isinstance(observed, RenderedState):
        check_name(observed.database, "-d" if options.database else "the name of the database")


def _check_complete(now: Plan) -> None:
    pending = next((step for step in now.steps if step.action == "pending"), None)
    if pending and pending.id in ORDER[len(PREPARING) :]:
        docker.require()
    if pending:
        raise ProgramError(f"cannot continue: {pending.id} is {pending.detail}", todo="run the same command again")


def _still_pending(steps: Sequence[Step]) -> ProgramError:
    return ProgramError(
        "steps are still pending after the run",
        details=[" ".join(step_lines(step)).strip() for step in steps[:3]],
        todo="run the same command again; inv plan shows the steps",
    )
