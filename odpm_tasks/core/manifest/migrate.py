"""`odpm.json` from the flat format to the nested one: text in, text out.

`${VAR}` stays as written. Defaults that the nested format wants written down are written down. What has no place there is
named, never dropped without a word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any

from odpm_tasks.core.config.interpolation import references
from odpm_tasks.core.config.paths import LOCK_FILE
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest import v1
from odpm_tasks.core.manifest.fields import read_model
from odpm_tasks.core.manifest.json_document import Path, dump, indent_of, parse, spell
from odpm_tasks.core.manifest.reader import Examination, examine, invalid
from odpm_tasks.core.manifest.v2 import Database
from odpm_tasks.core.sources.link import canonical, parse_link, without_credentials
from odpm_tasks.errors import DescriptionError, LockError

KEPT = ("system_packages", "services", "service_patches", "hooks", "trust", "scenarios", "locks")
USER_SETTINGS = "user_settings.json"


@dataclass(frozen=True, slots=True)
class Migration:
    """The nested text; `unplaced` are paths without a place in it, `notes` what a reader of the diff should know."""

    new_text: str
    unplaced: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    already_v2: bool = False


@dataclass
class _Draft:
    new: dict[str, Any] = field(default_factory=dict)
    unplaced: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def migrate(
    text: str, *, user_settings: str | None = None, lock_text: str | None = None, where: str = "odpm.json"
) -> Migration:
    """The same description in the nested format.

    `user_settings` and `lock_text` are the texts of user_settings.json and .odpm/deps.lock.json where those exist; their
    commits become `locks`. DescriptionError where the flat file itself is invalid, LockError where the lock is.
    """
    found = examine(text, _unset, where)
    if found.raw.get("manifest_schema") == 2 and type(found.raw["manifest_schema"]) is int:
        return Migration(text, notes=(f"{where} is in the nested format already",), already_v2=True)
    if found.errors:
        raise invalid(where, found.lines(found.errors))
    model = v1.ManifestV1.model_validate(v1.cleaned(found.raw), strict=True)
    settings = _object(user_settings, USER_SETTINGS)
    draft = _Draft()
    _stack(draft, model)
    _developing(draft, model, settings)
    _lists(draft, model)
    _database(draft, found.raw.get("database") or {}, settings)
    _blocks(draft, found.raw)
    _locks(draft, _object(lock_text, LOCK_FILE))
    draft.unplaced += [key for key in found.raw if key not in (*v1.KEYS, *KEPT)]
    _prune(draft, where)
    draft.new["requires_odpm"] = smallest_odpm(draft.new)
    return Migration(dump(draft.new, indent_of(text)), tuple(dict.fromkeys(draft.unplaced)), tuple(draft.notes))


def unified(old: str, new: str, name: str) -> str:
    """The difference as `git diff` shows it; empty where there is none."""
    lines = unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def smallest_odpm(raw: Mapping[str, Any]) -> str:
    """The oldest odpm that reads a nested description: the format came with 4.4, scenarios with 4.7, the rest with 5.0."""
    scenarios = raw.get("scenarios") or {}
    blocks = [raw, *(scenarios.get(name) or {} for name in SCENARIOS)]
    services = [service or {} for block in blocks for service in (block.get("services") or {}).values()]
    newest = any("post_up" in (block.get("hooks") or {}) for block in blocks)
    if raw.get("system_packages") or raw.get("trust") or newest or any("build" in service for service in services):
        return "5.0.0"
    return "4.7.0" if scenarios else "4.4.0"


def _unset(name: str) -> str | None:
    return None


def _stack(draft: _Draft, model: v1.ManifestV1) -> None:
    written = model.model_fields_set
    new = draft.new
    new["manifest_schema"] = 2
    new["requires_odpm"] = "4.4.0"
    if model.odoo_version:
        new["odoo_version"] = model.odoo_version
    new["platform"] = {"git": model.odoo_git_link}
    if "odoo_build_date" in written:
        new["platform"]["build_date"] = model.odoo_build_date
    if "platform_name" in written:
        new["platform_name"] = model.platform_name
    if model.arch:
        new["arch"] = model.arch
    new["python"] = model.python_version
    new["distro"] = {"name": model.distro_name, "version": v1.release(model)}
    new["postgres"] = model.postgres_version


def _developing(draft: _Draft, model: v1.ManifestV1, settings: Mapping[str, Any]) -> None:
    """The manifest's own link as it is; one of the personal settings without its password, for the file is shared."""
    if model.developing_project:
        draft.new["developing"] = {"git": model.developing_project}
        return
    text = settings.get("developing_project")
    if not isinstance(text, str) or not text.strip():
        return
    url, *rest = text.split()
    if "@" in url and not references(url):
        url = without_credentials(url)
    text = " ".join([url, *rest])
    try:
        link = None if references(text) else parse_link(text)
    except DescriptionError as error:
        draft.notes.append(f"developing_project of {USER_SETTINGS} is left out: {error.what}")
        return
    if link and link.is_file:
        draft.notes.append(f"developing.git is a folder of this machine, from {USER_SETTINGS}")
    draft.new["developing"] = {"git": text}


def _lists(draft: _Draft, model: v1.ManifestV1) -> None:
    if "dependencies" in model.model_fields_set:
        draft.new["dependencies"] = list(model.dependencies)
    if "requirements_txt" in model.model_fields_set:
        draft.new["requirements"] = [line for line in model.requirements_txt if line]


def _database(draft: _Draft, written: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Key by key: what the manifest says, else what was chosen when the database was made."""
    creation = settings.get("db_creation_data")
    creation = creation if isinstance(creation, Mapping) else {}
    database = dict(written)
    for key, other in (("language", "db_lang"), ("country", "db_country_code")):
        value = creation.get(other)
        if key in database or not isinstance(value, str) or not value:
            continue
        _, wrong = read_model(Database, {key: value}, {})
        if wrong:
            draft.notes.append(f"db_creation_data.{other} of {USER_SETTINGS} is left out: {wrong[0].text}")
        else:
            database[key] = value
    if database:
        draft.new["database"] = database


def _blocks(draft: _Draft, raw: Mapping[str, Any]) -> None:
    for key in ("odoo_conf", *KEPT):
        if raw.get(key) not in (None, ""):
            draft.new[key] = raw[key]


def _locks(draft: _Draft, lock: Mapping[str, Any]) -> None:
    """`locks.git` of platform and dependencies. Sources on disk have no commit, and the checkout that holds `odpm.json`
    cannot be pinned inside of itself: both stay in the lock file alone."""
    if not lock:
        return
    if lock.get("schema_version") != 1:
        raise LockError(f"{LOCK_FILE} is not of schema version 1", where=LOCK_FILE, todo="inv lock")
    pins: dict[str, str] = {}
    dependencies = lock.get("dependencies") or []
    for entry in [lock.get("platform"), *(dependencies if isinstance(dependencies, list) else [None])]:
        url, commit = (entry.get("url"), entry.get("commit")) if isinstance(entry, Mapping) else (None, None)
        if not isinstance(url, str) or not re.fullmatch(r"[0-9a-fA-F]{40}", str(commit)):
            raise LockError(f"{LOCK_FILE} has an entry without url or commit", where=LOCK_FILE, todo="inv lock")
        if entry.get("kind") == "file" or url.startswith("file://"):
            draft.notes.append(f"{url} has no commit to pin: it stays in {LOCK_FILE} alone")
        else:
            pins[canonical(url)] = str(commit).lower()
    locks: dict[str, Any] = {"git": dict(sorted(pins.items()))}
    if isinstance(lock.get("venv"), str):
        locks["venv"] = lock["venv"]
    draft.new["locks"] = locks


def _prune(draft: _Draft, where: str) -> None:
    """Take out what the nested format has no place for, until only what it accepts is left."""
    while True:
        found = _examined(draft, where)
        lost = {problem.path for problem in found.errors if problem.kind in ("unknown", "refused")}
        lost |= {problem.path for problem in found.errors if problem.path[:1] == ("requirements",)}
        if not lost:
            break
        for path in sorted(lost, key=_order, reverse=True):  # from the back: an index must not move before its turn
            _remove(draft.new, path)
        draft.unplaced += [_spelled_flat(path) for path in sorted(lost, key=_order)]
    if found.errors:
        raise invalid(f"{where}, once nested,", [f"{spell(problem.path)}: {problem.text}" for problem in found.errors])


def _examined(draft: _Draft, where: str) -> Examination:
    return examine(dump(draft.new), _unset, where)


def _order(path: Path) -> tuple[str, ...]:
    return tuple(part if isinstance(part, str) else f"{part:09}" for part in path)


def _spelled_flat(path: Path) -> str:
    return spell(("requirements_txt", *path[1:]) if path[0] == "requirements" else path)


def _remove(value: Any, path: Path) -> None:
    for part in path[:-1]:
        value = value[part]
    del value[path[-1]]


def _object(text: str | None, where: str) -> dict[str, Any]:
    if not text:
        return {}
    value = parse(text, where).value
    if not isinstance(value, dict):
        raise DescriptionError(f"{where} is not a JSON object", where=where)
    return value
