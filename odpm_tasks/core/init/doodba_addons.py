"""Reads `addons.yaml` of a doodba project: the repositories that only it names, and its selections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from odpm_tasks.core.init import git_aggregator
from odpm_tasks.core.init.conversion import VERSION, RepositoryEntry, excerpt, read_ref, read_url, variables
from odpm_tasks.core.init.doodba_compose import pairs
from odpm_tasks.core.init.remarks import note

PATH = "odoo/custom/src/addons.yaml"

_PATTERN, _PATTERN_ODOO = "DEFAULT_REPO_PATTERN", "DEFAULT_REPO_PATTERN_ODOO"
_OCA = {_PATTERN: "https://github.com/OCA/{}.git", _PATTERN_ODOO: "https://github.com/OCA/OCB.git"}


@dataclass
class Reading:
    """The text of the file, the build arguments, the folders of add-ons in the project; and the remarks so far."""

    text: str
    arguments: Mapping[str, str]
    local: tuple[str, ...] = ()
    remarks: list[str] = field(default_factory=list)


def platform_address(arguments: Mapping[str, str]) -> str:
    """The address of the platform where neither file names it."""
    return variables(arguments.get(_PATTERN_ODOO, _OCA[_PATTERN_ODOO]))


def add_repositories(reading: Reading, file: git_aggregator.RepositoriesFile) -> set[str] | None:
    """Add the repositories that only addons.yaml names. Returns all names in it; None if there is no such file."""
    if not reading.text.strip():
        return None
    named = {source.name: source for source in file.repositories}
    used: set[str] = set()
    for number, document in enumerate(git_aggregator.load(reading.text, PATH), start=1):
        if document is None:
            continue
        if not isinstance(document, Mapping):
            reading.remarks.append(f"{PATH}: document {number}: must be a map of repositories")
            continue
        env = {str(key): str(value) for key, value in pairs(document.get("ENV")).items()}
        only = document.get("ONLY")
        if isinstance(only, Mapping):
            limits = ", ".join(f"{key}: {_spelled(value)}" for key, value in only.items())
            reading.remarks.append(
                note(
                    f"{PATH}: document {number}, ONLY {limits}: the add-ons of a repository are available in every scenario",
                    f"{PATH}: ONLY of {{}} documents: the add-ons of a repository are available in every scenario",
                )
            )
        if address := env.pop(_PATTERN_ODOO, ""):
            source = RepositoryEntry("odoo", *_remote(reading, address, env.get(VERSION, "")))
            if named.setdefault("odoo", source) is source:
                file.repositories.insert(0, source)
        for key, globs in document.items():
            name = _name(key)
            if name in ("ENV", "ONLY"):
                continue
            used.add(name)
            _selection(reading, name, globs)
            if name in ("private", "odoo") or (name in reading.local and name not in named):
                continue
            repository = _by_pattern(reading, name, env)
            if name not in named:
                named[name] = repository
                file.repositories.append(repository)
            elif env and replace(named[name], merges=(), target="") != repository:
                reading.remarks.append(
                    f"{PATH}: document {number}: {name}: ENV sets another address or branch than before"
                )
        for key in env:
            if key not in (_PATTERN, VERSION):
                reading.remarks.append(f"{PATH}: document {number}: ENV {key}: has no equivalent")
    return used


def _by_pattern(reading: Reading, name: str, env: Mapping[str, str]) -> RepositoryEntry:
    """A repository that is not in repos.yaml, with the address and branch that doodba uses."""
    pattern = env.get(_PATTERN) or reading.arguments.get(_PATTERN) or _OCA[_PATTERN]
    return RepositoryEntry(name, *_remote(reading, variables(pattern).replace("{}", name), env.get(VERSION, "")))


def _remote(reading: Reading, address: str, ref: str) -> tuple[str, str, str]:
    url, warning = read_url(variables(address))
    branch, commit, problem = read_ref(variables(ref))
    reading.remarks += [f"{PATH}: {reason}" for reason in (warning, problem) if reason]
    return url, branch, commit


def _selection(reading: Reading, name: str, globs: Any) -> None:
    chosen = [str(glob) for glob in globs] if isinstance(globs, list) else [str(globs)] if globs else []
    if chosen and "*" not in chosen:
        reading.remarks.append(
            note(
                f"{PATH}: {name}: selection of {excerpt(', '.join(chosen))}: every add-on of a repository can be installed",
                f"{PATH}: selections in {{}} repositories: every add-on of a repository can be installed",
            )
        )


def _name(key: object) -> str:
    """The repository of a key of addons.yaml, which may name a folder in it."""
    return git_aggregator.folder_name(str(key)).partition("/")[0]


def _spelled(value: Any) -> str:
    return " or ".join(str(entry) for entry in value) if isinstance(value, list) else str(value)
