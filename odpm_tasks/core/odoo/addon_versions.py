"""Versions of add-ons, and the migration scripts that Odoo runs between two versions (odoo/modules/migration.py)."""

from __future__ import annotations

import re

SCRIPT = re.compile(r"(?P<addon>.+)/(?:migrations|upgrades)/(?P<version>[^/]{1,100})/(?:pre|post|end)-[^/]*\.py")
_DEFAULT = "1.0"  # the default of Odoo for a manifest without a version


def version_key(version: str, series: str) -> tuple[tuple[int, str], ...]:
    """The sort key of an add-on's version: `1.2` for Odoo 19.0 is `19.0.1.2`."""
    return compare_key(_full(version, series))


def runs(path: str, old: str, new: str, series: str) -> bool:
    """Whether Odoo runs a migration script on an update from one version to the other. `path`: in the repository.

    A folder with a series, `19.0.1.1.0`, is compared as it is; one without is compared with the part after the series.
    `0.0.0` runs on every update to a higher version.
    """
    match = SCRIPT.fullmatch(path)
    if match is None:
        return False
    script, before, after = match["version"], _full(old, series), _full(new, series)
    if script == "0.0.0":
        return compare_key(before) < compare_key(after)
    if script.count(".") > 2:
        return compare_key(before) < compare_key(script) <= compare_key(after)
    before, after = (text.split(".", 2)[2] if text.count(".") > 1 else "" for text in (before, after))
    return compare_key(before) < compare_key(script) <= compare_key(after)


def _full(version: str, series: str) -> str:
    version = version or _DEFAULT
    whole = version == series or version.startswith(f"{series}.") or version.count(".") > 2
    return version if whole else f"{series}.{version}"


def compare_key(text: str) -> tuple[tuple[int, str], ...]:
    """The sort key of a whole version, with its series: numbers by value, words before numbers, zeros at the end ignored."""
    parts = [(int(p), "") if p.isdecimal() else (-1, p) for p in re.findall(r"[0-9]+|[a-z]+", text.lower())]
    while parts and parts[-1] == (0, ""):
        parts.pop()
    return tuple(parts)
