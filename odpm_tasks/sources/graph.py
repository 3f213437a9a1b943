"""The sources of a project as far as pins and cache tell them, and what lies in the place of each.

Nothing in this module uses the network or writes into the project. The shared cache gains facts about a commit where the
place learns: they are derived, and the same for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import alternates
from odpm_tasks.adapters.git import checkout as worktree
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.lockfile import Lock, effective_pins
from odpm_tasks.core.locking.resolve import Resolution, Source, SourceAnswer, SourceQuery, drive, resolve
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.odoo import addons
from odpm_tasks.core.odoo.addons import Facts
from odpm_tasks.core.planning.observed import Checkout
from odpm_tasks.core.sources.link import Link
from odpm_tasks.errors import OdpmError
from odpm_tasks.sources.folders import file_answer


class _Unanswered(OdpmError):
    def __init__(self, asks: Sequence[SourceQuery]) -> None:
        self.asks = tuple(asks)
        super().__init__("not known offline")


def facts(paths: ProjectPaths, reader: Reader, link: Link, commit: str, kind: str = "dependency") -> Facts | None:
    """What a repository holds at a commit, from the cache; None where the cache does not have it."""
    kept = paths.facts(link.canonical, commit)
    text = files.read_text(kept)
    if text is not None:
        try:
            return Facts.model_validate_json(text)
        except ValueError:
            pass  # read it anew
    store = paths.store(link.canonical)
    if not git.store_has(store, commit):
        return None
    with reader.reading(store) as objects:
        listed = objects.files(commit, addons.DEPTH)
        # the platform's modules are counted, not read: hundreds of manifests that its requirements.txt speaks for
        asked = addons.files_to_read(listed, skip_manifests=kind == "platform")
        contents, large = objects.contents({name: listed[name] for name in asked}, addons.MAX_FILE_SIZE)
    found = addons.facts(listed, contents, large)
    if paths.writes_cache:
        files.write(kept, found.model_dump_json().encode(), derived=True)
    return found


def _offline(paths: ProjectPaths, reader: Reader) -> Any:
    def answer(asks: tuple[SourceQuery, ...]) -> list[SourceAnswer]:
        found: list[SourceAnswer] = []
        missing: list[SourceQuery] = []
        for ask in asks:
            if ask.link.is_file:
                found.append(file_answer(paths, ask.link))
                continue
            known = facts(paths, reader, ask.link, ask.commit, ask.kind) if ask.commit else None
            if known is None or ask.commit is None:
                missing.append(ask)
            else:
                found.append(SourceAnswer(ask.commit, known))
        if missing:
            raise _Unanswered(missing)
        return found

    return answer


def resolution(
    paths: ProjectPaths, manifest: Manifest, known: Lock | None, own: str | None
) -> Resolution | tuple[SourceQuery, ...]:
    """The graph as far as pins and cache tell it; else the questions that only a server can answer.

    `own` is the canonical URL of the developing checkout.
    """
    pins = effective_pins(known, manifest.locks_git, manifest.odoo_version)
    walk = resolve(
        manifest,
        pins,
        paths.settings.get,
        strict=paths.settings.scenario.strict,
        own=own,
        given=paths.settings.is_configured,
    )
    try:
        with Reader() as reader:
            return drive(walk, _offline(paths, reader))
    except _Unanswered as unresolved:
        return unresolved.asks


def checkout(paths: ProjectPaths, source: Source) -> Checkout:
    """What lies in the place of a source."""
    path = paths.source(source.name)
    if path.is_symlink():
        mine = source.link.is_file and path.readlink() == Path(source.link.path)
        return Checkout("link" if mine else "foreign")
    if not path.exists():
        return Checkout("absent")
    head = git.head(path)
    if head is None or source.link.is_file:
        return Checkout("foreign")
    gone = alternates.missing_commits(path) if head.base else ()
    if head.branch is not None:
        return Checkout("branch", head.commit, head.branch, head.base, gone=gone)
    moving = (path / ".git" / worktree.MOVING).exists()
    return Checkout(
        "moving" if moving else "ours" if head.commit == head.base else "commit",
        head.commit,
        None,
        head.base,
        gone=gone,
    )


def checkouts(paths: ProjectPaths, resolved: Resolution) -> dict[str, Checkout]:
    """What lies in the place of each source; in a strict scenario also whether somebody has edited it."""
    found = {source.name: checkout(paths, source) for source in resolved.sources}
    if not (paths.settings.scenario.strict and paths.settings.scenario.mounts):
        return found
    ours = [name for name, seen in found.items() if seen.kind == "ours" and not seen.gone]
    with ThreadPoolExecutor(4) as pool:
        changed = pool.map(lambda name: git.changes(paths.source(name)), ours)
        return found | {
            name: replace(found[name], changes=changes) for name, changes in zip(ours, changed, strict=True)
        }


def uncached(paths: ProjectPaths, resolved: Resolution) -> tuple[str, ...]:
    """Sources whose commit is neither checked out whole nor in the cache."""

    def checked_out(source: Source) -> bool:
        seen = checkout(paths, source)
        return seen.commit == source.commit and source.commit not in seen.gone

    return tuple(
        source.key
        for source in resolved.sources
        if not source.link.is_file
        and not git.store_has(paths.store(source.key), source.commit)
        and not (paths.settings.scenario.mounts and checked_out(source))
    )
