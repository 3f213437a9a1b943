"""Where things lie: the one place that knows the folders of a project and of the shared cache."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.core.settings import Settings

GITIGNORE = """\
# Ours is what every member of the team shares; everything else here is made anew from it.
*
!.gitignore
!deps.lock.json
!requirements.lock
!requirements.developer.lock
!templates/
!templates/**
"""


@dataclass(frozen=True)
class Place:
    """One checkout of a project on one machine: `root` holds `odpm.json`, `cache` is shared by all projects."""

    root: Path
    cache: Path
    settings: Settings

    @property
    def odpm(self) -> Path:
        return self.root / ".odpm"

    @property
    def manifest(self) -> Path:
        return self.root / "odpm.json"

    @property
    def lock(self) -> Path:
        return self.odpm / "deps.lock.json"

    @property
    def state(self) -> Path:
        return self.odpm / "state.toml"

    @property
    def compose(self) -> Path:
        return self.root / "docker-compose.yml"

    def source(self, name: str) -> Path:
        return self.odpm / "src" / name

    def template(self, name: str) -> Path:
        return self.odpm / "templates" / name

    def secrets(self, scenario: str) -> Path:
        return self.odpm / "secrets" / scenario

    @property
    def projects(self) -> Path:
        """Who uses the cache: a file per project with the path of its root."""
        return self.cache / "projects"

    def store(self, canonical: str) -> Path:
        """The bare store of a repository, by its canonical URL: `CACHE/git/HOST/PATH.git`."""
        return self.cache / "git" / f"{_below(canonical)}.git"

    def facts(self, canonical: str, commit: str) -> Path:
        """What a repository holds at a commit; never changes."""
        return self.cache / "facts" / _below(canonical) / f"{commit}.json"

    def tree(self, canonical: str, commit: str) -> Path:
        """The files of a commit without git, for image builds."""
        return self.cache / "trees" / _below(canonical) / commit


def _below(canonical: str) -> str:
    """A canonical URL as a relative path that cannot leave its folder, whatever the URL holds."""
    path = canonical.partition("://")[2]
    parts = path.split("/")
    if all(part and part not in {".", ".."} and part.isprintable() and len(part.encode()) < 200 for part in parts):
        return path.replace(":", "+")
    return f"odd/{hashlib.sha256(canonical.encode()).hexdigest()[:32]}"
