"""Doing what a plan announces, and the plan itself: observe, decide, act, and observe anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from odpm_tasks import cache, observe
from odpm_tasks.adapters import docker, terminal
from odpm_tasks.core import plan as plans
from odpm_tasks.core.order import ORDER, PREPARING
from odpm_tasks.core.place import Place
from odpm_tasks.core.plan_line import step_lines
from odpm_tasks.core.wished import Wishes
from odpm_tasks.core.world import Plan, Step
from odpm_tasks.engine import Questions
from odpm_tasks.errors import ProgramError
from odpm_tasks.look import say_done
from odpm_tasks.observe import Sight

Before = Callable[[Sight, Sequence[Step]], None]


@dataclass(frozen=True)
class Done:
    """What a run did, and what is to be seen after it."""

    steps: tuple[Step, ...]
    sight: Sight
    place: Place

    @property
    def changed(self) -> bool:
        """Whether anything but hooks and checks ran."""
        return any(step.action != "run" for step in self.steps)


def plan(place: Place, asked: Sequence[str], wishes: Wishes, questions: Questions | None, *, refresh: bool) -> Plan:
    """What `Project.plan` tells."""
    looking = replace(place, learns=False)
    sight = observe.sight(looking, asked, wishes, ahead=True, questions=questions)
    made = plans.plan(sight.world, asked)  # where a strict scenario refuses the lock, nobody is asked
    if not refresh or sight.world.resolution is not None:
        return made
    from odpm_tasks import resolving

    answered = resolving.resolve_online(place, sight)
    again = observe.sight(looking, asked, wishes, ahead=True, resolved=answered, questions=questions)
    return plans.plan(again.world, asked)


def bring(
    place: Place, asked: Sequence[str], wishes: Wishes, before: Before | None, questions: Questions | None
) -> Done:
    """What `Project.bring` does; the caller holds the project. `questions` count until something is done."""
    done: list[Step] = []
    warned: set[str] = set()
    cache.register(place)
    for _ in range(len(ORDER)):
        sight = observe.sight(place, asked, wishes, questions=questions)
        if wishes.free_ports and sight.world.running and sight.world.running.image is not None:
            from odpm_tasks import ports

            place = ports.settle(place, sight)
            wishes = replace(wishes, free_ports=False)
            sight = observe.sight(place, asked, wishes)
        questions = None
        now = plans.plan(sight.world, asked)
        for warning in sight.world.warnings:
            if warning not in warned:
                terminal.warn(warning)
        warned |= set(sight.world.warnings)
        todo = [step for step in now.pending if not (step.action == "run" and step in done)]
        if before:
            before(sight, todo)
        if not todo:
            _see_complete(now)
            return Done(tuple(done), sight, place)
        if any(step in done for step in todo if step.action != "run"):
            raise _left_over(todo)
        from odpm_tasks import apply  # it brings with it all that can be done

        for step_id, group in groupby(todo, key=lambda step: step.id):
            steps = tuple(group)
            started = time.monotonic()
            apply.perform(place, sight, step_id, steps, wishes)
            for step in steps:
                say_done(step, terminal.duration(started))
            done += steps
            if step_id == "db.create":
                wishes = replace(wishes, install=(), update=())
    raise _left_over(done[-1:])


def _see_complete(now: Plan) -> None:
    waiting = next((step for step in now.steps if step.action == "later"), None)
    if waiting and waiting.id in ORDER[len(PREPARING) :]:
        docker.demand()
    if waiting:
        raise ProgramError(f"cannot go on: {waiting.id} {waiting.detail}", todo="run the same command again")


def _left_over(steps: Sequence[Step]) -> ProgramError:
    return ProgramError(
        "something is left to do after everything was done",
        details=[" ".join(step_lines(step)).strip() for step in steps[:3]],
        todo="run the same command again; inv plan shows what it sees",
    )
