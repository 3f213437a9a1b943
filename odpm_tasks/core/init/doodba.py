"""Converts a project of the doodba scaffolding: its repositories, packages and Odoo options.

The files, from its documentation and templates, relative to the project: `odoo/custom/src/repos.yaml` (git-aggregator) and
`addons.yaml` (documents of REPOSITORY: globs of add-ons; `ONLY` limits a document to environments, `ENV` sets the address
pattern and the branch of repositories that are not in repos.yaml); lists of packages in `odoo/custom/dependencies`; Odoo
options in `odoo/custom/conf.d`. Versions are read from the build arguments of the compose files, otherwise from `.env`,
otherwise from the answers of copier.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import Any

from odpm_tasks.core.init import doodba_addons, doodba_compose, git_aggregator
from odpm_tasks.core.init.conversion import (
    VERSION,
    Conversion,
    RepositoryEntry,
    conf,
    conversion,
    excerpt,
    literal,
    variables,
)
from odpm_tasks.core.init.doodba_compose import as_map, postgres
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.init.requirements import packages, requirements
from odpm_tasks.core.manifest.fields import SERIES
from odpm_tasks.core.text import plural
from odpm_tasks.errors import DescriptionError

CUSTOM = "odoo/custom/"
REPOS, ADDONS = f"{CUSTOM}src/repos.yaml", doodba_addons.PATH
SOURCES = f"{CUSTOM}src/"
DEPENDENCIES, CONF = f"{CUSTOM}dependencies/", f"{CUSTOM}conf.d/"
ANSWERS, DOCKERFILE = ".copier-answers.yml", "odoo/Dockerfile"
ROOT_FILES = (*doodba_compose.FILES, ANSWERS, DOCKERFILE, REPOS, ADDONS)

_LISTS = {
    "apt_build": "odpm.json has no key for packages that only builds need",
    "npm": "odpm installs no Node.js packages; a template of the Dockerfile (.odpm/templates) can install them",
    "gem": "odpm installs no Ruby packages; a template of the Dockerfile (.odpm/templates) can install them",
}
_IDLE = ("known_hosts", "config", "id_rsa.pub")  # files of the template that are no keys
_FOLDERS = {
    "build.d": "odpm runs no build scripts; a template of the Dockerfile (.odpm/templates) can run them",
    "entrypoint.d": "odpm runs no entrypoint scripts; use hooks, which run before and after inv up",
    "ssh": "odpm reads no keys from the project; use an ssh agent, or PATH_TO_SSH_KEY in .env",
    "shell-scripts": "odpm does not run scripts for Odoo's shell",
}


@dataclass(frozen=True)
class DoodbaFiles:
    """The files of a project, by path relative to it.

    `texts`: the existing files of `ROOT_FILES`, `DEPENDENCIES` and `CONF`. `names`: every file below `CUSTOM` that is not in
    a checkout. `unreadable`: the reason for each file that could not be read. `env`: the values of `.env`.
    """

    texts: Mapping[str, str]
    names: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    unreadable: Mapping[str, str] = field(default_factory=dict)


@dataclass
class _State:
    """The state of a conversion: the files of the project, and the results so far."""

    files: DoodbaFiles
    skipped: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)

    def text(self, path: str) -> str:
        return self.files.texts.get(path, "")


def convert(files: DoodbaFiles, odoo: str = "") -> Conversion:
    """Convert a project. `odoo`: replaces the version of the project.

    Files other than repos.yaml and addons.yaml that cannot be read are reported. Errors: DescriptionError for these two.
    """
    state = _State(files)
    state.skipped += [Remark(f"{path}: cannot be read: {reason}") for path, reason in files.unreadable.items()]
    compose = doodba_compose.read({name: _mapping(state, name) for name in doodba_compose.FILES}, files.env)
    state.arguments = compose.arguments
    state.skipped += compose.remarks
    answers = _mapping(state, ANSWERS)
    odoo = odoo or _version(state, answers)
    file = git_aggregator.RepositoriesFile(REPOS)
    if state.text(REPOS).strip():
        file = git_aggregator.read(state.text(REPOS), REPOS)
    local = _local_folders(files.names)
    reading = doodba_addons.Reading(state.text(ADDONS), compose.arguments, tuple(local))
    used = doodba_addons.add_repositories(reading, file)
    state.skipped += reading.remarks
    if not any(_is_odoo(source) for source in file.repositories):
        file.repositories.insert(0, RepositoryEntry("odoo", doodba_addons.platform_address(compose.arguments)))
    pip, apt = f"{DEPENDENCIES}pip.txt", f"{DEPENDENCIES}apt.txt"
    kept, bad_requirements = requirements(state.text(pip).splitlines(), pip)
    debian, bad_packages = packages(state.text(apt), apt)
    state.skipped += [*bad_requirements, *bad_packages]
    draft = ProjectDraft(
        odoo=odoo,
        postgres=compose.postgres or postgres(str(answers.get("postgres_version") or files.env.get("DB_VERSION", ""))),
        requirements=tuple(kept),
        system_packages=tuple(debian),
        language=_language(str(answers.get("odoo_initial_lang") or compose.language)),
        odoo_conf=_options(state),
        server_conf=_server_options(state, compose.server, answers),
    )
    _files(state)
    if not odoo and (found := git_aggregator.version(file.repositories)):
        draft = replace(draft, odoo=found)
    converted = git_aggregator.with_links(file, draft, state.skipped)
    unused = [source.name for source in file.converted if used is not None and source.name not in {*used, "odoo"}]
    summary = f"{ADDONS}: uses no add-on of {{}} repositories of {REPOS}; they become dependencies anyway"
    lines = (note(f"{ADDONS}: uses no add-on of {name}; it becomes a dependency anyway", summary) for name in unused)
    return conversion(converted.draft, [*converted.remarks, *lines])


def _is_odoo(source: RepositoryEntry) -> bool:
    return source.name == "odoo"


def _language(text: str) -> str:
    """The language of a new database; empty for the default."""
    return "" if text == "en_US" or not re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}", text) else text


def _server_options(state: _State, options: Mapping[str, str], answers: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """The options of Odoo on a server: those of the compose files, otherwise of the answers of copier."""
    found = dict(options)
    for answer, option in (("odoo_dbfilter", "dbfilter"), ("postgres_dbname", "db_name")):
        value = str(answers.get(answer) or "").strip()
        if value and value != ".*":
            found.setdefault(option, literal(value))
    kept, problems = conf({"options": found} if found else {}, "options of the server")
    state.skipped += problems
    return kept


def _version(state: _State, answers: Mapping[str, Any]) -> str:
    """The Odoo version from the build arguments, otherwise `.env`, otherwise the answers of copier; empty if none is valid."""
    env = state.files.env
    candidates = (state.arguments.get(VERSION), env.get(VERSION), env.get("ODOO_MINOR"), answers.get("odoo_version"))
    for candidate in candidates:
        text = f"{candidate:.1f}" if isinstance(candidate, (int, float)) else str(candidate or "")
        if re.fullmatch(SERIES, text):
            return text
    return ""


def _options(state: _State) -> dict[str, dict[str, str]]:
    """The sections of all files in conf.d; a later file overrides an earlier one."""
    merged: dict[str, dict[str, str]] = {}
    for path in sorted(path for path in state.files.texts if path.startswith(CONF)):
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
        try:
            parser.read_string(state.text(path), path)
        except configparser.Error as error:
            state.skipped.append(Remark(f"{path}: cannot be read: {excerpt(str(error))}"))
            continue
        sections = {
            section: {key: " ".join(variables(value).split()) for key, value in parser.items(section) if value}
            for section in parser.sections()
        }
        options, problem = conf(sections, path)
        state.skipped += problem
        for section, values in options.items():
            merged.setdefault(section, {}).update(values)
    return merged


def _files(state: _State) -> None:
    """Report the other files of the project, which are not converted."""
    names = state.files.names
    for name, reason in _LISTS.items():
        path = f"{DEPENDENCIES}{name}.txt"
        lines = list(filter(None, (line.split("#")[0].strip() for line in state.text(path).splitlines())))
        if lines:
            text = f"{path}: {excerpt(', '.join(lines))}: {reason}"
            state.skipped.append(action(text) if name == "apt_build" else Remark(text))
    known = [f"{DEPENDENCIES}{name}.txt" for name in ("pip", "apt", *_LISTS)]
    for path in names:
        if path.startswith(DEPENDENCIES) and path not in known and state.text(path).strip():
            state.skipped.append(Remark(f"{path}: unknown list of packages"))
    for folder, reason in _FOLDERS.items():
        folder_path = f"{CUSTOM}{folder}/"
        files = sorted(path.removeprefix(folder_path) for path in names if path.startswith(folder_path))
        if files := [name for name in files if not name.startswith(".") and name not in _IDLE]:
            text = f"{folder_path.rstrip('/')}: {excerpt(', '.join(files))}: {reason}"
            state.skipped.append(action(text) if folder == "ssh" else Remark(text))
    for folder, count in _local_folders(names).items():
        target = "addons" if folder == "private" else folder
        state.skipped.append(
            action(
                f"{SOURCES}{folder}: {plural(count, 'add-on')}: odpm finds add-ons in the root and one folder below; "
                f"git mv {quote(SOURCES + folder)} {quote(target)}"
            )
        )
    steps = re.findall(r"(?im)^\s*(?!FROM|ARG|LABEL|MAINTAINER)([A-Z]+)\s", state.text(DOCKERFILE))
    if steps:
        instructions = ", ".join(dict.fromkeys(step.upper() for step in steps))
        text = f"{DOCKERFILE}: {instructions}: odpm generates its own; a template (.odpm/templates) can extend it"
        state.skipped.append(Remark(text))


def _local_folders(names: tuple[str, ...]) -> dict[str, int]:
    """The folders of add-ons that are part of the project, with the number of add-ons; `private` first."""
    found: dict[str, set[str]] = {}
    for path in names:
        parts = path.removeprefix(SOURCES).split("/")
        if path.startswith(SOURCES) and len(parts) > 2 and parts[-1] in ("__manifest__.py", "__openerp__.py"):
            found.setdefault(parts[0], set()).add(parts[1])
    return {name: len(found[name]) for name in sorted(found, key=lambda name: (name != "private", name))}


def _mapping(state: _State, path: str) -> Mapping[str, Any]:
    """The first document of a YAML file; empty if it does not exist, and with a remark if it cannot be read."""
    text = state.text(path)
    try:
        return as_map(git_aggregator.load(text, path, tags=True)[0]) if text else {}
    except DescriptionError as error:
        state.skipped.append(
            Remark(f"{error.where or path}: cannot be read: {error.what}; its settings are not converted")
        )
        return {}
