"""The Python requirements of a stack, merged into one list for the resolver.

The requirements of the manifest override those of the platform, and these override those of add-ons. Each line keeps its
origin, so that a conflict can name both.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from odpm_tasks.core.locking.python_lock import holds_on_target
from odpm_tasks.core.manifest.fields import bare_requirement, requirement_error
from odpm_tasks.core.odoo.python_names import distribution_of

# watchdog 6 and later lose events on a tree as large as Odoo's (the inotify queue overflows)
_COMPARED = 40  # lines of one package that are compared with each other; the resolver finds contradictions of others
DEVELOPER_TOOLS = ("debugpy", "watchdog<6")


@dataclass(frozen=True)
class RequirementLine:
    """One requirement and the file or add-on that it comes from.

    `trusted`: of the project, or of a repository it trusts. `addon`: the add-on in whose `external_dependencies` it is.
    `optional`: the project does not need that add-on. `number`: the line in a file, from 1.
    """

    line: str
    origin: str
    trusted: bool = True
    addon: str = ""
    optional: bool = False
    number: int = field(default=0, compare=False)

    @property
    def place(self) -> str:
        """The origin, with the line in it where it is a file."""
        return f"{self.origin}, line {self.number}" if self.number else self.origin

    @property
    def bare(self) -> str:
        """The line without comment and options; empty where that is all."""
        return bare_requirement(self.line)

    @property
    def refusal(self) -> str:
        """Why the line cannot be locked; empty where it can.

        A requirement names a package of the index, and versions. A direct reference (`NAME @ URL`) needs trust.
        """
        if error := requirement_error(self.line):
            return error
        if self.bare and Requirement(self.bare).url and not self.trusted:
            return "it bypasses the package index, and odpm.json does not trust the repository"
        return ""


@dataclass(frozen=True)
class MergedRequirements:
    """The input of the resolver, and the lines that are not part of it.

    `overridden`: pairs of an ignored line and the stronger one that contradicts it. `refused`: lines that cannot be locked.
    `conflicts`: pairs of equal rank that no version satisfies. `origins`: the lines of a package by its normalized name.
    `excluded`: normalized names of packages that are left out, also where another package requires them.
    `system`: lines of add-ons for modules that only a Debian package has.
    """

    lines: tuple[str, ...]
    overridden: tuple[tuple[RequirementLine, RequirementLine], ...]
    refused: tuple[RequirementLine, ...]
    conflicts: tuple[tuple[RequirementLine, RequirementLine], ...] = ()
    origins: Mapping[str, tuple[RequirementLine, ...]] = field(default_factory=dict, compare=False)
    excluded: tuple[str, ...] = ()
    system: tuple[RequirementLine, ...] = ()

    @property
    def text(self) -> str:
        return "".join(f"{line}\n" for line in self.lines)


def requirement_lines(text: str, origin: str, *, trusted: bool = True) -> tuple[RequirementLine, ...]:
    """The lines of a `requirements.txt` without comments, blank lines and hashes; a continued line is one line.

    Lines that cannot be locked (options of pip as `-r`, addresses) are among them: see `RequirementLine.refusal`.
    """
    lines = ((number, re.split(r"(?:^|\s)#|\s--", line.strip(), maxsplit=1)[0]) for number, line in _logical(text))
    return tuple(
        RequirementLine(line.strip(), origin, trusted, number=number) for number, line in lines if line.strip()
    )


def _logical(text: str) -> Iterator[tuple[int, str]]:
    """The lines with their numbers. A backslash at its end continues a line, but not a comment. Source: pip's req_file.py."""
    parts: list[str] = []
    start = 0
    for number, line in enumerate(text.splitlines(), 1):
        start = start if parts else number
        comment = line.lstrip().startswith("#")
        parts.append(f" {line}" if comment else line.rstrip("\\"))
        if comment or not line.endswith("\\"):
            yield start, " ".join(parts) if len(parts) > 1 else line
            parts = []
    if parts:
        yield start, " ".join(parts)


def external_dependency(name: str, origin: str, *, trusted: bool = True, addon: str = "") -> RequirementLine | None:
    """An `external_dependencies` entry of an add-on as a requirement; None for a module of the standard library."""
    line = distribution_of(name)
    return None if line is None else RequirementLine(line, origin, trusted, addon)


def merge(
    manifest: Sequence[RequirementLine],
    platform: Sequence[RequirementLine],
    others: Sequence[RequirementLine],
    ignore: Iterable[str] = (),
    python: str = "",
    system: Sequence[RequirementLine] = (),
) -> MergedRequirements:
    """One list without duplicates, sorted by name.

    Of each package the lines of the highest rank are kept: of the manifest, else of the platform (one per environment
    marker), else of the others. A line of a lower rank is added where some version satisfies both, and overridden where none
    does. An exact pin needs no addition except extras. `ignore`: distribution or import names of packages to leave out, unless
    the manifest requires them. `python`: the target's version; lines for other systems and versions are then left out.
    """
    refused: list[RequirementLine] = []
    by_name: dict[str, list[_Line]] = {}
    for rank, group in enumerate((manifest, platform, others)):
        for source in group:
            if source.refusal:
                refused.append(source)
                continue
            if not source.bare:
                continue
            requirement = Requirement(source.bare)
            if python and not holds_on_target(requirement.marker, python):
                continue
            by_name.setdefault(canonicalize_name(requirement.name), []).append(_Line(rank, requirement, source))
    ignored = {name for entry in ignore for name in (canonicalize_name(entry), _distribution_name(entry))}
    excluded = tuple(sorted(name for name in ignored if all(line.rank for line in by_name.get(name, ()))))
    by_name = {name: package for name, package in by_name.items() if name not in excluded}
    lines: list[str] = []
    overridden: list[tuple[RequirementLine, RequirementLine]] = []
    conflicts: list[tuple[RequirementLine, RequirementLine]] = []
    for _, package in sorted(by_name.items()):
        strong = [line for line in package if line.rank == package[0].rank]
        weak = [line for line in package if line.rank > package[0].rank]
        compatible = [line for line in weak if any(line.overlaps(other) for other in strong)]
        overridden += [(line.source, strong[0].source) for line in weak if line not in compatible]
        extras = {line.only_extras for line in compatible if line.requirement.extras}
        pinned = any(line.pins for line in strong)
        kept = strong if pinned else [*strong, *compatible]
        lines += sorted({str(line.requirement) for line in kept} | (extras if pinned else set()))
        conflicts += [(a.source, b.source) for a, b in combinations(kept[:_COMPARED], 2) if a.contradicts(b)]
    origins = {name: tuple(dict.fromkeys(line.source for line in package)) for name, package in by_name.items()}
    return MergedRequirements(
        tuple(lines), tuple(overridden), tuple(refused), tuple(conflicts), origins, excluded, tuple(system)
    )


def _distribution_name(entry: str) -> str:
    """The normalized name of the distribution that an import or distribution name stands for."""
    return canonicalize_name(distribution_of(entry) or entry)


@dataclass(frozen=True)
class _Line:
    """A parsed requirement; a smaller rank overrides a larger one."""

    rank: int
    requirement: Requirement
    source: RequirementLine

    @property
    def pins(self) -> bool:
        return any(spec.operator in {"==", "==="} for spec in self.requirement.specifier)

    @property
    def only_extras(self) -> str:
        return f"{self.requirement.name}[{','.join(sorted(self.requirement.extras))}]"

    def overlaps(self, other: _Line) -> bool:
        """Whether some version satisfies both."""
        return satisfiable(self.requirement.specifier & other.requirement.specifier)

    def contradicts(self, other: _Line) -> bool:
        """Whether no version satisfies both under the same environment marker; different markers may exclude each other."""
        return str(self.requirement.marker) == str(other.requirement.marker) and not self.overlaps(other)


def satisfiable(specifiers: SpecifierSet) -> bool:
    """Whether some version satisfies all specifiers.

    Specifiers are intervals that begin and end at the versions they name, so every overlap contains one of these candidates:
    a named version, its release, its first pre-release, the next version above, or the next one below.
    """
    candidates = ["0", "99999"]
    for spec in specifiers:
        try:
            version = Version(spec.version.removesuffix(".*"))
        except InvalidVersion:  # `===` takes any text
            return True
        epoch = f"{version.epoch}!" if version.epoch else ""
        release = (*version.release, 0, 0, 0)[: max(3, len(version.release))]
        last = max((i for i, part in enumerate(release) if part), default=-1)
        candidates += [str(version), version.base_version, f"{version.base_version}.dev0"]
        candidates.append(epoch + ".".join(map(str, (*release, 0, 1))))
        if last >= 0:
            candidates.append(epoch + ".".join(map(str, (*release[:last], release[last] - 1, 99999))))
    return any(specifiers.contains(candidate, prereleases=True) for candidate in candidates)


def inputs_digest(python: str, *texts: str) -> str:
    """The hash of the inputs of a Python lock, 32 hex digits, for its header."""
    digest = hashlib.sha256(python.encode())
    for text in texts:
        digest.update(b"\0" + text.encode())
    return digest.hexdigest()[:32]


_LEFT_OUT = "# left out, in no package index: "


def python_lock_header(digest: str, left_out: Iterable[str] = ()) -> str:
    """The first lines of a Python lock. `left_out`: names of packages that no index has and only unneeded add-ons require."""
    names = " ".join(sorted(left_out))
    return (
        "# Generated by odpm: exact versions and hashes of every Python package. Do not edit: change the requirements, then run inv lock\n"
        f"# inputs: {digest}\n"
    ) + (f"{_LEFT_OUT}{names}\n" if names else "")


def recorded_inputs(text: str) -> str | None:
    """The hash of the inputs in the header of a Python lock; None without one."""
    for line in text.splitlines()[:4]:
        if line.startswith("# inputs: "):
            return line.removeprefix("# inputs: ").strip()
    return None


def recorded_left_out(text: str) -> frozenset[str]:
    """The names of the packages that a Python lock leaves out because no index has them."""
    for line in text.splitlines()[:4]:
        if line.startswith(_LEFT_OUT):
            return frozenset(line.removeprefix(_LEFT_OUT).split())
    return frozenset()
