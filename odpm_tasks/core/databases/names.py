"""Names of databases: which ones a user may give, and those that odpm keeps for itself.

A database and the folder of its files below `filestore` have the same name. Names that begin with `odpm.` are odpm's: such
a database has `IS_TEMPLATE`, so that Odoo does not list it and runs no scheduled action in it.
"""

from __future__ import annotations

import re

from odpm_tasks.errors import DescriptionError

OWN = "odpm."
NEW, SNAPSHOT, TEMPLATE = f"{OWN}new.", f"{OWN}snapshot.", f"{OWN}template."
LONGEST = 63  # bytes; PostgreSQL cuts longer names


def check_name(name: str, where: str = "-d") -> str:
    """The name, if a user may give it to a database. Errors: DescriptionError with the reason and where it was given."""
    reason = _refusal(name)
    if reason:
        raise DescriptionError(
            f"{name!r} cannot be the name of a database of this project: {reason}",
            where=where,
            todo="use letters, digits, - and _",
        )
    return name


def _refusal(name: str) -> str:
    if not name:
        return "it is empty"
    if name == "postgres" or re.match(r"template", name, re.IGNORECASE):
        return "PostgreSQL keeps this one for itself"
    if name.startswith(OWN):
        return f"names that begin with {OWN} are odpm's"
    if "/" in name or "\\" in name:
        return "it is also the name of a folder"
    if name[0] in ".-" or not name.isprintable() or name != name.strip():
        return "it begins with a dot or a dash, or has blanks around it or control characters"
    if len(name.encode()) > LONGEST:
        return f"it has more than {LONGEST} bytes"
    return ""


def check_snapshot_name(name: str) -> str:
    """The name, if a user may give it to a snapshot. Errors: DescriptionError."""
    if re.fullmatch(r"[^\W_][\w.+-]{0,99}", name):
        return name
    raise DescriptionError(
        f"{name!r} cannot be the name of a snapshot",
        where="NAME",
        todo="use at most 100 letters, digits, dots, - and _, and begin with a letter or digit",
    )
