"""`odoo-project.ini` of odoo-devops-tools (odt-env, odoo-compose).

Sections, as its documentation describes them: `[vars]`, `[virtualenv]`, `[odoo]`, `[addons.NAME]`, `[docker]`, `[config]`;
`${section:option}` is resolved when the file is read, so what it gives is carried over, not the reference.
"""

from __future__ import annotations

import configparser
import posixpath
import re

from odpm_tasks.core.init.conversion import (
    Conversion,
    RepositoryEntry,
    conf,
    conversion,
    literal,
    read_ref,
    read_url,
    refused,
    requirements,
    shown,
    shown_url,
)
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.manifest.model import PLATFORM
from odpm_tasks.errors import DescriptionError

_LISTS = {
    "constraints": "odpm has no constraints; ask for the package itself in the requirements",
    "build_constraints": "packages are built once, in the image",
    "requirements_ignore": "a requirement of odpm.json wins over all others of that name, none is left out",
}
_DOCKER = {
    "base_image": "odpm builds from Python's image",
    "compose_project_name": "ODPM_COMPOSE_PREFIX in .env",
}


def convert(text: str, where: str, odoo: str = "", *, here: bool = True) -> Conversion:
    """The stack of the file; `odoo` counts instead of its version where given. `here`: it lies in the new project.

    Errors: DescriptionError where it is not such a file.
    """
    parser = _parsed(text, where)
    left: list[str] = []
    version = odoo or _get(parser, "odoo", "version")
    told = _get(parser, "odoo", "version")
    platform = _platform(parser, where, told, left, here)
    dependencies = [
        link
        for section in parser.sections()
        if section.startswith("addons.") and (link := _addons(parser, section, where, told, left, here))
    ]
    asked, odd = requirements(_get(parser, "virtualenv", "requirements").splitlines(), f"{where}: requirements")
    left += odd
    _virtualenv(parser, where, left)
    _docker(parser, where, left)
    options, refusals = conf({"options": _config(parser)}, f"{where}: config")
    left += refusals
    known = ("vars", "virtualenv", "odoo", "docker", "config")
    left += [
        f"{where}: [{name}]: is no section that is known here"
        for name in parser.sections()
        if name not in known and not name.startswith("addons.")
    ]
    stack = ProjectDraft(
        odoo=version,
        platform=platform,
        python=_get(parser, "virtualenv", "python_version"),
        dependencies=tuple(dict.fromkeys(dependencies)),
        requirements=tuple(asked),
        odoo_conf=options,
    )
    return conversion(stack, left)


def _parsed(text: str, where: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(interpolation=configparser.ExtendedInterpolation())
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    try:
        parser.read_string(text, where)
    except configparser.Error as error:
        raise DescriptionError(
            f"{where} is not an INI file: {shown(str(error))}", where=where, todo="correct it"
        ) from None
    if not parser.has_section("odoo"):
        raise DescriptionError(
            f"{where} has no section [odoo]",
            where=where,
            todo="give the odoo-project.ini of odoo-devops-tools to --from",
        )
    return parser


def _get(parser: configparser.ConfigParser, section: str, option: str) -> str:
    try:
        return parser.get(section, option, fallback="").strip()
    except configparser.InterpolationError as error:
        raise DescriptionError(
            f"a reference cannot be resolved: {shown(str(error))}", where=f"[{section}] {option}", todo="correct it"
        ) from None


def _config(parser: configparser.ConfigParser) -> dict[str, str]:
    """Odoo's own options; a `$` in them is a `$`."""
    if not parser.has_section("config"):
        return {}
    pairs = ((key, _get(parser, "config", key)) for key in parser.options("config"))
    return {key: literal(" ".join(value.split())) for key, value in pairs if value}


def _platform(parser: configparser.ConfigParser, where: str, version: str, left: list[str], here: bool) -> str:
    """The link of Odoo; empty for Odoo's own repository at its version."""
    path = _get(parser, "odoo", "path")
    if path and not path.startswith("/"):
        left.append(f"{where}: [odoo]: path {path}: write file:///ABSOLUTE/PATH as the platform's link")
        return ""
    if path:
        return _local(path, f"{where}: [odoo]", left, here)
    link = _link(parser, "odoo", where, version, left, _get(parser, "odoo", "repo") or PLATFORM)
    return "" if link == PLATFORM else link


def _addons(
    parser: configparser.ConfigParser, section: str, where: str, version: str, left: list[str], here: bool
) -> str:
    if path := _get(parser, section, "path"):
        return _local(path, f"{where}: [{section}]", left, here)
    url = _get(parser, section, "repo")
    if not url:
        left.append(f"{where}: [{section}]: has neither repo nor path")
        return ""
    return _link(parser, section, where, version, left, url)


def _link(parser: configparser.ConfigParser, section: str, where: str, version: str, left: list[str], repo: str) -> str:
    """The link of a section; a branch that is the Odoo version is not repeated, so that it moves with it."""
    here = f"{where}: [{section}]"
    url, secret = read_url(repo)
    left += [f"{here}: {secret}"] if secret else []
    branch = _get(parser, section, "branch")
    word = _get(parser, section, "commit")
    _, commit, odd = read_ref(word)
    if word and not commit:
        left.append(f"{here}: {odd or f'commit {shown(word)} is none'}")
    if _get(parser, section, "shallow").lower() in ("false", "no", "off", "0"):
        left.append(f"{here}: shallow: odpm fetches no more than the commits it needs")
    source = RepositoryEntry(section, url, "" if branch == version else branch, commit)
    try:
        return source.link(version)
    except DescriptionError as error:
        left.append(f"{here}: {shown_url(url)}: {refused(error)}")
        return ""


def _local(path: str, place: str, left: list[str], here: bool) -> str:
    """A folder on this machine as a link that is used in place; one inside of the project needs none."""
    if path.startswith("/"):
        try:
            return RepositoryEntry("", f"file://{posixpath.normpath(path)}").link("")
        except DescriptionError as error:
            left.append(f"{place}: path {path}: {refused(error)}")
            return ""
    parts = [part for part in posixpath.normpath(path).split("/") if part != "."]
    if parts[:1] == [".."] or not here:
        left.append(
            f"{place}: path {path}: lies outside of the project; write file:///ABSOLUTE/PATH into the dependencies"
        )
    elif len(parts) > 1:
        left.append(
            f"{place}: path {path}: add-ons are found in the root or one folder below; git mv {path} {parts[-1]}"
        )
    return ""


def _virtualenv(parser: configparser.ConfigParser, where: str, left: list[str]) -> None:
    for option, reason in _LISTS.items():
        if value := _get(parser, "virtualenv", option):
            left.append(f"{where}: {option} {shown(', '.join(value.split(chr(10))).strip(', '))}: {reason}")
    if re.fullmatch(r"(?i)false|no|off|0", _get(parser, "virtualenv", "managed_python")):
        left.append(f"{where}: managed_python: Python comes with the image")


def _docker(parser: configparser.ConfigParser, where: str, left: list[str]) -> None:
    for option in parser.options("docker") if parser.has_section("docker") else ():
        value = _get(parser, "docker", option)
        if value and value != f"odoo:{_get(parser, 'odoo', 'version')}" and (option, value) not in _USUAL:
            left.append(
                f"{where}: docker.{option} {shown(value)}: {_DOCKER.get(option, 'odpm makes its own compose file')}"
            )


_USUAL = (("db_service", "db"), ("odoo_service", "odoo"), ("odoo_source", "image"), ("odoo_source", "workspace"))
