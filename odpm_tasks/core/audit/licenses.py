"""Licence conflicts between add-ons that depend on each other, and SPDX identifiers for the licences in Odoo manifests.

As in OCA's interpretation, the rules apply to dependencies only: independent add-ons in the same image are separate works.
They apply to direct and indirect dependencies:

- Add-ons that depend on (A)GPL code must be distributed under the (A)GPL, so proprietary add-ons must not (FSF's GPL FAQ,
  which Odoo's page on licences refers to; Odoo's app store and OCA's `manifestoo check-licenses` have the same rule).
- (A)GPL requires the sources of all code that it is combined with, so an (A)GPL add-on must not depend on a proprietary one:
  the Odoo Enterprise and Odoo Proprietary licences forbid the publication of their sources.
- LGPL and MIT add-ons may depend on proprietary ones: both Odoo licences name them for add-ons based on Odoo Enterprise.
- LGPL, GPL and AGPL of version 3 may depend on each other: by FSF's compatibility matrix and section 13 of GPL and AGPL, the
  whole is distributed under the strongest of them. `manifestoo` is stricter: the add-on itself must have that licence.
- GPL version 2 only is not compatible with version 3, including LGPL-3 of Odoo itself (the same matrix).

Python packages are not checked: manifests do not tell which packages an add-on links with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from odpm_tasks.core.audit.census import Addon
from odpm_tasks.errors import printable

DEFAULT = "LGPL-3"  # Odoo's default for manifests without a licence, since 9.0

# licence in a manifest, in lower case -> SPDX identifier (empty: none) and licence family
_LICENSES = {
    "mit": ("MIT", "permissive"),
    "lgpl-3": ("LGPL-3.0-only", "lgpl3"),
    "lgpl-3 or any later version": ("LGPL-3.0-or-later", "lgpl3"),
    "gpl-2": ("GPL-2.0-only", "gpl2"),
    "gpl-2 or any later version": ("GPL-2.0-or-later", "gpl"),
    "gpl-3": ("GPL-3.0-only", "gpl3"),
    "gpl-3 or any later version": ("GPL-3.0-or-later", "gpl3"),
    "agpl-3": ("AGPL-3.0-only", "agpl3"),
    "agpl-3 or any later version": ("AGPL-3.0-or-later", "agpl3"),
    "oeel-1": ("", "proprietary"),
    "opl-1": ("", "proprietary"),
    "other proprietary": ("", "proprietary"),
}
_SPDX = {spdx.lower(): (spdx, family) for spdx, family in _LICENSES.values() if spdx}
_COPYLEFT = {"gpl2", "gpl", "gpl3", "agpl3"}
_VERSION_3 = {"lgpl3", "gpl3", "agpl3"}
_MAX_NAMES = 3  # in one line


@dataclass(frozen=True, slots=True)
class Conflict:
    """`chain`: dependency chain from an add-on to one it must not depend on. `also`: add-ons with this conflict only because
    they depend on the first one of the chain.
    """

    chain: tuple[str, ...]
    license: str
    other: str
    why: str
    also: tuple[str, ...] = ()

    def __str__(self) -> str:
        *between, last = self.chain[1:]
        through = f" through {', '.join(between)}" if between else ""
        also = f"; so does what depends on {self.chain[0]}: {_listed(self.also)}" if self.also else ""
        return printable(
            f"{self.chain[0]} ({self.license}) depends on {last} ({self.other}){through}: {self.why}{also}"
        )


def spdx(word: str) -> str:
    """The SPDX identifier of a licence in a manifest; empty if it has none."""
    return _meaning(word)[0]


def unknown_licenses(addons: Iterable[Addon]) -> tuple[str, ...]:
    """A line for each licence without a rule, which includes `Other OSI approved licence`."""
    named: dict[str, list[str]] = {}
    for addon in _installable(addons).values():
        if not _meaning(addon.license)[1]:
            named.setdefault(_shown(addon.license), []).append(addon.name)
    return tuple(
        printable(f"licence `{word}` is not checked; add-ons with it: {_listed(named[word])}") for word in sorted(named)
    )


def conflicts(addons: Iterable[Addon]) -> tuple[Conflict, ...]:
    """The conflicts of all installable add-ons, with the shortest chain; a chain ends at its first conflict.

    Of several add-ons with the same name, the first is used, as in Odoo. Missing dependencies are ignored.
    """
    known = _installable(addons)
    families = {name: _meaning(addon.license)[1] for name, addon in known.items()}
    present = set(families.values())
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name in known:
        if any(_why(families[name], other) for other in present):
            found |= {(name, chain[-1]): chain for chain in _chains(name, known, families)}
    inherited: dict[tuple[str, str], list[str]] = {pair: [] for pair in found}
    for pair in found:
        inherited[_root(pair, found)].append(pair[0])
    return tuple(
        Conflict(
            chain,
            _shown(known[name].license),
            _shown(known[other].license),
            _why(families[name], families[other]),
            tuple(sorted(set(inherited[name, other]) - {name})),
        )
        for (name, other), chain in sorted(found.items())
        if inherited[name, other]
    )


def _chains(start: str, known: Mapping[str, Addon], families: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The shortest chains from an add-on to those that it must not depend on, breadth first and by name."""
    found: list[tuple[str, ...]] = []
    level: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while level:
        next_level: list[tuple[str, ...]] = []
        for chain in level:
            for name in sorted(set(known[chain[-1]].depends) - seen):
                seen.add(name)
                if name not in known:
                    continue
                longer = (*chain, name)
                (found if _why(families[start], families[name]) else next_level).append(longer)
        level = next_level
    return found


def _root(pair: tuple[str, str], found: Mapping[tuple[str, str], tuple[str, ...]]) -> tuple[str, str]:
    """The conflict that this one inherits from an add-on of its chain; itself if there is none."""
    name, other = pair
    nearer = next(((between, other) for between in reversed(found[pair][1:-1]) if (between, other) in found), None)
    return _root(nearer, found) if nearer else (name, other)


def _why(work: str, other: str) -> str:
    """Why an add-on of family `work` must not depend on one of family `other`; empty if it may or a family is unknown."""
    if work == "proprietary" and other in _COPYLEFT:
        return "an add-on that depends on GPL or AGPL code must have such a licence"
    if work in _COPYLEFT and other == "proprietary":
        return "GPL and AGPL require the sources of all dependencies, and a proprietary licence does not provide them"
    if (work == "gpl2" and other in _VERSION_3) or (work in _VERSION_3 and other == "gpl2"):
        return "GPL version 2 without `or any later version` is not compatible with version 3"
    return ""


def _installable(addons: Iterable[Addon]) -> dict[str, Addon]:
    known: dict[str, Addon] = {}
    for addon in addons:
        known.setdefault(addon.name, addon)
    return {name: addon for name, addon in known.items() if addon.installable}


def _meaning(word: str) -> tuple[str, str]:
    key = (word.strip() or DEFAULT).lower()
    return _LICENSES.get(key) or _SPDX.get(key) or ("", "")


def _shown(word: str) -> str:
    return " ".join(word.split())[:60] or f"{DEFAULT} by default"


def _listed(names: Iterable[str]) -> str:
    """The first names, and the number of the others."""
    names = list(names)
    more = len(names) - _MAX_NAMES
    return ", ".join(names[:_MAX_NAMES]) + (f" and {more} more" if more > 0 else "")
