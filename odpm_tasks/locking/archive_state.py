"""The state of the Debian archive in the lock: what is kept, and the queries to the mirror."""

from __future__ import annotations

from collections.abc import Callable

from odpm_tasks.adapters import http
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.archive import ArchiveState, Mirror
from odpm_tasks.core.locking.lockfile import Lock
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.errors import OdpmError
from odpm_tasks.image import archive

TIMEOUT = 2.0  # seconds for all indexes together


def start(
    paths: ProjectPaths, manifest: Manifest, known: Lock | None, *, fresh: bool
) -> Callable[[], ArchiveState | None]:
    """Start to query the state of the mirror; the returned function waits and returns the state for the lock.

    The state of the lock is kept if it is of the same Debian release; with `fresh` only if the mirror does not answer.
    Without ODPM_APT_MIRROR the mirror of this machine or, where it runs another system, the snapshot service is queried.
    """
    codename = manifest.codename
    locked = known.system if known and known.system and known.system.release == codename else None
    if locked and not fresh:
        return lambda: locked
    setting = archive.mirror_of_settings(paths.settings)
    found = http.in_parallel({"state": lambda: _state(paths, codename, setting)}, TIMEOUT)
    return lambda: found().get("state", locked)


def _state(paths: ProjectPaths, codename: str, setting: Mirror | None) -> ArchiveState | None:
    """The state of a mirror. The query of this machine's apt takes some tenths of a second."""
    try:
        mirror = setting or archive.machine_mirror() or archive.newest_snapshot(paths.settings)
    except OdpmError:
        return None
    if mirror is None:
        return None
    return archive.start_query(codename, {"mirror": mirror}, TIMEOUT)().get("mirror")
