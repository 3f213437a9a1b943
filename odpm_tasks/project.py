"""A project on this machine: what tasks, ours and a project's own, are made of."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from pathlib import Path

from odpm_tasks import apply, cache, observe, ports
from odpm_tasks.adapters import docker, files, terminal
from odpm_tasks.adapters.env_file import read_env
from odpm_tasks.core import plan as plans
from odpm_tasks.core.json_text import with_value
from odpm_tasks.core.lock import Lock, disagreements, write_lock
from odpm_tasks.core.lock_changes import lock_changes, name_of
from odpm_tasks.core.manifest import Manifest
from odpm_tasks.core.place import GITIGNORE, Place
from odpm_tasks.core.plan_line import step_lines
from odpm_tasks.core.resolve import Resolution
from odpm_tasks.core.scenario import SCENARIOS, Scenario
from odpm_tasks.core.settings import ENVIRONMENT, Layer, Settings
from odpm_tasks.core.world import LOCK_FILE, ORDER, PREPARING, Plan, Step
from odpm_tasks.errors import DescriptionError, LockError, ProgramError
from odpm_tasks.look import say_done
from odpm_tasks.observe import Sight, Wishes
from odpm_tasks.state import chosen_ports

__all__ = ["ORDER", "PREPARING", "Project", "Wishes"]

Before = Callable[[Sight, Sequence[Step]], None]


def _anything(sight: Sight, todo: Sequence[Step]) -> None:
    """Whatever is to be done is fine."""


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


@dataclass(frozen=True)
class Project:
    """One checkout: `Project.find()` is the one you stand in.

    Reading (`manifest`, `lock`, `plan`) changes nothing. Acting (`resolve`, `apply`) wants `exclusive()` around it where
    several things must go together; each holds it by itself anyway.
    """

    place: Place
    wishes: Wishes = field(default_factory=Wishes)

    @classmethod
    def find(cls, start: Path | None = None, **settings: str) -> Project:
        """The project of a folder: the nearest one upward that holds `odpm.json`, checkouts of sources left out.

        `settings` are values stronger than every environment layer. Errors: DescriptionError where there is none.
        """
        here = (start or Path.cwd()).resolve()
        for folder in (here, *here.parents):
            if (folder / "odpm.json").exists() and not _inside_sources(folder):
                return cls.at(folder, **settings)
        raise DescriptionError(
            "there is no odpm.json",
            where=f"{here} and the folders above",
            todo="go to a project, or make one of this folder: python -m odpm_tasks init",
        )

    @classmethod
    def at(cls, root: Path, **settings: str) -> Project:
        """The project of exactly this folder."""
        import platformdirs

        layers = Settings(
            (
                Layer(ENVIRONMENT, dict(os.environ)),
                Layer(".env", _env_file(root / ".env")),
                Layer("~/.odpm/.env", _env_file(Path.home() / ".odpm" / ".env")),
            )
        )
        chosen = layers.with_values(**settings) if settings else layers
        cache = chosen.get("ODPM_CACHE_DIR")
        place = Place(root, Path(cache).expanduser() if cache else platformdirs.user_cache_path("odpm"), chosen)
        return cls(replace(place, settings=chosen.with_chosen(chosen_ports(place))))

    @property
    def root(self) -> Path:
        return self.place.root

    @property
    def scenario(self) -> Scenario:
        """Errors: DescriptionError for an unknown one."""
        return self.place.settings.scenario

    @property
    def manifest(self) -> Manifest:
        """The description as this scenario sees it. Errors: DescriptionError with every problem."""
        return observe.description(self.place)[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the author of the description should know. Errors: as `manifest`."""
        return observe.description(self.place)[1]

    @property
    def lock(self) -> Lock | None:
        """The lock as it is on disk. Errors: LockError where it cannot be read."""
        return observe.lock(self.place)

    def wishing(self, **wishes: object) -> Project:
        """The same project with wishes of a command line: `database`, `install`, `update`, `demo`, `touch_git`, `free_ports`."""
        return replace(self, wishes=replace(self.wishes, **wishes))  # type: ignore[arg-type]

    def sight(self, until: Iterable[str] = ORDER) -> Sight:
        """Everything observed now that the steps of `until` rest on."""
        return observe.sight(self.place, tuple(until), self.wishes)

    def plan(self, until: Iterable[str] = ORDER, *, refresh: bool = False) -> Plan:
        """What bringing this checkout to its description would do. Changes nothing, in the cache neither; uses no network.

        `refresh`: servers are asked for what lock and cache cannot tell, which fills the cache and changes nothing else.
        """
        asked, looking = tuple(until), replace(self.place, learns=False)
        sight = observe.sight(looking, asked, self.wishes, ahead=True)
        made = plans.plan(sight.world, asked)  # where a strict scenario refuses the lock, nobody is asked
        if not refresh or sight.world.resolution is not None:
            return made
        answered = apply.resolve_online(self.place, sight)
        return plans.plan(observe.sight(looking, asked, self.wishes, ahead=True, resolved=answered).world, asked)

    def resolve(self, *, update: bool = False, only: Sequence[str] = ()) -> Resolution:
        """The graph of repositories at its pins, asking servers for what is not pinned or not in the cache, and registries
        for the digests of base images.

        `update`: pins do not count and branches are asked for their tips; of the repositories in `only`, where given.
        """
        return apply.resolve_images(self.place, self.sight(PREPARING), fresh=update, only=only)

    def write_lock(self, resolved: Resolution, *, fresh_python: bool = False) -> tuple[str, ...]:
        """Write both kinds of locks for a graph; return what changed in the repositories' one."""
        with self.exclusive():
            before = self.lock
            new = self._with_own(resolved.lock(before))
            if before is None or write_lock(new) != write_lock(before):
                files.write(self.place.lock, write_lock(new).encode())
            sight = self.sight(PREPARING)
            stale = any(step.id == "python.lock" and step.acts for step in plans.plan(sight.world, PREPARING).steps)
            if stale or fresh_python:
                apply.lock_python(self.place, sight, fresh=fresh_python)
            return lock_changes(before, new)

    def _with_own(self, new: Lock) -> Lock:
        """The lock with the developing checkout recorded, where `developing.git` names it and its content has changed.

        What odpm 4.x recorded for a description that names no developing project nobody needs: it is dropped.
        """
        if self.manifest.developing is None:
            return replace(new, developing=None)
        own = observe.own(self.place, self.manifest)
        recorded = new.developing
        if own is None or (recorded is not None and recorded.tree == own.pin.tree and recorded.fits_branch(own.pin)):
            return new
        return replace(new, developing=replace(own.pin, extra=recorded.extra if recorded else {}))

    def check_lock(self) -> None:
        """See that the lock is there, complete, current and not contradicted. Errors: LockError, as server and ci have it."""
        if self.sight(PREPARING).world.resolution is None and self.lock is not None:
            apply.resolve_online(self.place, self.sight(PREPARING))
        world = self.sight(PREPARING).world
        if world.own and not self.scenario.strict:  # a commit hook asks before anything is committed
            world = replace(world, own=replace(world.own, changes=()))
        plans.plan(replace(world, scenario=SCENARIOS["ci"], checking=not self.scenario.strict), PREPARING)
        venv = world.manifest.locks_venv
        if venv and world.lock and world.lock.venv != venv:
            raise LockError(
                "odpm.json (locks.venv) names other Python locks than the lock",
                where=LOCK_FILE,
                todo="inv lock --update --sync-manifest-locks moves both",
            )
        if differing := disagreements(world.lock, world.manifest.locks_git):
            raise LockError(
                "odpm.json (locks.git) and the lock pin different commits",
                where=LOCK_FILE,
                details=[
                    f"{name_of(key)}: odpm.json {ours[:8]}, lock {theirs[:8]}" for key, ours, theirs in differing[:3]
                ],
                todo="inv lock follows odpm.json; inv lock --update --sync-manifest-locks moves both",
            )

    def sync_manifest_locks(self) -> bool:
        """Write the lock's pins into `locks` of odpm.json, every other byte kept; whether that changed anything.

        Errors: DescriptionError for the flat format, which has no such block.
        """
        lock = self.lock
        text = files.read_text(self.place.manifest) or ""
        if self.manifest.format != 2:
            raise DescriptionError("the flat format has no locks", where="odpm.json", todo="inv migrate --write")
        assert lock is not None
        pins = {key: pin.commit for key, pin in sorted(lock.pins.items()) if not pin.file and pin.tree is None}
        new = with_value(text, "odpm.json", "locks", {"git": pins, **({"venv": lock.venv} if lock.venv else {})})
        if new != text:
            files.write(self.place.manifest, new.encode())
        return new != text

    def apply(self, plan: Plan) -> tuple[Step, ...]:
        """Do what a plan announces. Returns what was done; errors as in `bring`."""
        return self.bring(dict.fromkeys(step.id for step in plan.steps)).steps

    def bring(self, until: Iterable[str] = ORDER, before: Before = _anything) -> Done:
        """Bring this checkout to its description, step by step, observing anew wherever a step rests on an earlier one.

        `before` is shown what was seen and the steps that come next, each time before any of them is done, and may refuse.
        Errors: whatever a step meets; ProgramError where after all of it something is left to do.
        """
        asked = tuple(until)
        done: list[Step] = []
        warned: set[str] = set()
        wishes, place = self.wishes, self.place
        with self.exclusive():
            cache.register(place)
            for _ in range(len(ORDER)):
                sight = observe.sight(place, asked, wishes)
                if wishes.free_ports and sight.world.running and sight.world.running.image is not None:
                    place = ports.settle(place, sight)
                    wishes = replace(wishes, free_ports=False)
                    sight = observe.sight(place, asked, wishes)
                now = plans.plan(sight.world, asked)
                for warning in sight.world.warnings:
                    if warning not in warned:
                        terminal.warn(warning)
                warned |= set(sight.world.warnings)
                todo = [step for step in now.pending if not (step.action == "run" and step in done)]
                before(sight, todo)
                if not todo:
                    self._see_complete(now)
                    return Done(tuple(done), sight, place)
                if any(step in done for step in todo if step.action != "run"):
                    raise _left_over(todo)
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

    def _see_complete(self, now: Plan) -> None:
        waiting = next((step for step in now.steps if step.action == "later"), None)
        if waiting and waiting.id in ORDER[len(PREPARING) :]:
            docker.demand()
        if waiting:
            raise ProgramError(f"cannot go on: {waiting.id} {waiting.detail}", todo="run the same command again")

    @contextlib.contextmanager
    def exclusive(self) -> Iterator[None]:
        """Hold the project: one run at a time. Errors: BusyError saying who holds it."""
        with files.exclusive(self.place.odpm / "run.lock", "this project"):
            files.sweep(self.root, ("docker-compose.yml", "odpm.json"))
            for folder in (self.place.odpm, self.place.odpm / "build", *self.place.odpm.glob("secrets/*")):
                files.sweep(folder)
            if not (self.place.odpm / ".gitignore").exists():
                files.write(self.place.odpm / ".gitignore", GITIGNORE.encode())
            yield


def _left_over(steps: Sequence[Step]) -> ProgramError:
    return ProgramError(
        "something is left to do after everything was done",
        details=[" ".join(step_lines(step)).strip() for step in steps[:3]],
        todo="run the same command again; inv plan shows what it sees",
    )


def _inside_sources(folder: Path) -> bool:
    parts = folder.parts
    return any(parts[i : i + 2] == (".odpm", "src") for i in range(len(parts) - 1))


def _env_file(path: Path) -> dict[str, str]:
    """The names that a `.env` file sets. Errors: DescriptionError with the line that cannot be read."""
    text = files.read_text(path)
    return {} if text is None else read_env(text, str(path), os.environ)
