"""The editors that a project is set up for: the value of ODPM_IDE."""

from __future__ import annotations

import re

from odpm_tasks.core.text import nearest
from odpm_tasks.errors import DescriptionError

VARIABLE = "ODPM_IDE"
EDITORS = ("vscode", "pycharm", "odools")
FOLDERS = (".vscode", ".run", ".idea", "odools.toml")
_BEGINS = {".vscode/": "vscode", ".run/": "pycharm", ".idea/": "pycharm", "odools.toml": "odools"}
_GROUPS = {"both": ("vscode", "pycharm"), "none": ()}  # of odpm 4


def editors(text: str | None, where: str) -> tuple[str, ...]:
    """The names in a list that is separated by commas, in a fixed order. Errors: DescriptionError for an unknown name."""
    found: set[str] = set()
    for word in filter(None, re.split(r"[,\s]+", (text or "").lower())):
        if word not in {*EDITORS, *_GROUPS}:
            raise DescriptionError(
                f"unknown editor {word!r}{nearest(word, (*EDITORS, *_GROUPS))}",
                where=where,
                todo=f"{VARIABLE} is a list of: {', '.join(EDITORS)}; or none",
            )
        found |= {*_GROUPS.get(word, (word,))}
    return tuple(name for name in EDITORS if name in found)


def editor_of(path: str) -> str:
    """The editor that a file belongs to; empty for another file."""
    return next((name for begin, name in _BEGINS.items() if path.startswith(begin)), "")
