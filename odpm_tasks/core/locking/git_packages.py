"""Python packages from git in the lock: the entries of its key `python`, which odpm 4.x ignores."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from odpm_tasks.core.sources.link import canonical

_FOLDER = r"^[A-Za-z0-9_][A-Za-z0-9_.+-]*(?:/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*$"


def _version(value: str) -> str:
    try:
        Version(value)
    except InvalidVersion:
        raise ValueError(f"{value!r} is not a version") from None
    return value


def _requirement(value: str) -> str:
    try:
        Requirement(value)
    except (InvalidRequirement, RecursionError):
        raise ValueError(f"{value!r} is not a requirement") from None
    return value


class GitPackageEntry(BaseModel):
    """An entry of the lock file."""

    model_config = ConfigDict(extra="allow", strict=True)
    name: str = Field(pattern=r"^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$")
    url: str = Field(min_length=1)
    ref: str | None = None
    commit: str = Field(pattern=r"^[0-9a-f]{40}$")
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9.!+_-]+$"), AfterValidator(_version)]
    requirements: list[Annotated[str, AfterValidator(_requirement)]] = []
    requires_python: str | None = None
    subdirectory: str | None = Field(default=None, pattern=_FOLDER)


@dataclass(frozen=True)
class GitPackage:
    """A Python package from a git repository at one commit.

    `name` is normalized, `url` canonical. `ref`: as the requirement names it; empty for the default branch. `requirements`:
    what it requires itself, which is in the Python locks. `subdirectory`: its folder in the repository.
    """

    name: str
    url: str
    commit: str
    version: str
    ref: str = ""
    requirements: tuple[str, ...] = ()
    requires_python: str = ""
    subdirectory: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a requirement must have in common with this pin."""
        return self.url, self.ref, self.subdirectory

    @property
    def shown(self) -> str:
        return f"{self.version} @ {self.commit[:8]}"

    @property
    def text(self) -> str:
        """The whole pin as one line, an input of the Python locks."""
        parts = (self.name, *self.identity, self.commit, self.version, self.requires_python, *self.requirements)
        return json.dumps(parts, ensure_ascii=False)


def read_entry(entry: GitPackageEntry) -> GitPackage:
    return GitPackage(
        entry.name, canonical(entry.url), entry.commit, entry.version, entry.ref or "", tuple(entry.requirements),
        entry.requires_python or "", entry.subdirectory or "", dict(entry.model_extra or {}),
    )  # fmt: skip


def entry_of(package: GitPackage) -> dict[str, Any]:
    """The entry of the lock file; `read_entry` reads it to an equal value."""
    optional = {"ref": package.ref, "requires_python": package.requires_python, "subdirectory": package.subdirectory}
    return {
        **package.extra,
        "name": package.name,
        "url": package.url,
        "commit": package.commit,
        "version": package.version,
        "requirements": list(package.requirements),
        **{key: value for key, value in optional.items() if value},
    }


def package_changes(old: Sequence[GitPackage], new: Sequence[GitPackage]) -> list[str]:
    """The changes of packages from git, one phrase each."""
    before, after = ({one.name: one for one in packages} for packages in (old, new))
    changes = [f"add {name} {one.shown}" for name, one in after.items() if name not in before]
    changes += [f"drop {name}" for name in before if name not in after]
    for name, one in after.items():
        was = before.get(name)
        if was is None:
            continue
        if was.commit != one.commit:
            changes.append(f"{name} {was.shown} -> {one.shown}")
        elif was.identity != one.identity:
            changes.append(f"{name} follows {one.url}{f' {one.ref}' if one.ref else ''}")
    return changes
