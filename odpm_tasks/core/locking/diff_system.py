"""The difference of two states of the Debian archive: the packages of an image that move, and those that are security updates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from odpm_tasks.core.image.archive import ArchiveState
from odpm_tasks.core.image.debian import newest


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
