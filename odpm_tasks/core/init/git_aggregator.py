"""Converts a file of git-aggregator (`repos.yaml`): repositories merged from branches of several remotes.

The format, from its documentation: FOLDER: `remotes` (name: address), `merges` (`REMOTE REF`, or a map with `remote`, `ref`
and a depth), and the optional `target` (`[REMOTE] BRANCH`), `defaults` (depths), `fetch_all`, `shell_command_after` and
`patches`. Variables are those of Python's string.Template.

The first merge becomes the link, the others its `merges`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

from odpm_tasks.core.init.conversion import (
    VERSION,
    Conversion,
    RepositoryEntry,
    conversion,
    excerpt,
    excerpt_url,
    read_ref,
    read_url,
    refused,
    variables,
    with_defaults,
)
from odpm_tasks.core.init.merge_entries import merge_entries
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.init.remarks import action, note
from odpm_tasks.core.manifest.fields import SERIES
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.core.text import plural
from odpm_tasks.errors import DescriptionError

_DEPTHS = ("depth", "shallow-since", "shallow-exclude")
_KEYS = ("remotes", "merges", "target", "defaults", "fetch_all", "shell_command_after", "patches")
_MOST_VALUES = 50_000  # of a YAML file; its aliases can multiply a few lines to billions
_CHANGED = "odpm does not modify checkouts; push a branch with the change and use that in the link"


@dataclass
class RepositoriesFile:
    """The content of a file: its repositories in order, lines for settings that are not converted, and repositories with a depth.

    `converted`: the repositories that became links.
    """

    where: str
    repositories: list[RepositoryEntry] = field(default_factory=list)
    converted: list[RepositoryEntry] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    shallow: list[str] = field(default_factory=list)


def convert(text: str, where: str, odoo: str = "", env: Mapping[str, str] | None = None) -> Conversion:
    """Convert the repositories of a file. `odoo`: the version from the command line. `env`: the values of `.env`.

    Without `odoo` the version is that of `.env`, otherwise the branch of the platform, otherwise the one branch that all
    repositories share, otherwise empty.
    """
    file = read(text, where)
    odoo = odoo or (env or {}).get(VERSION, "") or version(file.repositories)
    return with_links(file, ProjectDraft(odoo=odoo))


def with_links(file: RepositoriesFile, draft: ProjectDraft, more: Sequence[str] = ()) -> Conversion:
    """The draft with the links of the file; the lines of the file, then `more`."""
    platform, dependencies, merges = links(file, draft.odoo)
    if file.shallow:
        count = plural(len(file.shallow), "repository", "repositories")
        file.skipped.append(note(f"{file.where}: depth of {count}: odpm fetches only the commits it needs"))
    linked = replace(draft, platform=platform, dependencies=dependencies, merges=merges)
    return conversion(linked, [*file.skipped, *more])


def read(text: str, where: str) -> RepositoriesFile:
    """Read the repositories of a file. Errors: DescriptionError if the text is not such a file."""
    file = RepositoriesFile(where)
    data = load(text, where)[0]
    if not isinstance(data, Mapping):
        raise DescriptionError(
            f"{where} does not contain repositories", where=where, todo="use another file with --from"
        )
    for folder, entry in data.items():
        name = folder_name(str(folder))
        if not isinstance(entry, Mapping):
            file.skipped.append(f"{where}: {name}: must be a map with remotes and merges")
        elif source := _source(file, name, entry):
            file.repositories.append(source)
    return file


def folder_name(key: str) -> str:
    """The name of a repository: the key is its folder, relative or below the folder of sources in a doodba image."""
    return key.strip().removeprefix("/opt/odoo/custom/src/").removeprefix("./").strip("/")


class _AnyTag(yaml.SafeLoader):
    """Reads values with local tags, as `!reset` in compose files, without the tag."""


def _untagged(loader: yaml.SafeLoader, tag: str, node: yaml.Node) -> Any:
    del tag
    if isinstance(node, yaml.MappingNode):
        return loader.construct_mapping(node, deep=True)
    return loader.construct_sequence(node, deep=True) if isinstance(node, yaml.SequenceNode) else node.value


_AnyTag.add_multi_constructor("!", _untagged)


def load(text: str, where: str, *, tags: bool = False) -> list[Any]:
    """The documents of a YAML file, at least one. `tags`: local tags are allowed.

    Errors: DescriptionError with line and column.
    """
    try:
        documents = list(yaml.load_all(text, _AnyTag if tags else yaml.SafeLoader)) or [None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        spot = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise DescriptionError(
            f"{where} is not YAML: {error.problem}", where=where + spot, todo="fix it, then run the same command again"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DescriptionError(f"{where} is not YAML: {excerpt(str(error))}", where=where, todo="fix it") from None
    if sum(_values(document, {}) for document in documents) > _MOST_VALUES:
        raise DescriptionError(
            f"{where} has aliases that contain themselves, or more than {_MOST_VALUES:,} values with its aliases",
            where=where,
            todo="write the values without aliases, then run the same command again",
        )
    return documents


def _values(value: Any, known: dict[int, int]) -> int:
    """The number of values in a value. An alias counts as often as it is used; one that contains itself counts without end."""
    if not isinstance(value, (Mapping, list)):
        return 1
    if id(value) not in known:
        known[id(value)] = _MOST_VALUES + 1  # while its parts are counted
        parts = [*value, *value.values()] if isinstance(value, Mapping) else value
        known[id(value)] = 1 + sum(_values(part, known) for part in parts)
    return known[id(value)]


def links(file: RepositoriesFile, odoo: str) -> tuple[str, tuple[str, ...], dict[str, tuple[str, ...]]]:
    """The link of the platform (empty: the repository of Odoo), the links of the dependencies, without duplicates, and merges.

    Repositories that cannot be a link, and merges that cannot be an entry, are reported.
    """
    platform, dependencies = "", []
    merges: dict[str, tuple[str, ...]] = {}
    for source in file.repositories:
        known = {VERSION: odoo} if odoo else {}
        branch = "" if source.branch == f"${{{VERSION}}}" else with_defaults(source.branch, known)
        named = RepositoryEntry(source.name, with_defaults(source.url, known), branch, source.commit)
        try:
            link = named.link(odoo)
        except DescriptionError as error:
            file.skipped.append(f"{file.where}: {source.name}: {excerpt_url(source.url)}: {refused(error)}")
            continue
        file.converted.append(source)
        entries, problems = merge_entries(source, known)
        if problems and source.target:
            problems.append(f"target {source.target}: if it contains the merges, use it as the link")
        file.skipped += [f"{file.where}: {source.name}: {problem}" for problem in problems]
        if entries:
            merges.setdefault(canonical(named.url), entries)
        if source.is_platform and not platform:
            platform = link
        elif link not in dependencies:
            dependencies.append(link)
    return platform, tuple(dependencies), merges


def _source(file: RepositoriesFile, name: str, entry: Mapping[str, Any]) -> RepositoryEntry | None:
    where = f"{file.where}: {name}"
    remotes = {str(key): variables(str(url)) for key, url in _map(entry.get("remotes")).items() if url}
    merges = [_merge(merge) for merge in _list(entry.get("merges"))]
    if _is_shallow(entry):
        file.shallow.append(name)
    _others(file, where, entry)
    if not merges or merges[0][0] not in remotes:
        file.skipped.append(f"{where}: the first merge has no remote with an address")
        return None
    (remote, ref), further = merges[0], merges[1:]
    url, warning = read_url(remotes[remote])
    if ref.startswith(("refs/pull/", "refs/merge-requests/")):
        ref, further = "", merges
        file.skipped.append(
            action(f"{where}: the first merge is a pull request: it is merged onto the branch of the Odoo version")
        )
    branch, commit, problem = read_ref(variables(ref))
    if warning:
        file.skipped.append(action(f"{where}: {warning}"))
    if problem:
        file.skipped.append(f"{where}: {problem}")
    for other, what in further:
        if other not in remotes:
            file.skipped.append(f"{where}: merge {other} {what}: has no remote with an address")
    idle = [
        key
        for key in remotes
        if key not in {merge[0] for merge in merges} and key not in str(entry.get("target")).split()
    ]
    if idle:
        file.skipped.append(
            note(
                f"{where}: {'remote' if len(idle) == 1 else 'remotes'} {', '.join(idle)}: not used by a merge",
                f"{file.where}: remotes of {{}} repositories that no merge uses",
            )
        )
    merged = tuple((remotes[other], variables(what)) for other, what in further if other in remotes)
    return RepositoryEntry(name, url, branch, commit, merged, _target(entry, remotes))


def _target(entry: Mapping[str, Any], remotes: Mapping[str, str]) -> str:
    """The link of the target branch, to which the merges may have been pushed; empty if it is the first merge."""
    words = variables(str(entry.get("target") or "")).split()
    first = variables(" ".join(_merge(_list(entry.get("merges"))[0]))).split()
    if len(words) == 2 and words[0] in remotes and words != first:
        return f"{read_url(remotes[words[0]])[0]} {words[1]}"
    return ""


def _others(file: RepositoriesFile, where: str, entry: Mapping[str, Any]) -> None:
    for command in _list(entry.get("shell_command_after")):
        file.skipped.append(f"{where}: shell_command_after {excerpt(str(command))}: {_CHANGED}")
    for patch in _list(entry.get("patches")):
        file.skipped.append(f"{where}: patch {excerpt(str(patch))}: {_CHANGED}")
    if entry.get("fetch_all"):
        file.skipped.append(
            note(
                f"{where}: fetch_all: odpm fetches only the commits it needs",
                f"{file.where}: fetch_all of {{}} repositories: odpm fetches only the commits it needs",
            )
        )
    for key in entry:
        if key not in _KEYS:
            file.skipped.append(f"{where}: {key}: unknown key")


def _merge(merge: Any) -> tuple[str, str]:
    """Remote and ref of a merge, in either form; empty if there are none."""
    if isinstance(merge, Mapping):
        return str(merge.get("remote") or ""), str(merge.get("ref") or "")
    words = str(merge).split()
    return (words[0], words[1]) if len(words) == 2 else ("", "")


def _is_shallow(entry: Mapping[str, Any]) -> bool:
    maps = [_map(entry.get("defaults")), *(_map(merge) for merge in _list(entry.get("merges")))]
    return any(key in found for found in maps for key in _DEPTHS)


def version(repositories: list[RepositoryEntry]) -> str:
    """The Odoo version: the branch of the platform, otherwise the only version among the branches, otherwise empty."""
    named = [
        source.branch for source in repositories if re.fullmatch(SERIES, source.branch) and source.branch != "master"
    ]
    for source in repositories:
        if source.is_platform and source.branch in named:
            return source.branch
    return named[0] if len(set(named)) == 1 else ""


def _map(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]
