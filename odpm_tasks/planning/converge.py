"""Doing what a plan announces, and the plan itself: observe, decide, act, and observe anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.docker import engine as docker
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning import planner
from odpm_tasks.core.planning.observed import Observation
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.step_text import step_lines
from odpm_tasks.core.planning.steps import ORDER, PREPARING, Plan, Step
from odpm_tasks.errors import ProgramError
from odpm_tasks.planning import observe
from odpm_tasks.planning.progress import print_done
from odpm_tasks.sources import cache
from odpm_tasks.stack.prefetch import DockerQueries

BeforeRound = Callable[[Observation, Sequence[Step]], None]


@dataclass(frozen=True)
class RunResult:
    """What a run did, and what is to be seen after it."""

    steps: tuple[Step, ...]
    observation: Observation
    paths: ProjectPaths

    @property
    def changed(self) -> bool:
        """Whether anything but hooks and checks ran."""
        return any(step.action != "run" for step in self.steps)


def plan(
    paths: ProjectPaths, asked: Sequence[str], options: RunOptions, questions: DockerQueries | None, *, refresh: bool
) -> Plan:
    """What `Project.plan` tells."""
    looking = replace(paths, writes_cache=False)
    observation = observe.observation(looking, asked, options, ahead=True, questions=questions)
    made = planner.plan(observation.observed, asked)  # where a strict scenario refuses the lock, nobody is asked
    if not refresh or observation.observed.resolution is not None:
        return made
    from odpm_tasks.locking import resolve

    answered = resolve.resolve_online(paths, observation)
    again = observe.observation(looking, asked, options, ahead=True, resolved=answered, questions=questions)
    return planner.plan(again.observed, asked)


def bring(
    paths: ProjectPaths,
    asked: Sequence[str],
    options: RunOptions,
    before: BeforeRound | None,
    questions: DockerQueries | None,
) -> RunResult:
    """What `Project.bring` does; the caller holds the project. `questions` count until something is done."""
    done: list[Step] = []
    warned: set[str] = set()
    cache.register(paths)
    for _ in range(len(ORDER)):
        observation = observe.observation(paths, asked, options, questions=questions)
        if options.free_ports and observation.observed.running and observation.observed.running.image is not None:
            from odpm_tasks.stack import ports

            paths = ports.settle(paths, observation)
            options = replace(options, free_ports=False)
            observation = observe.observation(paths, asked, options)
        questions = None
        now = planner.plan(observation.observed, asked)
        for warning in observation.observed.warnings:
            if warning not in warned:
                terminal.warn(warning)
        warned |= set(observation.observed.warnings)
        todo = [step for step in now.ready if not (step.action == "run" and step in done)]
        if before:
            before(observation, todo)
        if not todo:
            _check_complete(now)
            return RunResult(tuple(done), observation, paths)
        if any(step in done for step in todo if step.action != "run"):
            raise _still_pending(todo)
        from odpm_tasks.planning import steps as apply  # it brings with it all that can be done

        for step_id, group in groupby(todo, key=lambda step: step.id):
            steps = tuple(group)
            started = time.monotonic()
            apply.perform(paths, observation, step_id, steps, options)
            for step in steps:
                print_done(step, terminal.duration(started))
            done += steps
            if step_id == "db.create":
                options = replace(options, install=(), update=())
    raise _still_pending(done[-1:])


def _check_complete(now: Plan) -> None:
    waiting = next((step for step in now.steps if step.action == "pending"), None)
    if waiting and waiting.id in ORDER[len(PREPARING) :]:
        docker.require()
    if waiting:
        raise ProgramError(f"cannot go on: {waiting.id} {waiting.detail}", todo="run the same command again")


def _still_pending(steps: Sequence[Step]) -> ProgramError:
    return ProgramError(
        "something is left to do after everything was done",
        details=[" ".join(step_lines(step)).strip() for step in steps[:3]],
        todo="run the same command again; inv plan shows what it sees",
    )
