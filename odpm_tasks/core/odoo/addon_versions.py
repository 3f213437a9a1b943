"""Versions of add-ons, and which migration scripts Odoo runs on the way from one to another (odoo/modules/migration.py)."""

from __future__ import annotations

import re

SCRIPT = re.compile(r"(?P<addon>.+)/(?:migrations|upgrades)/(?P<version>[^/]+)/(?:pre|post|end)-[^/]*\.py")
_DEFAULT = "1.0"  # Odoo's, of a manifest that names none


def version_key(version: str, series: str) -> tuple[tuple[int, str], ...]:
    """What versions of add-ons are compared by: `1.2` of Odoo 19.0 is `19.0.1.2`."""
    return _key(_full(version, series))


def runs(path: str, old: str, new: str, series: str) -> bool:
    """Whether Odoo runs a migration script (its path in the repository) on the way from one version to the other.

    A folder `19.0.1.1.0` is compared as it is; one without series only with what stands behind the series; `0.0.0` runs at
    every step upward.
    """
    match = SCRIPT.fullmatch(path)
    if match is None:
        return False
    asked, was, now = match["version"], _full(old, series), _full(new, series)
    if asked == "0.0.0":
        return _key(was) < _key(now)
    if asked.count(".") > 2:
        return _key(was) < _key(asked) <= _key(now)
    was, now = (text.split(".", 2)[2] if text.count(".") > 1 else "" for text in (was, now))
    return _key(was) < _key(asked) <= _key(now)


def _full(version: str, series: str) -> str:
    version = version or _DEFAULT
    whole = version == series or version.startswith(f"{series}.") or version.count(".") > 2
    return version if whole else f"{series}.{version}"


def _key(text: str) -> tuple[tuple[int, str], ...]:
    """Numbers by value, words before numbers, zeros at the end without weight."""
    parts = [(int(p), "") if p.isdecimal() else (-1, p) for p in re.findall(r"[0-9]+|[a-z]+", text.lower())]
    while parts and parts[-1] == (0, ""):
        parts.pop()
    return tuple(parts)
