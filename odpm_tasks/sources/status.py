"""The state of the sources and the cache, and `sources.unshallow`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from shlex import quote

from odpm_tasks import project_files
from odpm_tasks.adapters import terminal
from odpm_tasks.adapters.git import alternates
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import status as git_status
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.graph import Source
from odpm_tasks.core.locking.lockfile import Lock, Pin
from odpm_tasks.core.odoo.addons import facts
from odpm_tasks.core.planning.observed import Checkout
from odpm_tasks.core.sources.link import Link, SourceKind, source_names, without_credentials
from odpm_tasks.core.sources.status import CacheState, SourceState, StoreState
from odpm_tasks.core.text import nearest, plural
from odpm_tasks.errors import UsageError
from odpm_tasks.parallel import parallel_map
from odpm_tasks.sources import cache, checkout, graph, merge_status
from odpm_tasks.sources.folders import developing_url
from odpm_tasks.sources.project_names import remotes
from odpm_tasks.sources.remote import progress_callback, project_remote


def status(paths: ProjectPaths, *, refresh: bool = False) -> tuple[tuple[SourceState, ...], CacheState]:
    """The state of every source and of the cache. Changes nothing in the project.

    Uses no network and does not write into the cache, except with `refresh`: the servers are asked about merges.
    """
    cache.require_access(paths, write=refresh)
    paths = replace(paths, writes_cache=False)
    manifest, lock = project_files.description(paths)[0], project_files.lock(paths)
    resolved = graph.resolution(paths, manifest, lock, developing_url(remotes(paths), manifest.developing))
    known = _of_lock(lock) if isinstance(resolved, tuple) else resolved.sources
    states = parallel_map(paths, lambda source: _state(paths, source, manifest.odoo_version, refresh=refresh), known)
    return tuple(states), _cache(paths, known)


def _of_lock(lock: Lock | None) -> tuple[Source, ...]:
    """The sources of the lock, where the cache lacks commits to resolve the graph."""
    if lock is None:
        return ()
    developing = (lock.developing,) if lock.developing and lock.developing.tree is None else ()
    kinds: dict[SourceKind, tuple[Pin, ...]] = {
        "platform": (lock.platform,),
        "dependency": lock.dependencies,
        "developing": developing,
    }
    links = {pin.key: Link(pin.url, pin.branch) for pins in kinds.values() for pin in pins}
    names = source_names(links.values())
    return tuple(
        Source(names[links[pin.key].canonical], kind, links[pin.key], pin.content, facts((), {}), merged=pin.merged)
        for kind, pins in kinds.items()
        for pin in pins
    )


def _state(paths: ProjectPaths, source: Source, version: str, *, refresh: bool) -> SourceState:
    path = paths.source(source.name)
    current = graph.checkout(paths, source)
    branch = "" if source.link.is_file else source.link.branch or version
    kind = _kind(current, source.commit)
    state = SourceState(
        source.name,
        source.kind,
        without_credentials(source.link.url),
        branch,
        source.commit,
        kind,
        current.commit,
        current.branch,
        pin=source.base if source.merged else None,
        merges=merge_status.states(paths, source.link, source.merged, branch, refresh=refresh) if source.merged else (),
    )
    if kind in {"absent", "foreign", "link", "gone"}:
        return state
    work, upstream = git_status.local_work(path), f"origin/{branch}"
    behind, ahead = git_status.behind_ahead(path, f"refs/remotes/{upstream}") or (None, None)
    return replace(
        state,
        on_top=git_status.commits_since(path, current.base) if current.base else None,
        changes=work.changes,
        untracked=work.untracked,
        stashes=work.stashes,
        history="whole" if alternates.has_full_history(path) else "shallow",
        upstream=upstream if behind is not None else None,
        behind=behind,
        ahead=ahead,
    )


def _kind(current: Checkout, locked: str) -> str:
    if current.gone:
        return "gone"
    if current.kind == "ours":
        return "locked" if current.commit == locked else "elsewhere"
    return current.kind


def _cache(paths: ProjectPaths, known: Sequence[Source]) -> CacheState:
    used = []
    for source in known:
        store = paths.store(source.link.canonical)
        if not source.link.is_file and store.is_dir():
            held = len(stores.commits(store))
            used.append(StoreState(source.link.canonical, str(store), stores.size(store), held))
    return CacheState(str(paths.cache), tuple(used), stores.size(paths.cache), cache.count(paths))


def unshallow(paths: ProjectPaths, name: str) -> str:
    """Fetch the full history and every branch into the checkout NAME; the result as one line.

    Errors: UsageError where it is not a checkout of odpm; the errors of a fetch.
    """
    source = _named(paths, name)
    path = paths.source(source.name)
    current = graph.checkout(paths, source)
    if current.kind == "foreign" or (current.base is None and current.kind in {"branch", "commit", "ours"}):
        raise UsageError(
            f"{name} is your own folder, not a checkout of odpm",
            where=str(path),
            todo=f"if it is a shallow clone: git -C {quote(str(path))} fetch --unshallow",
        )
    if current.kind == "absent":
        raise UsageError(f"{name} is not checked out yet", todo=f"inv render && inv sources.unshallow {name}")
    if alternates.has_full_history(path) and not current.gone:
        return f"{name} already has its full history"
    remote = project_remote(paths, source.link.url)
    with terminal.activity() as show:
        show.note(name, "fetch the history")
        try:
            on_progress = progress_callback(show, name)
            if current.gone:
                checkout.restore_commits(paths, path, source.link, current.gone, remote, on_progress)
            origin = checkout.unshallow(paths, path, without_credentials(source.link.url), remote, on_progress)
        finally:
            show.done(name)
    if not alternates.has_full_history(path):
        return f"{name} has all history of the server, whose repository is shallow"
    commits = git.query(path, "rev-list", "--count", "HEAD")
    return f"{name} now has its full history: {plural(int(commits), 'commit')}, branches as {origin}/…"


def _named(paths: ProjectPaths, name: str) -> Source:
    """The source NAME of a resolved project. Errors: UsageError."""
    manifest = project_files.description(paths)[0]
    if not paths.settings.scenario.mounts:
        raise UsageError(
            f"the scenario {paths.settings.scenario.name} has no checkouts: the sources are baked into the image",
            where=paths.settings.where("ODPM_SCENARIO"),
            todo=f"ODPM_SCENARIO=developer inv sources.unshallow {name}",
        )
    resolved = graph.resolution(
        paths, manifest, project_files.lock(paths), developing_url(remotes(paths), manifest.developing)
    )
    if isinstance(resolved, tuple):
        raise UsageError(
            "the sources of this project are not resolved yet", todo=f"inv render && inv sources.unshallow {name}"
        )
    found = {source.name: source for source in resolved.sources}
    if name not in found:
        raise UsageError(
            f"no source is named {name!r}{nearest(name, found)}", todo=f"one of: {', '.join(sorted(found))}"
        )
    source = found[name]
    if source.link.is_file:
        folder = Path(source.link.path)
        raise UsageError(
            f"{name} is a link to your own folder",
            where=str(folder),
            todo=f"if it is a shallow clone: git -C {quote(str(folder))} fetch --unshallow",
        )
    return source
