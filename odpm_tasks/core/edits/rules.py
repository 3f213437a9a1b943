"""The smallest action for an edit, with its reason: one function for each kind of file."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from fnmatch import fnmatchcase

from odpm_tasks.core.config.paths import LOCK_FILE, MANIFEST_FILE, PYTHON_LOCKS
from odpm_tasks.core.edits import addon_manifest, python_source, translations, xml_data
from odpm_tasks.core.edits.python_source import SourceError
from odpm_tasks.core.edits.values import Action, Decision, EditContext, FileEdit, WatchedAddon
from odpm_tasks.core.odoo.addons import MANIFEST, MANIFESTS
from odpm_tasks.core.text import plural

DESCRIPTION = "description"
_DESCRIBING = (MANIFEST_FILE, ".env", LOCK_FILE, *PYTHON_LOCKS, ".odpm/templates/*")
REQUIREMENTS = ("requirements.txt", "oca_dependencies.txt")
_ASSETS = {
    "js": "JavaScript",
    "mjs": "JavaScript",
    "css": "style sheet",
    "scss": "style sheet",
    "sass": "style sheet",
    "less": "style sheet",
    "xml": "template of the web client",
}
_DATA = frozenset({"xml", "csv", "sql", "yml"})
_LATER = {
    "tests": "loaded by inv test",
    "migrations": "run by an update that raises the version",
    "upgrades": "run by an update that raises the version",
}
_EDITOR_FILE = re.compile(r"(.*/)?(\.(?!env$)[^/]*|#[^/]*#|[^/]*~|[^/]*\.(tmp|orig|rej|pyc|pyo)|4913)")
_IGNORED_FOLDERS = frozenset({".git", "__pycache__", "node_modules", ".mypy_cache", ".ruff_cache", ".pytest_cache"})


def is_ignored(path: str) -> bool:
    """Whether a file is of an editor, of git or of a cache: no edit of the user's."""
    return bool(_IGNORED_FOLDERS & {*path.split("/")}) or bool(_EDITOR_FILE.fullmatch(path))


def is_description(path: str) -> bool:
    """Whether a file can change what the stack consists of, so that the plan decides: `odpm.json`, `.env`, locks, what sources require."""
    name = path.rpartition("/")[2]
    source = re.fullmatch(r"\.odpm/src/[^/]+/[^/]+", path)
    return any(fnmatchcase(path, pattern) for pattern in _DESCRIBING) or bool(
        source and (name in REQUIREMENTS or name == MANIFEST_FILE)
    )


def decide(edit: FileEdit, context: EditContext) -> Decision:
    """The decision about one edit. A file that `is_description` is decided by the plan, not here."""
    place = context.addon_of(edit.path)
    if place is None:
        return _outside(edit, context)
    addon, path = place
    if not addon.installed:
        return _not_installed(edit, addon, path)
    folder, _, name = path.partition("/")
    kind, extension = _OTHER, path.rpartition(".")[2] if "." in path else ""
    rule: _Rule
    if path in MANIFESTS:
        kind, rule = "manifest", _manifest
    elif folder == "static":
        kind, rule = _ASSETS.get(extension, "static file"), _static
    elif folder in _LATER:
        kind = "test" if folder == "tests" else "migration"
        return _because(edit, kind, "nothing", _LATER[folder])
    elif extension == "py":
        kind, rule = "Python", _python
    elif folder in {"i18n", "i18n_extra"} and name:
        kind, rule = "translation", _translation
    else:
        kind, rule = "data", _data
    return rule(edit, kind, addon, path, context)


_Rule = Callable[[FileEdit, str, WatchedAddon, str, EditContext], Decision]
_OTHER = "other"


def _because(
    edit: FileEdit,
    kind: str,
    action: Action,
    reason: str,
    addon: str = "",
    *,
    reload: bool = False,
    overwrite: bool = False,
) -> Decision:
    return Decision(edit.path, kind, action, reason, addon, reload, overwrite)


def _error(edit: FileEdit, kind: str, error: SourceError, addon: str = "") -> Decision:
    return Decision(edit.path, kind, "error", error.message, addon, line=error.line)


def _outside(edit: FileEdit, context: EditContext) -> Decision:
    if edit.path.startswith(f"{context.platform_code}/") and edit.path.endswith(".py"):
        return _python(edit, "Python", None, edit.path, context)
    if edit.path in REQUIREMENTS:
        return _because(
            edit, DESCRIPTION, "nothing", f"of the project, and not read; {MANIFEST_FILE} names what it requires"
        )
    if edit.path == "tasks.py":
        return _because(edit, _OTHER, "nothing", "read by each inv")
    return _because(edit, _OTHER, "nothing", "not in an add-on")


def _not_installed(edit: FileEdit, addon: WatchedAddon, path: str) -> Decision:
    if path == MANIFEST and edit.before is None and edit.known:
        values = addon_manifest.manifest_values(edit.after or b"")
        if isinstance(values, SourceError):
            return _error(edit, "manifest", values, addon.name)
        return _because(edit, "manifest", "nothing", f"a new add-on; to install it: inv up -i {addon.name}")
    return _because(edit, _OTHER, "nothing", f"{addon.name} is not installed")


def _python(edit: FileEdit, kind: str, addon: WatchedAddon | None, path: str, context: EditContext) -> Decision:
    """Code is loaded when Odoo starts; a changed definition of a model is also applied to the database."""
    name = addon.name if addon else ""
    if edit.after is not None and (
        error := python_source.syntax_error(edit.after, context.python, sys.version_info[:2])
    ):
        return _error(edit, kind, error, name)
    before, after = edit.before or b"", edit.after or b""
    if edit.known and edit.before is not None and not context.debug and python_source.same_code(before, after):
        return _because(edit, kind, "nothing", "the code is the same: only comments or layout differ")
    if addon and edit.known and (change := python_source.definition_change(before, after)):
        return _because(edit, kind, "update", change, name, reload=True)
    if addon and edit.known and path.endswith("__init__.py") and python_source.imports_change(before, after):
        return _because(edit, kind, "update", "it imports other modules, which may define models", name, reload=True)
    if addon and context.reloads_itself():
        return _because(edit, kind, "reload", "Odoo notices it (--dev=reload)", name)
    return _because(edit, kind, "reload", "code is loaded when Odoo starts", name)


def _manifest(edit: FileEdit, kind: str, addon: WatchedAddon, path: str, context: EditContext) -> Decision:
    if edit.after is None:
        if path != MANIFEST:
            return _because(edit, kind, "nothing", "replaced by another file")
        return _because(
            edit, kind, "up", f"{addon.name} is installed and gone; restore it, or: inv mod.uninstall {addon.name}"
        )
    after = addon_manifest.manifest_values(edit.after)
    if isinstance(after, SourceError):
        return _error(edit, kind, after, addon.name)
    if missing := addon_manifest.missing_depends(after, context.known):
        return _error(edit, kind, SourceError(f"depends on {', '.join(missing)}, which no source has"), addon.name)
    before = addon_manifest.manifest_values(edit.before) if edit.known and edit.before is not None else None
    if before is None or isinstance(before, SourceError):
        return _because(edit, kind, "update", "the manifest before is not known", addon.name, reload=True)
    keys = addon_manifest.changed_keys(before, after)
    shown = ", ".join(keys)
    if addon_manifest.needs_image(keys):
        return _because(edit, kind, "up", f"{shown}: other packages in the image")
    if addon_manifest.needs_update(keys):
        return _because(edit, kind, "update", f"{shown} differs", addon.name, reload=addon_manifest.needs_reload(keys))
    if addon_manifest.needs_reload(keys):
        return _because(edit, kind, "reload", f"{shown}: kept in memory by Odoo", addon.name)
    if not keys:
        return _because(edit, kind, "nothing", "the values are the same")
    return _because(edit, kind, "nothing", f"{shown}: shown after the next update")


def _static(edit: FileEdit, kind: str, addon: WatchedAddon, path: str, context: EditContext) -> Decision:
    if path.startswith("static/description/"):
        return _because(edit, kind, "nothing", "shown in the list of add-ons")
    extension = path.rpartition(".")[2]
    if extension not in _ASSETS:
        return _because(edit, kind, "page", "served from the file")
    if extension == "xml" and edit.after is not None and (error := xml_data.xml_error(edit.after)):
        return _error(edit, kind, error, addon.name)
    if context.serves_from_file():
        return _because(edit, kind, "page", "Odoo reads it at each page (--dev=xml)")
    return _because(edit, kind, "assets", "bundled, and the bundle is cached")


def _translation(edit: FileEdit, kind: str, addon: WatchedAddon, path: str, context: EditContext) -> Decision:
    """Terms of records are stored in the database, those of code are kept in memory (from 16.0 on)."""
    if not path.endswith(".po"):
        return _because(edit, kind, "nothing", "a template: no language is read from it")
    if edit.after is not None and (error := translations.translation_error(edit.after)):
        return _error(edit, kind, error, addon.name)
    if not translations.is_language_of(path, context.languages):
        return _because(edit, kind, "nothing", "its language is not active in the database")
    in_memory = context.release >= (16, 0)
    if edit.known:
        count, code_only = translations.changed_terms(edit.before or b"", edit.after or b"")
        if not count:
            return _because(edit, kind, "nothing", "the translations are the same")
        if code_only and in_memory:
            return _because(
                edit, kind, "reload", f"{plural(count, 'term')} of code, kept in memory by Odoo", addon.name
            )
    return _because(
        edit,
        kind,
        "update",
        "stored in the database; replaces what was translated there",
        addon.name,
        reload=in_memory,
        overwrite=True,
    )


def _data(edit: FileEdit, kind: str, addon: WatchedAddon, path: str, context: EditContext) -> Decision:
    extension = path.rpartition(".")[2]
    values = addon_manifest.manifest_values(edit.manifest or b"{}")
    loaded = (
        addon_manifest.loaded_files(values, demo=addon.demo) if not isinstance(values, SourceError) else frozenset()
    )
    if path not in loaded:
        if extension not in _DATA:
            return _because(edit, _OTHER, "nothing", "Odoo does not load it")
        return _because(edit, kind, "nothing", f"{MANIFEST} does not name it")
    if edit.after is None:
        return _error(edit, kind, SourceError(f"{MANIFEST} names it, and it does not exist"), addon.name)
    reason = "loaded into the database"
    if extension == "xml":
        if error := xml_data.xml_error(edit.after):
            return _error(edit, kind, error, addon.name)
        if xml_data.has_views_only(edit.after):
            kind, reason = "view", "stored in the database"
            if (
                context.serves_from_file()
                and edit.known
                and edit.before is not None
                and xml_data.differs_in_content_only(edit.before, edit.after)
            ):
                return _because(edit, kind, "page", "Odoo reads views from their files (--dev=xml)")
        elif xml_data.keeps_records(edit.after):
            reason += "; with noupdate, existing records stay"
    return _because(edit, kind, "update", reason, addon.name)
