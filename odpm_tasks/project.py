"""A project on this machine: what tasks, ours and a project's own, are made of.

What observes and acts is imported where it is used: Docker is asked meanwhile.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from odpm_tasks import engine
from odpm_tasks.adapters import files
from odpm_tasks.adapters.env_file import read_env
from odpm_tasks.core.order import LOCKING, ORDER, PREPARING
from odpm_tasks.core.place import GITIGNORE, Place
from odpm_tasks.core.settings import ENVIRONMENT, Layer, Settings
from odpm_tasks.core.wished import Wishes
from odpm_tasks.errors import DescriptionError
from odpm_tasks.state import chosen_ports, recall

if TYPE_CHECKING:
    from odpm_tasks.bringing import Before, Done
    from odpm_tasks.core.lock import Lock
    from odpm_tasks.core.manifest import Manifest
    from odpm_tasks.core.resolve import Resolution
    from odpm_tasks.core.scenario import Scenario
    from odpm_tasks.core.world import Plan, Step
    from odpm_tasks.observe import Sight

__all__ = ["ORDER", "PREPARING", "Project", "Wishes"]


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
        from odpm_tasks import observe

        return observe.description(self.place)[0]

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the author of the description should know. Errors: as `manifest`."""
        from odpm_tasks import observe

        return observe.description(self.place)[1]

    @property
    def lock(self) -> Lock | None:
        """The lock as it is on disk. Errors: LockError where it cannot be read."""
        from odpm_tasks import observe

        return observe.lock(self.place)

    def wishing(self, **wishes: object) -> Project:
        """The same project with wishes of a command line: `database`, `install`, `update`, `demo`, `touch_git`, `free_ports`."""
        return replace(self, wishes=replace(self.wishes, **wishes))  # type: ignore[arg-type]

    def sight(self, until: Iterable[str] = ORDER) -> Sight:
        """Everything observed now that the steps of `until` rest on."""
        from odpm_tasks import observe

        return observe.sight(self.place, tuple(until), self.wishes)

    def plan(self, until: Iterable[str] = ORDER, *, refresh: bool = False) -> Plan:
        """What bringing this checkout to its description would do. Changes nothing, in the cache neither; uses no network.

        `refresh`: servers are asked for what lock and cache cannot tell, which fills the cache and changes nothing else.
        """
        asked = tuple(until)
        questions = self._probable(asked)
        from odpm_tasks import bringing

        return bringing.plan(self.place, asked, self.wishes, questions, refresh=refresh)

    def resolve(self, *, update: bool = False, only: Sequence[str] = ()) -> Resolution:
        """The graph of repositories at its pins, asking servers for what is not pinned or not in the cache, and registries
        for the digests of base images.

        `update`: pins do not count and branches are asked for their tips; of the repositories in `only`, where given.
        """
        from odpm_tasks import resolving

        return resolving.resolve_images(self.place, self.sight(LOCKING), fresh=update, only=only)

    def write_lock(self, resolved: Resolution, *, fresh_python: bool = False) -> tuple[str, ...]:
        """Write both kinds of locks for a graph; return what changed in the repositories' one."""
        from odpm_tasks import locking

        with self.exclusive():
            return locking.write(self.place, self.wishes, resolved, fresh_python=fresh_python)

    def check_lock(self) -> None:
        """See that the lock is there, complete, current and not contradicted. Errors: LockError, as server and ci have it."""
        from odpm_tasks import locking

        locking.check(self.place, self.wishes)

    def sync_manifest_locks(self) -> bool:
        """Write the lock's pins into `locks` of odpm.json, every other byte kept; whether that changed anything.

        Errors: DescriptionError for the flat format, which has no such block.
        """
        from odpm_tasks import locking

        return locking.sync_manifest(self.place)

    def apply(self, plan: Plan) -> tuple[Step, ...]:
        """Do what a plan announces. Returns what was done; errors as in `bring`."""
        return self.bring(dict.fromkeys(step.id for step in plan.steps)).steps

    def bring(self, until: Iterable[str] = ORDER, before: Before | None = None) -> Done:
        """Bring this checkout to its description, step by step, observing anew wherever a step rests on an earlier one.

        `before` is shown what was seen and the steps that come next, each time before any of them is done, and may refuse.
        Errors: whatever a step meets; ProgramError where after all of it something is left to do.
        """
        asked = tuple(until)
        with self.exclusive():
            questions = self._probable(asked)
            from odpm_tasks import bringing

            return bringing.bring(self.place, asked, self.wishes, before, questions)

    def _probable(self, until: Sequence[str]) -> engine.Questions | None:
        """Questions to Docker, begun before what takes long to import is imported."""
        if set(until) <= set(PREPARING):
            return None
        return engine.probable(recall(self.place), self.wishes.database)

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


def _inside_sources(folder: Path) -> bool:
    parts = folder.parts
    return any(parts[i : i + 2] == (".odpm", "src") for i in range(len(parts) - 1))


def _env_file(path: Path) -> dict[str, str]:
    """The names that a `.env` file sets. Errors: DescriptionError with the line that cannot be read."""
    text = files.read_text(path)
    return {} if text is None else read_env(text, str(path), os.environ)
