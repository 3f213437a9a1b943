"""Checks with the network: git hosts, package indexes, the registry of the base image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from odpm_tasks.adapters import command, http, index_settings
from odpm_tasks.adapters.docker import registry
from odpm_tasks.adapters.git.transport import fetch_error, list_refs
from odpm_tasks.core.audit.findings import Finding, of_error, seconds_away
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.image_spec import base_image
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.sources.link import Link
from odpm_tasks.sources.remote import project_remote

TIMEOUT = 10.0  # seconds
SKEW = 300.0  # seconds; caches in between may answer with an older date
_PROJECT = "pip"  # a name that every complete index has


def git_hosts(paths: ProjectPaths, manifest: Manifest) -> Iterator[Finding]:
    """One repository of each git host, with the mirrors, logins and keys of the project."""
    links = [link for link in (manifest.platform, *manifest.dependencies) if not link.is_file]
    hosts: dict[str, Link] = {}
    for link in links:
        hosts.setdefault(urlsplit(link.canonical).netloc, link)
    for link in hosts.values():
        source = project_remote(paths, link.url)
        outcome = list_refs(source, ["HEAD"])
        if not outcome.ok:
            yield of_error("git-host", fetch_error(outcome, source, "HEAD"))


def package_indexes() -> Iterator[Finding]:
    """Each package index of this machine's settings."""
    for url in index_settings.index_urls(index_settings.index()):
        if http.get(f"{url.rstrip('/')}/{_PROJECT}/", TIMEOUT, 1000) is None:
            yield Finding(
                "index",
                "error",
                "a package index does not answer",
                command.redact(url),
                "check UV_DEFAULT_INDEX, UV_INDEX and pip.conf: docs/image.md#settings-of-the-build-machine",
            )


def clock() -> Iterator[Finding]:
    """The clock of this machine, compared with that of the package index, whose answers have a date."""
    for url in index_settings.index_urls(index_settings.index()):
        before = time.time()
        if (date := http.date(url, TIMEOUT)) is not None:
            yield from of_date(date, before, time.time(), url)
            return


def of_date(date: str, before: float, after: float, url: str) -> Iterator[Finding]:
    """The finding of a date in an answer, given between two times (seconds since 1970)."""
    try:
        away = seconds_away(parsedate_to_datetime(date), before, after)
    except ValueError:
        return
    if away > SKEW:
        yield Finding(
            "clock",
            "error",
            f"the clock of this machine is {away:.0f} seconds away from that of a server: certificates may not be valid",
            f"{command.redact(url)}: Date {date}",
            "set the clock: sudo timedatectl set-ntp true",
        )


def image_registry(paths: ProjectPaths, manifest: Manifest) -> Iterator[Finding]:
    """The registry of the base image, or its mirror."""
    name = base_image(manifest.python, manifest.codename)
    reference = (paths.settings.get("ODPM_IMAGE_MIRROR") or "") + name
    if not registry.digests({name: reference}, TIMEOUT)():
        yield Finding(
            "registry",
            "warning",
            f"no registry answers for {reference}",
            "",
            "docker login, or a mirror: ODPM_IMAGE_MIRROR in .env; images that are here need none",
        )
