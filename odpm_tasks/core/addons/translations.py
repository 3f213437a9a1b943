"""Templates for translations (`.pot`) and translations (`.po`) of add-ons, as text."""

from __future__ import annotations

import re

# The dates change with each export and say nothing; the tools of the OCA remove them, too.
_DATES = re.compile(r'^"(?:POT-Creation-Date|PO-Revision-Date):.*\n', re.MULTILINE)


def template_text(exported: str) -> str:
    """The text of a template as Odoo exports it, without its dates."""
    return _DATES.sub("", exported)


def has_terms(text: str) -> bool:
    """Whether a template contains anything to translate."""
    import polib

    return len(polib.pofile(text + "\n")) > 0


def merged(translation: str, template: str, *, purge: bool) -> str:
    """A translation with the terms of a template: new ones are added without text, places and comments are those of the template.

    A term that no longer exists is kept as a comment, with `purge` removed. Nothing is translated by similarity. Errors:
    ValueError for a text that is not in the format of gettext.
    """
    import polib

    try:
        found, new = polib.pofile(translation + "\n"), polib.pofile(template + "\n")
    except OSError as error:  # of polib, for a text that it cannot parse
        raise ValueError(str(error)) from None
    found.merge(new)
    if purge:
        for entry in found.obsolete_entries():
            found.remove(entry)
    return _DATES.sub("", str(found)).rstrip("\n") + "\n"
