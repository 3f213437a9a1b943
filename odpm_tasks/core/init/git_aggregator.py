"""git-aggregator's file (`repos.yaml`): repositories made of several branches, from several remotes.

Form, as its documentation describes it: FOLDER: `remotes` (name: address), `merges` (`REMOTE REF`, or a map with `remote`,
`ref` and a depth), and, optional, `target` (`[REMOTE] BRANCH`), `defaults` (depths), `fetch_all`, `shell_command_after`,
`patches`. Variables are those of Python's string.Template.

A link is one branch of one remote: the first merge becomes the link, everything on top of it is left over.
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
    read_ref,
    read_url,
    refused,
    shown,
    shown_url,
    variables,
    with_known,
)
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.manifest.fields import SERIES
from odpm_tasks.errors import DescriptionError

_DEPTHS = ("depth", "shallow-since", "shallow-exclude")
_KEYS = ("remotes", "merges", "target", "defaults", "fetch_all", "shell_command_after", "patches")
_MERGED = "push the merged branch and write that into the link"
_CHANGED = "odpm changes no checkout; push a branch that has the change and write that into the link"


@dataclass
class RepositoriesFile:
    """What a file gives: sources in its order, lines for what is left over, and repositories whose depth was set.

    `taken` are the sources that became links.
    """

    where: str
    sources: list[RepositoryEntry] = field(default_factory=list)
    taken: list[RepositoryEntry] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    shallow: list[str] = field(default_factory=list)


def convert(text: str, where: str, odoo: str = "", env: Mapping[str, str] | None = None) -> Conversion:
    """A stack of the file's repositories; `odoo` is the version where somebody said it, `env` what `.env` sets.

    Unsaid, the version is the platform's branch, else the one branch that all repositories share, else it stays empty.
    """
    reading = read(text, where)
    odoo = odoo or (env or {}).get(VERSION, "") or version(reading.sources)
    return finished(reading, ProjectDraft(odoo=odoo))


def finished(reading: RepositoriesFile, stack: ProjectDraft, more: Sequence[str] = ()) -> Conversion:
    """The stack with the reading's links in it; the reading's lines, then `more`."""
    platform, dependencies = links(reading, stack.odoo)
    if reading.shallow:
        count = len(reading.shallow)
        reading.left.append(
            f"{reading.where}: depth of {count} {'repository' if count == 1 else 'repositories'}: "
            "odpm fetches no more than the commits it needs"
        )
    made = replace(stack, platform=platform, dependencies=dependencies)
    return conversion(made, [*reading.left, *more])


def read(text: str, where: str) -> RepositoriesFile:
    """Every repository as a source. Errors: DescriptionError where the text is not such a file at all."""
    reading = RepositoriesFile(where)
    data = load(text, where)[0]
    if not isinstance(data, Mapping):
        raise DescriptionError(f"{where} is no list of repositories", where=where, todo="give another file to --from")
    for folder, entry in data.items():
        name = str(folder).removeprefix("./").strip("/")
        if not isinstance(entry, Mapping):
            reading.left.append(f"{where}: {name}: has no remotes and no merges")
        elif source := _source(reading, name, entry):
            reading.sources.append(source)
    return reading


def load(text: str, where: str) -> list[Any]:
    """The documents of a YAML file, at least one. Errors: DescriptionError with the line."""
    try:
        return list(yaml.safe_load_all(text)) or [None]
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        spot = f":{mark.line + 1}:{mark.column + 1}" if mark else ""
        raise DescriptionError(
            f"{where} is not YAML: {error.problem}", where=where + spot, todo="correct it, then the same command again"
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DescriptionError(f"{where} is not YAML: {shown(str(error))}", where=where, todo="correct it") from None


def links(reading: RepositoriesFile, odoo: str) -> tuple[str, tuple[str, ...]]:
    """The platform's link (empty: Odoo's own) and those of the dependencies; what no link can be is left over.

    A repository that stands there twice is taken once.
    """
    platform, dependencies = "", []
    for source in reading.sources:
        known = {VERSION: odoo} if odoo else {}
        branch = "" if source.branch == f"${{{VERSION}}}" else with_known(source.branch, known)
        named = RepositoryEntry(source.name, with_known(source.url, known), branch, source.commit)
        try:
            link = named.link(odoo)
        except DescriptionError as error:
            reading.left.append(f"{reading.where}: {source.name}: {shown_url(source.url)}: {refused(error)}")
            continue
        reading.taken.append(source)
        if source.is_platform and not platform:
            platform = link
        elif link not in dependencies:
            dependencies.append(link)
    return platform, tuple(dependencies)


def _source(reading: RepositoriesFile, name: str, entry: Mapping[str, Any]) -> RepositoryEntry | None:
    where = f"{reading.where}: {name}"
    remotes = {str(key): variables(str(url)) for key, url in _map(entry.get("remotes")).items() if url}
    merges = [_merge(merge) for merge in _list(entry.get("merges"))]
    if _is_shallow(entry):
        reading.shallow.append(name)
    _others(reading, where, entry)
    if not merges or merges[0][0] not in remotes:
        reading.left.append(f"{where}: its first merge names no remote that has an address")
        return None
    (remote, ref), further = merges[0], merges[1:]
    url, secret = read_url(remotes[remote])
    branch, commit, odd = read_ref(variables(ref))
    if secret:
        reading.left.append(f"{where}: {secret}")
    if odd:
        reading.left.append(f"{where}: {odd}")
    for other, what in further:
        reading.left.append(f"{where}: merge of {other} {what}: a link is one branch; {_MERGED}")
    if further:
        _target(reading, where, entry, remotes)
    idle = [
        key
        for key in remotes
        if key not in {merge[0] for merge in merges} and key not in str(entry.get("target")).split()
    ]
    if idle:
        word = "remote" if len(idle) == 1 else "remotes"
        reading.left.append(f"{where}: {word} {', '.join(idle)}: no merge names {'it' if len(idle) == 1 else 'them'}")
    return RepositoryEntry(name, url, branch, commit)


def _target(reading: RepositoriesFile, where: str, entry: Mapping[str, Any], remotes: Mapping[str, str]) -> None:
    """Several merges may have been pushed as one branch: then that is the link to take."""
    words = variables(str(entry.get("target") or "")).split()
    first = variables(" ".join(_merge(_list(entry.get("merges"))[0]))).split()
    if len(words) == 2 and words[0] in remotes and words != first:
        url, _ = read_url(remotes[words[0]])
        reading.left.append(
            f"{where}: target {' '.join(words)}: if the merges were pushed there, the link is {url} {words[1]}"
        )


def _others(reading: RepositoriesFile, where: str, entry: Mapping[str, Any]) -> None:
    for command in _list(entry.get("shell_command_after")):
        reading.left.append(f"{where}: shell_command_after {shown(str(command))}: {_CHANGED}")
    for patch in _list(entry.get("patches")):
        reading.left.append(f"{where}: patch {shown(str(patch))}: {_CHANGED}")
    if entry.get("fetch_all"):
        reading.left.append(f"{where}: fetch_all: odpm fetches the commits it needs, from one remote")
    for key in entry:
        if key not in _KEYS:
            reading.left.append(f"{where}: {key}: is no key of git-aggregator that is known here")


def _merge(merge: Any) -> tuple[str, str]:
    """Remote and ref of an entry, in either spelling; empty where it has none."""
    if isinstance(merge, Mapping):
        return str(merge.get("remote") or ""), str(merge.get("ref") or "")
    words = str(merge).split()
    return (words[0], words[1]) if len(words) == 2 else ("", "")


def _is_shallow(entry: Mapping[str, Any]) -> bool:
    maps = [_map(entry.get("defaults")), *(_map(merge) for merge in _list(entry.get("merges")))]
    return any(key in found for found in maps for key in _DEPTHS)


def version(sources: list[RepositoryEntry]) -> str:
    named = [source.branch for source in sources if re.fullmatch(SERIES, source.branch) and source.branch != "master"]
    for source in sources:
        if source.is_platform and source.branch in named:
            return source.branch
    return named[0] if len(set(named)) == 1 else ""


def _map(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]
