"""Python requirements and Debian packages in the files of other tools."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from odpm_tasks.core.init.conversion import excerpt, read_url
from odpm_tasks.core.init.remarks import Remark, action, note
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.errors import DescriptionError

PYPROJECT = "pyproject.toml"
_RELEASED = ("openupgradelib",)  # in the requirements of every doodba project, from git; its releases are on the index


def requirements(lines: list[str], where: str) -> tuple[list[str], list[str]]:
    """The requirements that a lock can contain, and a remark for each other line. Comments are dropped.

    An address of git becomes `NAME @ git+URL`, with the name of its fragment, otherwise of its repository.
    """
    kept: list[str] = []
    skipped: list[str] = []
    for text in lines:
        line = re.split(r"(?:^|\s)#", text, maxsplit=1)[0].strip()
        if not line:
            continue
        line, remark = _from_git(line, where)
        line, login = _without_login(line, where)
        skipped += [found for found in (remark, login) if found]
        if line.startswith("-"):
            skipped.append(
                action(f"{where}: {excerpt(line)}: a pip option is not a requirement; list the packages themselves")
            )
        elif not line.isprintable():
            skipped.append(Remark(f"{where}: {excerpt(line)}: contains a control character"))
        elif error := f.requirement_error(line):
            shown = re.sub(r"\?\S*", "?…", line)  # a query can contain a secret
            skipped.append(Remark(f"{where}: {f'{excerpt(shown)}: ' if '://' in line else ''}{excerpt(error)}"))
        else:
            kept.append(line)
    return kept, skipped


def _without_login(line: str, where: str) -> tuple[str, Remark | None]:
    """A requirement without a secret in its address, and a remark if there was one."""
    found = re.fullmatch(r"(.*?\bgit\+)(\w+://\S+)(.*)", line)
    url, warning = read_url(found[2]) if found else ("", "")
    if found is None or not warning:
        return line, None
    bare = f"{found[1]}{url}{found[3]}"
    return bare, action(
        f"{where}: {excerpt(bare)}: its login is not copied to a committed file; git's settings can have it"
    )


def _from_git(line: str, where: str) -> tuple[str, Remark | None]:
    """A requirement that is an address of git with the name of its package in front, and a remark if it is guessed."""
    address = re.sub(r"^(-e|--editable)[ =]\s*", "", line)
    if not address.startswith("git+"):
        return line, None
    address, _, fragment = address.partition("#")
    named = re.search(r"(?:^|&)egg=([\w.-]+)", fragment)
    folder = re.search(r"(?:^|&)(subdirectory=[\w./-]+)", fragment)
    path = re.sub(r"^git\+[a-z+]+://[^/]*/", "", address).partition("@")[0]
    name = named[1] if named else path.rpartition("/")[2].removesuffix(".git")
    if name in _RELEASED:
        return name, note(f"{where}: {excerpt(line)}: the newest release of {name} is used")
    found = f"{name} @ {address}#{folder[1]}" if folder else f"{name} @ {address}"
    if named:
        return found, None
    return found, action(f"{where}: {excerpt(line)}: the package is assumed to be {name}, as its repository")


def packages(text: str, where: str) -> tuple[list[str], list[str]]:
    """The Debian packages in a text, one or more per line, and a line for each word that is not a package."""
    kept, skipped = [], []
    for word in (word for line in text.splitlines() for word in line.split("#")[0].split()):
        try:
            TypeAdapter(f.DebianPackage).validate_python(word)
        except ValidationError:
            skipped.append(f"{where}: {excerpt(word)}: is not the name of a Debian package")
        else:
            kept.append(word)
    return list(dict.fromkeys(kept)), skipped


def pyproject_lines(text: str, where: str) -> list[str]:
    """The dependencies of `[project]`, with the addresses of `[tool.uv.sources]`. Errors: DescriptionError."""
    try:
        data = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise DescriptionError(
            f"{where} is not TOML: {excerpt(str(error))}", where=where, todo="fix it, then run the same command again"
        ) from None
    project, tool = _map(data.get("project")), _map(_map(data.get("tool")).get("uv"))
    groups = _map(project.get("optional-dependencies")).values()
    listed = [_list(project.get("dependencies")), *(_list(group) for group in groups)]
    sources = {normal_name(name): _map(source) for name, source in _map(tool.get("sources")).items()}
    return [_with_source(str(line), sources) for lines in listed for line in lines]


def _with_source(line: str, sources: Mapping[str, Mapping[str, Any]]) -> str:
    found = re.match(r"[A-Za-z0-9][\w.-]*", line)
    source = sources.get(normal_name(found[0])) if found else None
    if not source or not source.get("git") or found is None:
        return line
    ref = str(source.get("rev") or source.get("branch") or source.get("tag") or "")
    folder = source.get("subdirectory")
    end = f"#subdirectory={folder}" if folder else ""
    return f"{found[0]} @ git+{source['git']}{f'@{ref}' if ref else ''}{end}"


def normal_name(name: object) -> str:
    """The name of a distribution in its normal form."""
    return re.sub(r"[-_.]+", "-", str(name)).lower()


def _map(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, Mapping) else {}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
