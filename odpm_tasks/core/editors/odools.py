"""odools.toml: where Odoo's language server finds Odoo and the add-ons. Relative paths begin at the folder of the file."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import tomlkit
from tomlkit.exceptions import TOMLKitError

from odpm_tasks.core.editors.mappings import SourceFolders
from odpm_tasks.core.editors.merge import Edit
from odpm_tasks.errors import DescriptionError

FILE = "odools.toml"
PROFILE = "default"  # the profile that the server uses if the user chooses no other
HEADER = "# Written by odpm from odpm.json and the lock; your own entries stay.\n\n"


def document(folders: SourceFolders) -> dict[str, Any]:
    """The values of the file. The server finds the add-ons of Odoo itself below `odoo_path`."""
    return {
        "config": [
            {
                "name": PROFILE,
                "odoo_path": f"./{folders.platform}",
                "addons_paths": [f"./{folder}" if folder else "." for folder in folders.addons],
            }
        ]
    }


def read(text: str, where: str) -> Any:
    """The value of a text. Errors: DescriptionError."""
    return _parsed(text, where).unwrap()


def edited(text: str, where: str, edits: Iterable[Edit]) -> str:
    """The text with these changes; comments and everything else stay. Errors: as `read`."""
    parsed = _parsed(text, where)
    for edit in edits:
        target: Any = parsed
        for part in edit.path[:-1]:
            target = target[part]
        last = edit.path[-1]
        if edit.kind == "remove":
            del target[last]
        elif edit.kind == "add" and isinstance(last, int):
            target.insert(last, _table(edit.value) if isinstance(edit.value, dict) else edit.value)
        else:
            target[last] = _value(edit.value)
    return tomlkit.dumps(parsed)


def _parsed(text: str, where: str) -> tomlkit.TOMLDocument:
    try:
        return tomlkit.parse(text)
    except TOMLKitError as error:
        raise DescriptionError(
            f"{where} is not valid TOML: {error}", where=where, todo="fix it, or move the file elsewhere, then: inv ide"
        ) from None


def _value(value: Any) -> Any:
    if isinstance(value, list) and value and all(isinstance(element, dict) for element in value):
        tables = tomlkit.aot()
        for element in value:
            tables.append(_table(element))
        return tables
    if isinstance(value, list):
        array = tomlkit.array()
        array.extend(value)
        return array.multiline(len(value) > 1)
    return value


def _table(value: dict[str, Any]) -> Any:
    table = tomlkit.table()
    for key, member in value.items():
        table.add(key, _value(member))
    return table
