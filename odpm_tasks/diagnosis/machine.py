"""Checks of this machine that need no engine: disk, memory, file watches, git, certificates, proxies, folders of Windows."""

from __future__ import annotations

import os
import re
import shutil
import ssl
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.core.audit.findings import Finding, Level
from odpm_tasks.core.text import size

FREE_DISK = 5_000_000_000  # bytes; an environment image with its build cache needs about 3 GB
FREE_FILES = 200_000  # a checkout of Odoo has 40,000 files, an image with its build cache as many again
FREE_MEMORY = 2_000_000_000  # bytes; Odoo, PostgreSQL and the install of a package
FEWEST_WATCHES = 65_536  # Odoo with a dozen repositories has about 30,000 folders and files to watch
FEWEST_INSTANCES = 128  # the default of Linux
GIT_OF_MERGES = (2, 38)
_PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
_CERTIFICATES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "GIT_SSL_CAINFO", "PIP_CERT")


def disk(folder: Path, what: str) -> Iterator[Finding]:
    """The free space of the file system of a folder that may not exist yet."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(existing).free
    if free < FREE_DISK:
        level: Level = "error" if free < FREE_DISK // 10 else "warning"
        todo = "free some space: inv prune --all"
        yield Finding(
            "disk", level, f"{size(free)} are free for {what}", f"{folder}; {size(FREE_DISK)} are enough", todo
        )


def file_count(folder: Path, what: str) -> Iterator[Finding]:
    """How many files the file system of a folder still takes; some take any number and report 0."""
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    found = os.statvfs(existing)
    if found.f_files and found.f_favail < FREE_FILES:
        yield Finding(
            "disk",
            "warning",
            f"{found.f_favail} more files fit on the disk of {what}",
            f"{folder}; df --inodes",
            "free some space: inv prune --all",
        )


def memory(meminfo: Path = Path("/proc/meminfo")) -> Iterator[Finding]:
    """The memory that programs can use, as Linux reports it (proc(5))."""
    match = re.search(r"^MemAvailable:\s+(\d+) kB", files.read_text(meminfo) or "", re.MULTILINE)
    if match and int(match[1]) * 1024 < FREE_MEMORY:
        free = int(match[1]) * 1024
        yield Finding(
            "memory",
            "warning",
            f"{size(free)} of memory are available",
            f"{meminfo}: MemAvailable",
            "inv projects; inv down",
        )


def watches(folder: Path = Path("/proc/sys/fs/inotify")) -> Iterator[Finding]:
    """The limit of file watches per user (inotify(7)): above it, `--dev=reload` notices no change."""
    text = (files.read_text(folder / "max_user_watches") or "").strip()
    if text.isdigit() and int(text) < FEWEST_WATCHES:
        yield Finding(
            "inotify",
            "warning",
            f"this machine allows {text} file watches: --dev=reload may miss changes",
            str(folder / "max_user_watches"),
            "sudo sysctl fs.inotify.max_user_watches=524288",
        )
    text = (files.read_text(folder / "max_user_instances") or "").strip()
    if text.isdigit() and int(text) < FEWEST_INSTANCES:
        yield Finding(
            "inotify",
            "warning",
            f"this machine allows {text} programs of a user to watch files: an editor or --dev=reload may not start",
            str(folder / "max_user_instances"),
            "sudo sysctl fs.inotify.max_user_instances=512",
        )


def git(version: str, *, merges: bool) -> Iterator[Finding]:
    """The version of git (`2.39.5`), which merges of pull requests need. `merges`: whether the description has some."""
    release = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if merges and release < GIT_OF_MERGES:
        yield Finding(
            "git",
            "error",
            "merges of pull requests need git 2.38 or later",
            f"git {version}",
            "install a newer git, or remove the merges from odpm.json",
        )


def certificates(environment: Mapping[str, str], now: float | None = None) -> Iterator[Finding]:
    """Variables that name a file of certificates which does not exist, has none, or only expired ones."""
    for name in _CERTIFICATES:
        path = environment.get(name)
        if not path:
            continue
        if not Path(path).is_file():
            yield Finding("certificates", "error", f"{name} names a file that does not exist", path, f"unset {name}")
            continue
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            context.load_verify_locations(path)
        except (ssl.SSLError, OSError):
            yield Finding("certificates", "error", f"{name} names a file without certificates", path, f"unset {name}")
            continue
        ends = [ssl.cert_time_to_seconds(str(one["notAfter"])) for one in context.get_ca_certs()]
        if ends and max(ends) < (time.time() if now is None else now):
            todo = "ask for the new certificate of the proxy or server, and put it there"
            yield Finding("certificates", "error", f"{name} names a file of expired certificates", path, todo)


def proxies(environment: Mapping[str, str]) -> Iterator[Finding]:
    """A proxy on loopback, which containers do not reach; one without a scheme; two spellings with different values."""
    for name in _PROXIES:
        address = environment.get(name, "")
        if address and "://" not in address:
            yield Finding(
                "proxy",
                "warning",
                f"{name} has no scheme, and some programs ignore it",
                command.redact(address),
                f"{name}=http://{address.rpartition('@')[2]}",
            )
        elif re.search(r"//(?:[^@/]*@)?(localhost|127\.|\[::1\])", address):
            yield Finding(
                "proxy",
                "warning",
                f"{name} is an address on loopback, which containers do not reach; image builds use the host's network",
                command.redact(address),
                "use an address of this machine that containers reach",
            )
            break
    for lower in ("http_proxy", "https_proxy", "no_proxy"):
        values = [environment.get(name, "") for name in (lower, lower.upper())]
        if all(values) and values[0] != values[1]:
            yield Finding(
                "proxy",
                "warning",
                f"{lower} and {lower.upper()} have different values, and programs read one or the other",
                " | ".join(map(command.redact, values)),
                f"unset {lower.upper()}",
            )


def windows_folder(root: Path, release: Path = Path("/proc/sys/kernel/osrelease")) -> Iterator[Finding]:
    """A project on a drive of Windows, seen from WSL: each file access passes through a network protocol."""
    in_wsl = "microsoft" in (files.read_text(release) or "").lower()
    if in_wsl and re.match(r"/mnt/[a-z](/|$)", str(root)):
        yield Finding(
            "wsl", "warning", "the project is on a drive of Windows, which is slow and has no file events", str(root),
            "clone it into the home folder of WSL",
        )  # fmt: skip


def environment() -> Mapping[str, str]:
    return os.environ
