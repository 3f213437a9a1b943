"""What every stand-in shares: the cache folder, its locks, atomic folders, apt in a corner of its own, progress lines.

Everything lies below `root()`. A part is made in a temporary folder on the same file system and renamed, so a kill
leaves nothing half made. No mirror is named here: the Debian mirror is the one of the machine's own apt settings.
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
    """The folder of all state: `$ODPM_CACHE_DIR/standins`, else `standins` in the user's cache folder of odpm."""
    base = os.environ.get("ODPM_CACHE_DIR")
    path = (Path(base) if base else platformdirs.user_cache_path("odpm")) / "standins"
    path.mkdir(parents=True, exist_ok=True)
    return path.resolve()


def line(part: str, text: str) -> str:
    """One progress line: the part in a column of its own, then what is the case."""
    return f"{part:<9} {text}"


def seconds(since: float) -> str:
    spent = time.monotonic() - since
    return f"{spent:.1f} s" if spent < 10 else f"{spent:.0f} s"


def size(number: float) -> str:
    """Bytes as people read them, in powers of 1000 as Docker does."""
    for unit in ("B", "kB", "MB"):
        if number < 1000:
            return f"{number:.0f} {unit}"
        number /= 1000
    return f"{number:.1f} GB"


def folder_size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*"))


def fingerprint(*parts: str | bytes | Path) -> str:
    """A short hash of texts and of the contents of files: what a made thing depends on."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


@contextmanager
def locked(name: str) -> Iterator[None]:
    """Only one process makes `name` at a time; who comes second waits and then looks again."""
    folder = root() / "locks"
    folder.mkdir(exist_ok=True)
    with FileLock(folder / f"{name}.lock", is_singleton=True):
        yield


@contextmanager
def scratch(place: Path | None = None) -> Iterator[Path]:
    """A temporary folder on the file system of the cache, gone afterwards; those of killed runs go after a day."""
    base = place or root() / "tmp"
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
    """`made` becomes `final`; an old `final` is set aside by rename first, so readers see the old or the new one."""
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
    """Run a program and give its output; where it fails, its own last lines are the error's details."""
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
        said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
        raise ProgramError(f"{words[0]} ended with {done.returncode}", details=[" ".join(words[:12]), *said[-12:]])
    return done.stdout.decode(errors="replace")


def pip_command() -> list[str]:
    """pip of this Python, else any on the machine, else one that uv fetches for the moment."""
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
    """Where this machine takes Debian from: the archive, and the security archive where it has one."""

    archive: str
    security: str

    def sources(self, suite: str) -> str:
        """One-line-style apt sources of a suite, with updates and security where the suite has them."""
        rows = [f"deb {self.archive} {suite} main"]
        if suite not in ("sid", "unstable", "experimental"):
            rows.append(f"deb {self.archive} {suite}-updates main")
            if self.security:
                rows.append(f"deb {self.security} {suite}-security main")
        return "\n".join(rows) + "\n"


@lru_cache(maxsize=1)
def mirrors() -> Mirrors:
    """The Debian mirrors of the machine's apt settings, whether or not its lists were ever fetched.

    `indextargets` names only what was downloaded, so the addresses `update` would fetch are read too; `/debian` and
    `/debian-security` at the end of an archive's address tell the two apart from other vendors' archives.
    """
    if shutil.which("apt-get") is None:
        raise MachineError("apt-get is not installed: stand-ins are made from Debian's packages")
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
    """apt for one suite, with lists, cache and sources in our own folder: the machine's own stay as they are.

    `updates` adds the suite's updates and security archives; lists older than `max_age` seconds are fetched anew.
    """

    def __init__(self, suite: str, *, updates: bool = False, max_age: float = 86400) -> None:
        self.suite = suite
        self.name = f"{suite}-updates" if updates else suite
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
            # a mirror may be frozen at a day; what it holds is signed all the same
            "Acquire::Check-Valid-Until": "false",
        }
        return ["-qq", *(word for key, value in settings.items() for word in ("-o", f"{key}={value}"))]

    def update(self, *, force: bool = False) -> None:
        """Fetch the package lists where they are older than `max_age` seconds."""
        if not force and self.stamp.exists() and time.time() - self.stamp.stat().st_mtime < self.max_age:
            return
        run("apt-get", *self.options(), "update")
        self.stamp.touch()

    def fresh(self, *words: str, cwd: Path | None = None) -> str:
        """Run apt-get with our settings; where it fails the lists may have gone stale: fetch them and try once more."""
        with locked(f"apt-{self.name}"):
            self.update()
            try:
                return run("apt-get", *self.options(), *words, cwd=cwd)
            except ProgramError:
                self.update(force=True)
                return run("apt-get", *self.options(), *words, cwd=cwd)

    def download(self, packages: Sequence[str], into: Path) -> list[Path]:
        """The packages as files in `into`; apt checks size and hash."""
        into.mkdir(parents=True, exist_ok=True)
        self.fresh("download", *packages, cwd=into)
        return sorted(into.glob("*.deb"))

    def bootstrap(self, into: Path) -> list[Path]:
        """What a minimal system consists of: the essential and required packages, apt, and what these need."""
        archives = into / "archives"
        (archives / "partial").mkdir(parents=True)
        (into / "status").touch()
        own = ["-o", f"Dir::State::status={into / 'status'}", "-o", f"Dir::Cache::archives={archives}"]
        wanted = ["?essential", "?priority(required)", "apt"]
        self.fresh(*own, "install", "-y", "--download-only", "--no-install-recommends", *wanted)
        return sorted(archives.glob("*.deb"))

    def install(self, *packages: str) -> None:
        """Install packages into the machine itself (the only place that gives something to dpkg)."""
        with locked(f"apt-{self.name}"):
            self.update()
            quiet = {"DEBIAN_FRONTEND": "noninteractive"}
            patient = ("-o", "DPkg::Lock::Timeout=120")
            run("apt-get", *self.options(), *patient, "install", "-y", "--no-install-recommends", *packages, env=quiet)


def unpack(debs: Sequence[Path], into: Path, *, documentation: bool = False) -> None:
    """Unpack packages beside the system, in their order; documentation is left out unless asked for."""
    into.mkdir(parents=True, exist_ok=True)
    leave = [] if documentation else ["--exclude=./usr/share/man*", "--exclude=./usr/share/doc*"]
    words = ["tar", "-x", "-C", str(into), "--no-same-owner", "--keep-directory-symlink", *leave]
    for deb in debs:
        with subprocess.Popen(["dpkg-deb", "--fsys-tarfile", str(deb)], stdout=subprocess.PIPE) as source:
            done = subprocess.run(words, stdin=source.stdout, check=False)
        if done.returncode or source.returncode:
            raise ProgramError(f"cannot unpack {deb.name}", where=str(into), todo="check the free disk space")
