"""Hashes of add-ons, as `click-odoo-update` computes and stores them, so that a team can use both on one database.

The hash is a SHA-1 over path and content of each file of an add-on. In the database, `STORED` is a JSON object: name of the
add-on -> hash at its last update, false for one that was not on the add-ons path. Facts: click_odoo_contrib, `update.py` and
`_addon_hash.py`.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase

STORED = "module_auto_update.installed_checksums"  # keys of ir_config_parameter
PATTERNS = "module_auto_update.exclude_patterns"
DEFAULT_PATTERNS = "*.pyc,*.pyo,i18n/*.pot,i18n_extra/*.pot,static/*,tests/*"
_TRANSLATIONS = frozenset({"i18n", "i18n_extra"})


def exclude_patterns(value: str | None) -> tuple[str, ...]:
    """The patterns of paths that do not count, from the value of `PATTERNS`; None: the default. `*` also matches `/`."""
    return tuple(pattern.strip() for pattern in (DEFAULT_PATTERNS if value is None else value).split(","))


def hashed_files(names: Iterable[str], patterns: Collection[str], languages: Iterable[str]) -> tuple[str, ...]:
    """The files of an add-on that its hash covers, in the order in which it does: files before folders, each sorted.

    `names`: the paths in the add-on. `languages`: the active ones of the database; translations into others do not count,
    unless there is none.
    """
    kept = {language.partition("_")[0] for language in languages}
    return tuple(
        name
        for name in sorted(names, key=_order)
        if not any(fnmatchcase(name, pattern) for pattern in patterns) and _is_used(name, kept)
    )


def _order(name: str) -> tuple[tuple[int, str], ...]:
    *folders, file = name.split("/")
    return (*((1, folder) for folder in folders), (0, file))


def _is_used(name: str, languages: Collection[str]) -> bool:
    folder, file = posixpath.split(name)
    stem, extension = posixpath.splitext(file)
    translation = folder in _TRANSLATIONS and extension == ".po"
    return not (translation and languages) or stem.partition("_")[0] in languages


def addon_hash(files: Iterable[tuple[str, bytes]]) -> str:
    """The hash over the path and the bytes of each file; `files` are in the order of `hashed_files`."""
    digest = hashlib.sha1(usedforsecurity=False)
    for name, data in files:
        digest.update(name.encode(errors="surrogateescape"))
        digest.update(data)
    return digest.hexdigest()


@dataclass(frozen=True)
class AddonHashes:
    """The installed add-ons of a database: their hashes at the last update (`stored`) and now (`current`).

    `current` lacks an add-on that no source has or that is not installable.
    """

    installed: tuple[str, ...] = ()
    stored: Mapping[str, str] = field(default_factory=dict)
    current: Mapping[str, str] = field(default_factory=dict)

    @property
    def changed(self) -> tuple[str, ...]:
        """The add-ons to update: their files differ from the last update, or no update was recorded."""
        return tuple(
            name for name in self.installed if name in self.current and self.current[name] != self.stored.get(name)
        )

    def after_update(self, updated: Collection[str] | None = None) -> str:
        """The value to store after an update of `updated` and their dependents, None: of all changed add-ons.

        An add-on that was installed and not updated keeps its hash.
        """
        values: dict[str, str | bool] = {}
        for name in self.installed:
            if updated is None or name in updated:
                values[name] = self.current.get(name, False)
            elif name in self.stored:
                values[name] = self.stored[name]
        return json.dumps(values)


def stored_hashes(value: str | None) -> dict[str, str]:
    """The hashes in the value of `STORED`; none in a value that is not a JSON object."""
    try:
        found = json.loads(value or "{}")
    except ValueError:
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)} if isinstance(found, dict) else {}
