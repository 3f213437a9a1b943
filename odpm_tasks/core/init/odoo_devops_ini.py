"""Reads an `odoo-project.ini` of odoo-devops-tools with the files that its `[include]` names.

The rules, from its documentation: a path is relative to the file that names it; included files are read first, so that the
file overrides them; `?` in front of a path makes it optional.
"""

from __future__ import annotations

import configparser
import posixpath
import re
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field

from odpm_tasks.core.init.conversion import excerpt
from odpm_tasks.core.manifest.fields import SERIES
from odpm_tasks.errors import DescriptionError

ReadFile = Callable[[str], str | None]
"""The text of a file by its path relative to the project; None if it does not exist."""

# the folders of its workspace, relative to the project
FOLDERS = {
    "ini_dir": ".",
    "root_dir": ".",
    "odoo_dir": "./odoo",
    "addons_dir": "./odoo-addons",
    "backups_dir": "./odoo-backups",
    "configs_dir": "./odoo-configs",
    "config_path": "./odoo-configs/odoo-server.conf",
    "scripts_dir": "./odoo-scripts",
    "venv_python": "./venv/bin/python",
}


class _Interpolation(configparser.ExtendedInterpolation):
    r"""Resolves `${section:option}`; `\${section:option}` stays as it is, without the backslash."""

    def before_get(
        self,
        parser: MutableMapping[str, Mapping[str, str]],
        section: str,
        option: str,
        value: str,
        defaults: Mapping[str, str],
    ) -> str:
        escaped = value.replace(r"\${", "\0")
        return super().before_get(parser, section, option, escaped, defaults).replace("\0", "${")


class _Parser(configparser.ConfigParser):
    """Keeps the case of options."""

    def __init__(self, interpolation: configparser.Interpolation | None) -> None:
        super().__init__(interpolation=interpolation)

    def optionxform(self, optionstr: str) -> str:
        return optionstr


@dataclass
class IniProject:
    """The merged sections. `series`: the last Odoo version that a file names, as version or branch; empty if none does.

    `files`: the names of the files in the order in which they were read, the named one last.
    """

    where: str
    parser: configparser.ConfigParser
    series: str = ""
    series_file: str = ""
    files: list[str] = field(default_factory=list)

    @property
    def sections(self) -> list[str]:
        return self.parser.sections()

    def get(self, section: str, option: str) -> str:
        """The value, empty if it is not set. Errors: DescriptionError for a reference that cannot be resolved."""
        try:
            return self.parser.get(section, option, fallback="").strip()
        except configparser.InterpolationError as error:
            raise DescriptionError(
                f"a reference cannot be resolved: {excerpt(str(error))}",
                where=f"[{section}] {option}",
                todo="fix it; a dollar sign is written as $$",
            ) from None

    def options(self, section: str) -> list[str]:
        """The options that the section itself sets."""
        known = self.parser.options(section) if self.parser.has_section(section) else []
        return [option for option in known if option not in FOLDERS]


def read(text: str, where: str, read_file: ReadFile) -> IniProject:
    """Read a file and those that it includes.

    Errors: DescriptionError if one is not an INI file, is missing or includes itself, or if there is no section [odoo].
    """
    project = IniProject(where, _Parser(_Interpolation()))
    _read(project, text, where, read_file, ())
    if not project.parser.has_section("odoo"):
        raise DescriptionError(
            f"{where} has no section [odoo]",
            where=where,
            todo="use an odoo-project.ini of odoo-devops-tools with --from",
        )
    project.parser["DEFAULT"].update(FOLDERS)
    return project


def _read(project: IniProject, text: str, where: str, read_file: ReadFile, chain: tuple[str, ...]) -> None:
    if where in chain:
        raise DescriptionError(
            f"{where} includes itself", where=" -> ".join((*chain, where)), todo="remove one of the includes"
        )
    if where in project.files:
        return
    layer = _parsed(text, where)
    for path, optional in _includes(layer, where):
        content = read_file(path)
        if content is not None:
            _read(project, content, path, read_file, (*chain, where))
        elif not optional:
            raise DescriptionError(
                f"{path} does not exist",
                where=f"{where}: [include]",
                todo=f"add the file, or write ?{path} if it is optional",
            )
    project.parser.read_string(text, where)
    project.files.append(where)
    for option in ("branch", "version"):
        value = layer.get("odoo", option, fallback="").strip()
        if re.fullmatch(SERIES, value):
            project.series, project.series_file = value, where


def _parsed(text: str, where: str) -> configparser.ConfigParser:
    parser = _Parser(None)
    try:
        parser.read_string(text, where)
    except configparser.Error as error:
        raise DescriptionError(
            f"{where} is not an INI file: {excerpt(str(error))}", where=where, todo="fix it"
        ) from None
    return parser


def _includes(layer: configparser.ConfigParser, where: str) -> Iterator[tuple[str, bool]]:
    """The paths that a file includes, relative to the project, and whether each is optional."""
    for word in re.split(r"[\n,]", layer.get("include", "files", fallback="")):
        path = word.strip()
        optional = path.startswith("?")
        path = path.removeprefix("?").strip()
        for name, folder in FOLDERS.items():
            if path.startswith(f"${{{name}}}"):
                path = path.replace(f"${{{name}}}", folder)
                break
        else:
            path = posixpath.join(posixpath.dirname(where), path) if path else ""
        if path:
            yield posixpath.normpath(path), optional
