"""The PDF renderer of the image: which package of wkhtmltopdf with patched Qt the lock records.

Debian builds wkhtmltopdf without the patches to Qt: its reports have no header, no footer and no page numbers. The publisher's
packages have them. The publisher signs nothing: each SHA-256 below was compared with those that at least two public projects
pin. Source of the packages: the releases of wkhtmltopdf/packaging, and of wkhtmltopdf/wkhtmltopdf for Debian 10.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from odpm_tasks.errors import DescriptionError

NAME = "wkhtmltopdf"  # the key of the lock
TOOLS = (NAME,)  # what `lock --update --only` knows beside repositories
VARIABLE = "ODPM_WKHTMLTOPDF"
DISTRIBUTION: Final = "distribution"  # in the lock and in the variable: the package of Debian

# Debian releases with a package of wkhtmltopdf
IN_DEBIAN = ("stretch", "buster", "bullseye", "bookworm")

_PACKAGING = "https://github.com/wkhtmltopdf/packaging/releases/download/0.12.6.1-3"
_EARLIER = "https://github.com/wkhtmltopdf/wkhtmltopdf/releases/download/0.12.5"
_FILE = re.compile(r"(?P<name>[a-z0-9][a-z0-9+.-]*)_(?P<version>[A-Za-z0-9.+~-]+)_(?P<arch>[a-z0-9]+)\.deb")


@dataclass(frozen=True)
class PatchedBuild:
    """A package with patched Qt: its version, and the SHA-256 of its file by Debian's name of the processor.

    `folder`: the address of the publisher's folder; empty for a package of the user's own.
    """

    version: str
    sha256: Mapping[str, str]
    folder: str = field(default="", compare=False)

    def filename(self, arch: str) -> str:
        """The publisher's name of the file."""
        return f"wkhtmltox_{self.version}_{arch}.deb"


# "distribution": the package of Debian
Renderer = PatchedBuild | Literal["distribution"]

_BOOKWORM = PatchedBuild(
    "0.12.6.1-3.bookworm",
    {
        "amd64": "98ba0d157b50d36f23bd0dedf4c0aa28c7b0c50fcdcdc54aa5b6bbba81a3941d",
        "arm64": "b6606157b27c13e044d0abbe670301f88de4e1782afca4f9c06a5817f3e03a9c",
    },
    _PACKAGING,
)
_PUBLISHED = {
    "buster": PatchedBuild(
        "0.12.5-1.buster",
        {"amd64": "dfab5506104447eef2530d1adb9840ee3a67f30caaad5e9bcb8743ef2f9421bd"},
        _EARLIER,
    ),
    "bullseye": PatchedBuild(
        "0.12.6.1-3.bullseye",
        {
            "amd64": "9c687f0c58cf50e01f2a6375d2e34372f8feeec56a84690ea113d298fccadd98",
            "arm64": "e73435a82cf21ba0387bfee32a193f221fa43e48dda6ed38b12e4c1b70c69728",
        },
        _PACKAGING,
    ),
    "bookworm": _BOOKWORM,
    # Debian 13 provides the libraries of Debian 12 under their earlier names
    "trixie": _BOOKWORM,
}


def published(codename: str, arch: str | None = None) -> PatchedBuild | None:
    """The publisher's package for a Debian release, where it is built for the processor (None: those that it is built for)."""
    build = _PUBLISHED.get(codename)
    return build if build and (arch is None or debian_arch(arch) in build.sha256) else None


def with_folder(build: PatchedBuild) -> PatchedBuild:
    """The build of a lock with the address of its publisher, where it is the publisher's."""
    return next((one for one in _PUBLISHED.values() if one == build), build)


def fits(renderer: Renderer, codename: str, arch: str | None) -> bool:
    """Whether the renderer of a lock is still right: not a package that the publisher built for another release."""
    if renderer == DISTRIBUTION:
        return True
    if renderer in _PUBLISHED.values():
        return renderer == published(codename, arch)
    return arch is None or debian_arch(arch) in renderer.sha256


def debian_arch(machine: str) -> str:
    """Debian's name of a processor: `amd64` for `x86_64`."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def of_file(filename: str, sha256: str) -> PatchedBuild:
    """The build of one file, by Debian's rule for names: `NAME_VERSION_ARCHITECTURE.deb`.

    Errors: DescriptionError for another name.
    """
    match = _FILE.fullmatch(filename)
    if match is None:
        raise DescriptionError(
            f"{filename!r} does not tell version and processor",
            where=VARIABLE,
            todo="name the file as Debian does, for example wkhtmltox_0.12.6.1-3.bookworm_amd64.deb",
        )
    return PatchedBuild(match["version"], {match["arch"]: sha256})


def version(renderer: Renderer | None) -> str:
    """The version of a renderer in words; empty for a lock without an entry."""
    if isinstance(renderer, PatchedBuild):
        return renderer.version
    return "of the distribution" if renderer else ""


def warning(renderer: Renderer | None, codename: str) -> str | None:
    """What reports lack with the renderer of the distribution (None: the lock has no entry); None with a patched build."""
    if isinstance(renderer, PatchedBuild):
        return None
    lacking = (
        "PDF reports have no header, no footer and no page numbers: the image has the distribution's wkhtmltopdf"
        if codename in IN_DEBIAN
        else f"PDF reports cannot be printed: Debian {codename} has no wkhtmltopdf"
    )
    return f"{lacking} (inv lock --update --only wkhtmltopdf records the one with patched Qt)"
