"""What a lock change means: which repositories moved and by which commits, what that does to add-ons and Python packages.

Pure: two sides as values in (a lock, what its repositories hold, its Python locks), one `LockDiff` out. Nothing here
knows where the two sides come from, or how the result is shown (`lockdiff_text`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from odpm_tasks.core.locking.diff_python import PackageChange, PythonSide, packages
from odpm_tasks.core.locking.lockfile import Lock, Pin, match_file_pins
from odpm_tasks.core.odoo import addons
from odpm_tasks.core.odoo.addon_versions import SCRIPT, runs, version_key
from odpm_tasks.core.sources.link import Link, source_names

Role = Literal["platform", "dependency", "developing"]
AddonKind = Literal["added", "removed", "version", "content", "moved", "unknown"]

_BESIDE_PLATFORM = re.compile(r"odoo/addons/[^/]+/__manifest__\.py")


# --- what goes in ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CommitAddon:
    """An add-on at one commit. `tree` is git's id of its folder; `scripts` are paths in the repository.

    `version` and `installable` are read only of add-ons that are not the same on both sides.
    """

    path: str
    tree: str = ""
    version: str = ""
    installable: bool = True
    scripts: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return self.path.rsplit("/", 1)[-1]


AddonsByName = Mapping[str, CommitAddon]  # the add-ons of a repository at one commit, by name


@dataclass(frozen=True)
class Commit:
    id: str
    subject: str


@dataclass(frozen=True)
class History:
    """The commits that the new side has and the old one has not, newest first.

    `commits` may be cut; `count` is of all of them, None where it is not known. `rewritten`: the old commit is no
    ancestor of the new one (a branch was force-pushed, or the pin went back).
    """

    commits: tuple[Commit, ...] = ()
    count: int | None = 0
    rewritten: bool = False


@dataclass(frozen=True)
class PinPair:
    """One repository on both sides; None on the side that does not have it."""

    name: str
    role: Role
    old: Pin | None
    new: Pin | None

    @property
    def pin(self) -> Pin:
        pin = self.new or self.old
        assert pin is not None
        return pin

    @property
    def moved(self) -> bool:
        return self.old is not None and self.new is not None and self.old.commit != self.new.commit


@dataclass(frozen=True)
class PairDetails:
    """What was found out about a pair: the add-ons of each side (None: cannot be known), its commits, what was in the way."""

    old: AddonsByName | None = None
    new: AddonsByName | None = None
    history: History | None = None
    notes: tuple[str, ...] = ()


# --- what comes out -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class AddonChange:
    """One add-on that is not as it was.

    `version`: its version moved (or it came with one from another repository: `moved_from`); `content`: its files did
    and its version did not; `moved`: the same add-on, now of another repository; `unknown`: whether it changed cannot be
    told. `scripts`: the migration scripts that Odoo runs between the two versions.
    """

    name: str
    kind: AddonKind
    repository: str
    old: str = ""
    new: str = ""
    scripts: tuple[str, ...] = ()
    moved_from: str = ""


@dataclass(frozen=True)
class RepositoryChange:
    name: str
    url: str
    role: Role
    old: Pin | None
    new: Pin | None
    history: History | None = None
    addons: tuple[AddonChange, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def kind(self) -> Literal["added", "removed", "moved"]:
        return "added" if self.old is None else "removed" if self.new is None else "moved"


@dataclass(frozen=True)
class ImageChange:
    """The digest of a base image that moved; "" on the side that does not have it."""

    reference: str
    old: str
    new: str


@dataclass(frozen=True)
class LockDiff:
    """The whole difference. `old` and `new` are what the two sides are called."""

    old: str
    new: str
    repositories: tuple[RepositoryChange, ...] = ()
    packages: tuple[PackageChange, ...] = ()
    images: tuple[ImageChange, ...] = ()

    @property
    def same(self) -> bool:
        return not (self.repositories or self.packages or self.images)

    @property
    def addons(self) -> tuple[AddonChange, ...]:
        return tuple(change for repository in self.repositories for change in repository.addons)

    @property
    def update(self) -> tuple[tuple[str, str], ...]:
        """The modules to update, with the reason (`version`, `content`, `unknown`); sorted by name, each once."""
        rank = ("version", "content", "unknown")
        found: dict[str, str] = {}
        for change in sorted(self.addons, key=lambda c: rank.index(c.kind) if c.kind in rank else 9):
            if change.kind in rank:
                found.setdefault(change.name, change.kind)
        return tuple(sorted(found.items()))

    @property
    def update_argument(self) -> str:
        """What to pass to `-u`. Everything depends on `base`: where it is to be updated, it alone says all."""
        names = [name for name, _ in self.update]
        return "base" if "base" in names else ",".join(names)


# --- repositories ---------------------------------------------------------------------------------------------------


def pairs(old: Lock | None, new: Lock) -> tuple[PinPair, ...]:
    """The repositories whose pin is not the same on both sides: the platform, dependencies by name, the developing one.

    Platform meets platform, whatever its URL; `file://` sources meet as `same_files` has it, for paths may differ per
    machine.
    """
    before, after = _by_role(old), _by_role(new)
    partners = match_file_pins([pin for _, pin in after.values()], [pin for _, pin in before.values()])
    gone = [pin for _, pin in before.values() if pin not in partners.values()]
    names = source_names(Link(pin.url) for pin in (*(pin for _, pin in after.values()), *gone))
    found: list[PinPair] = []
    for key, (role, pin) in after.items():
        other = next((k for k, (_, was) in before.items() if was is partners.get(pin.url)), key)
        was = before.pop(other)[1] if other in before else None
        if was is None or _differ(was, pin):
            found.append(PinPair(names[Link(pin.url).canonical], role, was, pin))
    found += [PinPair(names[Link(pin.url).canonical], role, pin, None) for role, pin in before.values()]
    order = ("platform", "dependency", "developing")
    return tuple(sorted(found, key=lambda pair: (order.index(pair.role), pair.name.casefold(), pair.pin.key)))


def _by_role(lock: Lock | None) -> dict[str, tuple[Role, Pin]]:
    if lock is None:
        return {}
    found: dict[str, tuple[Role, Pin]] = {"": ("platform", lock.platform)}
    if lock.developing:
        found[lock.developing.key] = ("developing", lock.developing)
    return found | {pin.key: ("dependency", pin) for pin in lock.dependencies}


def _differ(was: Pin, pin: Pin) -> bool:
    if was.file and pin.file:
        return was.commit != pin.commit
    return (was.key, was.commit, was.branch) != (pin.key, pin.commit, pin.branch)


def addons_at(entries: Mapping[str, str], role: Role) -> dict[str, CommitAddon]:
    """The add-ons of a commit out of all its names (files and folders) with their ids; their manifests are not read yet.

    Only what is on the add-ons path counts; the platform has `odoo/addons` beside it.
    """
    held = addons.facts(entries, {})
    paths = [m.path for p in held.addons for m in held.modules if (m.path.rpartition("/")[0]) == p]
    if role == "platform":
        paths += [name.rpartition("/")[0] for name in entries if _BESIDE_PLATFORM.fullmatch(name)]
    scripts: dict[str, list[str]] = {}
    for name in entries:
        if ("/migrations/" in name or "/upgrades/" in name) and (match := SCRIPT.fullmatch(name)):
            scripts.setdefault(match["addon"], []).append(name)
    found: dict[str, CommitAddon] = {}
    for path in paths:
        addon = CommitAddon(path, entries.get(path, ""), scripts=tuple(sorted(scripts.get(path, ()))))
        found.setdefault(addon.name, addon)
    return found


def unread(mine: AddonsByName | None, theirs: AddonsByName | None) -> dict[str, tuple[str, ...]]:
    """Of one side's add-ons the ones that the other has not, or not with the same content: name -> possible manifests."""
    known = theirs or {}
    return {
        name: tuple(f"{addon.path}/{file}" for file in addons.MANIFESTS)
        for name, addon in (mine or {}).items()
        if name not in known or known[name].tree != addon.tree
    }


def with_manifests(
    held: AddonsByName, asked: Mapping[str, tuple[str, ...]], contents: Mapping[str, bytes]
) -> dict[str, CommitAddon]:
    """The same add-ons, the asked ones with what their manifests say; one that Odoo could not read or install is no add-on."""
    found: dict[str, CommitAddon] = {}
    for name, addon in held.items():
        if name not in asked:
            found[name] = addon
            continue
        path = next((path for path in asked[name] if path in contents), None)
        module = addons.read_module(addon.path, contents[path]) if path else None
        if module is not None and module.installable:
            found[name] = replace(addon, version=module.version)
    return found


def compare(
    labels: tuple[str, str],
    series: str,
    seen: Iterable[tuple[PinPair, PairDetails]],
    python: tuple[PythonSide, PythonSide],
    images: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
) -> LockDiff:
    """Put the difference together. `series` ("19.0") completes add-on versions that do not name it, as Odoo does."""
    repositories = [
        RepositoryChange(
            pair.name, pair.pin.url, pair.role, pair.old, pair.new, found.history,
            tuple(_addons(pair, found, series)), found.notes,
        )
        for pair, found in seen
    ]  # fmt: skip
    trees = {(pair.name, side): held or {} for pair, s in seen for side, held in (("old", s.old), ("new", s.new))}
    return LockDiff(
        *labels,
        _with_moves(repositories, trees, series),
        packages(*python),
        tuple(
            ImageChange(name, images[0].get(name, ""), images[1].get(name, ""))
            for name in sorted({*images[0], *images[1]})
            if images[0].get(name) != images[1].get(name)
        ),
    )


def _addons(pair: PinPair, seen: PairDetails, series: str) -> list[AddonChange]:
    if seen.new is None and pair.new is not None:
        return []
    after = seen.new or {}
    if seen.old is None and pair.old is not None:
        if pair.new is None or not pair.moved:
            return []
        return [AddonChange(name, "unknown", pair.name, "", addon.version) for name, addon in sorted(after.items())]
    before = seen.old or {}
    changes: list[AddonChange] = []
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None and now is not None:
            changes.append(AddonChange(name, "added", pair.name, "", now.version))
        elif now is None and was is not None:
            changes.append(AddonChange(name, "removed", pair.name, was.version, ""))
        elif was is not None and now is not None and was.tree != now.tree:
            changes.append(_changed(was, now, pair.name, series))
    return changes


def _changed(was: CommitAddon, now: CommitAddon, repository: str, series: str, moved_from: str = "") -> AddonChange:
    kind: AddonKind = "content" if was.tree != now.tree else "moved"
    if version_key(was.version, series) != version_key(now.version, series):
        kind = "version"
    scripts = tuple(path for path in now.scripts if runs(path, was.version, now.version, series))
    return AddonChange(now.name, kind, repository, was.version, now.version, scripts, moved_from)


def _with_moves(
    repositories: Iterable[RepositoryChange], held: Mapping[tuple[str, str], AddonsByName], series: str
) -> tuple[RepositoryChange, ...]:
    """An add-on that one repository lost and another got is one change, told where it is now."""
    every = list(repositories)
    lost = {c.name: c.repository for r in every for c in r.addons if c.kind == "removed"}
    got = {c.name: c.repository for r in every for c in r.addons if c.kind == "added"}
    both = {name for name in lost if name in got and lost[name] != got[name]}

    def settle(change: AddonChange) -> AddonChange | None:
        if change.name not in both or change.kind not in {"added", "removed"}:
            return change
        if change.kind == "removed":
            return None if lost[change.name] == change.repository else change
        was, now = held[lost[change.name], "old"][change.name], held[change.repository, "new"][change.name]
        return _changed(was, now, change.repository, series, lost[change.name])

    return tuple(replace(r, addons=tuple(c for change in r.addons if (c := settle(change)))) for r in every)
