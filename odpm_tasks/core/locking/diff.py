"""The difference of two locks: repositories and their commits, add-ons, Python packages, images.

The input is two sides as values (a lock, the add-ons of its repositories, its Python locks), the output one `LockDiff`.
`diff_text` and `diff_markdown` print it.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from odpm_tasks.core.locking.diff_model import (
    AddonChange,
    AddonKind,
    AddonsByName,
    CommitAddon,
    ImageChange,
    LockDiff,
    PairDetails,
    PinPair,
    RepositoryChange,
    ToolChange,
)
from odpm_tasks.core.locking.diff_packages import PythonSide, SystemChange, packages
from odpm_tasks.core.locking.lockfile import Lock, Pin
from odpm_tasks.core.locking.pins import match_file_pins
from odpm_tasks.core.odoo import addons
from odpm_tasks.core.odoo.addon_versions import SCRIPT, runs, version_key
from odpm_tasks.core.sources.link import Link, SourceKind, source_names

_PLATFORM_MANIFEST = re.compile(r"odoo/addons/[^/]+/__manifest__\.py")


def pairs(old: Lock | None, new: Lock) -> tuple[PinPair, ...]:
    """The repositories whose pins differ: the platform, the dependencies by name, the developing source.

    Platforms are paired whatever their URLs; `file://` sources as `match_file_pins` does, because paths differ per machine.
    """
    before, after = _by_role(old), _by_role(new)
    partners = match_file_pins([pin for _, pin in after.values()], [pin for _, pin in before.values()])
    removed = [pin for _, pin in before.values() if pin not in partners.values()]
    names = source_names(Link(pin.url) for pin in (*(pin for _, pin in after.values()), *removed))
    found: list[PinPair] = []
    for key, (role, pin) in after.items():
        old_key = next((k for k, (_, other) in before.items() if other is partners.get(pin.url)), key)
        old_pin = before.pop(old_key)[1] if old_key in before else None
        if old_pin is None or _differ(old_pin, pin):
            found.append(PinPair(names[Link(pin.url).canonical], role, old_pin, pin))
    found += [PinPair(names[Link(pin.url).canonical], role, pin, None) for role, pin in before.values()]
    order = ("platform", "dependency", "developing")
    return tuple(sorted(found, key=lambda pair: (order.index(pair.role), pair.name.casefold(), pair.pin.key)))


def _by_role(lock: Lock | None) -> dict[str, tuple[SourceKind, Pin]]:
    if lock is None:
        return {}
    found: dict[str, tuple[SourceKind, Pin]] = {"": ("platform", lock.platform)}
    if lock.developing:
        found[lock.developing.key] = ("developing", lock.developing)
    return found | {pin.key: ("dependency", pin) for pin in lock.dependencies}


def _differ(old: Pin, new: Pin) -> bool:
    if old.file and new.file:
        return old.commit != new.commit
    return (old.key, old.content, old.branch, old.merges) != (new.key, new.content, new.branch, new.merges)


def addons_at(entries: Mapping[str, str], role: SourceKind, repository: str = "") -> dict[str, CommitAddon]:
    """The add-ons of a commit, from the ids of all its files and folders. Manifests are not read.

    Only add-ons on the add-ons path count; of the platform also those in `odoo/addons`. `repository`: the name of the
    repository, which is that of the add-on in its root.
    """
    facts = addons.facts(entries, {}).in_folder(repository)
    paths = [facts.path_in_repository(m) for p in facts.addons for m in facts.modules if m.folder == p]
    if role == "platform":
        paths += [name.rpartition("/")[0] for name in entries if _PLATFORM_MANIFEST.fullmatch(name)]
    scripts: dict[str, list[str]] = {}
    for name in entries:
        if ("/migrations/" in name or "/upgrades/" in name) and (match := SCRIPT.fullmatch(name)):
            scripts.setdefault(match["addon"], []).append(name)
        elif facts.folder and (match := SCRIPT.fullmatch(f"{facts.folder}/{name}")) and match["addon"] == facts.folder:
            scripts.setdefault("", []).append(name)
    found: dict[str, CommitAddon] = {}
    for path in paths:
        tree = entries.get(path, "") if path else _root_tree(entries)
        root_name = "" if path else facts.folder
        addon = CommitAddon(path, tree, scripts=tuple(sorted(scripts.get(path, ()))), root_name=root_name)
        found.setdefault(addon.name, addon)
    return found


def _root_tree(entries: Mapping[str, str]) -> str:
    """A digest of everything in the root of a repository."""
    top = sorted(f"{name}\0{identity}\0" for name, identity in entries.items() if "/" not in name)
    return hashlib.sha256("".join(top).encode(errors="surrogateescape")).hexdigest()


def unread_manifests(addons_of_side: AddonsByName, other: AddonsByName | None) -> dict[str, tuple[str, ...]]:
    """The add-ons that the other side lacks or has with other content: name -> possible paths of the manifest."""
    known = other or {}
    return {
        name: tuple(f"{addon.path}/{file}".lstrip("/") for file in addons.MANIFESTS)
        for name, addon in addons_of_side.items()
        if name not in known or known[name].tree != addon.tree
    }


def with_manifests(
    found: AddonsByName, unread: Mapping[str, tuple[str, ...]], contents: Mapping[str, bytes]
) -> dict[str, CommitAddon]:
    """The same add-ons, the `unread` ones with the version of their manifest. One that Odoo cannot read or install is removed."""
    kept: dict[str, CommitAddon] = {}
    for name, addon in found.items():
        if name not in unread:
            kept[name] = addon
            continue
        path = next((path for path in unread[name] if path in contents), None)
        module = addons.read_module(addon.path, contents[path]) if path else None
        if module is not None and module.installable:
            kept[name] = replace(addon, version=module.version)
    return kept


def compare(
    labels: tuple[str, str],
    series: str,
    details: Sequence[tuple[PinPair, PairDetails]],
    python: tuple[PythonSide, PythonSide],
    images: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    tools: tuple[Mapping[str, str], Mapping[str, str]] = ({}, {}),
    system: SystemChange | None = None,
) -> LockDiff:
    """The difference of both sides. `images`: digests, `tools`: versions, by name.

    `series` ("19.0") completes add-on versions without it, as Odoo does.
    """
    repositories = [
        RepositoryChange(
            pair.name, pair.pin.url, pair.role, pair.old, pair.new, found.history,
            tuple(_addons(pair, found, series)), found.notes,
        )
        for pair, found in details
    ]  # fmt: skip
    by_side = {
        (pair.name, side): found or {} for pair, d in details for side, found in (("old", d.old), ("new", d.new))
    }
    return LockDiff(
        *labels,
        _with_moves(repositories, by_side, series),
        packages(*python),
        tuple(
            ImageChange(name, images[0].get(name, ""), images[1].get(name, ""))
            for name in sorted({*images[0], *images[1]})
            if images[0].get(name) != images[1].get(name)
        ),
        tuple(
            ToolChange(name, tools[0].get(name, ""), tools[1].get(name, ""))
            for name in sorted({*tools[0], *tools[1]})
            if tools[0].get(name) != tools[1].get(name)
        ),
        system,
    )


def _addons(pair: PinPair, details: PairDetails, series: str) -> list[AddonChange]:
    if details.new is None and pair.new is not None:
        return []
    after = details.new or {}
    if details.old is None and pair.old is not None:
        if pair.new is None or not pair.moved:
            return []
        return [AddonChange(name, "unknown", pair.name, "", addon.version) for name, addon in sorted(after.items())]
    before = details.old or {}
    changes: list[AddonChange] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None and new is not None:
            changes.append(AddonChange(name, "added", pair.name, "", new.version))
        elif new is None and old is not None:
            changes.append(AddonChange(name, "removed", pair.name, old.version, ""))
        elif old is not None and new is not None and old.tree != new.tree:
            changes.append(_changed(old, new, pair.name, series))
    return changes


def _changed(old: CommitAddon, new: CommitAddon, repository: str, series: str, moved_from: str = "") -> AddonChange:
    kind: AddonKind = "content" if old.tree != new.tree else "moved"
    if version_key(old.version, series) != version_key(new.version, series):
        kind = "version"
    scripts = tuple(path for path in new.scripts if runs(path, old.version, new.version, series))
    return AddonChange(new.name, kind, repository, old.version, new.version, scripts, moved_from)


def _with_moves(
    repositories: Sequence[RepositoryChange], by_side: Mapping[tuple[str, str], AddonsByName], series: str
) -> tuple[RepositoryChange, ...]:
    """Merge the removal of an add-on and its addition to another repository into one change of the latter."""
    removed = {c.name: c.repository for r in repositories for c in r.addons if c.kind == "removed"}
    added = {c.name: c.repository for r in repositories for c in r.addons if c.kind == "added"}
    moved = {name for name in removed if name in added and removed[name] != added[name]}

    def merged(change: AddonChange) -> AddonChange | None:
        if change.name not in moved or change.kind not in {"added", "removed"}:
            return change
        source = removed[change.name]
        if change.kind == "removed":
            return None if source == change.repository else change
        old, new = by_side[source, "old"][change.name], by_side[change.repository, "new"][change.name]
        return _changed(old, new, change.repository, series, source)

    return tuple(replace(r, addons=tuple(c for change in r.addons if (c := merged(change)))) for r in repositories)
