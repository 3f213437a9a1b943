"""The errors of the Python lock: what happened, who requires it, and a way out."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from odpm_tasks.core.locking.python_requirements import RequirementLine
from odpm_tasks.core.locking.uv_output import UvReason
from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError

_CHECK_INDEX = (
    "check the network and the index settings (UV_DEFAULT_INDEX, UV_INDEX, pip.conf), then run the same command again"
)
_BETWEEN = re.compile(r"(?:all versions of )?([^\s,]+) depends? on (?!Python)([^\s,]+)")


@dataclass(frozen=True)
class Release:
    """A version of a package on the index, and the versions of Python that it states (`>=3.8`)."""

    version: str
    requires_python: str = ""


@dataclass(frozen=True)
class LockContext:
    """What an error is explained with.

    `origins`: the requirement lines of a package by normalized name. `releases`: of the package that the reason names, newest
    first. `indexes`: the hosts of the indexes. `named`: the names that settings give to indexes, by host.
    """

    python: str
    origins: Mapping[str, tuple[RequirementLine, ...]] = field(default_factory=dict)
    releases: Sequence[Release] = ()
    indexes: Sequence[str] = ()
    named: Mapping[str, str] = field(default_factory=dict)


def lock_error(reason: UvReason, context: LockContext) -> OdpmError:
    """The error for a reason why uv cannot resolve."""
    if reason.kind in {"login", "certificate", "unreachable"}:
        return access_error(reason, context.named)
    text = " ".join(reason.lines)
    parents = [parent for parent, needed in _BETWEEN.findall(text) if needed == _spec(reason)]
    asked = _required_by(context, text)
    spec = _spec(reason)
    own = any(
        line.origin.startswith("odpm.json") for line in context.origins.get(canonicalize_name(reason.package), ())
    )
    where = "requirements of odpm.json, the platform and the add-ons"
    missing = reason.kind in {"no version", "unknown package", "no file"}
    if missing and any(line.git for line in context.origins.get(canonicalize_name(reason.package), ())):
        return DescriptionError(
            f"the version of {reason.package} from git is not {spec}",
            where=where,
            details=asked,
            todo=f"name another ref of {reason.package}, or another version of what requires it",
        )
    match reason.kind:
        case "setting":
            return DescriptionError(
                f"a setting of uv is invalid: {reason.detail}",
                where=reason.setting,
                todo=f"correct {reason.setting}, then run the same command again",
            )
        case "offline":
            return ProgramError(
                f"uv is offline and its cache lacks {reason.package}",
                details=asked,
                todo="unset UV_OFFLINE (or `offline` in uv.toml), then run the same command again",
            )
        case "date":
            return DescriptionError(
                f"exclude-newer hides every release of {reason.package}: it is set to {reason.detail}",
                where="UV_EXCLUDE_NEWER, or exclude-newer in uv.toml",
                details=asked,
                todo="remove the setting or choose a later date, then run the same command again",
            )
        case "missing file":
            return ProgramError(
                f"the package index {reason.host} names {reason.package} and does not have it",
                todo="run the same command again; else name another version in the requirements of odpm.json",
            )
        case "damaged":
            return ProgramError(
                f"{spec} of the package index is a damaged archive{f': {reason.detail}' if reason.detail else ''}",
                details=asked,
                todo="name another version in the requirements of odpm.json, or report it to the operator of the index",
            )
        case "unknown package":
            hosts = ", ".join(context.indexes)
            return DescriptionError(
                f"the package index has no package {reason.package}",
                where=hosts or where,
                details=asked,
                todo="correct the name in the requirements of odpm.json"
                if own
                else f'correct the name there, or leave it out: "requirements_ignore": ["{reason.package}"] in odpm.json',
            )
        case "python":
            return _python(reason, context, asked)
        case "no file":
            return DescriptionError(
                f"{spec} has neither a wheel for Linux with Python {context.python} nor a source distribution",
                where=where,
                details=asked,
                todo="name another version in the requirements of odpm.json"
                if own
                else f'leave it out: "requirements_ignore": ["{reason.package}"] in odpm.json, or name another version there',
            )
        case "no version":
            return DescriptionError(
                f"the package index has no version {spec}{_existing(reason, context)}",
                where=where,
                details=asked,
                todo=f"name another version of {parents[0]} in the requirements of odpm.json"
                if parents
                else "name a version that exists in the requirements of odpm.json: it overrides the others",
            )
        case "git":
            return ProgramError(
                f"git cannot fetch {spec}",
                details=[*([reason.detail] if reason.detail else []), *asked],
                todo="check the address and your access to it, then run the same command again",
            )
        case "address":
            return DescriptionError(
                f"{spec} is a source distribution: what it requires can be read from a package index or a wheel only",
                where=where,
                details=asked,
                todo="name the address of a wheel, or a version of the package index",
            )
        case "conflict":
            return DescriptionError(
                "the Python requirements conflict",
                where=where,
                details=[*reason.lines, *asked],
                todo="name the version you want in the requirements of odpm.json",
            )
    return ProgramError(
        "uv could not lock the Python packages",
        details=reason.lines[-2:],
        todo="correct what the message names, then run the same command again",
    )


def access_error(reason: UvReason, named: Mapping[str, str], package: str = "") -> ProgramError:
    """The error for an index that cannot be asked: it needs a login, is not trusted, or does not answer."""
    package = reason.package or package
    wanted = f" for {package}" if package else ""
    if reason.kind == "login":
        name = named.get(reason.host, "")
        prefix = f"UV_INDEX_{re.sub(r'[^A-Z0-9]', '_', (name or 'NAME').upper())}"
        hint = f"set {prefix}_USERNAME and {prefix}_PASSWORD"
        return ProgramError(
            f"the package index {reason.host} refuses access{wanted}: HTTP {reason.detail}",
            details=["it needs a login, or the login that it got is wrong"],
            todo=hint if name else f"name the index (UV_INDEX=NAME=URL) and {hint}; or write the login into ~/.netrc",
        )
    if reason.kind == "certificate":
        return ProgramError(
            f"the certificate of the package index {reason.host} is not trusted",
            details=[reason.detail] if reason.detail else [],
            todo="set SSL_CERT_FILE to a file with the certificates of your network's proxy or of the index",
        )
    return ProgramError(f"the package index {reason.host} does not answer{wanted}: {reason.detail}", todo=_CHECK_INDEX)


def _spec(reason: UvReason) -> str:
    return f"{reason.package}{reason.specifier}"


def required_by(line: RequirementLine) -> str:
    return f"{line.shown}: required by {line.origin}"


def _required_by(context: LockContext, text: str) -> list[str]:
    """What requires the packages that the message names: lines with their origins, and packages that require others."""
    names = {canonicalize_name(word) for word in re.findall(r"[A-Za-z0-9][\w.-]*", text)}
    asked = [required_by(line) for name in sorted(names) for line in context.origins.get(name, ())]
    asked += [f"{needed}: required by the package {package}" for package, needed in _BETWEEN.findall(text)]
    return list(dict.fromkeys(asked))


def _python(reason: UvReason, context: LockContext, asked: list[str]) -> OdpmError:
    fitting = next((one.version for one in context.releases if _for_python(one.requires_python, context.python)), "")
    lower = re.search(r">=?\s*(\d+\.\d+)", reason.detail)
    upper = re.search(r"<=?\s*(\d+\.\d+)", reason.detail)
    other = f'"{lower[1]}" or later' if lower else f"older than {upper[1]}" if upper else reason.detail
    way = f'add "{reason.package}=={fitting}" to the requirements of odpm.json, or ' if fitting else ""
    return DescriptionError(
        f"{reason.package}{reason.specifier} has no release for Python {context.python}: it needs Python {reason.detail}",
        where="odpm.json: python",
        details=[*([f"the newest release for Python {context.python} is {fitting}"] if fitting else []), *asked],
        todo=f"{way}change python of odpm.json: {other}",
    )


def _for_python(specifier: str, python: str) -> bool:
    try:
        return SpecifierSet(specifier).contains(f"{python}.99" if python.count(".") == 1 else python)
    except InvalidSpecifier:
        return True


def _existing(reason: UvReason, context: LockContext) -> str:
    """The nearest versions that exist, and the newest one."""
    versions = list(dict.fromkeys(Version(one.version) for one in context.releases))
    if not versions:
        return ""
    newest = next((version for version in versions if not version.is_prerelease), versions[0])
    pinned = re.fullmatch(r"===?([\w.!+-]+)", reason.specifier)
    if not pinned:
        return f"; the newest is {newest}"
    wanted = Version(pinned[1])
    near = [*[v for v in sorted(versions) if v < wanted][-1:], *[v for v in sorted(versions) if v > wanted][:1]]
    others = [str(version) for version in near if version != newest]
    nearest = f"; the nearest {'is' if len(others) == 1 else 'are'} {' and '.join(others)}" if others else ""
    return f"{nearest}{',' if nearest else ';'} the newest is {newest}"
