"""The package of wkhtmltopdf: where its file is, and its verified copy in the cache."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from odpm_tasks.adapters import files, http, terminal
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image.wkhtmltopdf import DISTRIBUTION, VARIABLE, PatchedBuild
from odpm_tasks.errors import DescriptionError, LockError, ProgramError

TIMEOUT = 30.0  # seconds without an answer
LIMIT = 200_000_000  # bytes of a package; the publisher's have 17 million


@dataclass(frozen=True)
class Location:
    """Where packages are: a folder that has the publisher's names, or one file; an address or a path."""

    text: str
    where: str
    root: Path

    @property
    def is_url(self) -> bool:
        return bool(re.match(r"https?://", self.text))

    @property
    def is_file(self) -> bool:
        """Whether it names one package instead of a folder of them."""
        return self.filename.endswith(".deb")

    @property
    def filename(self) -> str:
        path = urlsplit(self.text).path if self.is_url else self.text
        return path.rstrip("/").rsplit("/", 1)[-1]

    @property
    def shown(self) -> str:
        """The location without a login."""
        if not self.is_url:
            return self.text
        parts = urlsplit(self.text)
        return parts._replace(netloc=parts.netloc.rsplit("@", 1)[-1], query="", fragment="").geturl()

    def address(self, build: PatchedBuild, arch: str) -> str:
        """The address or path of the package for a processor."""
        return self.text if self.is_file else f"{self.text.rstrip('/')}/{build.filename(arch)}"

    def path(self, address: str) -> Path:
        return self.root / Path(address).expanduser()


def location(paths: ProjectPaths, build: PatchedBuild | None) -> Location | None:
    """Where the package is: ODPM_WKHTMLTOPDF, else the publisher's folder; None for a package of the user's own without it.

    Errors: DescriptionError for another kind of address than HTTP.
    """
    text = paths.settings.get(VARIABLE) or ""
    if text and text != DISTRIBUTION:
        if "://" in text and not re.match(r"https?://", text):
            raise DescriptionError(
                f"{text.split('://')[0]}:// is not supported",
                where=paths.settings.where(VARIABLE),
                todo="name a file, a folder, or an https:// address",
            )
        return Location(text, paths.settings.where(VARIABLE), paths.root)
    return Location(build.folder, "the publisher", paths.root) if build and build.folder else None


def context(
    paths: ProjectPaths, build: PatchedBuild, architectures: Sequence[str], cleanup: contextlib.ExitStack
) -> Path:
    """A folder for the build that has `ARCHITECTURE.deb` for each processor; it exists until `cleanup` is closed.

    Errors: as `package`.
    """
    folder = files.temporary_folder(cleanup, "odpm-wkhtmltopdf-")
    for arch in architectures:
        shutil.copyfile(package(paths, build, arch), folder / f"{arch}.deb")
    return folder


def package(paths: ProjectPaths, build: PatchedBuild, arch: str) -> Path:
    """The verified package in the cache; fetched if it is not there.

    Errors: LockError if the file is not the one of the lock, or the lock has none for the processor; ProgramError if it cannot
    be had; DescriptionError for a path that does not exist.
    """
    expected = build.sha256.get(arch)
    if expected is None:
        raise LockError(
            f"the lock has no wkhtmltopdf for {arch}: only for {', '.join(sorted(build.sha256))}",
            where="tools.wkhtmltopdf",
            todo=f"name its package in {VARIABLE}, then: inv lock --update --only wkhtmltopdf",
        )
    kept = paths.cache / "tools" / f"{expected}.deb"
    with files.exclusive(kept.with_suffix(".lock"), "the package of wkhtmltopdf", wait=600):
        if files.sha256(files.read(kept) or b"") != expected:
            files.write(kept, _fetch_locked(paths, build, arch, expected), derived=True)
    return kept


def _fetch_locked(paths: ProjectPaths, build: PatchedBuild, arch: str, expected: str) -> bytes:
    place = location(paths, build)
    if place is None:
        raise LockError(
            f"the lock records wkhtmltopdf {build.version}, which is not one of the publisher's packages",
            where="tools.wkhtmltopdf",
            todo=f"name its file in {VARIABLE}, or: inv lock --update --only wkhtmltopdf",
        )
    data = fetch(place, place.address(build, arch))
    found = files.sha256(data)
    if found != expected:
        raise LockError(
            f"the file of {place.where} is not wkhtmltopdf {build.version} of the lock",
            where=place.shown,
            details=[f"SHA-256 {found[:16]}…, the lock has {expected[:16]}…"],
            todo="use the file of the lock, or: inv lock --update --only wkhtmltopdf",
        )
    return data


def require_one(place: Location, build: PatchedBuild) -> None:
    """Check that a folder of this machine has the package for a processor. Errors: DescriptionError."""
    names = [build.filename(arch) for arch in build.sha256]
    if not any((place.path(place.text) / name).is_file() for name in names):
        raise DescriptionError(
            f"no package of wkhtmltopdf {build.version} in this folder",
            where=f"{place.where}: {place.shown}",
            todo=f"put {names[0]} there",
        )


def fetch(place: Location, address: str) -> bytes:
    """The bytes of a package. Errors: DescriptionError for a path that does not exist, ProgramError for a failed download."""
    if not place.is_url:
        source = place.path(address)
        if not source.is_file():
            raise DescriptionError(
                f"{source.name} does not exist",
                where=f"{place.where}: {place.shown}",
                todo=f"{VARIABLE} names the file, or the folder that has it",
            )
        return files.read(source) or b""
    try:
        with terminal.activity() as show:
            note = "wkhtmltopdf"
            data = http.download(address, TIMEOUT, LIMIT, lambda size: show.note(note, f"fetch {size // 1_000_000} MB"))
            show.done(note, "")
            return data
    except ProgramError as error:
        raise ProgramError(
            f"the package of wkhtmltopdf cannot be fetched ({error.what})",
            where=place.shown,
            todo=f"name another place in {VARIABLE}: a file, a folder, or an https:// address",
        ) from None
