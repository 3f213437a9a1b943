"""A project of the doodba scaffolding: its repositories, packages and Odoo options.

What is read, as its documentation and templates describe it, below the project's folder: `odoo/custom/src/repos.yaml`
(git-aggregator) and `addons.yaml` (documents of REPOSITORY: globs of add-ons; `ONLY` limits a document to environments,
`ENV` changes the pattern of addresses and the branch of repositories that repos.yaml does not name), lists of packages in
`odoo/custom/dependencies`, Odoo options in `odoo/custom/conf.d`; versions from the build arguments of the compose files,
from `.env`, else from copier's answers.
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
    packages,
    read_ref,
    read_url,
    requirements,
    shown,
    variables,
)
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.manifest.fields import SERIES
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
    "apt_build": "packages for building alone have no place in odpm.json",
    "npm": "the image has no packages of Node.js; a template of the Dockerfile (.odpm/templates) can install it",
    "gem": "the image has no packages of Ruby; a template of the Dockerfile (.odpm/templates) can install it",
}
_FOLDERS = {
    "build.d": "the image is not built by scripts; a template of the Dockerfile (.odpm/templates) can run them",
    "entrypoint.d": "nothing of it runs at the start; hooks run before and after inv up",
    "ssh": "keys stay out of the project; an ssh agent, or PATH_TO_SSH_KEY in .env",
    "shell-scripts": "scripts for Odoo's shell stay yours to run",
}


@dataclass
class _Project:
    """The texts of a project while they are read, and what was found of the whole."""

    texts: Mapping[str, str]
    names: tuple[str, ...]
    env: Mapping[str, str]
    left: list[str] = field(default_factory=list)
    arguments: dict[str, str] = field(default_factory=dict)
    postgres: str = ""


def convert(texts: Mapping[str, str], names: tuple[str, ...], env: Mapping[str, str], odoo: str = "") -> Conversion:
    """The stack of a project.

    `texts` by path from its folder: those of `ROOT_FILES`, of DEPENDENCIES and CONF that exist. `names`: every file below
    CUSTOM that is no checkout. `env`: what `.env` sets. `odoo` counts instead of the project's version where given.
    """
    project = _Project(texts, names, env)
    _compose(project)
    answers = _mapping(project, ANSWERS)
    odoo = odoo or _version(project, answers)
    reading = (
        git_aggregator.read(texts[REPOS], REPOS)
        if texts.get(REPOS, "").strip()
        else git_aggregator.RepositoriesFile(REPOS)
    )
    used = _addons(project, reading)
    if not any(_is_odoo(source) for source in reading.sources):
        reading.sources.insert(
            0, RepositoryEntry("odoo", variables(project.arguments.get(_PATTERN_ODOO, _OCA[_PATTERN_ODOO])))
        )
    asked, odd = requirements(texts.get(f"{DEPENDENCIES}pip.txt", "").splitlines(), f"{DEPENDENCIES}pip.txt")
    debian, none = packages(texts.get(f"{DEPENDENCIES}apt.txt", ""), f"{DEPENDENCIES}apt.txt")
    project.left += [*odd, *none]
    language = str(answers.get("odoo_initial_lang") or "")
    stack = ProjectDraft(
        odoo=odoo,
        postgres=project.postgres or _postgres(str(answers.get("postgres_version") or env.get("DB_VERSION", ""))),
        requirements=tuple(asked),
        system_packages=tuple(debian),
        language="" if language == "en_US" or not re.fullmatch(r"[a-z]{2,3}_[A-Z]{2}", language) else language,
        odoo_conf=_options(project),
    )
    _files(project)
    if not odoo and (found := git_aggregator.version(reading.sources)):
        stack = replace(stack, odoo=found)
    taken = git_aggregator.finished(reading, stack, project.left)
    idle = [source.name for source in reading.taken if used is not None and source.name not in {*used, "odoo"}]
    lines = (f"{ADDONS}: enables no add-on of {name}; it is a dependency all the same" for name in idle)
    return conversion(taken.stack, [*taken.left_over, *lines])


def _is_odoo(source: RepositoryEntry) -> bool:
    return source.name == "odoo"


def _version(project: _Project, answers: Mapping[str, Any]) -> str:
    """The Odoo version: of the image's build, of `.env`, of copier's answers; empty where none of them is one."""
    env = project.env
    candidates = (project.arguments.get(VERSION), env.get(VERSION), env.get("ODOO_MINOR"), answers.get("odoo_version"))
    for candidate in candidates:
        text = f"{candidate:.1f}" if isinstance(candidate, (int, float)) else str(candidate or "")
        if re.fullmatch(SERIES, text):
            return text
    return ""


def _compose(project: _Project) -> None:
    """Build arguments and the database's version; services and settings that odpm does not take over are left over."""
    settings: list[str] = []
    for name in COMPOSE:
        services = _map(_mapping(project, name).get("services"))
        others = [str(key) for key in services if key not in ("odoo", "db")]
        if others:
            project.left.append(
                f"{name}: services {', '.join(others)}: write those you need into `services` (--schema 2)"
            )
        odoo, db = _map(services.get("odoo")), _map(services.get("db"))
        for key, value in _pairs(_map(odoo.get("build")).get("args")).items():
            project.arguments.setdefault(key, _known(value, project.env))
        settings += [key for key in _pairs(odoo.get("environment")) if key not in settings]
        image = _known(str(db.get("image") or ""), project.env)
        project.postgres = project.postgres or _postgres(image.rpartition(":")[2] if "postgres" in image else "")
    project.postgres = project.postgres or _postgres(project.arguments.get("DB_VERSION", ""))
    if settings:
        project.left.append(
            f"environment of odoo in the compose files ({', '.join(settings)}): options of Odoo go into odoo_conf, "
            "the database's name and access are odpm's"
        )


def _postgres(text: str) -> str:
    found = re.match(r"\d{1,2}(\.\d{1,2})?(?=$|[-.])", text)
    return found[0] if found else ""


def _known(value: str, env: Mapping[str, str]) -> str:
    """A value of a compose file with what `.env` gives; its variables as they are where that is not enough."""
    value = variables(value)
    try:
        return expand(value, env.get, "")
    except DescriptionError:
        return value


def _addons(project: _Project, reading: git_aggregator.RepositoriesFile) -> set[str] | None:
    """Repositories that only addons.yaml names, and what its choice of add-ons meant.

    The repositories it names in all; None where there is no such file.
    """
    if not project.texts.get(ADDONS, "").strip():
        return None
    named = {source.name: source for source in reading.sources}
    used: set[str] = set()
    for number, document in enumerate(git_aggregator.load(project.texts[ADDONS], ADDONS), start=1):
        if document is None:
            continue
        if not isinstance(document, Mapping):
            project.left.append(f"{ADDONS}: document {number}: is no map of repositories")
            continue
        env = {str(key): str(value) for key, value in _pairs(document.get("ENV")).items()}
        only = document.get("ONLY")
        if isinstance(only, Mapping):
            limits = ", ".join(f"{key}: {_spelled(value)}" for key, value in only.items())
            project.left.append(
                f"{ADDONS}: document {number}, ONLY {limits}: the add-ons of a repository are there in every scenario"
            )
        if address := env.pop(_PATTERN_ODOO, ""):
            source = RepositoryEntry("odoo", *_remote(project, address, env.get(VERSION, "")))
            if named.setdefault("odoo", source) is source:
                reading.sources.insert(0, source)
        for key, globs in document.items():
            name = str(key)
            if name in ("ENV", "ONLY"):
                continue
            used.add(name)
            _selection(project, name, globs)
            if name in ("private", "odoo/addons"):
                continue
            made = _by_pattern(project, name, env)
            if name not in named:
                named[name] = made
                reading.sources.append(made)
            elif env and named[name] != made:
                project.left.append(
                    f"{ADDONS}: document {number}: {name}: ENV asks for another address or branch than before"
                )
        for key in env:
            if key not in (_PATTERN, VERSION):
                project.left.append(f"{ADDONS}: document {number}: ENV {key}: has no meaning here")
    return used


def _by_pattern(project: _Project, name: str, env: Mapping[str, str]) -> RepositoryEntry:
    """A repository that repos.yaml does not name, as doodba would make it."""
    pattern = env.get(_PATTERN) or project.arguments.get(_PATTERN) or _OCA[_PATTERN]
    return RepositoryEntry(name, *_remote(project, variables(pattern).replace("{}", name), env.get(VERSION, "")))


def _remote(project: _Project, address: str, ref: str) -> tuple[str, str, str]:
    url, secret = read_url(variables(address))
    branch, commit, odd = read_ref(variables(ref))
    project.left += [f"{ADDONS}: {reason}" for reason in (secret, odd) if reason]
    return url, branch, commit


def _selection(project: _Project, name: str, globs: Any) -> None:
    chosen = [str(glob) for glob in globs] if isinstance(globs, list) else [str(globs)] if globs else []
    if chosen and "*" not in chosen:
        project.left.append(
            f"{ADDONS}: {name}: the choice of {shown(', '.join(chosen))}: every add-on of a repository can be installed"
        )


def _options(project: _Project) -> dict[str, dict[str, str]]:
    """The sections of all files in conf.d, a later file over an earlier one."""
    merged: dict[str, dict[str, str]] = {}
    for path in sorted(path for path in project.texts if path.startswith(CONF)):
        parser = configparser.RawConfigParser()
        try:
            parser.read_string(project.texts[path], path)
        except configparser.Error as error:
            project.left.append(f"{path}: cannot be read: {shown(str(error))}")
            continue
        sections = {
            section: {key: " ".join(variables(value).split()) for key, value in parser.items(section) if value}
            for section in parser.sections()
        }
        options, odd = conf(sections, path)
        project.left += odd
        for section, values in options.items():
            merged.setdefault(section, {}).update(values)
    return merged


def _files(project: _Project) -> None:
    """What lies in the project's other places."""
    for name, reason in _LISTS.items():
        path = f"{DEPENDENCIES}{name}.txt"
        lines = [line.split("#")[0].strip() for line in project.texts.get(path, "").splitlines()]
        if any(lines):
            project.left.append(f"{path}: {shown(', '.join(filter(None, lines)))}: {reason}")
    known = [f"{DEPENDENCIES}{name}.txt" for name in ("pip", "apt", *_LISTS)]
    for path in project.names:
        if path.startswith(DEPENDENCIES) and path not in known and project.texts.get(path, "").strip():
            project.left.append(f"{path}: is no list of packages that is known here")
    for folder, reason in _FOLDERS.items():
        place = f"{CUSTOM}{folder}/"
        files = sorted(path.removeprefix(place) for path in project.names if path.startswith(place))
        if files := [name for name in files if not name.startswith(".") and name != "known_hosts"]:
            project.left.append(f"{place.rstrip('/')}: {shown(', '.join(files))}: {reason}")
    modules = sorted({path.removeprefix(PRIVATE).split("/")[0] for path in project.names if _is_manifest(path)})
    if modules:
        count = f"{len(modules)} add-on{'' if len(modules) == 1 else 's'}"
        project.left.append(
            f"{PRIVATE.rstrip('/')}: {count}: add-ons are found in the root or one folder below; "
            f"git mv {PRIVATE.rstrip('/')} addons"
        )
    steps = re.findall(r"(?im)^\s*(?!FROM|ARG|LABEL|MAINTAINER)([A-Z]+)\s", project.texts.get(DOCKERFILE, ""))
    if steps:
        words = ", ".join(dict.fromkeys(step.upper() for step in steps))
        project.left.append(
            f"{DOCKERFILE}: {words}: odpm makes its own; a template of it (.odpm/templates) can add to that"
        )


def _is_manifest(path: str) -> bool:
    return path.startswith(PRIVATE) and path.endswith(("/__manifest__.py", "/__openerp__.py"))


def _mapping(project: _Project, path: str) -> Mapping[str, Any]:
    text = project.texts.get(path)
    return _map(git_aggregator.load(text, path)[0]) if text else {}


def _map(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _pairs(value: Any) -> dict[str, str]:
    """Compose's two spellings of the same thing: a map, or a list of NAME=VALUE."""
    if isinstance(value, Mapping):
        return {str(key): "" if below is None else str(below) for key, below in value.items()}
    if isinstance(value, list):
        parts = (str(entry).partition("=") for entry in value)
        return {name: text for name, _, text in parts}
    return {}


def _spelled(value: Any) -> str:
    return " or ".join(str(entry) for entry in value) if isinstance(value, list) else str(value)
