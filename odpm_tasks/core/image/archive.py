"""The state of the Debian archive: the times of its signed indexes, the sources that have a state, the packages of a state.

An index (`InRelease`) has a `Label` and a `Date`. The state of a mirror is the latest `Date` of the indexes of the archive
(label `Debian`), and that of the security archive (label `Debian-Security`). A lock records both; a build verifies them with
what apt has verified, so packages of two states are never under one key of the build cache.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from odpm_tasks.errors import DescriptionError

LABELS = {"archive": "Debian", "security": "Debian-Security"}
SNAPSHOT = "https://snapshot.debian.org"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
MARKER = "odpm-archive:"  # begins the lines in which a step of the Dockerfile prints the state that it found
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
# A snapshot is taken some hours after its indexes were signed; a snapshot service answers with the last one before a time.
SNAPSHOT_OFFSETS = (0, 2, 6, 12, 24)  # hours


@dataclass(frozen=True)
class ArchiveState:
    """The state of the archive of a Debian release: times in UTC as `2026-07-11T10:16:37Z`.

    `security` is None where no security archive is used.
    """

    release: str
    archive: str
    security: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def text(self) -> str:
        """The lines that a step of the Dockerfile compares with the state that it finds."""
        return f"archive {self.archive}\n" + (f"security {self.security}\n" if self.security else "")

    @property
    def data(self) -> dict[str, Any]:
        """The value of `system` in the lock."""
        times = {"archive": self.archive, **({"security": self.security} if self.security else {})}
        return {**self.extra, "release": self.release, **times}

    def __str__(self) -> str:
        times = [self.archive, *([f"security {self.security}"] if self.security else [])]
        return f"Debian {self.release} {', '.join(times)}"


@dataclass(frozen=True)
class Mirror:
    """The URLs of an archive and its security archive ("": none). `snapshot`: of a snapshot service, so their indexes may have
    expired."""

    archive: str
    security: str = ""
    snapshot: bool = False


def mirror_of_setting(setting: str, where: str) -> Mirror:
    """The mirror of ODPM_APT_MIRROR, `URL [SECURITY_URL]`. Errors: DescriptionError."""
    urls = setting.split()
    for url in urls:
        if not re.fullmatch(r"https?://[^\s\[\]]+", url) or len(urls) > 2:
            raise DescriptionError(
                f"{_without_login(url)!r} is not the URL of a Debian mirror",
                where=where,
                todo="ODPM_APT_MIRROR=https://mirror.example/debian https://mirror.example/debian-security",
            )
    return Mirror(urls[0].rstrip("/"), urls[1].rstrip("/") if len(urls) == 2 else "")


def snapshot_service(setting: str | None, where: str) -> str:
    """The base URL of ODPM_APT_SNAPSHOT, by default the service of Debian; "" for `off`. Errors: DescriptionError."""
    if setting is None or not setting.strip():
        return SNAPSHOT
    if setting.strip() == "off":
        return ""
    if not re.fullmatch(r"https?://[^\s\[\]]+", setting.strip()):
        raise DescriptionError(
            f"{_without_login(setting)!r} is not the URL of a snapshot service",
            where=where,
            todo="ODPM_APT_SNAPSHOT=https://snapshot.example, or off",
        )
    return setting.strip().rstrip("/")


def _without_login(url: str) -> str:
    return re.sub(r"://[^/@\s]+@", "://***@", url)


def suites(codename: str) -> dict[str, tuple[str, ...]]:
    """The suites of the archive and of the security archive."""
    security = f"{codename}/updates" if codename in {"stretch", "buster"} else f"{codename}-security"
    return {"archive": (codename, f"{codename}-updates"), "security": (security,)}


def sources_list(codename: str, mirror: Mirror) -> str:
    """The lines of a sources.list for a Debian release."""
    options = f"signed-by={KEYRING}" + (" check-valid-until=no" if mirror.snapshot else "")
    urls = {"archive": mirror.archive, "security": mirror.security}
    lines = [
        f"deb [{options}] {urls[kind]} {suite} main"
        for kind, names in suites(codename).items()
        for suite in names
        if urls[kind]
    ]
    return "".join(f"{line}\n" for line in lines)


def index_urls(codename: str, mirror: Mirror) -> dict[str, str]:
    """URL of each signed index of a mirror -> `archive` or `security`."""
    urls = {"archive": mirror.archive, "security": mirror.security}
    return {
        f"{urls[kind]}/dists/{suite}/InRelease": kind
        for kind, names in suites(codename).items()
        for suite in names
        if urls[kind]
    }


def index_time(text: str, kind: str) -> str | None:
    """The time of a signed index; None where it is not one of the archive `kind`."""
    label = re.search(r"^Label: (.*)$", text, re.MULTILINE)
    date = re.search(r"^Date: (.*)$", text, re.MULTILINE)
    if not (label and date) or label[1].strip() != LABELS[kind]:
        return None
    try:
        found = parsedate_to_datetime(date[1].strip())
    except (TypeError, ValueError):
        return None
    return f"{(found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"


def state_of(codename: str, mirror: Mirror, indexes: Mapping[str, str]) -> ArchiveState | None:
    """The state of a mirror from the texts of its signed indexes, by URL; None where one is missing."""
    times: dict[str, str] = {}
    for url, kind in index_urls(codename, mirror).items():
        time = index_time(indexes.get(url, ""), kind)
        if time is None:
            return None
        times[kind] = max(time, times.get(kind, ""))
    return ArchiveState(codename, times["archive"], times.get("security"))


def snapshot_times(time: str) -> tuple[str, ...]:
    """The times to query at a snapshot service for the state of `time`, as its URLs have them (`20260711T101637Z`)."""
    start = datetime.fromisoformat(time)
    return tuple(f"{start + timedelta(hours=hours):%Y%m%dT%H%M%SZ}" for hours in SNAPSHOT_OFFSETS)


def snapshot_url(service: str, kind: str, time: str) -> str:
    """The archive `kind` at a time in the form of `snapshot_times`."""
    return f"{service}/archive/{'debian-security' if kind == 'security' else 'debian'}/{time}"


def found_state(release: str, log: str) -> ArchiveState | None:
    """The state that a step of a build has found and printed; None where no step found another one than expected."""
    rows = re.findall(rf"{MARKER} (archive|security) ({TIME})", log)
    times = dict(rows[-2:] if len({kind for kind, _ in rows[-2:]}) == 2 else rows[-1:])
    return ArchiveState(release, times["archive"], times.get("security")) if "archive" in times else None


def moved_packages(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """The packages of both images with another version, a line each."""
    return tuple(
        f"{name} {before[name]} -> {after[name]}"
        for name in sorted(before.keys() & after.keys())
        if before[name] != after[name]
    )
