"""The kinds of field that both formats share, and how a model's complaints become problems with a path."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, get_args

from packaging.requirements import InvalidRequirement, Requirement
from packaging.version import InvalidVersion, Version
from pydantic import AfterValidator, BaseModel, Field, ValidationError
from pydantic.fields import FieldInfo

from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.manifest.model import debian_codename

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong; `kind` is `unknown` for a key without a place, `refused` for one that is ours, else `wrong`."""

    path: Path
    text: str
    kind: str = "wrong"


def plain(value: str) -> str:
    """One line, no control characters: what goes into a file of ours must not write a second line there."""
    if any(ord(char) < 32 or ord(char) == 127 for char in value):
        raise ValueError("contains a line break or control character")
    return value


def _matching(pattern: str, meaning: str) -> Callable[[str], str]:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"{plain(value)!r} is not {meaning}")
        return value

    return check


def _build_date(value: str) -> str:
    if value == "latest":
        return value
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)|(\d{4})(\d\d)(\d\d)", value, re.ASCII)
    if not found:
        raise ValueError(f"{plain(value)!r} is not `latest`, YYYY-MM-DD or YYYYMMDD")
    try:
        return date(*(int(part) for part in found.groups() if part)).isoformat()
    except ValueError:
        raise ValueError(f"{value!r} is not a day of the calendar") from None


def _release(value: str) -> str:
    try:
        debian_codename(value)
    except ValueError as error:
        raise ValueError(f"{plain(value)!r} {error}") from None
    return value


def _version(value: str) -> str:
    try:
        Version(value)
    except InvalidVersion:
        raise ValueError(f"{plain(value)!r} is not a version like 5.0.0") from None
    return value


def requirement_fault(value: str) -> str:
    """Why a line is no requirement of its own; empty where it is one. Direct addresses (`git+https://…`) pass."""
    bare = re.split(r"(?:^|\s)#|\s--", value, maxsplit=1)[0].strip()
    if not bare:
        return ""
    if bare.startswith("-"):
        return "an option of pip is not a requirement"
    if re.match(r"[a-z+]+://", bare):
        return ""
    try:
        Requirement(bare)
    except InvalidRequirement:
        return f"{bare!r} is not a requirement like `name==1.2`"
    return ""


def requirement_lines(lines: Iterable[str]) -> tuple[str, ...]:
    """The lines that say something: no blank ones, no comments."""
    return tuple(bare for line in lines if (bare := line.strip()) and not bare.startswith("#"))


SERIES = r"(?:saas[-~])?\d{1,2}\.\d{1,2}|master"

Text = Annotated[str, AfterValidator(plain), Field(min_length=1)]
Series = Annotated[str, AfterValidator(_matching(SERIES, "an Odoo version like 19.0"))]
PythonVersion = Annotated[str, AfterValidator(_matching(r"[23]\.\d{1,2}(\.\d{1,3})?", "a Python version like 3.11"))]
Distro = Annotated[str, AfterValidator(_matching("debian", "a distribution odpm builds on: only `debian` is"))]
Release = Annotated[str, AfterValidator(_release)]
Postgres = Annotated[str, AfterValidator(_matching(r"\d{1,2}(\.\d{1,2})?", "a PostgreSQL version like 15"))]
BuildDate = Annotated[str, AfterValidator(_build_date)]
Package = Annotated[str, AfterValidator(_matching(r"[A-Za-z_]\w*", "the name of a Python package"))]
Arch = Annotated[str, AfterValidator(_matching(r"[a-z0-9_]+(/[a-z0-9_]+){0,2}", "an architecture like amd64"))]
DebianPackage = Annotated[
    str, AfterValidator(_matching(r"[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?", "the name of a Debian package"))
]
Language = Annotated[str, AfterValidator(_matching(r"[a-z]{2,3}(_[A-Za-z0-9]+)?(@[a-z]+)?", "a language like de_DE"))]
Country = Annotated[str, AfterValidator(_matching(r"[A-Za-z]{2}", "a country code like DE"))]
Commit = Annotated[str, AfterValidator(_matching(r"[0-9a-fA-F]{40}", "a commit of 40 hex digits"))]
OdpmVersion = Annotated[str, AfterValidator(_version)]


def read_model(model: type[M], raw: Any, renamed: dict[str, str]) -> tuple[M | None, list[Problem]]:
    """The model of a value and no problem, or None and every problem; `renamed` helps with keys of the other format."""
    try:
        return model.model_validate(raw, strict=True), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=True)
    return None, [_problem(model, dict(item), renamed) for item in found]


def _problem(model: type[BaseModel], item: dict[str, Any], renamed: dict[str, str]) -> Problem:
    path: Path = tuple(part for part in item["loc"] if part != "[key]")
    if item["type"] == "extra_forbidden":
        return unknown(path, known_keys(model, path[:-1]), renamed)
    return Problem(path, _words(item))


def unknown(path: Path, known: Iterable[str], renamed: dict[str, str] | None = None) -> Problem:
    """An unknown key, with the known one its author most probably meant."""
    key, known = str(path[-1]), list(known)
    meant = (renamed or {}).get(key) if len(path) == 1 else None
    near = [meant] if meant else get_close_matches(key, known, n=1, cutoff=0.5)
    hint = f"the nearest is `{near[0]}`" if near else f"known here: {', '.join(known)}"
    return Problem(path, f"unknown key; {hint}", "unknown")


def _words(item: dict[str, Any]) -> str:
    kind, value = item["type"], item.get("input")
    wanted = {
        "missing": "is required",
        "string_type": "must be a string",
        "list_type": "must be a list",
        "dict_type": "must be an object",
        "model_type": "must be an object",
        "model_attributes_type": "must be an object",
        "int_type": "must be an integer",
        "string_too_short": "must not be empty",
    }.get(kind)
    if kind == "value_error":
        return str(item["ctx"]["error"])
    if kind == "string_type" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return "must be a string: put it in quotes"
    return wanted or str(item["msg"])


def known_keys(model: type[BaseModel], path: Path) -> list[str]:
    """Keys of the object that stands at a path of the model."""
    here: type[BaseModel] | None = model
    for part in path:
        if here is None:
            return []
        info: FieldInfo | None = here.model_fields.get(str(part))
        here = _model_in(info.annotation) if info else None
    return list(here.model_fields) if here else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for part in get_args(annotation) if (model := _model_in(part))), None)
