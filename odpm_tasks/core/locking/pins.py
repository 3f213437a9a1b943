"""Which pins of the lock and of the manifest count, and how those of two locks are paired."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from odpm_tasks.core.locking.lockfile import Lock, Pin
from odpm_tasks.core.sources.link import Link, canonical, source_names


def effective_pins(lock: Lock | None, locks_git: Mapping[str, str], odoo_version: str) -> dict[str, Pin]:
    """The pins of `locks.git` of the manifest and, for repositories without one there, those of the lock.

    Pins of the lock without a branch are ignored if they were made for another Odoo version.
    """
    other_version = lock is not None and lock.odoo_version not in {None, odoo_version}
    pins = {key: pin for key, pin in lock.pins.items() if pin.branch or pin.file or not other_version} if lock else {}
    for url, commit in locks_git.items():
        key = canonical(url)
        pin = pins.get(key) or Pin(key, commit)
        pins[key] = replace(pin.at(commit), any_branch=True)
    return pins


def display_names(keys: Collection[str]) -> dict[str, str]:
    """Key of a pin -> the name of its folder under `.odpm/src`."""
    folders = source_names(Link(key) for key in keys)
    return {key: folders[canonical(key)] for key in keys}


def matching_keys(keys: Collection[str], words: Iterable[str]) -> frozenset[str]:
    """The keys of pins whose folder name or last part of the URL is one of `words`, in upper or lower case."""
    lowered = {word.lower() for word in words}
    short = {key: key.rstrip("/").rsplit("/", 1)[-1] for key in keys}
    return frozenset(key for key, name in display_names(keys).items() if {name.lower(), short[key].lower()} & lowered)


def match_file_pins(new: Sequence[Pin], old: Sequence[Pin]) -> dict[str, Pin]:
    """New URL of a `file://` source -> its old pin: the same URL, else the same fingerprint, else the same folder name, else in
    order.

    The path of such a source may differ per machine, so it does not identify the source.
    """
    unmatched = [pin for pin in new if pin.file]
    candidates = [pin for pin in old if pin.file]
    pairs: dict[str, Pin] = {}
    for alike in (
        lambda one, two: one.url == two.url,
        lambda one, two: one.commit == two.commit,
        lambda one, two: one.url.rsplit("/", 1)[-1] == two.url.rsplit("/", 1)[-1],
        lambda one, two: True,
    ):
        for pin in list(unmatched):
            match = next((other for other in candidates if alike(pin, other)), None)
            if match is not None:
                pairs[pin.url] = match
                unmatched.remove(pin)
                candidates.remove(match)
    return pairs


def conflicting_pins(lock: Lock | None, locks_git: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """Where the manifest and the lock pin different commits: (canonical URL, commit of the manifest, commit of the lock).

    The developing checkout is left out, because its pin is its content. odpm 4.x pins it in `locks.git` nevertheless, at a
    commit that cannot contain this `odpm.json`.
    """
    pins = {key: pin for key, pin in lock.pins.items() if pin.tree is None} if lock else {}
    pairs = ((canonical(url), commit) for url, commit in sorted(locks_git.items()))
    return tuple((key, commit, pins[key].commit) for key, commit in pairs if key in pins and pins[key].commit != commit)
