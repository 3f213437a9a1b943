"""The Python requirements of a stack, merged into one list for the resolver.

The requirements of the manifest override those of the platform, and these override those of add-ons. Each line keeps its
origin, so that a conflict can name both.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from odpm_tasks.core.locking.python_lock import holds_on_target
from odpm_tasks.core.manifest.fields import bare_requirement, requirement_error
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.odoo.python_names import distribution_of
from odpm_tasks.core.odoo.requirement_files import REQUIREMENTS, inclusion, logical_lines
from odpm_tasks.core.sources.git_requirement import PackageAddress, git_requirement

# watchdog 6 and later lose events on a tree as large as Odoo's (the inotify queue overflows)
_COMPARED = 40  # lines of one package that are compared with each other; the resolver finds contradictions of others
DEVELOPER_TOOLS = ("debugpy", "watchdog<6")


@dataclass(frozen=True)
class RequirementLine:
    """One requirement and the file or add-on that it comes from.

    `trusted`: of the project, or of a repository it trusts. `addon`: the add-on in whose `external_dependencies` it is.
    `optional`: the project does not need that add-on. `number`: the line in a file, from 1. `constraint`: it limits the
    versions of a package and does not require it (`-c` of pip). `problem`: why the line is refused whatever it is.
    """

    line: str
    origin: str
    trusted: bool = True
    addon: str = ""
    optional: bool = False
    number: int = field(default=0, compare=False)
    constraint: bool = False
    problem: str = ""

    @property
    def place(self) -> str:
        """The origin, with the line in it where it is a file."""
        return f"{self.origin}, line {self.number}" if self.number else self.origin

    @property
    def bare(self) -> str:
        """The line without comment and options; empty where that is all."""
        return bare_requirement(self.line)

    @property
    def shown(self) -> str:
        """The line without the login of an address."""
        return re.sub(r"(://)(?!git@)[^/\s]*@", r"\1***@", self.line)

    @property
    def git(self) -> PackageAddress | None:
        """The package from git that the line names. Errors: ValueError for an address that cannot be locked."""
        return git_requirement(self.bare)

    @property
    def requirement(self) -> Requirement:
        """The parsed line; of a package from git without its address. Errors: those of `Requirement`, ValueError."""
        if (git := self.git) is None:
            return Requirement(self.bare)
        extras = f"[{','.join(sorted(git.extras))}]" if git.extras else ""
        return Requirement(f"{git.name}{extras}{f' ; {git.marker}' if git.marker else ''}")

    @property
    def refusal(self) -> str:
        """Why the line cannot be locked; empty where it can.

        A requirement names a package of the index, and versions. A direct reference (`NAME @ URL`) needs trust.
        """
        error = self.problem or requirement_error(self.line)
        if self.bare and not self.trusted and self._is_direct():
            return "it bypasses the package index, and odpm.json does not trust the repository"
        if not error and self.constraint and self.bare and (self._is_direct() or Requirement(self.bare).extras):
            return "a constraint is a name and versions"
        return error

    def _is_direct(self) -> bool:
        try:
            return self.git is not None or bool(Requirement(self.bare).url)
        except InvalidRequirement:
            return False
        except (ValueError, RecursionError):
            return "git+" in self.bare and " @ " in self.bare


@dataclass(frozen=True)
class MergedRequirements:
    """The input of the resolver, and the lines that are not part of it.

    `overridden`: pairs of an ignored line and the stronger one that contradicts it. `refused`: lines that cannot be locked.
    `conflicts`: pairs of equal rank that no version satisfies. `origins`: the lines of a package by its normalized name.
    `excluded`: normalized names of packages that are left out, also where another package requires them.
    `system`: lines of add-ons for modules that only a Debian package has. `git`: the packages from git, by name.
    `constraints`: limits for packages that others require.
    """

    lines: tuple[str, ...]
    overridden: tuple[tuple[RequirementLine, RequirementLine], ...]
    refused: tuple[RequirementLine, ...]
    conflicts: tuple[tuple[RequirementLine, RequirementLine], ...] = ()
    origins: Mapping[str, tuple[RequirementLine, ...]] = field(default_factory=dict, compare=False)
    excluded: tuple[str, ...] = ()
    system: tuple[RequirementLine, ...] = ()
    git: tuple[PackageAddress, ...] = ()
    constraints: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All inputs of the resolver, a line each; the addresses of packages from git without a login."""
        lines = [*self.lines, *(one.text for one in self.git), *(f"-c {line}" for line in self.constraints)]
        return "".join(f"{line}\n" for line in lines)


def requirement_lines(text: str, origin: str, *, trusted: bool = True) -> tuple[RequirementLine, ...]:
    """The lines of a `requirements.txt` without comments, blank lines and hashes; a continued line is one line.

    Lines that cannot be locked (options of pip as `-r`, addresses) are among them: see `RequirementLine.refusal`.
    """
    lines = ((number, re.split(r"(?:^|\s)#|\s--", line.strip(), maxsplit=1)[0]) for number, line in logical_lines(text))
    return tuple(
        RequirementLine(line.strip(), origin, trusted, number=number) for number, line in lines if line.strip()
    )


def repository_requirements(facts: Facts, label: str, *, trusted: bool = True) -> tuple[RequirementLine, ...]:
    """The lines of the `requirements.txt` of a repository; with trust also those of the files of it that this includes."""

    def lines(file: str, text: str, *, constraint: bool) -> Iterator[RequirementLine]:
        read.add(file)
        for line in requirement_lines(text, f"{label}: {file}", trusted=trusted):
            target = inclusion(line.line, file)
            if target is None:
                yield replace(line, constraint=constraint)
            elif not trusted:
                yield replace(line, problem="it names another file, and odpm.json does not trust the repository")
            elif target[0] in read:
                continue
            elif target[0] not in included:
                yield replace(line, problem="the file is not in the repository, or too deep in it")
            else:
                yield from lines(target[0], included[target[0]], constraint=constraint or target[1])

    included, read = dict(facts.included), set[str]()
    return tuple(lines(REQUIREMENTS, facts.requirements or "", constraint=False))


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
    A package from git is used unless a stronger line pins a version; a marker for one processor has then no effect.
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
            requirement = source.requirement
            if python and not holds_on_target(requirement.marker, python):
                continue
            by_name.setdefault(canonicalize_name(requirement.name), []).append(
                _Line(rank, requirement, source, source.git)
            )
    ignored = {name for entry in ignore for name in (canonicalize_name(entry), _distribution_name(entry))}
    excluded = tuple(sorted(name for name in ignored if all(line.rank for line in by_name.get(name, ()))))
    result = _Merge()
    for name, package in sorted(by_name.items()):
        if name not in excluded:
            result.add(package)
    origins = {
        name: tuple(dict.fromkeys(line.source for line in package))
        for name, package in by_name.items()
        if name not in excluded
    }
    return MergedRequirements(
        tuple(result.lines), tuple(result.overridden), tuple(refused), tuple(result.conflicts), origins, excluded,
        tuple(system), tuple(result.git), tuple(result.constraints),
    )  # fmt: skip


@dataclass
class _Merge:
    """The result of `merge` while it is collected, package by package."""

    lines: list[str] = field(default_factory=list)
    overridden: list[tuple[RequirementLine, RequirementLine]] = field(default_factory=list)
    conflicts: list[tuple[RequirementLine, RequirementLine]] = field(default_factory=list)
    git: list[PackageAddress] = field(default_factory=list)
    constraints: list[str] = field(default_factory=list)

    def add(self, package: Sequence[_Line]) -> None:
        """Add the lines of one package, the strongest rank first."""
        limits = [line for line in package if line.source.constraint]
        required = [line for line in package if not line.source.constraint]
        strong = [line for line in required if line.rank == required[0].rank]
        for line in limits:
            stronger = [other for other in strong if other.rank < line.rank and not line.overlaps(other)]
            if stronger:
                self.overridden.append((line.source, stronger[0].source))
            else:
                self.constraints.append(str(line.requirement))
        from_git = [line for line in required if line.git]
        if not from_git:
            self._add_indexed(required, strong)
            return
        first = from_git[0]
        pins = [line for line in required if line.rank < first.rank and line.pins]
        if pins:
            self.overridden += [(line.source, pins[0].source) for line in from_git]
            self._add_indexed([line for line in required if not line.git], strong)
        else:
            self._add_git(required, first)

    def _add_git(self, package: Sequence[_Line], first: _Line) -> None:
        """A package from git: requirements of its rank and above limit its version, the others are overridden."""
        chosen = _git(first)
        extras = set(chosen.extras)
        for line in package:
            git = line.git
            if git is not None and git.identity != chosen.identity:
                (self.conflicts if line.rank == first.rank else self.overridden).append((line.source, first.source))
                continue
            extras |= line.requirement.extras
            if git is None and line.requirement.specifier:
                if line.rank <= first.rank:
                    self.constraints.append(f"{line.requirement.name}{line.requirement.specifier}")
                else:
                    self.overridden.append((line.source, first.source))
        self.git.append(replace(chosen, extras=frozenset(extras), marker=""))

    def _add_indexed(self, package: Sequence[_Line], strong: Sequence[_Line]) -> None:
        weak = [line for line in package if line.rank > strong[0].rank] if strong else []
        compatible = [line for line in weak if any(line.overlaps(other) for other in strong)]
        self.overridden += [(line.source, strong[0].source) for line in weak if line not in compatible]
        extras = {line.only_extras for line in compatible if line.requirement.extras}
        pinned = any(line.pins for line in strong)
        kept = [*strong] if pinned else [*strong, *compatible]
        self.lines += sorted({str(line.requirement) for line in kept} | (extras if pinned else set()))
        self.conflicts += [(a.source, b.source) for a, b in combinations(kept[:_COMPARED], 2) if a.contradicts(b)]


def _git(line: _Line) -> PackageAddress:
    if (git := line.git) is None:
        raise ValueError(f"{line.source.line} names no package from git")
    return git


def _distribution_name(entry: str) -> str:
    """The normalized name of the distribution that an import or distribution name stands for."""
    return canonicalize_name(distribution_of(entry) or entry)


@dataclass(frozen=True)
class _Line:
    """A parsed requirement; a smaller rank overrides a larger one."""

    rank: int
    requirement: Requirement
    source: RequirementLine
    git: PackageAddress | None = None

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
