"""Edits of translations (`.po`): errors, and whether only terms of code differ."""

from __future__ import annotations

import re

from odpm_tasks.core.edits.python_source import SourceError


def translation_error(data: bytes) -> SourceError | None:
    """The error of a file that is not in the format of gettext."""
    found = _entries(data)
    return found if isinstance(found, SourceError) else None


def changed_terms(before: bytes, after: bytes) -> tuple[int, bool]:
    """How many translations differ, and whether all of them are terms of code, which Odoo does not store."""
    old, new = _entries(before), _entries(after)
    if isinstance(old, SourceError) or isinstance(new, SourceError):
        return 1, False
    changed = [key for key in {**old, **new} if old.get(key) != new.get(key)]
    return len(changed), all((new.get(key) or old[key])[1] for key in changed)


def _entries(data: bytes) -> dict[tuple[str, str], tuple[str, bool]] | SourceError:
    """Context and term -> translation, and whether it occurs in code only."""
    import polib

    try:
        found = polib.pofile(data.decode("utf-8-sig") + "\n")
    except UnicodeDecodeError as error:
        return SourceError(f"not UTF-8 text (byte {error.start})")
    except OSError as error:  # of polib, for a text that it cannot parse
        line = re.search(r"line (\d+)", str(error))
        return SourceError("not in the format of gettext", int(line[1]) if line else 0)
    return {
        (entry.msgctxt or "", entry.msgid): (
            entry.msgstr,
            bool(entry.occurrences) and all(place.startswith("code:") for place, _ in entry.occurrences),
        )
        for entry in found
        if not entry.obsolete
    }


def is_language_of(file: str, languages: frozenset[str]) -> bool:
    """Whether Odoo reads a translation file, such as `de.po`, for one of these languages."""
    name = file.rpartition("/")[2].removesuffix(".po")
    return any(name in {code, code.partition("_")[0]} for code in languages)
