"""The volumes of PostgreSQL: one for each scenario and major version, because a version reads no data of another one.

The data is in the volume of the newest version. An older one is what `db.upgrade-postgres` kept. A volume that is being filled
has a second one beside it, its mark, and holds no data as long as that exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.stack.compose_file import database_volume, postgres_major
from odpm_tasks.errors import DescriptionError

MARK = ".upgrade"  # the end of the name of a mark


@dataclass(frozen=True)
class DatabaseVolumes:
    """The volumes of a scenario. `asked`: the version in `odpm.json`; `name`: its volume; `where`: the field of `odpm.json`.

    `complete`: major version -> volume, of those that exist and have no mark; `unfinished`: versions whose volume has a mark.
    """

    asked: int
    name: str
    where: str
    complete: Mapping[int, str]
    unfinished: frozenset[int] = frozenset()

    @property
    def mark(self) -> str:
        """The mark of the volume that `odpm.json` asks for."""
        return self.name + MARK

    @property
    def newest(self) -> int:
        """The version that the data is of; 0 where there is none."""
        return max(self.complete, default=0)

    @property
    def older(self) -> tuple[str, ...]:
        """The volumes of versions before the one in `odpm.json`."""
        return tuple(self.complete[major] for major in sorted(self.complete) if major < self.asked)

    def refusal(self) -> DescriptionError | None:
        """Why PostgreSQL must not start with the version in `odpm.json`; None if it may."""
        if not self.newest:
            return None
        volume = self.complete[self.newest]
        what = f"the volume {volume} holds data of PostgreSQL {self.newest}, and odpm.json asks for {self.asked}"
        keep = f"write {self.newest} there"
        if self.newest > self.asked:
            todo = f"{keep}; PostgreSQL does not go back: docs/troubleshooting.md says what to do"
        elif self.newest == self.asked:
            return None
        elif self.asked in self.unfinished:
            what += "; the move was interrupted"
            todo = f"inv db.upgrade-postgres starts it again; to go back: {keep}"
        else:
            todo = f"inv db.upgrade-postgres moves it; to keep that version: {keep}"
        return DescriptionError(what, where=self.where, todo=todo)


def database_volumes(project: str, scenario: str, manifest: Manifest, volumes: Iterable[str]) -> DatabaseVolumes:
    """The volumes of PostgreSQL among `volumes`, names of the engine. `project`: the name for Compose."""
    begin = f"{project}_{database_volume(scenario, '')}"
    pattern = re.compile(rf"{re.escape(begin)}(\d+)({re.escape(MARK)})?")
    found = [(match[0], int(match[1]), bool(match[2])) for match in map(pattern.fullmatch, volumes) if match]
    marked = frozenset(major for _, major, mark in found if mark)
    asked = postgres_major(manifest.postgres)
    return DatabaseVolumes(
        asked,
        f"{project}_{database_volume(scenario, manifest.postgres)}",
        "odpm.json: postgres" if manifest.format == 2 else "odpm.json: postgres_version",
        {major: volume for volume, major, mark in found if not mark and major not in marked},
        marked,
    )
