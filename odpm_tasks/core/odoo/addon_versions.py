"""Versions of add-ons, and the migration scripts that Odoo runs between two versions (odoo/modules/migration.py)."""

from __future__ import annotations

import re

SCRIPT = re.compile(r"(?P<addon>.+)/(?:migrations|upgrades)/(?P<version>[^/]{1,100})/(?:pre|post|end)-[^/]*\.py")
_DEFAULT = "1.0"  # the default of Odoo for a manifest without a version
_WHOLE_VERSIONS = 19  # since this series, a version of four or five numbers is stored as it is
_SERIES = re.compile(r"(?P<saas>saas[-~])?(?<![\d.])(?P<release>\d{1,3}\.\d)(?!\d)")


def version_key(version: str, series: str) -> tuple[tuple[int, str], ...]:
    """The sort key of an add-on's version: `1.2` for Odoo 19.0 is `19.0.1.2`."""
    return compare_key(adapted_version(version, series))


def runs(path: str, old: str, new: str, series: str) -> bool:
    """Whether Odoo runs a migration script on an update from one version to the other. `path`: in the repository.

    A folder with a series, `19.0.1.1.0`, is compared as it is; one without is compared with the part after the series.
    `0.0.0` runs on every update to a higher version.
    """
    match = SCRIPT.fullmatch(path)
    if match is None:
        return False
    script, before, after = match["version"], adapted_version(old, series), adapted_version(new, series)
    if script == "0.0.0":
        return compare_key(before) < compare_key(after)
    if script.count(".") > 2:
        return compare_key(before) < compare_key(script) <= compare_key(after)
    before, after = (text.split(".", 2)[2] if text.count(".") > 1 else "" for text in (before, after))
    return compare_key(before) < compare_key(script) <= compare_key(after)


def stored_series(odoo_version: str) -> str:
    """The series as a database stores it: `saas~17.4` for `saas-17.4`, `16.0` for `16.0-custom`; text without one is kept."""
    found = _SERIES.search(odoo_version)
    return f"{'saas~' if found['saas'] else ''}{found['release']}" if found else odoo_version


def adapted_version(version: str, odoo_version: str) -> str:
    """The version that Odoo stores for the version of a manifest: `1.2` for 19.0 is `19.0.1.2`, none is `19.0.1.0`.

    Source: odoo/modules/module.py (`adapt_version`).
    """
    version, series = version or _DEFAULT, stored_series(odoo_version)
    major = re.search(r"\d+", series)
    if version.startswith(f"{series}."):
        return version
    if major and int(major[0]) < _WHOLE_VERSIONS:
        return f"{series}.{version}"
    return version if version == series or version.count(".") > 2 else f"{series}.{version}"


def compare_key(text: str) -> tuple[tuple[int, str], ...]:
    """The sort key of a whole version, with its series: numbers by value, words before numbers, zeros at the end ignored."""
    parts = [(int(p), "") if p.isdecimal() else (-1, p) for p in re.findall(r"[0-9]+|[a-z]+", text.lower())]
    while parts and parts[-1] == (0, ""):
        parts.pop()
    return tuple(parts)
