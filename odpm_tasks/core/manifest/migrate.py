"""Migrates the text of `odpm.json` from the flat format to the nested one.

References such as `${VAR}` are kept. Defaults of the flat format that the nested format requires are written out. Values
that the nested format has no key for are removed and reported.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import unified_diff
from typing import Any

from odpm_tasks.core.config.paths import LOCK_FILE, MANIFEST_FILE
from odpm_tasks.core.config.scenario import SCENARIOS
from odpm_tasks.core.manifest import odpm4, v1, v2
from odpm_tasks.core.manifest.json_document import Path, dump, indent_of, spell
from odpm_tasks.core.manifest.personal_settings import (
    OCA_REMARK,
    SECRETS,
    USER_SETTINGS,
    database_values,
    developing_link,
    json_object,
    oca_dependencies_are_off,
)
from odpm_tasks.core.manifest.reader import Examination, examine, invalid
from odpm_tasks.core.sources.link import canonical
from odpm_tasks.errors import LockError

KEPT = ("system_packages", "services", "service_patches", "hooks", "trust", "audit_waivers", "scenarios", "locks")
_SINCE_NESTED, _SINCE_SCENARIOS = "4.4.0", "4.7.0"


@dataclass(frozen=True, slots=True)
class Migration:
    """The nested text. `unplaced`: paths of values that were removed. `notes`: further remarks for the user."""

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
    text: str,
    *,
    user_settings: str | None = None,
    lock_text: str | None = None,
    secrets: str | None = None,
    where: str = MANIFEST_FILE,
) -> Migration:
    """The same description in the nested format.

    `user_settings`, `lock_text`, `secrets`: the texts of user_settings.json, .odpm/deps.lock.json and .odpm/secrets.json, if
    they exist. The commits of the lock become `locks`; no value of a secret is read. Errors: DescriptionError if the flat
    file is invalid, LockError if the lock is invalid.
    """
    found = examine(text, _unset, where)
    if found.raw.get("manifest_schema") == 2 and type(found.raw["manifest_schema"]) is int:
        return Migration(text, notes=(f"{where} is already in the nested format",), already_v2=True)
    if errors := [problem for problem in found.errors if problem.kind != "nested"]:
        raise invalid(where, found.lines(errors))
    model = v1.ManifestV1.model_validate(v1.cleaned(found.raw), strict=True)
    settings = json_object(user_settings, USER_SETTINGS)
    draft = _Draft()
    _stack(draft, model, found.raw)
    link, notes = (model.developing_project, []) if model.developing_project else developing_link(settings)
    if link:
        draft.new["developing"] = {"git": link}
    draft.notes += notes
    _lists(draft, model, found.raw, settings)
    database, notes = database_values(found.raw.get("database") or {}, settings)
    if database:
        draft.new["database"] = database
    draft.notes += notes
    _blocks(draft, found.raw)
    _locks(draft, json_object(lock_text, LOCK_FILE))
    draft.notes += odpm4.settings_notes(settings, USER_SETTINGS)
    names = json_object(secrets, SECRETS).get("secrets")
    draft.notes += odpm4.secret_notes(names if isinstance(names, dict) else {}, SECRETS)
    draft.unplaced += [key for key in found.raw if key not in (*v1.KEYS, *KEPT)]
    _prune(draft, where)
    draft.new["requires_odpm"] = smallest_odpm(draft.new)
    return Migration(dump(draft.new, indent_of(text)), tuple(dict.fromkeys(draft.unplaced)), tuple(draft.notes))


def unified(old: str, new: str, name: str) -> str:
    """The difference in the format of `git diff`; empty if there is none."""
    lines = unified_diff(old.splitlines(keepends=True), new.splitlines(keepends=True), f"a/{name}", f"b/{name}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


def smallest_odpm(raw: Mapping[str, Any]) -> str:
    """The oldest odpm that reads a nested manifest: 4.4 introduced the format, 4.7 scenarios, 5.0 further keys."""
    scenarios = raw.get("scenarios") or {}
    blocks = [raw, *(scenarios.get(name) or {} for name in SCENARIOS)]
    services = [service or {} for block in blocks for service in (block.get("services") or {}).values()]
    newest = any("post_up" in (block.get("hooks") or {}) for block in blocks)
    newest = newest or any(raw.get(key) or raw.get(key) is False for key in v2.SINCE_5_KEYS)
    newest = newest or bool((raw.get("platform") or {}).get("merges"))
    newest = newest or not all(isinstance(entry, str) for entry in raw.get("dependencies") or ())
    if newest or any("build" in service for service in services):
        return v2.SINCE_5
    return _SINCE_SCENARIOS if scenarios else _SINCE_NESTED


def _unset(name: str) -> str | None:
    return None


def _stack(draft: _Draft, model: v1.ManifestV1, raw: Mapping[str, Any]) -> None:
    written = model.model_fields_set
    new = draft.new
    new["manifest_schema"] = 2
    new["requires_odpm"] = _SINCE_NESTED
    if model.odoo_version:
        new["odoo_version"] = model.odoo_version
    new["platform"] = {"git": model.odoo_git_link}
    if "odoo_build_date" in written:
        new["platform"]["build_date"] = str(raw["odoo_build_date"])
    if "platform_name" in written:
        new["platform_name"] = model.platform_name
    if model.arch:
        new["arch"] = model.arch
    new["python"] = model.python_version
    new["distro"] = {"name": model.distro_name, "version": v1.release(model)}
    new["postgres"] = model.postgres_version


def _lists(draft: _Draft, model: v1.ManifestV1, raw: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    if "dependencies" in model.model_fields_set:
        draft.new["dependencies"] = [
            entry if isinstance(entry, str) else entry.model_dump(exclude_unset=True) for entry in model.dependencies
        ]
    if "use_oca_dependencies" in model.model_fields_set:
        draft.new["use_oca_dependencies"] = model.use_oca_dependencies
    elif oca_dependencies_are_off(raw, settings):
        draft.new["use_oca_dependencies"] = False
        draft.notes.append(OCA_REMARK)
    if model.requirements_ignore:
        draft.new["requirements_ignore"] = list(model.requirements_ignore)
    if "requirements_txt" in model.model_fields_set:
        draft.new["requirements"] = [line for line in model.requirements_txt if line]


def _blocks(draft: _Draft, raw: Mapping[str, Any]) -> None:
    for key in ("odoo_conf", *KEPT):
        if raw.get(key) not in (None, ""):
            draft.new[key], replaced = odpm4.with_variables(raw[key])
            draft.notes += [f"{key}: {words}" for words in replaced]


def _locks(draft: _Draft, lock: Mapping[str, Any]) -> None:
    """`locks.git` of the platform and the dependencies.

    Folders on disk have no commit, and the checkout with `odpm.json` cannot pin itself: only the lock file records them.
    """
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
            draft.notes.append(f"{url} has no commit to pin: only {LOCK_FILE} records it")
        else:
            pins[canonical(url)] = str(commit).lower()
    if pins:
        draft.notes.append(
            f"the pins of {LOCK_FILE} are copied into locks.git and override that file from now on; "
            "inv migrate --no-locks leaves them out"
        )
    locks: dict[str, Any] = {"git": dict(sorted(pins.items()))}
    if isinstance(lock.get("venv"), str):
        locks["venv"] = lock["venv"]
    draft.new["locks"] = locks


def _prune(draft: _Draft, where: str) -> None:
    """Remove the values that the nested format does not accept, and record their paths."""
    while True:
        found = _examined(draft, where)
        removed = {problem.path for problem in found.errors if problem.kind in ("unknown", "refused")}
        removed |= {problem.path for problem in found.errors if problem.path[:1] == ("requirements",)}
        if not removed:
            break
        for path in sorted(
            removed, key=_order, reverse=True
        ):  # in reverse, so that the indexes of the others do not change
            _remove(draft.new, path)
        draft.unplaced += [_spelled_flat(path) for path in sorted(removed, key=_order)]
    if found.errors:
        lines = [f"{spell(problem.path)}: {problem.text}" for problem in found.errors]
        raise invalid(f"{where} after migration", lines, f"fix {where}, then run the same command again")


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
