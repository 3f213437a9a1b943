"""Explain the differences between the platforms of one image, which has one lock and one description.

The platforms have the same base image (a manifest list), the same state of the Debian archive and the same Python lock. What
differs nevertheless comes from Debian or from wheels that a package has for one processor only. A package that the build
installed in two versions is not explained: the platforms were then built from different states of the archive.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain

from packaging.markers import Marker

from odpm_tasks.core.audit.census import Census, Package
from odpm_tasks.core.audit.parity import Explanation, Item, system_name
from odpm_tasks.core.image.image_spec import COMPILED_RUNTIME
from odpm_tasks.core.locking.diff_packages import Locked

REBUILT = "rebuilt by Debian for one processor (+bN)"
OF_THE_BASE = "the base image has other packages for this platform"
COMPILED = "for Python packages without a wheel for this processor"
# Source: Debian policy 5.6.12, versions of rebuilds without a change of the source.
_REBUILD = re.compile(r"\+b\d+$")
_MACHINES = {"amd64": "x86_64", "arm64": "aarch64", "i386": "i686", "armhf": "armv7l", "ppc64el": "ppc64le"}

_Packages = Mapping[str, Package]


def platform_explanations(
    images: Mapping[str, Census], locked: Mapping[str, Sequence[Locked]] | None = None
) -> dict[Item, Explanation]:
    """The differences between platforms that Debian or the Python lock makes, by item.

    `images`: census by platform. `locked`: the packages of the image's Python lock by normalized name, where it is known.
    """
    system = {label: {system_name(each, census): each for each in census.system} for label, census in images.items()}
    found = {}
    for name in dict.fromkeys(chain.from_iterable(system.values())):
        rows = {label: each.get(name) for label, each in system.items()}
        if len({row and row.version for row in rows.values()}) > 1 and (reason := _reason(name, images, system)):
            versions = {label: {row.version if row else None} for label, row in rows.items()}
            found["system package", name] = Explanation(versions, reason)
    return {**found, **_of_markers(images, locked or {})}


def _reason(
    name: str, images: Mapping[str, Census], system: Mapping[str, _Packages], seen: frozenset[str] = frozenset()
) -> str:
    """Why a system package differs between the platforms; empty if there is no reason."""
    present = {label: each[name] for label, each in system.items() if name in each}
    absent = [label for label in system if label not in present]
    if not absent and len({_REBUILD.sub("", row.version) for row in present.values()}) == 1:
        return REBUILT
    if all(row.base for row in present.values()):
        return OF_THE_BASE
    if not absent:
        return ""
    if name in COMPILED_RUNTIME and all(images[label].architecture != "amd64" for label in present):
        return COMPILED
    causes = [
        next(_causes(name, label, other, images, system, seen | {name}), "") for label in present for other in absent
    ]
    return causes[0] if all(causes) else ""


def _causes(
    name: str,
    here: str,
    there: str,
    images: Mapping[str, Census],
    system: Mapping[str, _Packages],
    seen: frozenset[str],
) -> Iterator[str]:
    """The reasons for which a platform has a package and another one does not: what depends on it."""
    for other in system[here].values():
        if name not in other.depends or other.name in seen:
            continue
        twin = system[there].get(other.name)
        if twin is None and _reason(other.name, images, system, seen):
            yield f"{other.name} depends on it"
        elif twin is not None and name not in twin.depends:
            yield f"{other.name} depends on it, on {images[here].architecture} only"


def _of_markers(images: Mapping[str, Census], locked: Mapping[str, Sequence[Locked]]) -> dict[Item, Explanation]:
    """The Python packages that the lock has for some processors only."""
    found = {}
    for name, rows in locked.items():
        if any("platform_machine" in row.marker for row in rows):
            allowed: dict[str, set[str | None]] = {
                label: {row.version for row in rows if _applies(row.marker, census)} for label, census in images.items()
            }
            allowed = {label: versions or {None} for label, versions in allowed.items()}
            found["Python package", name] = Explanation(allowed, "in requirements.lock for some processors only")
    return found


def _applies(marker: str, census: Census) -> bool:
    """Whether a marker of the lock is true in the image."""
    environment = {
        "implementation_name": "cpython",
        "implementation_version": census.python,
        "os_name": "posix",
        "platform_machine": _MACHINES.get(census.architecture, census.architecture),
        "platform_python_implementation": "CPython",
        "platform_release": "",
        "platform_system": "Linux",
        "platform_version": "",
        "python_full_version": census.python,
        "python_version": ".".join(census.python.split(".")[:2]),
        "sys_platform": "linux",
    }
    return not marker or Marker(marker).evaluate(environment)
