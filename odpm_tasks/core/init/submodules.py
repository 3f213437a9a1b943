"""Converts a project whose repositories are git submodules, as Odoo.sh and camptocamp's template lay them out.

The files: `.gitmodules` (`path`, `url`, `branch` of each submodule) and the commits that HEAD records for their paths. The
commits become `locks.git`: the links stay as readable as `.gitmodules`, every repository stays at its commit, and
`inv lock --update --sync-manifest-locks` moves a pin along its branch as `git submodule update --remote` does. A commit in
the link would never move.
"""

from __future__ import annotations

import posixpath
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from shlex import quote

from odpm_tasks.core.init import git_aggregator
from odpm_tasks.core.init.conversion import (
    VERSION,
    Conversion,
    RepositoryEntry,
    conversion,
    excerpt,
    excerpt_url,
    read_url,
    refused,
)
from odpm_tasks.core.init.merge_entries import merge_entries
from odpm_tasks.core.init.new_project import ProjectDraft, series_of_addons
from odpm_tasks.core.init.own_addons import misplaced
from odpm_tasks.core.init.remarks import action, note
from odpm_tasks.core.manifest.fields import SERIES
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.core.text import plural
from odpm_tasks.errors import DescriptionError

FILE = ".gitmodules"
ENTERPRISE = "git@github.com:odoo/enterprise.git"
_IDLE = ("path", "url", "branch", "ignore", "shallow", "fetchrecursesubmodules", "active")


@dataclass(frozen=True)
class SubmoduleProject:
    """What was read of the project.

    `settings`: keys and values of `.gitmodules`, in order. `commits`: path -> commit of HEAD. `origin`: the address of the
    project itself, `branch` its current branch; empty if there is none. `manifests`: texts of its own add-ons' manifests.
    `addons`: the folders of its own add-ons. `checkouts`: path of each submodule that is checked out -> `addon` if it is
    itself one, `addons` if it has some where Odoo finds them. `has_platform_image`: another file of the project names the
    image of Odoo. `pending`: texts of files of git-aggregator with pending merges, by path.
    """

    settings: Sequence[tuple[str, str]]
    commits: Mapping[str, str] = field(default_factory=dict)
    origin: str = ""
    branch: str = ""
    manifests: Sequence[str] = ()
    addons: Sequence[str] = ()
    checkouts: Mapping[str, str] = field(default_factory=dict)
    has_platform_image: bool = False
    pending: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _Entry:
    path: str = ""
    url: str = ""
    branch: str = ""
    others: list[str] = field(default_factory=list)


def convert(project: SubmoduleProject, odoo: str = "") -> Conversion:
    """Convert the submodules. `odoo`: replaces the version of the project."""
    lines: list[str] = []
    recorded = {entry.path: source for entry in _entries(project, lines) if (source := _source(project, entry, lines))}
    pending = _pending(project, lines)
    sources = {path: pending.get(path, source) for path, source in recorded.items()}
    odoo = odoo or _version(project, sources.values())
    pins: dict[str, str] = {}
    merges: dict[str, tuple[str, ...]] = {}
    platform, dependencies, placed = "", [], []
    for path, source in sources.items():
        try:
            link = _link(source, odoo)
        except DescriptionError as error:
            lines.append(f"{FILE}: {path}: {excerpt_url(source.url)}: {refused(error)}")
            continue
        if source.is_platform and not platform:
            platform = link
        elif link not in dependencies:
            dependencies.append(link)
        placed.append(path)
        if path in pending:
            entries, problems = merge_entries(source, {VERSION: odoo} if odoo else {})
            merges |= {canonical(source.url): entries} if entries else {}
            lines += [f"{path}: {problem}" for problem in problems]
            lines += _replaced(project, path, recorded[path])
        else:
            _pin(project, path, source, pins, lines)
    lines += _remarks(project, placed, platform, odoo)
    draft = ProjectDraft(
        odoo=odoo, platform=platform, dependencies=tuple(_enterprise_first(dependencies)), pins=pins, merges=merges
    )
    return conversion(draft, lines)


def _pending(project: SubmoduleProject, lines: list[str]) -> dict[str, RepositoryEntry]:
    """Path of a submodule -> the repository and the merges that its commit was made of. Its link is the first merge."""
    found: dict[str, RepositoryEntry] = {}
    for where, text in project.pending.items():
        try:
            file = git_aggregator.read(text, where)
        except DescriptionError as error:
            lines.append(f"{where}: {error.what}")
            continue
        lines += file.skipped
        for source in file.repositories:
            path = posixpath.normpath(posixpath.join(posixpath.dirname(where), source.name))
            if source.merges:
                found[path] = source
    return found


def _replaced(project: SubmoduleProject, path: str, recorded: RepositoryEntry) -> list[str]:
    commit = project.commits.get(path, "")
    if not commit:
        return []
    return [
        action(
            f"{path}: its commit {commit[:8]} of {excerpt_url(recorded.url)} is the result of its pending merges: inv lock "
            "merges them again onto the newest commit of the branch, and pins all"
        )
    ]


def _entries(project: SubmoduleProject, lines: list[str]) -> list[_Entry]:
    """The submodules in the order of the file."""
    entries: dict[str, _Entry] = {}
    for key, value in project.settings:
        if key.count(".") < 2 or not key.startswith("submodule."):
            continue
        name, _, option = key.removeprefix("submodule.").rpartition(".")
        entry = entries.setdefault(name, _Entry())
        if option in ("path", "url", "branch"):
            setattr(entry, option, value.rstrip("/") if option == "path" else value.strip())
        elif option not in _IDLE and (option, value) != ("update", "checkout"):
            entry.others.append(f"{option} = {value}")
    for name, entry in entries.items():
        entry.path = entry.path or name
        if entry.others:
            lines.append(note(f"{FILE}: {entry.path}: {excerpt(', '.join(entry.others))}: has no equivalent"))
    return list(entries.values())


def _source(project: SubmoduleProject, entry: _Entry, lines: list[str]) -> RepositoryEntry | None:
    """The repository of a submodule; None with a remark if its address is missing or cannot be resolved."""
    if not entry.url:
        lines.append(f"{FILE}: {entry.path}: has no url; add its repository to the dependencies")
        return None
    url, warning = read_url(entry.url)
    if url.startswith(("./", "../")):
        if not project.origin:
            lines.append(
                f"{FILE}: {entry.path}: {url} is relative to the address of the project, which has no remote `origin`; "
                "add its repository to the dependencies"
            )
            return None
        resolved = relative(project.origin, url)
        if not resolved:
            lines.append(f"{FILE}: {entry.path}: {url} leads out of {excerpt_url(project.origin)}")
            return None
        url, warning = read_url(resolved)
    if warning:
        lines.append(action(f"{FILE}: {entry.path}: {warning}"))
    branch = project.branch if entry.branch == "." else entry.branch
    return RepositoryEntry(entry.path, url, branch.removeprefix("refs/heads/"))


def relative(origin: str, url: str) -> str:
    """The address of a relative submodule, as git resolves it against the project's; empty if it leads out of the host.

    Each `../` removes the last part of the path. A part ends at `/`, or at the `:` of `git@host:path`.
    """
    base, separator = origin.rstrip("/"), "/"
    while url.startswith(("./", "../")):
        up = url.startswith("../")
        url = url.removeprefix("../" if up else "./")
        if not up:
            continue
        found = re.fullmatch(r"(.*[^/:])?(/|:)([^/:]+)/*", base)
        if separator == ":" or found is None or not found[1] or re.fullmatch(r"\w+:/?", found[1] + found[2]):
            return ""
        base, separator = found[1], found[2]
    if re.fullmatch(r"\w+:/*", base) or (separator == "/" and re.fullmatch(r"\w+:/", base)):
        return ""
    return f"{base}{separator}{url}"


def _link(source: RepositoryEntry, odoo: str) -> str:
    """The link, without a branch that equals the Odoo version, so that it follows the version."""
    branch = "" if source.branch == odoo else source.branch
    return RepositoryEntry(source.name, source.url, branch).link(odoo)


def _pin(project: SubmoduleProject, path: str, source: RepositoryEntry, pins: dict[str, str], lines: list[str]) -> None:
    commit = project.commits.get(path)
    if commit is None:
        if project.commits:
            lines.append(action(f"{FILE}: {path}: no commit is recorded in HEAD; it follows its branch"))
        return
    if "$" in source.url or pins.setdefault(canonical(source.url), commit) != commit:
        lines.append(f"{path}: is the same repository as another submodule, at another commit; that one is used")


def _version(project: SubmoduleProject, sources: Iterable[RepositoryEntry]) -> str:
    """The Odoo version: of the platform, else of the project's add-ons, else the most frequent branch, else the project's."""
    named = [(source, found) for source in sources if (found := _series(source.branch))]
    for source, found in named:
        if source.is_platform:
            return found
    if found := series_of_addons(project.manifests):
        return found
    counts = Counter(found for _, found in named)
    return counts.most_common(1)[0][0] if counts else _series(project.branch)


def _series(branch: str) -> str:
    """The series at the start of a branch, such as `16.0` and `16.0-staging`; empty for any other branch."""
    found = re.match(rf"({SERIES})(?=$|[-_/])", branch)
    return found[1] if found and found[1] != "master" else ""


def _enterprise_first(links: Sequence[str]) -> list[str]:
    """Odoo Enterprise before all others, because its add-ons replace some of the platform; the others in their order."""
    return sorted(links, key=lambda link: not _is_enterprise(link.split(" ")[0]))


def _is_enterprise(url: str) -> bool:
    return canonical(url).endswith("/enterprise")


def _remarks(project: SubmoduleProject, placed: Sequence[str], platform: str, odoo: str) -> list[str]:
    lines: list[str] = []
    urls = [value for key, value in project.settings if key.endswith(".url")]
    for path, commit in project.commits.items():
        if path not in {value for key, value in project.settings if key.endswith(".path")}:
            lines.append(f"{path}: a submodule at {commit[:8]} without an entry in {FILE}; add its repository")
    if project.settings and not project.commits:
        lines.append(f"{FILE}: no commit is recorded in HEAD, so nothing is pinned; inv lock pins the newest commits")
    if odoo and project.settings:
        without = [path for path in placed if not _has_branch(project, path)]
        if without:
            lines.append(
                action(
                    f"{FILE}: {excerpt(', '.join(without))}: no branch is set; inv lock --update moves it along {odoo}"
                )
            )
    if not platform and not project.has_platform_image and not any(_is_enterprise(url) for url in urls):
        lines.append(
            action(
                "no submodule is Odoo: the platform is its public repository. Odoo.sh adds Odoo Enterprise: if you use it, put "
                f"{ENTERPRISE} first in the dependencies"
            )
        )
    for path in placed:
        content = project.checkouts.get(path)
        folder, repository = path.rpartition("/")[2], _other_name(project, path)
        if content == "addon" and repository:
            lines.append(
                f"{path}: its repository is itself an add-on; here it gets the name of the repository, {repository}, not that of "
                f"the folder. For the name {folder}, name the dependency as file:///PATH/{folder}, a clone of it"
            )
        elif content == "":
            lines.append(
                action(f"{path}: its checkout has no add-ons where Odoo finds them; it becomes a dependency anyway")
            )
    if absent := [path for path in placed if path not in project.checkouts]:
        renamed = [path for path in absent if _other_name(project, path)]
        note_of_names = (
            f". One that is itself an add-on gets the name of its repository, not of the folder: {', '.join(renamed)}"
        )
        lines.append(
            action(
                f"{plural(len(absent), 'submodule')} not checked out here: inv lock fetches the repositories"
                f"{excerpt(note_of_names) if renamed else ''}"
            )
        )
    lines += misplaced(project.addons)
    if placed:
        folders = " ".join(quote(path) for path in sorted(placed)) if len(placed) <= 3 else "FOLDER…"
        lines.append(
            action(
                "the submodules stay as they are and are read no more; odpm has its own checkouts in .odpm/src. "
                f"When inv up works: git rm {folders}"
            )
        )
    return lines


def _other_name(project: SubmoduleProject, path: str) -> str:
    """The name of a submodule's repository, where the folder has another one; "" for the repository of Odoo."""
    values = dict(project.settings)
    url = next((values.get(f"{name}.url", "") for name in _names(project, path)), "")
    repository = url.rstrip("/").removesuffix(".git").replace(":", "/").rpartition("/")[2]
    same = repository == path.rpartition("/")[2] or RepositoryEntry(path, url).is_platform
    return "" if same else repository


def _has_branch(project: SubmoduleProject, path: str) -> bool:
    return any(key == f"{name}.branch" for name in _names(project, path) for key, _ in project.settings)


def _names(project: SubmoduleProject, path: str) -> list[str]:
    """The sections of a submodule in `.gitmodules`."""
    return [key.removesuffix(".path") for key, value in project.settings if key.endswith(".path") and value == path]
