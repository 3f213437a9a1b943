"""Converts `odoo-project.ini` of odoo-devops-tools (odt-env, odoo-compose).

The sections, from its documentation: `[vars]`, `[virtualenv]`, `[odoo]`, `[addons.NAME]`, `[docker]`, `[config]`.
`${section:option}` is resolved when the file is read: the value is converted, not the reference.
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
    excerpt,
    excerpt_url,
    literal,
    read_ref,
    read_url,
    refused,
    requirements,
)
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.manifest.model import PLATFORM
from odpm_tasks.errors import DescriptionError

_LISTS = {
    "constraints": "odpm has no constraints; add the package itself to the requirements",
    "build_constraints": "odpm builds packages in the image",
    "requirements_ignore": "odpm ignores no requirement; one in odpm.json overrides all others of that name",
}
_DOCKER = {
    "base_image": "odpm uses the base image of Python",
    "compose_project_name": "set ODPM_COMPOSE_PREFIX in .env",
}


def convert(text: str, where: str, odoo: str = "", *, here: bool = True) -> Conversion:
    """Convert a file. `odoo`: replaces the version of the file. `here`: the file is in the folder of the new project.

    Errors: DescriptionError if it is not such a file.
    """
    parser = _parsed(text, where)
    skipped: list[str] = []
    file_version = _get(parser, "odoo", "version")
    platform = _platform(parser, where, file_version, skipped, here)
    dependencies = [
        link
        for section in parser.sections()
        if section.startswith("addons.") and (link := _addons(parser, section, where, file_version, skipped, here))
    ]
    kept, bad_requirements = requirements(
        _get(parser, "virtualenv", "requirements").splitlines(), f"{where}: requirements"
    )
    skipped += bad_requirements
    _virtualenv(parser, where, skipped)
    _docker(parser, where, skipped)
    options, problems = conf({"options": _config(parser)}, f"{where}: config")
    skipped += problems
    known = ("vars", "virtualenv", "odoo", "docker", "config")
    skipped += [
        f"{where}: [{name}]: unknown section"
        for name in parser.sections()
        if name not in known and not name.startswith("addons.")
    ]
    draft = ProjectDraft(
        odoo=odoo or file_version,
        platform=platform,
        python=_get(parser, "virtualenv", "python_version"),
        dependencies=tuple(dict.fromkeys(dependencies)),
        requirements=tuple(kept),
        odoo_conf=options,
    )
    return conversion(draft, skipped)


class _Parser(configparser.ConfigParser):
    """Resolves `${section:option}` and keeps the case of options."""

    def __init__(self) -> None:
        super().__init__(interpolation=configparser.ExtendedInterpolation())

    def optionxform(self, optionstr: str) -> str:
        return optionstr


def _parsed(text: str, where: str) -> configparser.ConfigParser:
    parser = _Parser()
    try:
        parser.read_string(text, where)
    except configparser.Error as error:
        raise DescriptionError(
            f"{where} is not an INI file: {excerpt(str(error))}", where=where, todo="fix it"
        ) from None
    if not parser.has_section("odoo"):
        raise DescriptionError(
            f"{where} has no section [odoo]",
            where=where,
            todo="use an odoo-project.ini of odoo-devops-tools with --from",
        )
    return parser


def _get(parser: configparser.ConfigParser, section: str, option: str) -> str:
    try:
        return parser.get(section, option, fallback="").strip()
    except configparser.InterpolationError as error:
        raise DescriptionError(
            f"a reference cannot be resolved: {excerpt(str(error))}", where=f"[{section}] {option}", todo="fix it"
        ) from None


def _config(parser: configparser.ConfigParser) -> dict[str, str]:
    """The options of Odoo; `$` is literal in them."""
    if not parser.has_section("config"):
        return {}
    pairs = ((key, _get(parser, "config", key)) for key in parser.options("config"))
    return {key: literal(" ".join(value.split())) for key, value in pairs if value}


def _platform(parser: configparser.ConfigParser, where: str, version: str, skipped: list[str], here: bool) -> str:
    """The link of the platform; empty for the repository of Odoo at the version of the file."""
    path = _get(parser, "odoo", "path")
    if path and not path.startswith("/"):
        skipped.append(f"{where}: [odoo]: path {path}: use file:///ABSOLUTE/PATH as the link of the platform")
        return ""
    if path:
        return _local(path, f"{where}: [odoo]", skipped, here)
    link = _link(parser, "odoo", where, version, skipped, _get(parser, "odoo", "repo") or PLATFORM)
    return "" if link == PLATFORM else link


def _addons(
    parser: configparser.ConfigParser, section: str, where: str, version: str, skipped: list[str], here: bool
) -> str:
    if path := _get(parser, section, "path"):
        return _local(path, f"{where}: [{section}]", skipped, here)
    url = _get(parser, section, "repo")
    if not url:
        skipped.append(f"{where}: [{section}]: has neither repo nor path")
        return ""
    return _link(parser, section, where, version, skipped, url)


def _link(
    parser: configparser.ConfigParser, section: str, where: str, version: str, skipped: list[str], repo: str
) -> str:
    """The link of a section, without a branch that equals the Odoo version, so that the link follows the version."""
    here = f"{where}: [{section}]"
    url, warning = read_url(repo)
    skipped += [f"{here}: {warning}"] if warning else []
    branch = _get(parser, section, "branch")
    word = _get(parser, section, "commit")
    _, commit, problem = read_ref(word)
    if word and not commit:
        skipped.append(f"{here}: {problem or f'{excerpt(word)} is not a commit'}")
    if _get(parser, section, "shallow").lower() in ("false", "no", "off", "0"):
        skipped.append(f"{here}: shallow: odpm fetches only the commits it needs")
    source = RepositoryEntry(section, url, "" if branch == version else branch, commit)
    try:
        return source.link(version)
    except DescriptionError as error:
        skipped.append(f"{here}: {excerpt_url(url)}: {refused(error)}")
        return ""


def _local(path: str, place: str, skipped: list[str], here: bool) -> str:
    """The `file://` link of a folder on this machine; empty for a folder inside the project, which needs no link."""
    if path.startswith("/"):
        try:
            return RepositoryEntry("", f"file://{posixpath.normpath(path)}").link("")
        except DescriptionError as error:
            skipped.append(f"{place}: path {path}: {refused(error)}")
            return ""
    parts = [part for part in posixpath.normpath(path).split("/") if part != "."]
    if parts[:1] == [".."] or not here:
        skipped.append(f"{place}: path {path}: is outside the project; add file:///ABSOLUTE/PATH to the dependencies")
    elif len(parts) > 1:
        skipped.append(
            f"{place}: path {path}: odpm finds add-ons in the root and one folder below; git mv {path} {parts[-1]}"
        )
    return ""


def _virtualenv(parser: configparser.ConfigParser, where: str, skipped: list[str]) -> None:
    for option, reason in _LISTS.items():
        if value := _get(parser, "virtualenv", option):
            skipped.append(f"{where}: {option} {excerpt(', '.join(value.split(chr(10))).strip(', '))}: {reason}")
    if re.fullmatch(r"(?i)false|no|off|0", _get(parser, "virtualenv", "managed_python")):
        skipped.append(f"{where}: managed_python: the image contains Python")


def _docker(parser: configparser.ConfigParser, where: str, skipped: list[str]) -> None:
    for option in parser.options("docker") if parser.has_section("docker") else ():
        value = _get(parser, "docker", option)
        if value and value != f"odoo:{_get(parser, 'odoo', 'version')}" and (option, value) not in _USUAL:
            skipped.append(
                f"{where}: docker.{option} {excerpt(value)}: {_DOCKER.get(option, 'odpm generates its own compose file')}"
            )


_USUAL = (("db_service", "db"), ("odoo_service", "odoo"), ("odoo_source", "image"), ("odoo_source", "workspace"))
