"""Converts `odoo-project.ini` of odoo-devops-tools (odoo-compose, odt-env).

The sections, from its documentation: `[include]`, `[vars]`, `[virtualenv]`, `[odoo]`, `[addons.NAME]`, `[docker]`,
`[docker.share.NAME]`, `[config]`. `${section:option}` is resolved when the file is read: the value is converted, not the
reference. So are the variables for folders of its workspace, such as `${ini_dir}`; they become relative paths.
"""

from __future__ import annotations

import json
import posixpath
import re
from dataclasses import dataclass, field
from shlex import quote

from odpm_tasks.core.init.conversion import (
    Conversion,
    RepositoryEntry,
    conf,
    conversion,
    excerpt,
    excerpt_url,
    literal,
    read_ref,
    read_url,
    refused,
)
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.init.odoo_devops_ini import IniProject, ReadFile, read
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.init.requirements import requirements
from odpm_tasks.core.manifest.model import PLATFORM
from odpm_tasks.errors import DescriptionError

_DOCKER = {
    "base_image": "odpm uses the base image of Python",
    "compose_project_name": "set ODPM_COMPOSE_PREFIX in .env",
    "mailpit_enabled": "developer has a mail catcher: inv open mail",
    "odoo_cpus": 'set "cpus" in service_patches.odoo',
    "db_cpus": 'set "cpus" in service_patches.db',
    "odoo_mem_limit": 'set "mem_limit" in service_patches.odoo',
    "db_mem_limit": 'set "mem_limit" in service_patches.db',
}
_USUAL = (("db_service", "db"), ("odoo_service", "odoo"), ("odoo_source", "image"), ("odoo_source", "workspace"))
_NO = r"(?i)false|no|off|0"


@dataclass
class _State:
    """The merged sections, whether the project is in the current folder, and the results so far."""

    project: IniProject
    read_file: ReadFile
    here: bool
    version: str
    dependencies: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)

    @property
    def where(self) -> str:
        return self.project.where

    def get(self, section: str, option: str) -> str:
        return self.project.get(section, option)


def convert(
    text: str, where: str, odoo: str = "", *, here: bool = True, read_file: ReadFile = lambda name: None
) -> Conversion:
    """Convert a file.

    `odoo`: replaces the version of the file. `here`: the file is in the folder of the new project. `read_file`: reads the
    files that it includes. Errors: DescriptionError if it is not such a file, or if one that it includes cannot be read.
    """
    project = read(text, where, read_file)
    state = _State(project, read_file, here, project.get("odoo", "version") or _version(project))
    platform = _platform(state)
    for section in project.sections:
        if section.startswith("addons."):
            state.dependencies.append(_addons(state, section))
    kept = _requirements(state)
    ignored = _virtualenv(state)
    postgres = _docker(state)
    options, problems = conf({"options": _config(state)}, f"{where}: config")
    state.skipped += problems
    known = ("include", "vars", "virtualenv", "odoo", "docker", "config")
    state.skipped += [
        f"{where}: [{name}]: unknown section"
        for name in project.sections
        if name not in known and not name.startswith(("addons.", "docker.share."))
    ]
    draft = ProjectDraft(
        odoo=odoo or state.version,
        platform=platform,
        python=state.get("virtualenv", "python_version"),
        postgres=postgres,
        dependencies=tuple(dict.fromkeys(filter(None, state.dependencies))),
        requirements=tuple(kept),
        requirements_ignore=tuple(ignored),
        odoo_conf=options,
    )
    if not odoo and project.series_file != where and draft.odoo == project.series:
        state.skipped.append(note(f"{where}: the Odoo version {draft.odoo} is that of {project.series_file}"))
    return conversion(draft, state.skipped)


def _version(project: IniProject) -> str:
    """The version of a file without one: the branch of Odoo, otherwise that of the last included file that names one."""
    branch = project.get("odoo", "branch")
    return branch if re.fullmatch(r"\d{1,2}\.\d", branch) else project.series


def _config(state: _State) -> dict[str, str]:
    """The options of Odoo; `$` is literal in them. The folders of `addons_path` are not among them."""
    options: dict[str, str] = {}
    for key in state.project.options("config"):
        value = " ".join(state.get("config", key).split())
        if key == "addons_path":
            for path in filter(None, (part.strip() for part in value.split(","))):
                state.dependencies.append(_local(state, path, f"{state.where}: config: addons_path"))
        elif value.startswith("./") and key not in ("data_dir", "logfile", "pidfile"):
            state.skipped.append(action(f"{state.where}: config: {key}: {value} does not exist in the container"))
        elif value:
            options[key] = literal(value)
    return options


def _platform(state: _State) -> str:
    """The link of the platform; empty for the repository of Odoo at the version of the file."""
    path = state.get("odoo", "path")
    if path and not path.startswith("/"):
        state.skipped.append(
            action(f"{state.where}: [odoo]: path {path}: use file:///ABSOLUTE/PATH as the link of the platform")
        )
        return ""
    if path:
        return _local(state, path, f"{state.where}: [odoo]")
    link = _link(state, "odoo", state.get("odoo", "repo") or PLATFORM)
    return "" if link == PLATFORM else link


def _addons(state: _State, section: str) -> str:
    if path := state.get(section, "path"):
        return _local(state, path, f"{state.where}: [{section}]")
    url = state.get(section, "repo")
    if not url:
        state.skipped.append(f"{state.where}: [{section}]: has neither repo nor path")
        return ""
    return _link(state, section, url)


def _link(state: _State, section: str, repo: str) -> str:
    """The link of a section, without a branch that equals the Odoo version, so that the link follows the version."""
    here = f"{state.where}: [{section}]"
    url, warning = read_url(repo)
    state.skipped += [action(f"{here}: {warning}")] if warning else []
    branch = state.get(section, "branch")
    word = state.get(section, "commit")
    _, commit, problem = read_ref(word)
    if word and not commit:
        state.skipped.append(f"{here}: {problem or f'{excerpt(word)} is not a commit'}")
    shallow = state.get(section, "shallow") or state.get(section, "shallow_clone")
    if re.fullmatch(_NO, shallow):
        state.skipped.append(note(f"{here}: shallow: odpm fetches only the commits it needs"))
    source = RepositoryEntry(section, url, "" if branch == state.version else branch, commit)
    try:
        return source.link(state.version)
    except DescriptionError as error:
        state.skipped.append(f"{here}: {excerpt_url(url)}: {refused(error)}")
        return ""


def _local(state: _State, path: str, place: str) -> str:
    """The `file://` link of a folder on this machine; empty for a folder inside the project, which needs no link."""
    if path.startswith("/"):
        try:
            return RepositoryEntry("", f"file://{posixpath.normpath(path)}").link("")
        except DescriptionError as error:
            state.skipped.append(f"{place}: path {path}: {refused(error)}")
            return ""
    path = posixpath.normpath(path)
    parts = [part for part in path.split("/") if part != "."]
    if parts[:1] == [".."] or not state.here:
        state.skipped.append(
            action(f"{place}: path {path}: is outside the project; add file:///ABSOLUTE/PATH to the dependencies")
        )
    elif len(parts) > 1:
        state.skipped.append(
            action(
                f"{place}: path {path}: odpm finds add-ons in the root and one folder below; git mv {quote(path)} {quote(parts[-1])}"
            )
        )
    return ""


def _requirements(state: _State) -> list[str]:
    """The requirements, with those of the files that `-r` names in a folder of the project."""
    where = f"{state.where}: requirements"
    kept: list[str] = []
    for line in state.get("virtualenv", "requirements").splitlines():
        found = re.fullmatch(r"(?:-r|--requirement)[ =]?\s*(\S+)", line.strip())
        path = posixpath.normpath(found[1]) if found else ""
        text = None if not path or path.startswith(("/", "..")) else state.read_file(path)
        lines, skipped = requirements([line], where) if text is None else requirements(text.splitlines(), path)
        kept += lines
        state.skipped += skipped
    return list(dict.fromkeys(kept))


def _virtualenv(state: _State) -> list[str]:
    """Report what is not converted. Returns the names of `requirements_ignore`."""
    where = state.where
    for option, reason in (
        ("constraints", "odpm has no constraints; add the package itself to the requirements"),
        ("build_constraints", "odpm builds packages in the image"),
    ):
        if value := state.get("virtualenv", option):
            text = f"{where}: {option} {excerpt(', '.join(value.split(chr(10))).strip(', '))}: {reason}"
            state.skipped.append(Remark(text) if option == "constraints" else note(text))
    if re.fullmatch(_NO, state.get("virtualenv", "managed_python")):
        state.skipped.append(note(f"{where}: managed_python: the image contains Python"))
    names = re.split(r"[\s,]+", state.get("virtualenv", "requirements_ignore"))
    for name in names:
        if name and not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
            state.skipped.append(f"{where}: requirements_ignore: {excerpt(name)} is not the name of a package")
    return [name for name in dict.fromkeys(names) if re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name)]


def _docker(state: _State) -> str:
    """Report the settings of Docker. Returns the PostgreSQL version, empty if it is not set."""
    postgres = state.get("docker", "postgres_version")
    for option in state.project.options("docker"):
        value = state.get("docker", option)
        usual = value == f"odoo:{state.version}" or (option, value) in _USUAL or option == "postgres_version"
        if not value or usual or (option == "mailpit_enabled" and re.fullmatch(_NO, value)):
            continue
        reason = _DOCKER.get(option)
        text = f"{state.where}: docker.{option} {excerpt(value)}: {reason or 'odpm generates its own compose file'}"
        state.skipped.append(
            Remark(text) if option == "base_image" else action(text) if reason else note(text),
        )
    for section in state.project.sections:
        if section.startswith("docker.share."):
            mount = json.dumps(f"{state.get(section, 'source')}:{state.get(section, 'target')}")
            state.skipped.append(
                action(f"{state.where}: [{section}]: add {mount} to service_patches.odoo.volumes (nested format)")
            )
    return postgres if re.fullmatch(r"\d{1,2}(\.\d{1,2})?", postgres) else ""
