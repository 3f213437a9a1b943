"""The packages that differ between two locks: of the Python locks, and of two states of the Debian archive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.image.debian import newest
from odpm_tasks.core.locking.git_packages import GitPackage
from odpm_tasks.core.locking.python_requirements import requirement_lines

# --- Python: packages by name, versions by marker, hashes ---


@dataclass(frozen=True)
class PythonSide:
    """The texts of both Python locks of a side, empty where a lock is missing, and the packages from git."""

    main: str = ""
    developer: str = ""
    git: tuple[GitPackage, ...] = ()

    def read(self, text: str) -> dict[str, tuple[Locked, ...]]:
        """The packages of a lock of this side, with those from git: their version names the commit."""
        return read_python_lock(text) | {one.name: (Locked(one.shown),) for one in self.git}


@dataclass(frozen=True)
class Locked:
    """One exact version of a package. `marker`: the machines it is for, as in `requirements.lock`; "" for all."""

    version: str
    marker: str = ""
    hashes: frozenset[str] = field(default_factory=frozenset, repr=False)


@dataclass(frozen=True)
class PackageChange:
    """A Python package that differs, with the versions that differ. `old` empty: added; `new` empty: removed.

    `hashes`: the same versions with other files. `developer`: only in the developer lock.
    """

    name: str
    old: tuple[Locked, ...]
    new: tuple[Locked, ...]
    developer: bool = False
    hashes: bool = False

    @property
    def kind(self) -> Literal["added", "removed", "moved", "hashes"]:
        return "hashes" if self.hashes else "added" if not self.old else "removed" if not self.new else "moved"


def read_python_lock(text: str) -> dict[str, tuple[Locked, ...]]:
    """The packages of a `requirements.lock` by normalized name; several versions where they differ per marker."""
    found: dict[str, list[Locked]] = {}
    for row in text.replace("\\\n", " ").splitlines():
        words, *hashes = row.split("--hash=")
        try:
            requirement = Requirement(next((row.line for row in requirement_lines(words, "")), ""))
        except InvalidRequirement:
            continue
        version = requirement.url or ",".join(s.version for s in requirement.specifier)
        locked = Locked(version, str(requirement.marker or ""), frozenset(word.strip() for word in hashes))
        found.setdefault(canonicalize_name(requirement.name), []).append(locked)
    return {name: tuple(sorted(rows, key=lambda row: row.marker)) for name, rows in found.items()}


def packages(old: PythonSide, new: PythonSide) -> tuple[PackageChange, ...]:
    """The packages that differ, by name: those of every scenario, then those of the developer lock only."""
    common = _packages(old.read(old.main), new.read(new.main))
    listed = {(change.name, change.old, change.new) for change in common}
    developer = [
        c for c in _packages(old.read(old.developer), new.read(new.developer)) if (c.name, c.old, c.new) not in listed
    ]
    return (*common, *(replace(change, developer=True) for change in developer))


def _packages(before: Mapping[str, tuple[Locked, ...]], after: Mapping[str, tuple[Locked, ...]]) -> list[PackageChange]:
    changes = [_package(name, before.get(name, ()), after.get(name, ())) for name in sorted({*before, *after})]
    return [change for change in changes if change]


def _package(name: str, old: tuple[Locked, ...], new: tuple[Locked, ...]) -> PackageChange | None:
    if [(row.version, row.marker) for row in old] == [(row.version, row.marker) for row in new]:
        differ = [(was, now) for was, now in zip(old, new, strict=True) if was.hashes != now.hashes]
        if not differ:
            return None
        return PackageChange(name, tuple(was for was, _ in differ), tuple(now for _, now in differ), hashes=True)
    if [row.marker for row in old] == [row.marker for row in new]:
        moved = [(was, now) for was, now in zip(old, new, strict=True) if was.version != now.version]
        return PackageChange(name, tuple(was for was, _ in moved), tuple(now for _, now in moved))
    return PackageChange(name, old, new)


# --- Debian: the packages of an image that move, and those that are security updates ---


@dataclass(frozen=True)
class SystemPackageChange:
    """A Debian package of the image with another version in the new state. `security`: that version is in the security archive."""

    name: str
    old: str
    new: str
    security: bool = False


@dataclass(frozen=True)
class SystemChange:
    """Another state of the Debian archive. `packages`: None where they are not known; then `note` says why."""

    old: ArchiveState | None
    new: ArchiveState | None
    packages: tuple[SystemPackageChange, ...] | None = None
    note: str = ""


def package_changes(
    installed: Mapping[str, str], archive: Mapping[str, str], security: Mapping[str, str]
) -> tuple[SystemPackageChange, ...]:
    """The packages that a build of the new state installs with another version than the image has.

    `installed`: package -> version of the packages that the build of the old state installed. `archive`, `security`: the newest
    versions of the new state.
    """
    present = newest(archive, security)
    return tuple(
        SystemPackageChange(name, old, present[name], security.get(name) == present[name])
        for name, old in sorted(installed.items())
        if name in present and present[name] != old
    )
