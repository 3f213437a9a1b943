"""A new project: answers in, the texts of its files out."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from odpm_tasks.core.config.interpolation import expand, missing
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.json_document import dump
from odpm_tasks.core.manifest.migrate import smallest_odpm
from odpm_tasks.core.manifest.model import PLATFORM
from odpm_tasks.core.odoo.series import TABLE, series
from odpm_tasks.core.odoo.series_defaults import defaults
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.errors import DescriptionError

TASKS_PY = "from odpm_tasks import collection\n\nns = collection()\n"
IGNORED = (".env", ".venv/", "__pycache__/")
ADDONS = "addons"  # where own add-ons go in a project that has none

_KINDS: dict[str, Any] = {"odoo": f.Series, "python": f.PythonVersion, "postgres": f.Postgres}


@dataclass(frozen=True, kw_only=True)
class ProjectDraft:
    """What is known of a project; empty: nobody said it.

    `platform` and `dependencies` are links as `odpm.json` has them, variables unexpanded.
    """

    odoo: str = ""
    platform: str = ""
    python: str = ""
    debian: str = ""
    postgres: str = ""
    dependencies: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    language: str = ""
    odoo_conf: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def version(kind: str, text: str) -> str:
    """An answer for `odoo`, `python` or `postgres` as `odpm.json` writes it; `19` is Odoo 19.0.

    Errors: DescriptionError with the reason.
    """
    text = text.strip()
    if kind == "odoo" and re.fullmatch(r"\d{1,2}", text):
        text += ".0"
    try:
        TypeAdapter(_KINDS[kind]).validate_python(text)
    except ValidationError as error:
        reason = str(error.errors(include_url=False)[0]["ctx"]["error"])
        raise DescriptionError(reason) from None
    if kind == "odoo":
        series(text)
    return text


def dependency(text: str) -> str:
    """A link as it will be read, runs of white space made one; variables stay. Errors: DescriptionError."""
    text = " ".join(text.split())
    if not text.isprintable():
        raise DescriptionError("the link contains a control character or one that cannot be seen")
    if not missing(text, lambda name: None):
        parse_link(expand(text, lambda name: None, ""))
    return text


def folder(text: str) -> str:
    """A folder for add-ons, where they are found: one below the root; empty for the root itself. Errors: DescriptionError."""
    name = text.strip().removeprefix("./").rstrip("/")
    if name in (".", ""):
        return ""
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
        raise DescriptionError(
            f"{name!r} cannot be the folder: add-ons are found in the root or one folder below",
            todo=f"--addons {ADDONS}",
        )
    return name


def filled(stack: ProjectDraft) -> ProjectDraft:
    """The stack with the defaults of its series for what nobody said. Errors: DescriptionError for an unknown series."""
    row = defaults(stack.odoo)
    return replace(
        stack,
        python=stack.python or row.python,
        debian=stack.debian or row.debian,
        postgres=stack.postgres or row.postgres,
    )


def manifest_text(stack: ProjectDraft, schema: int) -> str:
    """`odpm.json` of a filled stack, flat (1) or nested (2)."""
    return dump(_flat(stack) if schema == 1 else _nested(stack), indent=2)


def lost_in_flat(stack: ProjectDraft) -> tuple[str, ...]:
    """What the flat format has no key for, as lines with the way out."""
    if not stack.system_packages:
        return ()
    packages = ", ".join(stack.system_packages)
    return (f"Debian packages {packages}: the flat format has no place for them; --schema 2 has",)


def _flat(stack: ProjectDraft) -> dict[str, Any]:
    data: dict[str, Any] = {"odpm_version": "4.0", "odoo_version": stack.odoo}
    if stack.platform:
        data["odoo_git_link"] = stack.platform
    data |= {"python_version": stack.python, "distro_version": stack.debian, "postgres_version": stack.postgres}
    data["dependencies"] = list(stack.dependencies)
    if stack.requirements:
        data["requirements_txt"] = list(stack.requirements)
    return data | _both(stack)


def _nested(stack: ProjectDraft) -> dict[str, Any]:
    data: dict[str, Any] = {
        "manifest_schema": 2,
        "requires_odpm": "",
        "odoo_version": stack.odoo,
        "platform": {"git": stack.platform or PLATFORM},
        "python": stack.python,
        "distro": {"name": "debian", "version": stack.debian},
        "postgres": stack.postgres,
        "dependencies": list(stack.dependencies),
    }
    if stack.requirements:
        data["requirements"] = list(stack.requirements)
    if stack.system_packages:
        data["system_packages"] = list(stack.system_packages)
    data |= _both(stack)
    data["requires_odpm"] = smallest_odpm(data)
    return data


def _both(stack: ProjectDraft) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if stack.language:
        data["database"] = {"language": stack.language}
    if any(stack.odoo_conf.values()):
        data["odoo_conf"] = {section: dict(options) for section, options in stack.odoo_conf.items() if options}
    return data


def gitignore_text(text: str | None) -> str:
    """`.gitignore` with what a project must not commit added at its end; what it ignores already is not repeated."""
    text = text or ""
    newline = "\r\n" if "\r\n" in text else "\n"
    there = {line.strip().strip("/") for line in text.splitlines()}
    added = [line for line in IGNORED if line.strip("/") not in there]
    if not added:
        return text
    gap = newline if text and not text.endswith("\n") else ""
    return text + gap + "".join(line + newline for line in added)


def uses_odpm(tasks_py: str) -> bool:
    """Whether a `tasks.py` brings our tasks (or looks as if)."""
    return re.search(r"^\s*(from|import)\s+odpm_tasks\b", tasks_py, re.MULTILINE) is not None


def series_of(manifests: Iterable[str]) -> str:
    """The series that most add-ons name in their version (`18.0.1.0.0`), from their manifests' texts; empty: none does."""
    found = Counter(
        match[1]
        for text in manifests
        if (match := re.search(r"""["']version["']\s*:\s*["'](\d{1,2}\.0)\.\d+\.\d+""", text))
    )
    known = [name for name, _ in found.most_common() if name in {row.name for row in TABLE}]
    return known[0] if known else ""


def summary(stack: ProjectDraft) -> str:
    """A filled stack in one line."""
    words = [f"Odoo {stack.odoo}", f"Python {stack.python}", f"Debian {stack.debian}", f"PostgreSQL {stack.postgres}"]
    count = len(stack.dependencies)
    if count:
        words.append(f"{count} {'dependency' if count == 1 else 'dependencies'}")
    return ", ".join(words)
