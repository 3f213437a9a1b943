"""The Debian mirrors of this machine and the snapshot service, and their state. Their answers are not trusted: apt verifies the
signatures in each build."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial

from odpm_tasks.adapters import apt, http
from odpm_tasks.core.config.settings import Settings
from odpm_tasks.core.image import archive
from odpm_tasks.core.image.archive import ArchiveState, Mirror

_INDEX_SIZE = 4_000_000  # bytes; the signed index of a release has 200 kB
_SNAPSHOT_TIMEOUT = 5.0  # seconds for all queries of a snapshot service


def mirror(settings: Settings) -> Mirror | None:
    """The mirror of ODPM_APT_MIRROR, else of this machine; None: that of the base image. Errors: DescriptionError."""
    return mirror_of_settings(settings) or machine_mirror()


def mirror_of_settings(settings: Settings) -> Mirror | None:
    """The mirror of ODPM_APT_MIRROR. Errors: DescriptionError."""
    setting = settings.get("ODPM_APT_MIRROR")
    return archive.mirror_of_setting(setting, settings.where("ODPM_APT_MIRROR")) if setting else None


def machine_mirror() -> Mirror | None:
    """The mirror of this machine's apt."""
    url, security = apt.machine_mirrors()
    return Mirror(url, security) if url else None


def newest_snapshot(settings: Settings) -> Mirror | None:
    """The archive of the snapshot service as it is now; None where it is off. Errors: DescriptionError for an invalid setting."""
    service = archive.snapshot_service(settings.get("ODPM_APT_SNAPSHOT"), settings.where("ODPM_APT_SNAPSHOT"))
    time = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    own, security = (archive.snapshot_url(service, kind, time) for kind in ("archive", "security"))
    return Mirror(own, security, snapshot=True) if service else None


def start_query(codename: str, mirrors: Mapping[str, Mirror], timeout: float) -> Callable[[], dict[str, ArchiveState]]:
    """Start to query the states of mirrors; the result waits and returns those that are known, by name.

    It returns at most `timeout` seconds after the start.
    """
    urls = {url for each in mirrors.values() for url in archive.index_urls(codename, each)}
    texts = http.in_parallel({url: partial(index_text, url, timeout) for url in urls}, timeout)

    def wait() -> dict[str, ArchiveState]:
        indexes = texts()
        states = {name: archive.state_of(codename, each, indexes) for name, each in mirrors.items()}
        return {name: state for name, state in states.items() if state}

    return wait


def index_text(url: str, timeout: float) -> str | None:
    """The text of a signed index; None where it cannot be had. The signature is not verified."""
    data = http.get(url, timeout, _INDEX_SIZE)
    return None if data is None else data.decode(errors="replace")


def snapshot(settings: Settings, locked: ArchiveState) -> tuple[Mirror, ArchiveState] | None:
    """The archive of the snapshot service at the locked state, and the state it has: the locked one, else the first later one.

    None where the service does not answer or has no such state yet. Errors: DescriptionError for an invalid setting.
    """
    service = archive.snapshot_service(settings.get("ODPM_APT_SNAPSHOT"), settings.where("ODPM_APT_SNAPSHOT"))
    if not service:
        return None
    kinds = {"archive": locked.archive, **({"security": locked.security} if locked.security else {})}
    urls = {kind: _first_url(service, locked.release, kind, time) for kind, time in kinds.items()}
    if not all(urls.values()):
        return None
    found = Mirror(urls["archive"] or "", urls.get("security") or "", snapshot=True)
    state = start_query(locked.release, {"": found}, _SNAPSHOT_TIMEOUT)().get("")
    return (found, state) if state else None


def _first_url(service: str, release: str, kind: str, locked: str) -> str | None:
    """The URL of an archive at the first time whose state is not before the locked one."""
    for time in archive.snapshot_times(locked):
        url = archive.snapshot_url(service, kind, time)
        indexes = {f"{url}/dists/{suite}/InRelease" for suite in archive.suites(release)[kind]}
        texts = http.in_parallel(
            {index: partial(index_text, index, _SNAPSHOT_TIMEOUT) for index in indexes}, _SNAPSHOT_TIMEOUT
        )()
        times = [archive.index_time(text, kind) for text in texts.values()]
        if len(texts) < len(indexes) or not all(times):
            return None
        if max(time or "" for time in times) >= locked:
            return url
    return None
