"""The kinds of projects that `init --from` converts: how each is found, read and converted.

A kind with `is_part` describes a part of a project, such as its repositories or its services. Several parts that one folder
contains are converted together. Any other kind describes a whole project.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.converters import compose, odpm4, pip, reading
from odpm_tasks.converters.submodules import read as read_submodules
from odpm_tasks.core.init import compose_file, compose_project, doodba, git_aggregator, odoo_devops_tools, submodules
from odpm_tasks.core.init.conversion import Conversion
from odpm_tasks.core.init.new_project import ProjectDraft
from odpm_tasks.core.init.parts import combined
from odpm_tasks.errors import DescriptionError
from odpm_tasks.project_files import env_file

INI_FILE = "odoo-project.ini"
REPOSITORY_FILES = ("repos.yaml", "repos.yml")


@dataclass(frozen=True)
class ForeignProject:
    """What `--from` names. `path`: a folder or a file. `odoo`: the version of the command line, empty for none.

    `repositories`: answers which repositories have add-ons of the package index.
    """

    path: Path
    odoo: str = ""
    repositories: pip.Repositories = pip.none_known

    @property
    def root(self) -> Path:
        """The folder of the project."""
        return self.path if self.path.is_dir() else self.path.parent

    @property
    def is_here(self) -> bool:
        """Whether the project is in the current folder, where the new one is made."""
        return self.root.resolve() == Path.cwd().resolve()


@dataclass(frozen=True)
class Kind:
    """One kind. `found`: the name of the file in a folder that shows it, empty if there is none. `reads`: whether a file
    with that name, which `--from` names by path, is of this kind."""

    name: str
    found: Callable[[Path], str]
    convert: Callable[[ForeignProject], Conversion]
    reads: Callable[[str], bool] = lambda name: False
    is_part: bool = False


@dataclass(frozen=True)
class Converted:
    """A conversion, the kinds that were converted, and those that were found and not converted."""

    conversion: Conversion
    used: tuple[Kind, ...] = ()
    unused: tuple[Kind, ...] = ()

    def summary(self, source: str) -> tuple[str, ...]:
        """Lines for the user: what was converted, and how to convert what was not."""
        lines = [f"from {source}: {', '.join(one.name for one in self.used)}"] if self.used else []
        for one in self.unused:
            lines.append(f"  not read: {one.name}; --from {one.name}:PATH converts it alone")
        return tuple(lines)


def _first(*names: str) -> Callable[[Path], str]:
    return lambda root: next((name for name in names if (root / name).is_file()), "")


def _repository_file(root: Path) -> str:
    """The name of the file of git-aggregator; empty if all of its lines are comments."""
    name = _first(*REPOSITORY_FILES)(root)
    try:
        lines = (reading.text(root, name) or "").splitlines() if name else ()
    except DescriptionError:
        return name  # the conversion reports it
    return name if any(line.strip() and not line.lstrip().startswith("#") for line in lines) else ""


def _doodba(source: ForeignProject) -> Conversion:
    root = source.root
    own = [path for path in (root / doodba.CUSTOM).glob("*/**/*") if "src" not in path.relative_to(root).parts[2:3]]
    folders = [path for path in sorted((root / doodba.SOURCES).glob("*")) if not (path / ".git").exists()]
    manifests = [path for folder in folders for path in folder.glob("*/__*__.py")]
    names = tuple(sorted(str(path.relative_to(root)) for path in (*own, *manifests) if path.is_file()))
    to_read = (name for name in names if name.startswith((doodba.DEPENDENCIES, doodba.CONF)))
    texts = reading.texts(root, (doodba.REPOS, doodba.ADDONS))
    unreadable: dict[str, str] = {}
    for name in (*doodba.ROOT_FILES, *to_read):
        try:
            texts |= reading.texts(root, [name])
        except DescriptionError as error:
            unreadable[name] = error.what
    try:
        env = env_file(root / ".env")
    except DescriptionError as error:
        env, unreadable[".env"] = {}, error.what
    return doodba.convert(doodba.DoodbaFiles(texts, names, env, unreadable), source.odoo)


def _git_aggregator(source: ForeignProject) -> Conversion:
    name = _file(source, *REPOSITORY_FILES)
    text = reading.text(source.root, name) or ""
    return git_aggregator.convert(text, name, source.odoo, env_file(source.root / ".env"))


def _odoo_devops_tools(source: ForeignProject) -> Conversion:
    name = _file(source, INI_FILE)
    text = reading.text(source.root, name) or ""

    def read_file(path: str) -> str | None:
        """A file that the user's own file names, which may be beside the project."""
        return reading.text((source.root / path).parent, Path(path).name)

    return odoo_devops_tools.convert(text, name, source.odoo, here=source.is_here, read_file=read_file)


def _submodules(source: ForeignProject) -> Conversion:
    has_image = bool(compose.is_odoo_project(source.root)) or pip.is_odoo_project(source.root)
    return submodules.convert(read_submodules(source.root, has_platform_image=has_image), source.odoo)


def _compose(source: ForeignProject) -> Conversion:
    return compose_project.convert(compose.read(source.root, _file(source, *compose_file.FILES)), source.odoo)


def _pip(source: ForeignProject) -> Conversion:
    first = [source.path.name] if source.path.is_file() else pip.names(source.root)
    return pip.convert(source.root, first, source.odoo, source.repositories)


def _file(source: ForeignProject, *names: str) -> str:
    """The name of the file that `--from` names, or the first of these that exists in the folder."""
    return source.path.name if source.path.is_file() else _first(*names)(source.path)


def _is_compose(name: str) -> bool:
    return bool(re.fullmatch(r"(docker-)?compose[\w.-]*\.ya?ml", name))


def _is_repositories(name: str) -> bool:
    return name.endswith((".yaml", ".yml")) and not _is_compose(name)


def _is_requirements(name: str) -> bool:
    return name.endswith((".txt", ".txt.in", ".toml"))


def _requirements(root: Path) -> str:
    """The first file with requirements, if they name Odoo or add-ons."""
    return next(iter(pip.names(root)), "") if pip.is_odoo_project(root) else ""


KINDS = (
    Kind("doodba", _first(doodba.REPOS, doodba.ADDONS), _doodba),
    Kind("odoo-devops-tools", _first(INI_FILE), _odoo_devops_tools, lambda name: name.endswith(".ini")),
    Kind("git-aggregator", _repository_file, _git_aggregator, _is_repositories, is_part=True),
    Kind("submodules", _first(submodules.FILE), _submodules, is_part=True),
    Kind("compose", compose.is_odoo_project, _compose, _is_compose, is_part=True),
    Kind("pip", _requirements, _pip, _is_requirements, is_part=True),
)


def convert(source: str, odoo: str, repositories: pip.Repositories = pip.none_known) -> Converted:
    """Convert the project of another tool; `odoo` replaces its version if not empty. No source gives an empty draft.

    `source`: PATH, KIND or KIND:PATH. Without a kind, the parts of the project are converted together, or the first kind of
    a whole project. Errors: DescriptionError if nothing is found at `source`, or if it cannot be read.
    """
    if not source:
        return Converted(Conversion(ProjectDraft()))
    kind, path = _parsed(source)
    found = [one for one in KINDS if _is_at(one, path)]
    chosen = [kind] if kind else _default(found, path)
    if not chosen or (kind and kind not in found):
        names = ", ".join([odpm4.KIND, *(one.name for one in KINDS)])
        raise DescriptionError(
            _nothing(path, kind, found),
            where=str(path),
            todo=f"use --from PATH, or --from KIND:PATH with one of the kinds {names}",
        )
    request = ForeignProject(path, odoo, repositories)
    conversion = combined([one.convert(request) for one in chosen])
    return Converted(conversion, tuple(chosen), tuple(one for one in found if one not in chosen))


def _parsed(source: str) -> tuple[Kind | None, Path]:
    """The kind, if `source` begins with one, and the path. An existing file or folder of that name is a path."""
    path = Path(source).expanduser()
    if path.exists() or path.is_symlink():
        return None, path
    word, _, rest = source.partition(":")
    kind = next((one for one in KINDS if one.name == word), None)
    if kind is None:
        return None, path
    return kind, Path(rest or ".").expanduser()


def _is_at(kind: Kind, path: Path) -> bool:
    if path.is_dir():
        return bool(kind.found(path))
    return path.is_file() and kind.reads(path.name)


def _default(found: list[Kind], path: Path) -> list[Kind]:
    """The first whole project, otherwise all parts, with the Python requirements of the folder."""
    whole = [one for one in found if not one.is_part]
    if whole or not found or not pip.names(path):
        return whole[:1] or found
    return [one for one in KINDS if one in found or one.convert is _pip]


def _nothing(path: Path, kind: Kind | None, found: list[Kind]) -> str:
    if not path.exists():
        return "no such file or folder"
    if kind is None:
        return "no project of a supported tool found"
    others = f"; found: {', '.join(one.name for one in found)}" if found else ""
    return f"no {kind.name} project found{others}"
