"""Converts the requirements of a project that installs Odoo and its add-ons with pip, as click-odoo and pip-deepfreeze do.

The requirements: `odoo` itself, one distribution for each add-on (`odoo-addon-NAME`, before 15.0 `odoo14-addon-NAME`), from
the package index or from git (`NAME @ git+URL@REF#subdirectory=setup/NAME`), and other Python packages. odpm needs the
repositories: those of git are in the requirements, those of the index in the metadata of the distributions.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from packaging.requirements import InvalidRequirement, Requirement

from odpm_tasks.core.init.conversion import (
    Conversion,
    RepositoryEntry,
    conversion,
    excerpt,
    excerpt_url,
    read_ref,
    read_url,
    refused,
)
from odpm_tasks.core.init.merge_entries import merge_entries
from odpm_tasks.core.init.new_project import ProjectDraft, series_of_addons
from odpm_tasks.core.init.own_addons import misplaced
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.init.requirements import normal_name, requirements
from odpm_tasks.core.manifest.fields import SERIES
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.core.text import plural
from odpm_tasks.errors import DescriptionError

FILES = (
    "requirements.txt",
    "requirements.txt.in",
    "odoo/requirements.txt",
    "odoo-requirements.txt",
    "addons-requirements.txt",
)

_ADDON = re.compile(r"(?i)odoo(?P<series>\d{1,2})?[-_.]addons?[-_.](?P<name>[a-z0-9._-]+)")
_GIT = re.compile(r"git\+(?P<url>\w+://[^/]+/[^@#]+)(?:@(?P<ref>[^#]+))?(?:#(?P<fragment>.*))?")
_REFERENCE = re.compile(r"(?:-r|--requirement)[ =]*(\S+)")
_EDITABLE = re.compile(r"(?:-e|--editable)[ =]+(.+)")


@dataclass(frozen=True)
class GitRequirement:
    """One distribution from git. `ref` empty: the default branch."""

    name: str
    url: str
    ref: str
    line: str


@dataclass
class PipRequirements:
    """The requirements of all files. `addons`: name -> version (or "") of add-ons from the index; `series`: those they name.

    `odoo`: how Odoo itself is named without git, empty if it is not. `others`: where -> lines that are no add-ons.
    """

    git: list[GitRequirement] = field(default_factory=list)
    addons: dict[str, str] = field(default_factory=dict)
    series: Counter[str] = field(default_factory=Counter)
    odoo: str = ""
    others: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    remarks: list[Remark] = field(default_factory=list)

    @property
    def names_odoo(self) -> bool:
        """Whether these are requirements of an Odoo project, not only of Python packages."""
        return bool(self.addons or self.odoo or any(_is_odoo(one) for one in self.git))


def referenced(text: str) -> list[str]:
    """The files that a requirements file includes, as written there."""
    return [found[1] for line in text.splitlines() if (found := _REFERENCE.match(line.strip()))]


def read(files: Mapping[str, Sequence[str]]) -> PipRequirements:
    """Sort the lines of all files, by name: Odoo and add-ons of git, add-ons of the index, and others."""
    found = PipRequirements()
    for where, lines in files.items():
        for text in _joined(lines):
            line = re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
            line = re.split(r"\s--hash[= ]", line, maxsplit=1)[0].strip()
            if line and not _REFERENCE.match(line):
                _sort(found, line, where)
    return found


def _joined(lines: Sequence[str]) -> list[str]:
    return re.sub(r"\\[ \t]*\n", " ", "\n".join(lines)).splitlines()


def _sort(found: PipRequirements, line: str, where: str) -> None:
    editable = _EDITABLE.match(line)
    text = editable[1].strip() if editable else line
    name, _, address = text.partition("@") if re.match(r"[\w.-]+(\[[^\]]*\])?\s*@", text) else ("", "", text)
    name, address = name.strip().partition("[")[0], address.strip().partition(" ;")[0].strip()
    git = _GIT.fullmatch(address)
    if git:
        fragment = git["fragment"] or ""
        egg = re.search(r"(?:^|&)egg=([\w.-]+)", fragment)
        name = name or (egg[1] if egg else "")
        one = GitRequirement(name, git["url"], git["ref"] or "", excerpt(line))
        if _is_odoo(one) or ("subdirectory=setup/" in fragment and not name):
            found.git.append(one)
            _note_series(found, name)
        else:
            found.others[where].append(line)
        return
    if editable and text.rstrip("/") in (".", "./"):
        return
    try:
        requirement = Requirement(line)
    except (InvalidRequirement, ValueError, RecursionError):
        found.others[where].append(line)
        return
    versions = [spec.version for spec in requirement.specifier if spec.operator in ("==", "===", "~=")]
    addon = _ADDON.fullmatch(requirement.name)
    if requirement.url or not (addon or normal_name(requirement.name) == "odoo"):
        found.others[where].append(line)
    elif addon:
        found.addons[addon["name"].replace("-", "_").replace(".", "_")] = versions[0] if versions else ""
        _note_series(found, requirement.name, *versions)
    else:
        found.odoo = line
        _note_series(found, "", *versions)


def _is_odoo(one: GitRequirement) -> bool:
    return (
        bool(_ADDON.fullmatch(one.name))
        or normal_name(one.name) in ("odoo", "ocb")
        or one.name.startswith("odoo-addons")
    )


def _note_series(found: PipRequirements, name: str, *versions: str) -> None:
    addon = _ADDON.fullmatch(name)
    if addon and addon["series"]:
        found.series[f"{addon['series']}.0"] += 1
    for version in versions:
        if match := re.match(r"(\d{1,2}\.0)(?=$|[.*])", version):
            found.series[match[1]] += 1


def version(found: PipRequirements, manifests: Iterable[str]) -> str:
    """The Odoo version: the branch of Odoo, else the most frequent series of the add-ons, else that of the own add-ons."""
    for one in found.git:
        if RepositoryEntry(one.name, one.url).is_platform and (series := _series(one.ref)):
            return series
    counts = found.series + Counter(series for one in found.git if (series := _series(one.ref)))
    return counts.most_common(1)[0][0] if counts else series_of_addons(manifests)


def _series(ref: str) -> str:
    found = re.match(rf"({SERIES})(?=$|[-_/])", ref)
    return found[1] if found and found[1] != "master" else ""


def convert(
    found: PipRequirements,
    repositories: Mapping[str, str],
    odoo: str = "",
    *,
    manifests: Sequence[str] = (),
    addons: Sequence[str] = (),
) -> Conversion:
    """Convert the requirements.

    `repositories`: add-on of the index -> URL of the repository that has it. `odoo`: replaces the version. `manifests`,
    `addons`: texts and folders of the project's own add-ons.
    """
    lines: list[str] = list(found.remarks)
    odoo = odoo or version(found, manifests)
    sources = _from_git(found, odoo, lines)
    links = list(sources.links)
    known = {canonical(link.split(" ", maxsplit=1)[0]) for link in links}
    urls = dict.fromkeys(repositories[name] for name in found.addons if name in repositories)
    links += [url for url in urls if canonical(url) not in known]
    if missing := [name for name in found.addons if name not in repositories]:
        lines.append(
            f"{plural(len(missing), 'add-on')} of the package index: {excerpt(', '.join(missing), 200)}: add the repositories "
            "to the dependencies; --ask-index looks them up"
        )
    if versions := [f"{name} {text}" for name, text in found.addons.items() if text]:
        lines.append(
            note(
                f"versions of {plural(len(versions), 'add-on')}: {excerpt(', '.join(versions))}: a repository has one commit "
                "for all its add-ons; inv lock pins it"
            )
        )
    kept: list[str] = []
    for where, texts in found.others.items():
        good, bad = requirements(texts, where)
        kept += good
        lines += bad
    lines += misplaced(addons)
    draft = ProjectDraft(
        odoo=odoo,
        platform=sources.platform,
        dependencies=tuple(links),
        requirements=tuple(dict.fromkeys(kept)),
        pins=sources.pins,
        merges=sources.merges,
    )
    return conversion(draft, lines)


@dataclass
class _Sources:
    """The repositories of requirements from git."""

    platform: str = ""
    links: list[str] = field(default_factory=list)
    pins: dict[str, str] = field(default_factory=dict)
    merges: dict[str, tuple[str, ...]] = field(default_factory=dict)


def _from_git(found: PipRequirements, odoo: str, lines: list[str]) -> _Sources:
    """The repositories: one can have several add-ons. Their pull requests are merged onto its branch."""
    groups: dict[str, list[GitRequirement]] = defaultdict(list)
    for one in found.git:
        groups[canonical(read_url(one.url)[0])].append(one)
    sources = _Sources()
    for key, group in groups.items():
        url, warning = read_url(group[0].url)
        lines += [action(f"{group[0].name}: {warning}")] if warning else []
        branches, commits, pulls = _refs(group, lines)
        branch = next((name for name in branches if name != odoo), "")
        if len(branches) > 1 or len(commits) > 1:
            lines.append(
                f"{excerpt_url(url)}: its add-ons are at different refs ({excerpt(', '.join([*branches, *commits]))}): a "
                f"repository has one commit; {excerpt(branch or odoo or 'its branch')} is used"
            )
        source = RepositoryEntry(group[0].name, url, branch, merges=tuple((url, ref) for ref in pulls))
        try:
            link = source.link(odoo)
        except DescriptionError as error:
            lines.append(f"{group[0].line}: {refused(error)}")
            continue
        entries, problems = merge_entries(source, {})
        lines += problems
        sources.merges |= {key: entries} if entries else {}
        if source.is_platform and not sources.platform:
            sources.platform = link
        else:
            sources.links.append(link)
        if len(commits) == 1:
            sources.pins[key] = commits[0]
    return sources


def _refs(group: Sequence[GitRequirement], lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The branches, commits and full refs of one repository, each once."""
    branches: list[str] = []
    commits: list[str] = []
    pulls: list[str] = []
    for one in group:
        branch, commit, problem = read_ref(one.ref)
        if problem and one.ref.startswith("refs/"):
            pulls.append(one.ref)
        elif problem:
            lines.append(f"{one.line}: {problem}")
        branches += [branch] if branch else []
        commits += [commit] if commit else []
    return list(dict.fromkeys(branches)), list(dict.fromkeys(commits)), list(dict.fromkeys(pulls))
