"""The field types of both formats, and the conversion of validation errors into problems with a path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args, get_origin
from urllib.parse import SplitResult, urlsplit

from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.manifest.model import debian_codename
from odpm_tasks.core.odoo.locales import country_problem, language_problem
from odpm_tasks.core.sources.git_requirement import git_requirement

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem at a path. `kind`: `unknown` for an unknown key, `refused` for one that odpm sets, `unset` for a variable
    that is not set, `odd` for a requirement that the flat format accepts and `inv lock` refuses, `nested` for a value of the
    flat format that only the nested one has, otherwise `wrong`."""

    path: Path
    text: str
    kind: str = "wrong"


def single_line(value: str) -> str:
    """Check that a value is one line without control characters, because it is written into line-based files."""
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("contains a line break or control character")
    return value


def _matching(pattern: str, meaning: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{single_line(value)!r} is not {meaning}")
        return value

    return check


def _repository(value: str) -> str:
    single_line(value)
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*(?=:)", value)
    if scheme and scheme[0] not in {"s3", "sftp"}:
        raise ValueError("is neither a folder nor `s3:…` nor `sftp:…`")
    if re.search(r"//[^/@]*:[^/@]*@", value):
        setting = "BACKUP_CREDENTIALS_FILE" if scheme and scheme[0] == "s3" else "BACKUP_SSH_KEY_FILE"
        raise ValueError(f"contains a password: the keys are in a file, {setting}")
    # a host that begins with a dash would be an option of ssh
    bare = re.sub(r"\$\{[^}]*\}", "variable", value)
    if (
        scheme
        and scheme[0] == "sftp"
        and not re.fullmatch(r"sftp:(//[^-/:@][^/:@]*@[^-/:@][^/@]*/|[^-/:@][^/:@]*@[^-/:@][^/:@]*:)[^\s].*", bare)
    ):
        raise ValueError("is not `sftp:USER@HOST:PATH` or `sftp://USER@HOST:PORT/PATH`")
    if not scheme and re.match(r"(\./)?\.odpm(/|$)", value):
        raise ValueError("is in .odpm, which can be removed at any time")
    return value


def _build_date(value: str) -> str:
    if value == "latest":
        return value
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)|(\d{4})(\d\d)(\d\d)", value, re.ASCII)
    if not found:
        raise ValueError(f"{single_line(value)!r} is not `latest`, YYYY-MM-DD or YYYYMMDD")
    try:
        return date(*(int(part) for part in found.groups() if part)).isoformat()
    except ValueError:
        raise ValueError(f"{value!r} is not a valid date") from None


def _release(value: str) -> str:
    try:
        debian_codename(value)
    except ValueError as error:
        raise ValueError(f"{single_line(value)!r} {error}") from None
    return value


def _version(value: str) -> str:
    try:
        Version(value)
    except InvalidVersion:
        raise ValueError(f"{single_line(value)!r} is not a version like 5.0.0") from None
    return value


def bare_requirement(value: str) -> str:
    """A requirement without its comment and the options (hashes) behind it; empty for a comment."""
    return re.split(r"(?:^|\s)#|\s--", value, maxsplit=1)[0].strip()


MAX_REQUIREMENT = 1000  # characters; an environment marker with thousands of conditions takes seconds


_OPTIONS = {
    "-r": "such a file is read for a requirements.txt of a trusted repository; list the packages themselves",
    "-c": "such a file is read for a requirements.txt of a trusted repository; write NAME<2 instead",
    "-e": "a path has no version to lock: write NAME @ git+URL@REF#subdirectory=PATH",
    "-i": "an index is a setting of the machine: UV_DEFAULT_INDEX, UV_INDEX or pip.conf",
    "-f": "a list of files is a setting of the machine: UV_FIND_LINKS or pip.conf",
}
_LONG_OPTIONS = {
    "--requirement": "-r", "--constraint": "-c", "--editable": "-e", "--index-url": "-i", "--pypi-url": "-i",
    "--extra-index-url": "-i", "--no-index": "-i", "--trusted-host": "-i", "--find-links": "-f",
}  # fmt: skip


def _option_error(bare: str) -> str:
    word = re.split(r"[\s=]", bare, maxsplit=1)[0]
    hint = _OPTIONS.get(_LONG_OPTIONS.get(word, word[:2]), "")
    return f"a pip option is not a requirement{f': {hint}' if hint else ''}"


def requirement_error(value: str) -> str:
    """Why a line cannot be locked; empty if it can, and for a blank line or a comment.

    Of addresses, these can: a repository (`NAME @ git+URL`, see `core.sources.git_requirement`) and a wheel, by its hash.
    """
    bare = bare_requirement(value)
    if not bare:
        return ""
    if len(bare) > MAX_REQUIREMENT:
        return f"it has more than {MAX_REQUIREMENT:,} characters"
    try:
        if git_requirement(bare) is not None:
            return ""
    except ValueError as error:
        return str(error)
    if bare.startswith("-"):
        return _option_error(bare)
    if "${" in bare:
        return "variables in a requirement are not expanded"
    if re.match(r"[a-z+]+://", bare):
        return "an address needs the name of its package in front: NAME @ URL"
    from packaging.requirements import InvalidRequirement, Requirement  # slow, and many projects have none

    try:
        url = urlsplit(Requirement(bare).url or "")
    except (InvalidRequirement, ValueError, RecursionError):
        return f"{bare!r} is not a requirement like `name==1.2`"
    return _url_error(url) if url.geturl() else ""


def _url_error(url: SplitResult) -> str:
    """Why the address behind `NAME @` cannot be locked; empty for that of a wheel."""
    if url.password or (url.username and not url.scheme.endswith("ssh")):
        return "its address contains a login, which would be written into the lock"
    if url.scheme not in {"http", "https"}:
        return "its address is none of git+https://, git+ssh:// and the https:// address of a wheel"
    if url.query:
        return "its address has a query, which can contain a secret and would be written into the lock"
    if not url.path.endswith(".whl"):
        return "at an address, only a wheel (.whl) can be locked: name a release of the index, or NAME @ git+URL@REF"
    return ""


def requirement_lines(lines: Iterable[str]) -> tuple[str, ...]:
    """The lines without blank lines and comments."""
    return tuple(bare for line in lines if (bare := line.strip()) and not bare.startswith("#"))


def _checked(problem: Callable[[str], str]) -> Callable[[str], str]:
    """A validator that refuses the values for which `problem` is not empty."""

    def check(text: str) -> str:
        if reason := problem(text):
            raise ValueError(f"{text!r} {reason}")
        return text

    return check


SERIES = r"(?:saas[-~])?\d{1,2}\.\d{1,2}|master"

Text = Annotated[str, AfterValidator(single_line), Field(min_length=1)]
Series = Annotated[str, AfterValidator(_matching(SERIES, "an Odoo version like 19.0"))]
PythonVersion = Annotated[str, AfterValidator(_matching(r"[23]\.\d{1,2}(\.\d{1,3})?", "a Python version like 3.11"))]
Distro = Annotated[str, AfterValidator(_matching("debian", "a supported distribution; the only one is `debian`"))]
Release = Annotated[str, AfterValidator(_release)]
Postgres = Annotated[str, AfterValidator(_matching(r"\d{1,2}(\.\d{1,2})?", "a PostgreSQL version like 15"))]
TimeOfDay = Annotated[str, AfterValidator(_matching(r"([01]\d|2[0-3]):[0-5]\d", "a time of day like 02:30"))]
Repository = Annotated[str, AfterValidator(_repository)]
BuildDate = Annotated[str, AfterValidator(_build_date)]
Package = Annotated[str, AfterValidator(_matching(r"[A-Za-z_]\w*", "the name of a Python package"))]
Arch = Annotated[str, AfterValidator(_matching(r"[a-z0-9_]+(/[a-z0-9_]+){0,2}", "an architecture like amd64"))]
RequirementName = Annotated[
    str, AfterValidator(_matching(r"[A-Za-z0-9_][\w.-]*", "the name of a Python distribution or module"))
]
DebianPackage = Annotated[
    str, AfterValidator(_matching(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?", "the name of a Debian package"))
]
Language = Annotated[
    str,
    AfterValidator(_matching(r"[a-z]{2,3}(_[A-Za-z0-9]+)?(@[A-Za-z]+)?", "a language like de_DE")),
    AfterValidator(_checked(language_problem)),
]
Country = Annotated[
    str, AfterValidator(_matching(r"[A-Za-z]{2}", "a country code like DE")), AfterValidator(_checked(country_problem))
]
Commit = Annotated[str, AfterValidator(_matching(r"[0-9a-fA-F]{40}", "a commit of 40 hex digits"))]
OdpmVersion = Annotated[str, AfterValidator(_version)]


def read_model(model: type[M], raw: Any, renamed: dict[str, str]) -> tuple[M | None, list[Problem]]:
    """The model and no problem, or None and every problem. `renamed`: keys of the other format and their new names."""
    try:
        return model.model_validate(raw, strict=True), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=True)
    return None, [_problem(model, dict(item), renamed) for item in found]


def _problem(model: type[BaseModel], item: dict[str, Any], renamed: dict[str, str]) -> Problem:
    path: Path = tuple(part for part in item["loc"] if part not in {"[key]", "[link]", "[object]", "[word]"})
    if item["type"] == "extra_forbidden":
        return unknown(path, known_keys(model, path[:-1]), renamed)
    return Problem(path, _text(item))


def unknown(path: Path, known: Iterable[str], renamed: dict[str, str] | None = None) -> Problem:
    """The problem of an unknown key, with the nearest known one."""
    key, known = str(path[-1]), list(known)
    meant = (renamed or {}).get(key) if len(path) == 1 else None
    near = [meant] if meant else get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"the nearest is `{near[0]}`" if near else f"known keys: {', '.join(known)}"
    return Problem(path, f"unknown key; {hint}", "unknown")


def _text(item: dict[str, Any]) -> str:
    kind, value = item["type"], item.get("input")
    text = {
        "missing": "is required",
        "string_type": "must be a string",
        "list_type": "must be a list",
        "bool_type": "must be true or false",
        "dict_type": "must be an object",
        "model_type": "must be an object",
        "model_attributes_type": "must be an object",
        "int_type": "must be an integer",
        "string_too_short": "must not be empty",
        "too_short": "must not be empty",
    }.get(kind)
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind == "string_type" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return "must be a string: put it in quotes"
    return text or str(item["msg"])


def known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """The keys of the object at a path of the model."""
    here: type[BaseModel] | None = model
    is_name = False  # the next part is a key of a dict, which the user chooses
    for part in path:
        if isinstance(part, int) or is_name:
            is_name = False
            continue
        if here is None:
            return []
        info: FieldInfo | None = here.model_fields.get(str(part))
        here = _model_in(info.annotation) if info else None
        is_name = info is not None and get_origin(info.annotation) is dict
    return list(here.model_fields) if here else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
