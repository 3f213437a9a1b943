"""Which add-on may depend on which, by their licences; the words of Odoo's manifests and what SPDX calls them.

The rule is about dependencies only, as in OCA's reading: add-ons that merely stand side by side are works of their own.
It holds along a whole chain, and where it comes from:

- what depends on (A)GPL code goes out under the (A)GPL, so a proprietary add-on cannot (FSF's GPL FAQ, to which Odoo's
  page on licences points; Odoo's app store and OCA's `manifestoo check-licenses` refuse it, too);
- (A)GPL code asks for the sources of all that it is combined with, so it cannot rest on a proprietary add-on: the
  Odoo Enterprise and Odoo Proprietary licences forbid to publish theirs;
- LGPL and MIT may rest on a proprietary add-on: both licences name them as fit for add-ons built on Odoo Enterprise;
- LGPL, GPL and AGPL of version 3 may depend on each other: FSF's compatibility matrix and section 13 of GPL and AGPL
  let the whole go out under the strongest of them. `manifestoo` is stricter here: it wants the strongest on the add-on itself;
- GPL of version 2 alone combines with nothing of version 3, LGPL-3 of Odoo itself included (the same matrix).

Python packages are not judged: no manifest says by its licence which of them it links with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from odpm_tasks.core.audit.census import Addon
from odpm_tasks.errors import printable

DEFAULT = "LGPL-3"  # what Odoo takes for a manifest without a licence, since 9.0

# what a manifest says, in lower case -> the SPDX identifier (empty: has none) and the family that the rule is about
_WORDS = {
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
_SPDX = {spdx.lower(): (spdx, family) for spdx, family in _WORDS.values() if spdx}
_COPYLEFT = {"gpl2", "gpl", "gpl3", "agpl3"}
_VERSION_3 = {"lgpl3", "gpl3", "agpl3"}
_MOST = 3  # names in one line


@dataclass(frozen=True, slots=True)
class Conflict:
    """`chain` leads from an add-on to the one it may not depend on; `also` are those that only inherit it, through the first."""

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
    """The SPDX identifier for what a manifest says; empty where there is none."""
    return _meaning(word)[0]


def unknown_licenses(addons: Iterable[Addon]) -> tuple[str, ...]:
    """A line for each licence that the rule does not know, `Other OSI approved licence` among them: nothing is guessed."""
    named: dict[str, list[str]] = {}
    for addon in _installable(addons).values():
        if not _meaning(addon.license)[1]:
            named.setdefault(_shown(addon.license), []).append(addon.name)
    return tuple(
        printable(f"licence `{word}` is not judged; it is that of {_listed(named[word])}") for word in sorted(named)
    )


def conflicts(addons: Iterable[Addon]) -> tuple[Conflict, ...]:
    """Every installable add-on with what it may not depend on, by the shortest chain; nothing that lies behind that.

    Of two add-ons with one name the first counts, as for Odoo. Dependencies that are not there are passed over.
    """
    known = _installable(addons)
    families = {name: _meaning(addon.license)[1] for name, addon in known.items()}
    present = set(families.values())
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    for name in known:
        if any(_why(families[name], other) for other in present):
            found |= {(name, chain[-1]): chain for chain in _chains(name, known, families)}
    heirs: dict[tuple[str, str], list[str]] = {pair: [] for pair in found}
    for pair in found:
        heirs[_root(pair, found)].append(pair[0])
    return tuple(
        Conflict(
            chain,
            _shown(known[name].license),
            _shown(known[other].license),
            _why(families[name], families[other]),
            tuple(sorted(set(heirs[name, other]) - {name})),
        )
        for (name, other), chain in sorted(found.items())
        if heirs[name, other]
    )


def _chains(start: str, known: Mapping[str, Addon], families: Mapping[str, str]) -> list[tuple[str, ...]]:
    """The shortest chains from an add-on to those that it may not depend on, breadth first and by name."""
    found: list[tuple[str, ...]] = []
    level: list[tuple[str, ...]] = [(start,)]
    seen = {start}
    while level:
        further: list[tuple[str, ...]] = []
        for chain in level:
            for name in sorted(set(known[chain[-1]].depends) - seen):
                seen.add(name)
                if name not in known:
                    continue
                longer = (*chain, name)
                (found if _why(families[start], families[name]) else further).append(longer)
        level = further
    return found


def _root(pair: tuple[str, str], found: Mapping[tuple[str, str], tuple[str, ...]]) -> tuple[str, str]:
    """The conflict that this one only repeats: that of an add-on further down its chain; itself where there is none."""
    name, other = pair
    nearer = next(((between, other) for between in reversed(found[pair][1:-1]) if (between, other) in found), None)
    return _root(nearer, found) if nearer else (name, other)


def _why(work: str, other: str) -> str:
    """Why an add-on of the one family may not depend on one of the other; empty where it may, or nobody knows."""
    if work == "proprietary" and other in _COPYLEFT:
        return "what depends on GPL or AGPL code has to be under such a licence itself"
    if work in _COPYLEFT and other == "proprietary":
        return (
            "GPL and AGPL ask for the sources of all that the add-on rests on, and a proprietary licence keeps its own"
        )
    if (work == "gpl2" and other in _VERSION_3) or (work in _VERSION_3 and other == "gpl2"):
        return "version 2 of the GPL without `or any later version` does not combine with version 3"
    return ""


def _installable(addons: Iterable[Addon]) -> dict[str, Addon]:
    known: dict[str, Addon] = {}
    for addon in addons:
        known.setdefault(addon.name, addon)
    return {name: addon for name, addon in known.items() if addon.installable}


def _meaning(word: str) -> tuple[str, str]:
    key = (word.strip() or DEFAULT).lower()
    return _WORDS.get(key) or _SPDX.get(key) or ("", "")


def _shown(word: str) -> str:
    return " ".join(word.split())[:60] or f"{DEFAULT} by default"


def _listed(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    names = list(names)
    more = len(names) - _MOST
    return ", ".join(names[:_MOST]) + (f" and {more} more" if more > 0 else "")
