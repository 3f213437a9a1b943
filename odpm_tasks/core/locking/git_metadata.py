"""Name, version and requirements of a package in a repository, read from its files; no code of it runs.

Read are `[project]` of `pyproject.toml` (PEP 621), `setup.cfg`, and literals in the call of `setup` in `setup.py`. What a
build backend computes (`dynamic`, `attr:`, plugins of setuptools) is not known from files, except a version that is the last
tag: its rules are those of setuptools-scm (`guess-next-dev`, `node-and-date` without the date).
"""

from __future__ import annotations

import configparser
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from odpm_tasks.core.literals import literal
from odpm_tasks.core.locking.sdist import StaticMetadata, setup_calls, static_metadata

FILES = ("pyproject.toml", "setup.cfg", "setup.py")
# Backends and plugins that compute the version from tags; a build without `.git` reads it from the environment.
_FROM_TAGS = re.compile(
    r"setuptools[-_]scm|use_scm_version|hatch[-_]vcs|flit[-_]scm|vcs[-_]versioning|pdm\.backend|\bpbr\b", re.IGNORECASE
)
_PLUGINS = re.compile(r"setuptools[-_]odoo|\bpbr\b", re.IGNORECASE)
_SETUP = b"from setuptools import setup\nsetup()\n"
_TAG = re.compile(r"(?:.*[-_/])?[vV]?(?P<version>\d[\w.!+-]*)")


@dataclass(frozen=True)
class GitMetadata:
    """What the files of a package state. Empty name or version, `stated` None: only running its code tells.

    `from_tags`: the version is that of the last tag.
    """

    name: str = ""
    version: str = ""
    stated: StaticMetadata | None = None
    from_tags: bool = False

    @property
    def complete(self) -> bool:
        return self.stated is not None and bool(self.version or self.from_tags)


def git_metadata(files: Mapping[str, bytes]) -> GitMetadata:
    """The metadata that the files of a package state, by name: those of `FILES` that exist."""
    texts = {name: data.decode("utf-8", errors="replace") for name, data in files.items()}
    from_tags = any(_FROM_TAGS.search(text) for text in texts.values())
    project = _project(texts.get("pyproject.toml", ""))
    if project is not None:
        stated = static_metadata({"x/pyproject.toml": files["pyproject.toml"]}, addresses=True)
        dynamic = "version" in (project.get("dynamic") or ())
        return GitMetadata(
            _text(project, "name"),
            "" if dynamic else _version(_text(project, "version")),
            stated,
            dynamic and from_tags and not _is_computed(texts["pyproject.toml"]),
        )
    if not files.keys() & {"setup.py", "setup.cfg"} or any(_PLUGINS.search(text) for text in texts.values()):
        return GitMetadata(from_tags=from_tags)
    return _of_setup({name: data for name, data in files.items() if name != "pyproject.toml"}, texts, from_tags)


def _project(text: str) -> Mapping[str, Any] | None:
    try:
        found = tomllib.loads(text).get("project")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _is_computed(text: str) -> bool:
    """Whether setuptools computes the version from a file or a module of the package, also where setuptools-scm is installed."""
    tool = tomllib.loads(text).get("tool", {})
    found = tool.get("setuptools", {}).get("dynamic", {}) if isinstance(tool, dict) else {}
    return isinstance(found, dict) and "version" in found


def _of_setup(files: Mapping[str, bytes], texts: Mapping[str, str], from_tags: bool) -> GitMetadata:
    script = {"setup.py": _SETUP, **files}
    calls = setup_calls(script["setup.py"].decode("utf-8", errors="replace"))
    values: dict[str, object] = dict(_options(texts.get("setup.cfg", "")))
    if len(calls) != 1:
        return GitMetadata(_text(values, "name"), from_tags=from_tags)
    for keyword in calls[0].keywords:
        if keyword.arg in {"name", "version"}:
            try:
                values[keyword.arg] = literal(keyword.value)
            except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                values[keyword.arg] = ""
    version = _version(_text(values, "version"))
    stated = static_metadata({f"x/{name}": data for name, data in script.items()}, addresses=True)
    return GitMetadata(_text(values, "name"), version, stated, from_tags and "version" not in values)


def _options(text: str) -> Mapping[str, str]:
    """Name and version of `[metadata]` of `setup.cfg`."""
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
        return {key: value for key, value in parser.items("metadata") if key in {"name", "version"}}
    except (configparser.Error, ValueError):
        return {}


def _text(values: Mapping[str, object], key: str) -> str:
    value = values.get(key)
    return value.strip() if isinstance(value, str) else ""


def _version(text: str) -> str:
    """The normalized version; empty for a text that is none, as `attr: package.__version__`."""
    try:
        return str(Version(text))
    except InvalidVersion:
        return ""


def version_from_tags(described: str, commits: int, commit: str) -> str:
    """The version of a commit. `described`: the output of `git describe --long` (`TAG-N-gID`), empty without a tag.

    `commits`: the number of commits up to this one, which counts where there is no tag.
    """
    tag, _, rest = described.rpartition("-g")
    tag, _, distance = tag.rpartition("-")
    found = _TAG.fullmatch(tag) if rest else None
    base = _version(found["version"]) if found else ""
    if not base:
        return f"0.1.dev{commits}+g{commit[:9]}"
    if distance == "0":
        return base
    version = Version(base)
    if version.pre:
        following = f"{version.base_version}{version.pre[0]}{version.pre[1] + 1}"
    else:
        following = ".".join(map(str, (*version.release[:-1], version.release[-1] + 1)))
    return str(Version(f"{following}.dev{distance}+g{commit[:9]}"))
