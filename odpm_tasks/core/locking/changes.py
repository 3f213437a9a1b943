"""The changes between two locks as phrases, and the differences between a lock and the pins of the manifest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from odpm_tasks.core.config.paths import LOCK_FILE
from odpm_tasks.core.image import wkhtmltopdf
from odpm_tasks.core.locking.git_packages import package_changes
from odpm_tasks.core.locking.lockfile import DevelopingState, Lock, Pin
from odpm_tasks.core.locking.pins import conflicting_pins, display_names
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.sources.link import Link, canonical
from odpm_tasks.errors import LockError

PYTHON_LOCKS_DIFFER = "odpm.json (locks.venv) names other Python locks than the lock"
PYTHON_LOCKS_TODO = "inv lock --sync-manifest-locks writes those of the lock into odpm.json"


def complete_lock(
    new: Lock,
    old: Lock | None,
    locks_git: Mapping[str, str],
    own: DevelopingState | None = None,
    *,
    follow_files: bool = False,
) -> Lock:
    """The lock that `up` and `render` write: they add what the old lock lacks and change nothing else.

    Kept from the old lock: pins that `locks.git` of the manifest overrides (only `inv lock` aligns both); the fingerprints of
    `file://` sources, unless `follow_files`; the developing checkout, where it is recorded. `own` is its current state.
    """
    before = old.pins if old else {}
    kept = {key: before[key] for key, _, _ in conflicting_pins(old, locks_git)}
    if not follow_files:
        kept |= {pin.url: pin for pin in before.values() if pin.file}

    def pin(fresh: Pin) -> Pin:
        known = kept.get(fresh.key)
        if known is None:
            return fresh
        merges, tree, git = known.merges, known.merged_tree, known.merged_by
        return replace(fresh, commit=known.commit, merges=merges, merged_tree=tree, merged_by=git)

    developing = pin(new.developing) if new.developing else None
    if own is not None and (developing is None or developing.tree is None):
        developing = replace(own.pin, extra=developing.extra if developing else {})
    return replace(
        new, platform=pin(new.platform), dependencies=tuple(map(pin, new.dependencies)), developing=developing
    )


def lock_changes(old: Lock | None, new: Lock) -> tuple[str, ...]:
    """The changes from one lock to another, one phrase each."""
    before, after = (old.pins if old else {}), new.pins
    names = display_names({**before, **after})
    common = [key for key in after if key in before]
    changes = [f"add {names[key]} {after[key].commit[:8]}" for key in after if key not in before]
    changes += [f"drop {names[key]}" for key in before if key not in after]
    changes += [
        f"{names[key]} {before[key].commit[:8]} -> {after[key].commit[:8]}"
        for key in common
        if before[key].commit != after[key].commit
    ]
    changes += [f"{names[key]} {change}" for key in after for change in merge_changes(before.get(key), after[key])]
    changes += [
        f"{names[key]} follows {after[key].branch or new.odoo_version}"
        for key in common
        if before[key].branch != after[key].branch
    ]
    images = old.images if old else {}
    changes += [f"{name} {new.images[name][7:19]}" for name in new.images if new.images[name] != images.get(name)]
    changes += [f"drop image {name}" for name in images if name not in new.images]
    if new.renderer is not None and new.renderer != (old.renderer if old else None):
        changes.append(f"{wkhtmltopdf.NAME} {wkhtmltopdf.version(new.renderer)}")
    if new.system and new.system != (old.system if old else None):
        changes.append(str(new.system))
    if old is not None and old.system and not new.system:
        changes.append(f"drop {old.system}")
    changes += package_changes(old.python if old else (), new.python)
    if old is not None and new.odoo_version not in {None, old.odoo_version}:
        changes.append(f"record Odoo {new.odoo_version} for links without a branch")
    return tuple(changes)


def merge_changes(old: Pin | None, new: Pin) -> tuple[str, ...]:
    """The changes of the merges of a repository, one phrase each."""
    before = {(merge.url, merge.ref): merge for merge in old.merges} if old else {}
    after = {(merge.url, merge.ref): merge for merge in new.merges}
    common = [key for key in after if key in before]
    changes = [f"merges {merge} {merge.commit[:8]}" for key, merge in after.items() if key not in before]
    changes += [f"no longer merges {merge}" for key, merge in before.items() if key not in after]
    changes += [
        f"merges {after[key]} {before[key].commit[:8]} -> {after[key].commit[:8]}"
        for key in common
        if before[key].commit != after[key].commit
    ]
    if common != [key for key in before if key in after]:
        changes.append(f"merges in another order: {', '.join(map(str, new.merges))}")
    if old and not changes and old.commit == new.commit and old.merged_tree != new.merged_tree:
        changes.append(f"merged tree {(old.merged_tree or 'unknown')[:8]} -> {(new.merged_tree or 'unknown')[:8]}")
    return tuple(changes)


def short_name(key: str) -> str:
    """The last part of a canonical URL."""
    return key.rstrip("/").rsplit("/", 1)[-1]


def lock_warnings(lock: Lock | None, locks_git: Mapping[str, str], locks_venv: str | None) -> tuple[str, ...]:
    """A warning for each pin of the manifest that overrides the lock, and one for other Python locks."""
    warnings = [
        f"odpm.json (locks.git) pins {short_name(key)} at {ours[:8]} and overrides {LOCK_FILE} ({locked[:8]}): "
        "inv lock aligns the lock"
        for key, ours, locked in conflicting_pins(lock, locks_git)
    ]
    if python_locks_differ(lock, locks_venv):
        warnings.append(f"{PYTHON_LOCKS_DIFFER}; in server and ci this is an error: {PYTHON_LOCKS_TODO}")
    return tuple(warnings)


def require_branches(lock: Lock | None, manifest: Manifest, links: Iterable[Link]) -> None:
    """Check that no link asks for another branch than the lock has while `locks.git` still holds the commit of the lock.

    Such a pin has no branch, so a changed or mistyped one would have no effect. A link with a commit is not affected.
    Errors: LockError with both branches.
    """
    if lock is None:
        return
    pinned = {canonical(url): commit for url, commit in manifest.locks_git.items()}
    pins = {key: pin for key, pin in lock.pins.items() if pin.tree is None and pinned.get(key) == pin.commit}
    names = display_names(lock.pins)
    found: dict[str, str] = {}
    for link in links:
        pin = pins.get(link.canonical)
        asked = link.branch or manifest.odoo_version
        locked = pin and (pin.branch or lock.odoo_version or manifest.odoo_version)
        if pin and not link.commit and asked != locked:
            name = names[pin.key]
            found.setdefault(name, f"{name}: the link asks for {asked}, locks.git holds {pin.commit[:8]} of {locked}")
    if found:
        raise LockError(
            "a link asks for another branch than the pin of odpm.json has",
            where="odpm.json: locks.git",
            details=list(found.values())[:3],
            todo=f"inv lock --update --only {','.join(found)} --sync-manifest-locks",
        )


def python_locks_differ(lock: Lock | None, locks_venv: str | None) -> bool:
    """Whether the manifest names other Python locks than the lock."""
    return bool(lock and lock.venv and locks_venv and lock.venv != locks_venv)
