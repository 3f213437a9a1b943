"""Which Python packages a stack asks for, merged into one list for the resolver.

A platform's own pins win over what its add-ons ask; what the manifest asks wins over both. Who asked is kept, so that
a contradiction can name them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

# Add-ons name what they import; these are the distributions that provide it.
DISTRIBUTION_OF = {
    "OpenSSL": "pyOpenSSL",
    "PIL": "Pillow",
    "Crypto": "pycryptodome",
    "bs4": "beautifulsoup4",
    "dateutil": "python-dateutil",
    "google_auth": "google-auth",
    "jwt": "PyJWT",
    "ldap": "python-ldap",
    "magic": "python-magic",
    "openid": "python3-openid",
    "serial": "pyserial",
    "slugify": "python-slugify",
    "stdnum": "python-stdnum",
    "usb": "pyusb",
    "yaml": "PyYAML",
}
# watchdog 6 and later lose events on a tree as large as Odoo's (the inotify queue overflows)
DEVELOPER_TOOLS = ("debugpy", "watchdog<6")


@dataclass(frozen=True)
class RequirementLine:
    """One requirement line and who asks for it."""

    line: str
    by: str


@dataclass(frozen=True)
class MergedRequirements:
    """What the resolver gets, and what was set aside for the platform's or the manifest's sake (to tell about).

    `contradictions` are pairs of equal rank that no version satisfies. `askers`: who asks for a package, by its name.
    """

    lines: tuple[str, ...]
    overridden: tuple[tuple[RequirementLine, RequirementLine], ...]
    unreadable: tuple[RequirementLine, ...]
    conflicts: tuple[tuple[RequirementLine, RequirementLine], ...] = ()
    origins: Mapping[str, tuple[RequirementLine, ...]] = field(default_factory=dict, compare=False)

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def requirement_lines(text: str, by: str) -> tuple[RequirementLine, ...]:
    """The requirements of a `requirements.txt`: comments, blank lines, pip's options and hashes left out."""
    lines = (
        re.split(r"(?:^|\s)#|\s--", line, maxsplit=1)[0].strip() for line in text.replace("\\\n", " ").splitlines()
    )
    return tuple(RequirementLine(line, by) for line in lines if line and not line.startswith(("#", "-")))


def external_dependency(name: str, by: str) -> RequirementLine:
    """An add-on's `external_dependencies` entry as a requirement: the distribution behind an import name."""
    return RequirementLine(DISTRIBUTION_OF.get(name, name), by)


def merge(
    manifest: Sequence[RequirementLine], platform: Sequence[RequirementLine], others: Sequence[RequirementLine]
) -> MergedRequirements:
    """One list without repetitions, sorted by name.

    The manifest's lines for a package stand, else the platform's (one per environment marker), else those of the others.
    What a weaker one asks is added where some version satisfies both, and set aside where none does. Exact pins need no
    addition.
    """
    unreadable: list[RequirementLine] = []
    by_name: dict[str, list[_Line]] = {}
    for rank, group in enumerate((manifest, platform, others)):
        for asked in group:
            try:
                requirement = Requirement(asked.line)
            except InvalidRequirement:
                unreadable.append(asked)
                continue
            by_name.setdefault(canonicalize_name(requirement.name), []).append(_Line(rank, requirement, asked))
    lines: list[str] = []
    aside: list[tuple[RequirementLine, RequirementLine]] = []
    conflicts: list[tuple[RequirementLine, RequirementLine]] = []
    for _, asked_for in sorted(by_name.items()):
        strong = [line for line in asked_for if line.rank == asked_for[0].rank]
        weak = [line for line in asked_for if line.rank > asked_for[0].rank]
        fitting = [line for line in weak if any(line.overlaps(other) for other in strong)]
        aside += [(line.asked, strong[0].asked) for line in weak if line not in fitting]
        extras = {line.only_extras for line in fitting if line.requirement.extras}
        pinned = any(line.pins for line in strong)
        counting = strong if pinned else [*strong, *fitting]
        lines += sorted({str(line.requirement) for line in counting} | (extras if pinned else set()))
        conflicts += [(a.asked, b.asked) for a, b in combinations(counting, 2) if a.contradicts(b)]
    origins = {name: tuple(dict.fromkeys(line.asked for line in asked)) for name, asked in by_name.items()}
    return MergedRequirements(tuple(lines), tuple(aside), tuple(unreadable), tuple(conflicts), origins)


@dataclass(frozen=True)
class _Line:
    """A requirement of one package; the smaller its rank, the more it counts."""

    rank: int
    requirement: Requirement
    asked: RequirementLine

    @property
    def pins(self) -> bool:
        return any(spec.operator in {"==", "==="} for spec in self.requirement.specifier)

    @property
    def only_extras(self) -> str:
        return f"{self.requirement.name}[{','.join(sorted(self.requirement.extras))}]"

    def overlaps(self, other: _Line) -> bool:
        """Whether some version satisfies both."""
        return _possible(self.requirement.specifier & other.requirement.specifier)

    def contradicts(self, other: _Line) -> bool:
        """Whether no version satisfies both, where both count: different environment markers may exclude each other."""
        return str(self.requirement.marker) == str(other.requirement.marker) and not self.overlaps(other)


def _possible(both: SpecifierSet) -> bool:
    """Whether some version satisfies all of it: what it names, and what lies just above and just below, are tried.

    Specifiers are intervals that begin and end at the versions they name, so one of these is in every overlap.
    """
    tried = ["0", "99999"]
    for spec in both:
        try:
            version = Version(spec.version.removesuffix(".*"))
        except InvalidVersion:  # `===` takes any text
            return True
        release = (*version.release, 0, 0, 0)[: max(3, len(version.release))]
        last = max((i for i, part in enumerate(release) if part), default=-1)
        tried += [str(version), version.public, ".".join(map(str, (*release, 0, 1)))]
        if last >= 0:
            tried.append(".".join(map(str, (*release[:last], release[last] - 1, 99999))))
    return any(both.contains(candidate, prereleases=True) for candidate in tried)


def inputs_digest(python: str, *texts: str) -> str:
    """What a Python lock was made from, as one short hash for its header."""
    digest = hashlib.sha256(python.encode())
    for text in texts:
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()[:32]


def python_lock_header(digest: str) -> str:
    """The fixed first lines of a Python lock."""
    return (
        "# Generated by odpm: exact versions and hashes of every Python package. Do not edit; change what asks, then: inv lock\n"
        f"# inputs: {digest}\n"
    )


def recorded_inputs(text: str) -> str | None:
    """The inputs' hash that a Python lock says it was made from."""
    for line in text.splitlines()[:4]:
        if line.startswith("# inputs: "):
            return line.removeprefix("# inputs: ").strip()
    return None
