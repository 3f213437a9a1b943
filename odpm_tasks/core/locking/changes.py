"""What lies between two locks, and between a lock and the pins of the manifest, in words and as a new lock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from odpm_tasks.core.config.paths import LOCK_FILE
from odpm_tasks.core.locking.lockfile import DevelopingState, Lock, Pin, conflicting_pins, display_names

PYTHON_LOCKS_DIFFER = "odpm.json (locks.venv) names other Python locks than the lock"
PYTHON_LOCKS_TODO = "inv lock --sync-manifest-locks puts those of the lock into odpm.json"


def complete_lock(
    new: Lock,
    old: Lock | None,
    locks_git: Mapping[str, str],
    own: DevelopingState | None = None,
    *,
    follow_files: bool = False,
) -> Lock:
    """The new lock, but where the manifest pins another commit than the file, what the file says stays.

    `up` and `render` complete the file and do not align it with `locks.git`: that is for `inv lock`. Nor do they follow
    every edit in a `file://` source, unless `follow_files`: its fingerprint is written by `inv lock`, enforced elsewhere.
    Nor every commit of the developing checkout, `own`: only what the file lacks is recorded.
    """
    kept = {key: theirs for key, _, theirs in conflicting_pins(old, locks_git)}
    if old is not None and not follow_files:
        kept |= {pin.url: pin.commit for pin in old.pins.values() if pin.file}

    def pin(fresh: Pin) -> Pin:
        return replace(fresh, commit=kept.get(fresh.key, fresh.commit))

    developing = pin(new.developing) if new.developing else None
    if own is not None and (developing is None or developing.tree is None):
        developing = replace(own.pin, extra=developing.extra if developing else {})
    return replace(
        new, platform=pin(new.platform), dependencies=tuple(map(pin, new.dependencies)), developing=developing
    )


def lock_changes(old: Lock | None, new: Lock) -> tuple[str, ...]:
    """What moved between two locks, a phrase each."""
    before, after = (old.pins if old else {}), new.pins
    called = display_names({**before, **after})
    said = [f"add {called[key]} {after[key].commit[:8]}" for key in after if key not in before]
    said += [f"drop {called[key]}" for key in before if key not in after]
    said += [
        f"{called[key]} {before[key].commit[:8]} -> {after[key].commit[:8]}"
        for key in after
        if key in before and before[key].commit != after[key].commit
    ]
    said += [
        f"{called[key]} follows {after[key].branch or new.odoo_version}"
        for key in after
        if key in before and before[key].branch != after[key].branch
    ]
    images = old.images if old else {}
    said += [f"{name} {new.images[name][7:19]}" for name in new.images if new.images[name] != images.get(name)]
    said += [f"drop image {name}" for name in images if name not in new.images]
    if old is not None and new.odoo_version not in {None, old.odoo_version}:
        said.append(f"record Odoo {new.odoo_version} for what names no branch")
    return tuple(said)


def short_name(key: str) -> str:
    """A repository's short name, of its canonical URL."""
    return key.rstrip("/").rsplit("/", 1)[-1]


def lock_warnings(lock: Lock | None, locks_git: Mapping[str, str], locks_venv: str | None) -> tuple[str, ...]:
    """A warning for each repository that the manifest pins at another commit than the file, and for other Python locks."""
    said = [
        f"odpm.json (locks.git) pins {short_name(key)} at {ours[:8]} and is followed; {LOCK_FILE} says {theirs[:8]}: inv lock aligns it"
        for key, ours, theirs in conflicting_pins(lock, locks_git)
    ]
    if python_locks_differ(lock, locks_venv):
        said.append(f"{PYTHON_LOCKS_DIFFER}; in server and ci this is an error: {PYTHON_LOCKS_TODO}")
    return tuple(said)


def python_locks_differ(lock: Lock | None, locks_venv: str | None) -> bool:
    """Whether the manifest names other Python locks than the file."""
    return bool(lock and lock.venv and locks_venv and lock.venv != locks_venv)
