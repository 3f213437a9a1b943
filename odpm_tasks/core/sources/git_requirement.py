"""Python packages from git: `NAME[EXTRA] @ git+URL[@REF][#subdirectory=PATH]`, also pip's older `git+URL[@REF]#egg=NAME`.

Source: PEP 508, PEP 610 and pip's documentation of "VCS Support".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from packaging.markers import InvalidMarker, Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from odpm_tasks.core.sources.link import Link, parse_link
from odpm_tasks.errors import DescriptionError

COMMIT = re.compile(r"[0-9a-f]{40}")
_EDITABLE = re.compile(r"(?:-e\s*|--editable[\s=]\s*)")
_LEGACY = re.compile(r"git\+\S+", re.IGNORECASE)
_NAMED = re.compile(r"[A-Za-z0-9][\w.-]*\s*(?:\[[^\]]*\]\s*)?@\s*git\+", re.IGNORECASE)
_EGG = re.compile(r"(?P<name>[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?)(?:\[(?P<extras>[^\]]*)\])?")
_FOLDER = re.compile(r"[A-Za-z0-9_][\w.+-]*(?:/[A-Za-z0-9_][\w.+-]*)*", re.ASCII)


@dataclass(frozen=True)
class PackageAddress:
    """A package from a git repository.

    `name` is normalized. `url` may contain a login, also as `${NAME}`: show `text`. `ref`: a branch, a tag, `refs/…` or a
    commit of 40 hex digits; empty for the server's default branch. `subdirectory`: the folder of the package in the repository.
    """

    name: str
    url: str = field(repr=False)
    ref: str = ""
    subdirectory: str = ""
    extras: frozenset[str] = frozenset()
    marker: str = ""

    @property
    def canonical(self) -> str:
        return Link(self.url).canonical

    @property
    def identity(self) -> tuple[str, str, str]:
        """What a pin must have in common with the requirement: canonical URL, ref, folder."""
        return self.canonical, self.ref, self.subdirectory

    @property
    def text(self) -> str:
        """The requirement without login and marker; two spellings of one address give the same text."""
        extras = f"[{','.join(sorted(self.extras))}]" if self.extras else ""
        ref = f"@{self.ref}" if self.ref else ""
        folder = f"#subdirectory={self.subdirectory}" if self.subdirectory else ""
        return f"{self.name}{extras} @ git+{self.canonical}{ref}{folder}"


def git_requirement(line: str) -> PackageAddress | None:
    """The package that a requirement without comment names; None where it names none from git.

    `-e` and `--editable` in front are ignored: the image contains a copy. Errors: ValueError with the reason, for an address
    that cannot be locked.
    """
    bare = line[found.end() :] if (found := _EDITABLE.match(line)) else line
    if _LEGACY.match(bare):
        address, marker = _split_marker(bare)
        url, fragment = _fragment(address)
        egg = _EGG.fullmatch(fragment.get("egg", ""))
        if egg is None:
            raise ValueError("an address needs the name of its package in front: NAME @ git+URL")
        extras = {part.strip() for part in (egg["extras"] or "").split(",")} - {""}
        return _checked(egg["name"], url, fragment, extras, marker)
    if found or not _NAMED.match(bare):
        return None
    try:
        requirement = Requirement(bare)
    except (InvalidRequirement, ValueError, RecursionError):
        raise ValueError(f"{bare!r} is not a requirement like `name @ git+https://host/path@ref`") from None
    url, fragment = _fragment(requirement.url or "")
    return _checked(requirement.name, url, fragment, requirement.extras, str(requirement.marker or ""))


def _split_marker(text: str) -> tuple[str, str]:
    address, *rest = re.split(r"\s+;\s*|;\s+", text, maxsplit=1)
    if not rest:
        return address.strip(), ""
    try:
        return address.strip(), str(Marker(rest[0]))
    except (InvalidMarker, RecursionError):
        raise ValueError(f"{rest[0]!r} is not an environment marker") from None


def _fragment(address: str) -> tuple[str, dict[str, str]]:
    """The address without `git+` and fragment, and the values of the fragment."""
    url, _, text = address[len("git+") :].partition("#")
    pairs = (part.partition("=") for part in text.split("&"))
    return url, {name: value for name, _, value in pairs if value}


def _checked(name: str, url: str, fragment: dict[str, str], extras: set[str], marker: str) -> PackageAddress:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if "@" in path:
        path, _, ref = path.rpartition("@")
    else:
        ref = ""
    if not separator:
        raise ValueError("its address has no scheme: write git+ssh://git@host/path or git+https://host/path")
    if scheme.lower() == "file":
        raise ValueError("its address is a folder of this machine")
    address, commit = f"{scheme}://{authority}{slash}{path}", bool(COMMIT.fullmatch(ref.lower()))
    try:
        link = parse_link(f"{address} x {ref}" if commit else f"{address} {ref}".strip())
    except DescriptionError as error:
        raise ValueError(
            error.what.partition(" is refused: ")[2].replace("its second word", "its ref") or error.what
        ) from None
    folder = fragment.get("subdirectory", "").strip("/")
    if folder and not _FOLDER.fullmatch(folder):
        raise ValueError("its subdirectory is not a folder of the repository, like packages/name")
    return PackageAddress(
        canonicalize_name(name), link.url, ref.lower() if commit else ref, folder, frozenset(extras), marker
    )
