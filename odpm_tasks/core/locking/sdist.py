"""Static metadata of a distribution: what it requires, read from its files; no code of it runs.

A wheel has `METADATA`. Of a source distribution the first of these that decides is used:

1. `PKG-INFO` of metadata version 2.2 or newer that does not declare its requirements as `Dynamic` (PEP 643);
2. the `*.egg-info` folder that setuptools writes when the distribution is made: `requires.txt`, or none required;
3. `[project]` of `pyproject.toml`, unless its dependencies are `dynamic` (PEP 621);
4. `install_requires` and `extras_require` of `setup.cfg`, or of the call of `setup` in `setup.py` where they are literals.
"""

from __future__ import annotations

import ast
import configparser
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from email.parser import HeaderParser
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from odpm_tasks.core.literals import literal

_ROOT_FILES = ("PKG-INFO", "pyproject.toml", "setup.cfg", "setup.py")
_EGG_INFO = re.compile(r"^[^/]+/(?:[^/]+/)?[^/]+\.egg-info/(?:PKG-INFO|requires\.txt)$")
_WHEEL = re.compile(r"^[^/]+\.dist-info/METADATA$")
_SECTION = re.compile(r"^\[(?P<extra>[^:\]]*)(?::(?P<marker>.*))?\]$")


@dataclass(frozen=True)
class StaticMetadata:
    """Requirements in the form of PEP 508 (those of an extra have a marker that names it), and the Python they are for."""

    requires: tuple[str, ...] = ()
    requires_python: str = ""

    @property
    def extras(self) -> tuple[str, ...]:
        """The names of the extras that a requirement belongs to, sorted."""
        found = {name for line in self.requires for name in re.findall(r"extra == [\"']([^\"']+)[\"']", line)}
        return tuple(sorted(found))


def metadata_files(names: Iterable[str]) -> tuple[str, ...]:
    """Of the member names of an archive those that `static_metadata` reads; all are below one folder, `NAME-VERSION/`."""
    return tuple(
        name
        for name in names
        if (name.count("/") == 1 and name.split("/")[1] in _ROOT_FILES)
        or _EGG_INFO.fullmatch(name)
        or _WHEEL.fullmatch(name)
    )


def static_metadata(files: Mapping[str, bytes], *, addresses: bool = False) -> StaticMetadata | None:
    """The metadata that the files of an archive state, by member name; None where only running its code would tell.

    `addresses`: also with requirements that name an address (`NAME @ URL`).
    """
    texts = {
        name.split("/", 1)[1]: data.decode("utf-8", errors="replace") for name, data in files.items() if "/" in name
    }
    try:
        found = (
            _of_wheel(texts) or _of_pkg_info(texts) or _of_egg_info(texts) or _of_pyproject(texts) or _of_setup(texts)
        )
        return found if found is None or is_usable(found, addresses=addresses) else None
    except (RecursionError, MemoryError, ValueError, TypeError, AttributeError):
        return None  # files that are made to confuse: deep nesting, numbers with thousands of digits, odd types


def is_usable(found: StaticMetadata, *, addresses: bool = False) -> bool:
    """Whether the requirements can be parsed and name packages of the index alone, or also `addresses`."""
    try:
        for line in found.requires:
            # a direct reference in the metadata of a package leads around the index; a second line would be one more header
            if len(line.splitlines()) > 1 or (Requirement(line).url and not addresses):
                return False
        SpecifierSet(found.requires_python)
    except (InvalidRequirement, InvalidSpecifier):
        return False
    return True


def _of_wheel(texts: Mapping[str, str]) -> StaticMetadata | None:
    if "METADATA" not in texts:
        return None
    headers = HeaderParser().parsestr(texts["METADATA"])
    return StaticMetadata(tuple(headers.get_all("Requires-Dist") or ()), headers.get("Requires-Python", ""))


def _of_pkg_info(texts: Mapping[str, str]) -> StaticMetadata | None:
    headers = HeaderParser().parsestr(texts.get("PKG-INFO", ""))
    version = re.match(r"(\d+)\.(\d+)", headers.get("Metadata-Version", ""))
    dynamic = {name.strip().lower() for name in headers.get_all("Dynamic") or []}
    if version is None or (int(version[1]), int(version[2])) < (2, 2) or "requires-dist" in dynamic:
        return None
    return StaticMetadata(tuple(headers.get_all("Requires-Dist") or ()), headers.get("Requires-Python", ""))


def _of_egg_info(texts: Mapping[str, str]) -> StaticMetadata | None:
    folders = {name.rsplit("/", 1)[0] for name in texts if ".egg-info/" in name}
    if len(folders) != 1:
        return None
    folder = folders.pop()
    headers = HeaderParser().parsestr(texts.get(f"{folder}/PKG-INFO", ""))
    return StaticMetadata(
        tuple(requires_txt(texts.get(f"{folder}/requires.txt", ""))), headers.get("Requires-Python", "")
    )


def requires_txt(text: str) -> list[str]:
    """The requirements of setuptools' `requires.txt`: lines below `[EXTRA]`, `[:MARKER]` or `[EXTRA:MARKER]`, as PEP 508."""
    found: list[str] = []
    conditions: list[str] = []
    for line in (raw.strip() for raw in text.splitlines()):
        if section := _SECTION.match(line):
            conditions = [f"({section['marker']})"] if section["marker"] else []
            conditions += (
                [f'extra == "{canonicalize_name(re.sub(r"[^A-Za-z0-9]+", "-", section["extra"]))}"']
                if section["extra"]
                else []
            )
        elif line:
            found.append(f"{line} ; {' and '.join(conditions)}" if conditions else line)
    return found


def _of_pyproject(texts: Mapping[str, str]) -> StaticMetadata | None:
    try:
        project = tomllib.loads(texts.get("pyproject.toml", "")).get("project")
    except tomllib.TOMLDecodeError:
        return None
    if not isinstance(project, dict) or {"dependencies", "optional-dependencies"} & set(project.get("dynamic", ())):
        return None
    return _collected(
        project.get("dependencies", []), project.get("optional-dependencies", {}), project.get("requires-python", "")
    )


def _of_setup(texts: Mapping[str, str]) -> StaticMetadata | None:
    """Of `setup.py` and `setup.cfg` together: what the call of `setup` does not name, `setup.cfg` may."""
    script = texts.get("setup.py", "")
    if script and "setuptools" not in script:
        return StaticMetadata()  # distutils has no requirements
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(texts.get("setup.cfg", ""))
    except configparser.Error:
        return None
    values: dict[str, Any] = {"install_requires": [], "extras_require": {}, "python_requires": ""}
    if parser.has_section("options"):
        options = dict(parser.items("options"))
        if any(value.strip().startswith(("file:", "attr:")) for value in options.values()):
            return None
        values["install_requires"] = options.get("install_requires", "").split("\n")
        values["python_requires"] = options.get("python_requires", "")
    if parser.has_section("options.extras_require"):
        values["extras_require"] = {k: v.split("\n") for k, v in parser.items("options.extras_require")}
    found = {_of_call(call, values) for call in setup_calls(script)}
    return found.pop() if len(found) == 1 else None


def _of_call(call: ast.Call, values: Mapping[str, Any]) -> StaticMetadata | None:
    """What a call of `setup` states by literals; `values` holds what `setup.cfg` says."""
    stated = dict(values)
    for keyword in call.keywords:
        if keyword.arg is None:  # **arguments
            return None
        if keyword.arg in stated:
            try:
                stated[keyword.arg] = literal(keyword.value)
            except (ValueError, TypeError, SyntaxError, MemoryError):
                return None
    required = stated["install_requires"]
    lines = required.split("\n") if isinstance(required, str) else required
    return _collected(lines, stated["extras_require"], stated["python_requires"])


def setup_calls(text: str) -> list[ast.Call]:
    """The calls of `setup` in a file; a script may have one for each platform."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):  # also Python 2, and NUL bytes
        return []
    return [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "setup"
    ]


def _collected(requires: Any, extras: Any, requires_python: Any) -> StaticMetadata | None:
    """Metadata of lists as files write them; None where they are of another shape."""
    if not (isinstance(extras, Mapping) and isinstance(requires_python, str) and _are_texts(requires)):
        return None
    lines = [line.strip() for line in requires if line.strip()]
    for extra, more in extras.items():
        texts = [more] if isinstance(more, str) else more
        if not (isinstance(extra, str) and _are_texts(texts)):
            return None
        section = f"[{extra}]\n" + "\n".join(texts)
        lines += requires_txt(section)
    return StaticMetadata(tuple(lines), requires_python)


def _are_texts(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str) and all(isinstance(item, str) for item in value)
