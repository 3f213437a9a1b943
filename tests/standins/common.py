"""Shared by the stand-ins: cache folder, locks, atomic folders, a separate apt configuration, progress lines.

All files are below `root()`. A part is created in a temporary folder on the same file system and then renamed, so a
killed process leaves no incomplete part. The Debian mirror is read from the apt settings of the machine.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import platformdirs
from filelock import FileLock

from odpm_tasks.errors import MachineError, ProgramError

Say = Callable[[str], None]


def root() -> Path:
    """The folder of all state: `$ODPM_CACHE_DIR/standins`, by default `standins` in the odpm cache folder of the user."""
    base = os.environ.get("ODPM_CACHE_DIR")
    path = (Path(base) if base else platformdirs.user_cache_path("odpm")) / "standins"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def line(part: str, text: str) -> str:
    """One progress line: the part in the first column, then the text."""
    return f"{part:<9} {text}"


def seconds(since: float) -> str:
    spent = time.monotonic() - since
    return f"{spent:.1f} s" if spent < 10 else f"{spent:.0f} s"


def size(number: float) -> str:
    """A number of bytes with its unit, in powers of 1000 like Docker."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def folder_size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*"))


def fingerprint(*parts: str | bytes | Path) -> str:
    """A short hash of texts and of the content of files: the inputs of a part."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """A lock: one process at a time creates `name`; the others wait and must check again."""
    folder = root() / "locks"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / f"{name}.lock", is_singleton=True):
        yield


@contextmanager
def scratch(parent: Path | None = None) -> Iterator[Path]:
    """A temporary folder on the file system of the cache. Folders of killed runs are removed after a day."""
    base = parent or root() / "tmp"
    base.mkdir(parents=True, exist_ok=True)
    for old in base.glob("work-*"):
        if time.time() - old.stat().st_mtime > 86400:
            shutil.rmtree(old, ignore_errors=True)
    path = Path(tempfile.mkdtemp(prefix="work-", dir=base))
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def install_folder(made: Path, final: Path) -> None:
    """Rename `made` to `final`. An old `final` is renamed first: readers see the old or the new folder, never a mixture."""
    final.parent.mkdir(parents=True, exist_ok=True)
    with scratch() as aside:
        if final.exists():
            final.rename(aside / "old")
        made.rename(final)


def run(
    *argv: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    data: bytes | None = None,
) -> str:
    """Run a program and return its output. If it fails, its last lines become the details of the error."""
    words = [str(word) for word in argv]
    full_env = {**os.environ, "LC_ALL": "C.UTF-8", **(env or {})}
    try:
        done = subprocess.run(
            words, cwd=cwd, env=full_env, timeout=timeout, input=data, capture_output=True, check=False
        )
    except FileNotFoundError as error:
        raise MachineError(f"{words[0]} is not installed", todo=f"apt-get install {Path(words[0]).name}") from error
    except subprocess.TimeoutExpired as error:
        raise ProgramError(f"{words[0]} did not end within {timeout} s", details=[" ".join(words)]) from error
    if done.returncode:
        output = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise ProgramError(f"{words[0]} ended with {done.returncode}", details=[" ".join(words[:12]), *output[-12:]])
    return done.stdout.decode(errors="replace")


def pip_command() -> list[str]:
    """pip of this Python; otherwise pip on PATH; otherwise `uv tool run pip`."""
    if importlib.util.find_spec("pip"):
        return [sys.executable, "-m", "pip"]
    if found := shutil.which("pip3") or shutil.which("pip"):
        return [found]
    return [sys.executable, "-m", "uv", "tool", "run", "pip"]


def os_release() -> dict[str, str]:
    try:
        text = Path("/etc/os-release").read_text(encoding="utf-8")
    except OSError:
        return {}
    return {key: value.strip("\"'") for key, _, value in (row.partition("=") for row in text.splitlines()) if value}


def is_debian() -> bool:
    return os_release().get("ID") == "debian" and shutil.which("apt-get") is not None


@dataclass(frozen=True)
class Mirrors:
    """Debian mirrors of this machine: the archive and, if configured, the security archive."""

    archive: str
    security: str

    def sources(self, suite: str) -> str:
        """apt sources of a suite in one-line style, with updates and security if the suite has them."""
        rows = [f"deb {self.archive} {suite} main"]
        if suite not in ("sid", "unstable", "experimental"):
            rows.append(f"deb {self.archive} {suite}-updates main")
            if self.security:
                rows.append(f"deb {self.security} {suite}-security main")
        return "\n".join(rows) + "\n"


@lru_cache(maxsize=1)
def mirrors() -> Mirrors:
    """The Debian mirrors in the apt settings of the machine, even if package lists were never fetched.

    `indextargets` lists only downloaded indexes, so the URLs that `update` would fetch are read, too. URLs that end with
    `/debian` and `/debian-security` are Debian's; other vendors' archives are ignored.
    """
    if shutil.which("apt-get") is None:
        raise MachineError("apt-get is not installed: stand-ins are created from Debian packages")
    found = run("apt-get", "indextargets", "--format", "$(SITE)", "Created-By: Packages").split()
    planned = re.findall(r"^'(\S+?)/dists/", run("apt-get", "--print-uris", "-qq", "update"), re.MULTILINE)
    sites = [site.rstrip("/") for site in (*found, *planned)]
    archive = next((site for site in sites if site.endswith("/debian")), "")
    security = next((site for site in sites if site.endswith(("/debian-security", "/security"))), "")
    if not archive:
        raise MachineError(
            "apt on this machine has no Debian archive",
            where="/etc/apt/sources.list, /etc/apt/sources.list.d",
            todo="add a line `deb MIRROR/debian SUITE main` and run apt-get update",
        )
    return Mirrors(archive, security)


class Apt:
    """apt for one suite with separate lists, cache and sources; the configuration of the machine is not changed.

    `updates` adds the updates and security archives of the suite. `arch`: packages for another processor, by Debian's name.
    Lists older than `max_age` seconds are fetched again.
    """

    def __init__(self, suite: str, *, updates: bool = False, arch: str = "", max_age: float = 86400) -> None:
        self.suite, self.arch = suite, arch
        self.name = "-".join([suite, *(["updates"] if updates else []), *([arch] if arch else [])])
        self.folder = root() / "apt" / self.name
        self.max_age = max_age
        for name in ("lists/partial", "cache/archives/partial"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        text = mirrors().sources(suite) if updates else f"deb {mirrors().archive} {suite} main\n"
        self.sources = self.folder / "sources.list"
        if not self.sources.exists() or self.sources.read_text(encoding="utf-8") != text:
            self.sources.write_text(text, encoding="utf-8")
            self.stamp.unlink(missing_ok=True)

    @property
    def stamp(self) -> Path:
        return self.folder / "updated"

    def options(self) -> list[str]:
        settings = {
            "Dir::Etc::sourcelist": self.sources,
            "Dir::Etc::sourceparts": "-",
            "Dir::State::lists": self.folder / "lists",
            "Dir::Cache": self.folder / "cache",
            "APT::Sandbox::User": "root",
            "Acquire::Languages": "none",
            "Acquire::Retries": 3,
            # a mirror can be a snapshot of an earlier day; its content is signed nevertheless
            "Acquire::Check-Valid-Until": "false",
            **({"APT::Architecture": self.arch, "APT::Architectures": self.arch} if self.arch else {}),
        }
        return ["-qq", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]

    def update(self, *, force: bool = False) -> None:
        """Fetch the package lists if they are older than `max_age` seconds."""
        if not force and self.stamp.exists() and time.time() - self.stamp.stat().st_mtime < self.max_age:
            return
        run("apt-get", *self.options(), "update")
        self.stamp.touch()

    def fresh(self, *words: str, cwd: Path | None = None) -> str:
        """Run apt-get with these settings. If it fails, the lists may be out of date: fetch them and retry once."""
        with locked(f"apt-{self.name}"):
            self.update()
            try:
                return run("apt-get", *self.options(), *words, cwd=cwd)
            except ProgramError:
                self.update(force=True)
                return run("apt-get", *self.options(), *words, cwd=cwd)

    def download(self, packages: Sequence[str], into: Path) -> list[Path]:
        """Download packages into a folder; apt verifies size and hash."""
        into.mkdir(parents=True, exist_ok=True)
        self.fresh("download", *packages, cwd=into)
        return sorted(into.glob("*.deb"))

    def bootstrap(self, into: Path) -> list[Path]:
        """Download the packages of a minimal system: essential and required ones, apt, and their dependencies."""
        archives = into / "archives"
        (archives / "partial").mkdir(parents=True)
        (into / "status").touch()
        own = ["-o", f"Dir::State::status={into / 'status'}", "-o", f"Dir::Cache::archives={archives}"]
        wanted = ["?essential", "?priority(required)", "apt"]
        self.fresh(*own, "install", "-y", "--download-only", "--no-install-recommends", *wanted)
        return sorted(archives.glob("*.deb"))

    def install(self, *packages: str) -> None:
        """Install packages on the machine itself. No other function uses dpkg."""
        with locked(f"apt-{self.name}"):
            self.update()
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            lock_timeout = ("-o", "DPkg::Lock::Timeout=120")
            run(
                "apt-get",
                *self.options(),
                *lock_timeout,
                "install",
                "-y",
                "--no-install-recommends",
                *packages,
                env=quiet,
            )


def unpack(debs: Sequence[Path], into: Path, *, documentation: bool = False) -> None:
    """Unpack packages into a folder, in this order, without documentation unless requested."""
    into.mkdir(parents=True, exist_ok=True)
    leave = [] if documentation else ["--exclude=./usr/share/man*", "--exclude=./usr/share/doc*"]
    words = ["tar", "-x", "-C", str(into), "--no-same-owner", "--keep-directory-symlink", *leave]
    for deb in debs:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as source:
            done = subprocess.run(words, stdin=source.stdout, check=False)
        if done.returncode or source.returncode:
            raise ProgramError(f"cannot unpack {deb.name}", where=str(into), todo="check the free disk space")
