"""A new project: checks the answers for `init`, and generates the texts of the files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pydantic import TypeAdapter, ValidationError

from odpm_tasks.core.config.interpolation import Lookup, expand, missing
from odpm_tasks.core.manifest import fields as f
from odpm_tasks.core.manifest.json_document import dump
from odpm_tasks.core.manifest.migrate import smallest_odpm
from odpm_tasks.core.manifest.model import PLATFORM
from odpm_tasks.core.manifest.reader import problems
from odpm_tasks.core.odoo.series import TABLE, series
from odpm_tasks.core.sources.link import canonical, parse_link
from odpm_tasks.core.text import plural
from odpm_tasks.errors import DescriptionError

TASKS_PY = "from odpm_tasks import collection\n\nns = collection()\n"
IGNORED = (".env", ".venv/", "__pycache__/")
ADDONS = "addons"  # the folder for the add-ons of a project that has none yet

_KINDS: dict[str, Any] = {"odoo": f.Series, "python": f.PythonVersion, "postgres": f.Postgres}


@dataclass(frozen=True, kw_only=True)
class ProjectDraft:
    """The description of a new project, while it is put together. Empty: not set.

    `platform`, `dependencies`: links as in `odpm.json`, with variables not expanded. `pins`: canonical URL -> commit, of
    links without a commit. `merges`: canonical URL -> entries of `merges`. `services`, `service_patches`: as in the nested
    format. `server_conf`: options of Odoo in the scenario `server` alone.
    """

    odoo: str = ""
    platform: str = ""
    build_date: str = ""
    python: str = ""
    debian: str = ""
    postgres: str = ""
    dependencies: tuple[str, ...] = ()
    requirements: tuple[str, ...] = ()
    system_packages: tuple[str, ...] = ()
    language: str = ""
    requirements_ignore: tuple[str, ...] = ()
    odoo_conf: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    services: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    service_patches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pins: Mapping[str, str] = field(default_factory=dict)
    merges: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    server_conf: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def with_options(draft: ProjectDraft, options: ProjectDraft) -> ProjectDraft:
    """A converted draft with the values that were set on the command line; dependencies of both."""
    return replace(
        draft,
        odoo=options.odoo or draft.odoo,
        python=options.python or draft.python,
        postgres=options.postgres or draft.postgres,
        dependencies=tuple(dict.fromkeys([*draft.dependencies, *options.dependencies])),
    )


def version(kind: str, text: str) -> str:
    """Check an answer for `odoo`, `python` or `postgres` and return it as in `odpm.json`; `19` becomes `19.0` for Odoo.

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
    """Check a link and return it with single blanks; variables are kept. Errors: DescriptionError."""
    text = " ".join(text.split())
    if not text.isprintable():
        raise DescriptionError("the link contains a control character or an invisible character")
    if not missing(text, lambda name: None):
        parse_link(expand(text, lambda name: None, ""))
    return text


def folder(text: str) -> str:
    """Check a folder for add-ons: it is directly below the root; empty means the root. Errors: DescriptionError."""
    name = text.strip().removeprefix("./").rstrip("/")
    if name in (".", ""):
        return ""
    if not re.fullmatch(r"[A-Za-z0-9_][\w.-]*", name):
        raise DescriptionError(
            f"{name!r} cannot be the add-ons folder: odpm finds add-ons in the root and one folder below",
            todo=f"--addons {ADDONS}",
        )
    return name


def completed(draft: ProjectDraft) -> ProjectDraft:
    """The draft with the defaults of its series for versions that are not set. Errors: DescriptionError for an unknown series."""
    row = series(draft.odoo)
    return replace(
        draft,
        python=draft.python or row.python,
        debian=draft.debian or row.debian,
        postgres=draft.postgres or row.postgres,
    )


def manifest_text(draft: ProjectDraft, schema: int) -> str:
    """The text of `odpm.json` for a completed draft, flat (1) or nested (2)."""
    return dump(_flat(draft) if schema == 1 else _nested(draft), indent=2)


def needs_nested(draft: ProjectDraft) -> bool:
    """Whether the draft has values that the flat format has no key for."""
    values = (draft.system_packages, draft.services, draft.service_patches, draft.pins, draft.merges, draft.server_conf)
    return any(values)


def dropped_in_flat(draft: ProjectDraft) -> tuple[str, ...]:
    """Values that the flat format has no key for, as lines with the alternative. Pins become a part of the links."""
    server = [key for section in draft.server_conf.values() for key in section]
    kinds = (
        ("Debian packages", draft.system_packages),
        ("merges of", draft.merges),
        ("services", draft.services),
        ("patches of services", draft.service_patches),
        ("options of the server", server),
    )
    return tuple(
        f"{kind} {', '.join(names)}: the flat format has no key for them; use --schema 2"
        for kind, names in kinds
        if names
    )


def _flat(draft: ProjectDraft) -> dict[str, Any]:
    data: dict[str, Any] = {"odpm_version": "4.0", "odoo_version": draft.odoo}
    platform = _pinned(draft.platform or PLATFORM, draft)
    if draft.platform or platform != PLATFORM:
        data["odoo_git_link"] = platform
    if draft.build_date:
        data["odoo_build_date"] = draft.build_date
    data |= {"python_version": draft.python, "distro_version": draft.debian, "postgres_version": draft.postgres}
    data["dependencies"] = [_pinned(link, draft) for link in draft.dependencies]
    if draft.requirements:
        data["requirements_txt"] = list(draft.requirements)
    if draft.requirements_ignore:
        data["requirements_ignore"] = list(draft.requirements_ignore)
    return data | _common(draft)


def _pinned(link: str, draft: ProjectDraft) -> str:
    """The link with the commit of its pin, if there is one."""
    url, *more = link.split(" ")
    commit = draft.pins.get(canonical(url))
    return f"{url} {more[0] if more else draft.odoo} {commit}" if commit and len(more) < 2 else link


def _with_merges(link: str, draft: ProjectDraft) -> str | dict[str, Any]:
    merges = draft.merges.get(canonical(link.split(" ", maxsplit=1)[0]))
    return {"git": link, "merges": list(merges)} if merges else link


def _nested(draft: ProjectDraft) -> dict[str, Any]:
    data: dict[str, Any] = {
        "manifest_schema": 2,
        "requires_odpm": "",
        "odoo_version": draft.odoo,
        "platform": {"git": draft.platform or PLATFORM}
        | ({"build_date": draft.build_date} if draft.build_date else {}),
        "python": draft.python,
        "distro": {"name": "debian", "version": draft.debian},
        "postgres": draft.postgres,
        "dependencies": [_with_merges(link, draft) for link in draft.dependencies],
    }
    if merges := draft.merges.get(canonical(data["platform"]["git"].split(" ")[0])):
        data["platform"]["merges"] = list(merges)
    if draft.requirements:
        data["requirements"] = list(draft.requirements)
    if draft.requirements_ignore:
        data["requirements_ignore"] = list(draft.requirements_ignore)
    if draft.system_packages:
        data["system_packages"] = list(draft.system_packages)
    data |= _common(draft)
    if draft.services:
        data["services"] = dict(draft.services)
    if draft.service_patches:
        data["service_patches"] = dict(draft.service_patches)
    if draft.pins:
        data["locks"] = {"git": dict(draft.pins)}
    if draft.server_conf:
        data["scenarios"] = {"server": {"odoo_conf": {name: dict(keys) for name, keys in draft.server_conf.items()}}}
    data["requires_odpm"] = smallest_odpm(data)
    return data


def _common(draft: ProjectDraft) -> dict[str, Any]:
    """The keys that both formats have."""
    data: dict[str, Any] = {}
    if draft.language:
        data["database"] = {"language": draft.language}
    if any(draft.odoo_conf.values()):
        data["odoo_conf"] = {section: dict(options) for section, options in draft.odoo_conf.items() if options}
    return data


def check_valid(text: str, lookup: Lookup) -> None:
    """Check that the generated text passes `inv validate`. Errors: DescriptionError with the first problems."""
    errors, _ = problems(text, lookup)
    if errors:
        todo = "fix the files that it was converted from, then run the same command again"
        raise DescriptionError(
            "the generated odpm.json is not valid; no file was written", details=errors[:3], todo=todo
        )


def gitignore_text(text: str | None) -> str:
    """The text of `.gitignore` with the missing lines for generated and secret files added at the end."""
    text = text or ""
    newline = "\r\n" if "\r\n" in text else "\n"
    present = {line.strip().strip("/") for line in text.splitlines()}
    missing_lines = [line for line in IGNORED if line.strip("/") not in present]
    if not missing_lines:
        return text
    gap = newline if text and not text.endswith("\n") else ""
    return text + gap + "".join(line + newline for line in missing_lines)


def uses_odpm(tasks_py: str) -> bool:
    """Whether a `tasks.py` imports odpm_tasks."""
    return re.search(r"^\s*(from|import)\s+odpm_tasks\b", tasks_py, re.MULTILINE) is not None


def series_of_addons(manifests: Iterable[str]) -> str:
    """The most frequent series in the versions of add-ons (`18.0.1.0.0`), from the texts of their manifests; empty if none."""
    found = Counter(
        match[1]
        for text in manifests
        if (match := re.search(r"""["']version["']\s*:\s*["'](\d{1,2}\.0)\.\d+\.\d+""", text))
    )
    known = [name for name, _ in found.most_common() if name in {row.name for row in TABLE}]
    return known[0] if known else ""


def summary(draft: ProjectDraft) -> str:
    """A completed draft in one line."""
    parts = [f"Odoo {draft.odoo}", f"Python {draft.python}", f"Debian {draft.debian}", f"PostgreSQL {draft.postgres}"]
    if draft.dependencies:
        parts.append(plural(len(draft.dependencies), "dependency", "dependencies"))
    return ", ".join(parts)
