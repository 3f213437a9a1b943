"""Package indexes: which source distributions there are, and what their files state. No code of a package runs.

Source: the simple repository API (PEP 503, PEP 691), read by pypi-simple.
"""

from __future__ import annotations

import hashlib
import json
import lzma
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from packaging.version import InvalidVersion, Version

from odpm_tasks.adapters import files
from odpm_tasks.errors import ProgramError

TIMEOUT = 30.0  # seconds without an answer
MAX_ARCHIVE = 300_000_000  # bytes; the largest source distributions that Odoo's add-ons need are below 100 MB
MAX_MEMBER = 2_000_000  # bytes of a file that states metadata
MAX_MEMBERS = 200_000
MAX_READ = 100  # files that state metadata
MAX_READ_SIZE = 20_000_000  # bytes of all of them
MAX_UNPACKED = 3_000_000_000  # bytes

# of the names of an archive those to read, and what their bytes state; None: nothing
Select = Callable[[Sequence[str]], Sequence[str]]
Read = Callable[[Mapping[str, bytes]], Mapping[str, Any] | None]


class AccessError(Exception):
    """An index, or a file of it, cannot be had. `url` may hold a password; `status` is that of its answer, 0 without one."""

    def __init__(self, url: str, error: Exception) -> None:
        super().__init__(type(error).__name__)
        self.url = url
        self.status = int(getattr(getattr(error, "response", None), "status_code", None) or 0)
        self.text = f"{type(error).__name__}: {error}"


@dataclass(frozen=True)
class Distribution:
    """A wheel or source distribution of an index. `url` may hold a password; `sha256` is empty where the index states none."""

    version: str
    filename: str
    wheel: bool
    url: str
    sha256: str
    yanked: bool
    requires_python: str = ""


class PackageIndex:
    """The indexes of this machine, in the user's order: the first one that knows a name is the only one asked for it."""

    def __init__(self, urls: Sequence[str], certificates: Path | None, cache: Path) -> None:
        """`cache`: the folder that keeps what archives state, by their SHA-256."""
        import requests
        from pypi_simple import PyPISimple

        self._cache = cache
        self._session = requests.Session()
        if certificates:
            self._session.verify = str(certificates)
        self._clients = [PyPISimple(url, session=self._session) for url in urls]
        self._pages: dict[str, list[Distribution]] = {}

    def distributions(self, name: str) -> list[Distribution]:
        """The distributions of a project, newest version first; none where no index knows it.

        Errors: AccessError.
        """
        if name not in self._pages:
            self._pages[name] = self._ask(name)
        return self._pages[name]

    def _ask(self, name: str) -> list[Distribution]:
        from pypi_simple import NoSuchProjectError

        for client in self._clients:
            try:
                page = client.get_project_page(name, timeout=TIMEOUT)
            except NoSuchProjectError:
                continue
            except Exception as error:  # of requests, urllib3 and pypi-simple, which have no common base
                raise AccessError(client.endpoint, error) from None
            found = [
                Distribution(
                    p.version,
                    p.filename,
                    p.package_type == "wheel",
                    p.url,
                    (p.digests or {}).get("sha256", ""),
                    bool(p.is_yanked),
                    p.requires_python or "",
                )
                for p in page.packages
                if p.package_type in {"sdist", "wheel"} and p.version and _version(p.version)
            ]
            return sorted(found, key=lambda one: _version(one.version) or Version("0"), reverse=True)
        return []

    def stated(self, sdist: Distribution, select: Select, read: Read) -> tuple[str, Mapping[str, Any] | None]:
        """The SHA-256 of an archive and what its files state, as `read` returns it; kept by that hash.

        Errors: AccessError; ProgramError where it is not the file that the index names, or is no archive.
        """
        if sdist.sha256:
            known = files.read_text(self._cache / f"{sdist.sha256}.json")
            if known is not None:
                value: Mapping[str, Any] | None = json.loads(known)
                return sdist.sha256, value
        with tempfile.TemporaryFile() as archive:
            digest = self._download(sdist, archive)
            archive.seek(0)
            stated = read(_members(archive, sdist.filename, select))
        self._cache.mkdir(parents=True, exist_ok=True)
        files.write(self._cache / f"{digest}.json", json.dumps(stated).encode(), derived=True)
        return digest, stated

    def download(self, sdist: Distribution, folder: Path) -> Path:
        """Download an archive into a folder. Errors: as `stated`."""
        path = folder / Path(sdist.filename).name
        with path.open("wb") as target:
            self._download(sdist, target)
        path.chmod(0o644)  # another user reads it in a container
        return path

    def _download(self, sdist: Distribution, target: IO[bytes]) -> str:
        digest, size = hashlib.sha256(), 0
        try:
            with self._session.get(sdist.url, stream=True, timeout=TIMEOUT) as answer:
                answer.raise_for_status()
                for chunk in answer.iter_content(1 << 16):
                    size += len(chunk)
                    if size > MAX_ARCHIVE:
                        raise ProgramError(
                            f"{sdist.filename} is larger than {MAX_ARCHIVE // 1_000_000} MB",
                            todo="name another version in the requirements of odpm.json",
                        )
                    digest.update(chunk)
                    target.write(chunk)
        except ProgramError:
            raise
        except Exception as error:
            raise AccessError(sdist.url, error) from None
        found = digest.hexdigest()
        if sdist.sha256 and found != sdist.sha256:
            raise ProgramError(
                f"{sdist.filename} is not the file that the package index names",
                details=[f"SHA-256 {found[:12]}…, expected {sdist.sha256[:12]}…"],
                todo="run the same command again; if the result is the same, report it to the operator of the index",
            )
        return found


def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def _members(archive: IO[bytes], filename: str, select: Select) -> dict[str, bytes]:
    """The selected members of a tar or zip archive. Nothing is extracted; links and large members are left out."""
    try:
        return _of_zip(archive, select) if filename.endswith((".zip", ".whl")) else _of_tar(archive, select)
    except (
        *(tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError),
        *(ValueError, NotImplementedError, RuntimeError),  # of an unknown compression, of an encrypted file
    ):
        raise ProgramError(
            f"{filename} of the package index is a damaged archive",
            todo="name another version in the requirements of odpm.json",
        ) from None


def _of_zip(archive: IO[bytes], select: Select) -> dict[str, bytes]:
    with zipfile.ZipFile(archive) as packed:
        chosen = select([info.filename for info in packed.infolist()[:MAX_MEMBERS]])
        small = [name for name in dict.fromkeys(chosen) if packed.getinfo(name).file_size <= MAX_MEMBER]
        _check_total(len(small), sum(packed.getinfo(name).file_size for name in small))
        return {name: packed.read(name) for name in small}


def _of_tar(archive: IO[bytes], select: Select) -> dict[str, bytes]:
    found: dict[str, bytes] = {}
    with tarfile.open(fileobj=archive, mode="r|*", tarinfo=_BoundedTarInfo) as stream:
        for number, member in enumerate(stream):
            if number >= MAX_MEMBERS or stream.offset > MAX_UNPACKED:
                break
            if member.isfile() and member.size <= MAX_MEMBER and select([member.name]):
                data = stream.extractfile(member)
                found[member.name] = data.read() if data else b""
                _check_total(len(found), sum(map(len, found.values())))
    return found


def _check_total(number: int, size: int) -> None:
    """A few megabytes of an archive can hold any number of bytes. Errors: ReadError."""
    if number > MAX_READ or size > MAX_READ_SIZE:
        raise tarfile.ReadError("too many files that state metadata")


class _BoundedTarInfo(tarfile.TarInfo):
    """A header of a tar archive. Those that hold the name of the next file are read into memory: they must be small."""

    def _proc_member(self, tar: tarfile.TarFile) -> tarfile.TarInfo:
        if self.type in _NAME_HEADERS and self.size > MAX_MEMBER:
            raise tarfile.ReadError("a header is too large")
        found: tarfile.TarInfo = super()._proc_member(tar)  # type: ignore[misc]
        return found


_NAME_HEADERS = frozenset(
    {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}
)
