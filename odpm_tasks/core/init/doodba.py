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
from typing import Any

from odpm_tasks.core.config.interpolation import expand
from odpm_tasks.core.init import git_aggregator
from odpm_tasks.core.init.conversion import (
    VERSION,
    Conversion,
    RepositoryEntry,
    conf,
    conversion,
    excerpt,
    packages,
    read_ref,
    read_url,
    requirements,
    variables,
)
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.manifest.fields import SERIES
from odpm_tasks.core.text import plural
from odpm_tasks.errors import DescriptionError

CUSTOM = "odoo/custom/"
REPOS, ADDONS = f"{CUSTOM}src/repos.yaml", f"{CUSTOM}src/addons.yaml"
PRIVATE = f"{CUSTOM}src/private/"
DEPENDENCIES, CONF = f"{CUSTOM}dependencies/", f"{CUSTOM}conf.d/"
ANSWERS, DOCKERFILE = ".copier-answers.yml", "odoo/Dockerfile"
COMPOSE = tuple(
    f"{name}.{end}" for name in ("common", "prod", "devel", "test", "setup-devel") for end in ("yaml", "yml")
)
ROOT_FILES = (*COMPOSE, ANSWERS, DOCKERFILE, REPOS, ADDONS)

_PATTERN, _PATTERN_ODOO = "DEFAULT_REPO_PATTERN", "DEFAULT_REPO_PATTERN_ODOO"
_OCA = {_PATTERN: "https://github.com/OCA/{}.git", _PATTERN_ODOO: "https://github.com/OCA/OCB.git"}
_LISTS = {
    "apt_build": "odpm.json has no key for packages that only builds need",
    "npm": "odpm installs no Node.js packages; a template of the Dockerfile (.odpm/templates) can install them",
    "gem": "odpm installs no Ruby packages; a template of the Dockerfile (.odpm/templates) can install them",
}
_FOLDERS = {
    "build.d": "odpm runs no build scripts; a template of the Dockerfile (.odpm/templates) can run them",
    "entrypoint.d": "odpm runs no entrypoint scripts; use hooks, which run before and after inv up",
    "ssh": "odpm reads no keys from the project; use an ssh agent, or PATH_TO_SSH_KEY in .env",
    "shell-scripts": "odpm does not run scripts for Odoo's shell",
}


@dataclass
class _State:
    """The state of a conversion: the texts of the project, and the results so far."""

    texts: Mapping[str, str]
    names: tuple[str, ...]
    env: Mapping[str, str]
    skipped: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    postgres: str = ""


def convert(texts: Mapping[str, str], names: tuple[str, ...], env: Mapping[str, str], odoo: str = "") -> Conversion:
    """Convert a project.

    `texts` by path relative to the project: the existing files of `ROOT_FILES`, `DEPENDENCIES` and `CONF`. `names`: every
    file below `CUSTOM` that is not in a checkout. `env`: the values of `.env`. `odoo`: replaces the version of the project.
    """
    state = _State(texts, names, env)
    _compose(state)
    answers = _mapping(state, ANSWERS)
    odoo = odoo or _version(state, answers)
    file = git_aggregator.RepositoriesFile(REPOS)
    if texts.get(REPOS, "").strip():
        file = git_aggregator.read(texts[REPOS], REPOS)
    used = _addons(state, file)
    if not any(_is_odoo(source) for source in file.repositories):
        file.repositories.insert(
            0, RepositoryEntry("odoo", variables(state.arguments.get(_PATTERN_ODOO, _OCA[_PATTERN_ODOO])))
        )
    kept, bad_requirements = requirements(
        texts.get(f"{DEPENDENCIES}pip.txt", "").splitlines(), f"{DEPENDENCIES}pip.txt"
    )
    debian, bad_packages = packages(texts.get(f"{DEPENDENCIES}apt.txt", ""), f"{DEPENDENCIES}apt.txt")
    state.skipped += [*bad_requirements, *bad_packages]
    language = str(answers.get("odoo_initial_lang") or "")
    draft = ProjectDraft(
        odoo=odoo,
        postgres=state.postgres or _postgres(str(answers.get("postgres_version") or env.get("DB_VERSION", ""))),
        requirements=tuple(kept),
        system_packages=tuple(debian),
        language="" if language == "en_US" or not re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}", language) else language,
        odoo_conf=_options(state),
    )
    _files(state)
    if not odoo and (found := git_aggregator.version(file.repositories)):
        draft = replace(draft, odoo=found)
    converted = git_aggregator.with_links(file, draft, state.skipped)
    unused = [source.name for source in file.converted if used is not None and source.name not in {*used, "odoo"}]
    lines = (f"{ADDONS}: uses no add-on of {name}; it becomes a dependency anyway" for name in unused)
    return conversion(converted.draft, [*converted.not_converted, *lines])


def _is_odoo(source: RepositoryEntry) -> bool:
    return source.name == "odoo"


def _version(state: _State, answers: Mapping[str, Any]) -> str:
    """The Odoo version from the build arguments, otherwise `.env`, otherwise the answers of copier; empty if none is valid."""
    env = state.env
    candidates = (state.arguments.get(VERSION), env.get(VERSION), env.get("ODOO_MINOR"), answers.get("odoo_version"))
    for candidate in candidates:
        text = f"{candidate:.1f}" if isinstance(candidate, (int, float)) else str(candidate or "")
        if re.fullmatch(SERIES, text):
            return text
    return ""


def _compose(state: _State) -> None:
    """Read build arguments and the PostgreSQL version; report services and settings that are not converted."""
    settings: list[str] = []
    for name in COMPOSE:
        services = _map(_mapping(state, name).get("services"))
        others = [str(key) for key in services if key not in ("odoo", "db")]
        if others:
            state.skipped.append(
                f"{name}: services {', '.join(others)}: not converted; add the ones you need to `services` (--schema 2)"
            )
        odoo, db = _map(services.get("odoo")), _map(services.get("db"))
        for key, value in _pairs(_map(odoo.get("build")).get("args")).items():
            state.arguments.setdefault(key, _expanded(value, state.env))
        settings += [key for key in _pairs(odoo.get("environment")) if key not in settings]
        image = _expanded(str(db.get("image") or ""), state.env)
        state.postgres = state.postgres or _postgres(image.rpartition(":")[2] if "postgres" in image else "")
    state.postgres = state.postgres or _postgres(state.arguments.get("DB_VERSION", ""))
    if settings:
        state.skipped.append(
            f"environment of odoo in the compose files ({', '.join(settings)}): set options of Odoo in odoo_conf; "
            "odpm sets the database connection"
        )


def _postgres(text: str) -> str:
    found = re.match(r"\d{1,2}(\.\d{1,2})?(?=$|[-.])", text)
    return found[0] if found else ""


def _expanded(value: str, env: Mapping[str, str]) -> str:
    """A value of a compose file with variables from `.env`; unchanged if one of them is not set."""
    value = variables(value)
    try:
        return expand(value, env.get, "")
    except DescriptionError:
        return value


def _addons(state: _State, file: git_aggregator.RepositoriesFile) -> set[str] | None:
    """Add the repositories that only addons.yaml names. Returns all names in it; None if there is no such file."""
    if not state.texts.get(ADDONS, "").strip():
        return None
    named = {source.name: source for source in file.repositories}
    used: set[str] = set()
    for number, document in enumerate(git_aggregator.load(state.texts[ADDONS], ADDONS), start=1):
        if document is None:
            continue
        if not isinstance(document, Mapping):
            state.skipped.append(f"{ADDONS}: document {number}: must be a map of repositories")
            continue
        env = {str(key): str(value) for key, value in _pairs(document.get("ENV")).items()}
        only = document.get("ONLY")
        if isinstance(only, Mapping):
            limits = ", ".join(f"{key}: {_spelled(value)}" for key, value in only.items())
            state.skipped.append(
                f"{ADDONS}: document {number}, ONLY {limits}: the add-ons of a repository are available in every scenario"
            )
        if address := env.pop(_PATTERN_ODOO, ""):
            source = RepositoryEntry("odoo", *_remote(state, address, env.get(VERSION, "")))
            if named.setdefault("odoo", source) is source:
                file.repositories.insert(0, source)
        for key, globs in document.items():
            name = str(key)
            if name in ("ENV", "ONLY"):
                continue
            used.add(name)
            _selection(state, name, globs)
            if name in ("private", "odoo/addons"):
                continue
            repository = _by_pattern(state, name, env)
            if name not in named:
                named[name] = repository
                file.repositories.append(repository)
            elif env and named[name] != repository:
                state.skipped.append(
                    f"{ADDONS}: document {number}: {name}: ENV sets another address or branch than before"
                )
        for key in env:
            if key not in (_PATTERN, VERSION):
                state.skipped.append(f"{ADDONS}: document {number}: ENV {key}: has no equivalent")
    return used


def _by_pattern(state: _State, name: str, env: Mapping[str, str]) -> RepositoryEntry:
    """A repository that is not in repos.yaml, with the address and branch that doodba uses."""
    pattern = env.get(_PATTERN) or state.arguments.get(_PATTERN) or _OCA[_PATTERN]
    return RepositoryEntry(name, *_remote(state, variables(pattern).replace("{}", name), env.get(VERSION, "")))


def _remote(state: _State, address: str, ref: str) -> tuple[str, str, str]:
    url, warning = read_url(variables(address))
    branch, commit, problem = read_ref(variables(ref))
    state.skipped += [f"{ADDONS}: {reason}" for reason in (warning, problem) if reason]
    return url, branch, commit


def _selection(state: _State, name: str, globs: Any) -> None:
    chosen = [str(glob) for glob in globs] if isinstance(globs, list) else [str(globs)] if globs else []
    if chosen and "*" not in chosen:
        state.skipped.append(
            f"{ADDONS}: {name}: selection of {excerpt(', '.join(chosen))}: every add-on of a repository can be installed"
        )


def _options(state: _State) -> dict[str, dict[str, str]]:
    """The sections of all files in conf.d; a later file overrides an earlier one."""
    merged: dict[str, dict[str, str]] = {}
    for path in sorted(path for path in state.texts if path.startswith(CONF)):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(state.texts[path], path)
        except configparser.Error as error:
            state.skipped.append(f"{path}: cannot be read: {excerpt(str(error))}")
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
    for name, reason in _LISTS.items():
        path = f"{DEPENDENCIES}{name}.txt"
        lines = [line.split("#")[0].strip() for line in state.texts.get(path, "").splitlines()]
        if any(lines):
            state.skipped.append(f"{path}: {excerpt(', '.join(filter(None, lines)))}: {reason}")
    known = [f"{DEPENDENCIES}{name}.txt" for name in ("pip", "apt", *_LISTS)]
    for path in state.names:
        if path.startswith(DEPENDENCIES) and path not in known and state.texts.get(path, "").strip():
            state.skipped.append(f"{path}: unknown list of packages")
    for folder, reason in _FOLDERS.items():
        folder_path = f"{CUSTOM}{folder}/"
        files = sorted(path.removeprefix(folder_path) for path in state.names if path.startswith(folder_path))
        if files := [name for name in files if not name.startswith(".") and name != "known_hosts"]:
            state.skipped.append(f"{folder_path.rstrip('/')}: {excerpt(', '.join(files))}: {reason}")
    modules = sorted({path.removeprefix(PRIVATE).split("/")[0] for path in state.names if _is_manifest(path)})
    if modules:
        state.skipped.append(
            f"{PRIVATE.rstrip('/')}: {plural(len(modules), 'add-on')}: odpm finds add-ons in the root and one folder below; "
            f"git mv {PRIVATE.rstrip('/')} addons"
        )
    steps = re.findall(r"(?im)^\s*(?!FROM|ARG|LABEL|MAINTAINER)([A-Z]+)\s", state.texts.get(DOCKERFILE, ""))
    if steps:
        instructions = ", ".join(dict.fromkeys(step.upper() for step in steps))
        state.skipped.append(
            f"{DOCKERFILE}: {instructions}: odpm generates its own; a template (.odpm/templates) can extend it"
        )


def _is_manifest(path: str) -> bool:
    return path.startswith(PRIVATE) and path.endswith(("/__manifest__.py", "/__openerp__.py"))


def _mapping(state: _State, path: str) -> Mapping[str, Any]:
    text = state.texts.get(path)
    return _map(git_aggregator.load(text, path)[0]) if text else {}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _pairs(value: Any) -> dict[str, str]:
    """The two forms of Compose: a map, or a list of NAME=VALUE."""
    if isinstance(value, Mapping):
        return {str(key): "" if child is None else str(child) for key, child in value.items()}
    if isinstance(value, list):
        parts = (str(entry).partition("=") for entry in value)
        return {name: text for name, _, text in parts}
    return {}


def _spelled(value: Any) -> str:
    return " or ".join(str(entry) for entry in value) if isinstance(value, list) else str(value)
