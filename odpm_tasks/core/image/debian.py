"""Debian's formats: the order of versions, the files that a signed index lists, the packages of an index.

Sources: the Debian policy, section 5.6.12 (versions); the Debian repository format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cmp_to_key

_PACKED = (".xz", ".gz", "")


def compare_versions(one: str, two: str) -> int:
    """Below 0 if the first version is older, above 0 if it is newer, 0 if both are equal."""
    (epoch, upstream, revision), (other_epoch, other_upstream, other_revision) = _split(one), _split(two)
    return (epoch - other_epoch) or _compare(upstream, other_upstream) or _compare(revision, other_revision)


version_key = cmp_to_key(compare_versions)


def _split(version: str) -> tuple[int, str, str]:
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, _, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    return int(epoch) if epoch.isdecimal() else 0, upstream, revision


def _compare(one: str, two: str) -> int:
    """Parts without digits by their characters, `~` before the end of the text and letters before others; numbers by value."""
    parts = [re.findall(r"(\D*)(\d*)", text) for text in (one, two)]
    for index in range(max(map(len, parts))):
        (text, number), (other, other_number) = (each[index] if index < len(each) else ("", "") for each in parts)
        keys = [[*map(_order, word), 0] for word in (text, other)]
        if keys[0] != keys[1]:
            return -1 if keys[0] < keys[1] else 1
        if difference := int(number or 0) - int(other_number or 0):
            return difference
    return 0


def _order(char: str) -> int:
    return -1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256


def packages_file(index: str, architecture: str) -> tuple[str, str] | None:
    """Path and SHA-256 of the list of packages that a signed index names, the smallest form of it; None where it names none."""
    _, _, rows = index.partition("\nSHA256:")
    sums = {path: digest for digest, path in re.findall(r"^ ([0-9a-f]{64}) +\d+ (\S+)$", rows, re.MULTILINE)}
    names = (f"main/binary-{architecture}/Packages{packed}" for packed in _PACKED)
    return next(((name, sums[name]) for name in names if name in sums), None)


def newest_versions(packages: str) -> dict[str, str]:
    """Package -> its newest version in a list of packages."""
    found: dict[str, str] = {}
    for name, version in re.findall(r"^Package: (\S+)\n(?:.+\n)*?Version: (\S+)$", packages, re.MULTILINE):
        if name not in found or compare_versions(found[name], version) < 0:
            found[name] = version
    return found


def newest(*archives: Mapping[str, str]) -> dict[str, str]:
    """Package -> its newest version in several archives."""
    names = {name for archive in archives for name in archive}
    return {name: max((each[name] for each in archives if name in each), key=version_key) for name in names}
