"""The graph of repositories, with servers asked for what pins and cache do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from odpm_tasks import project_files
from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.git import fetch as fetching
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.changes import complete_lock
from odpm_tasks.core.locking.lockfile import effective_pins, matching_keys, write_lock
from odpm_tasks.core.locking.resolve import Resolution, SourceAnswer, SourceQuery, drive, prefetch, resolve
from odpm_tasks.core.planning.observed import ObservedState
from odpm_tasks.errors import OdpmError
from odpm_tasks.locking import image_digests
from odpm_tasks.parallel import Prefetcher
from odpm_tasks.sources import cache, graph
from odpm_tasks.sources.folders import developing_url, file_answer, remotes
from odpm_tasks.sources.remote import progress_watch, project_remote


def fetch(paths: ProjectPaths, reader: Reader, ask: SourceQuery, show: terminal.Activity) -> SourceAnswer:
    """Answer one question of the resolver, from the cache where it holds the commit, else from the server."""
    if ask.link.is_file:
        return file_answer(paths, ask.link)
    source = project_remote(paths, ask.link.url)
    store = paths.store(ask.link.canonical)
    wanted = ask.commit or ask.branch
    look, told = progress_watch(show, ask.link.name), ""
    show.note(ask.link.name, f"fetch {wanted[:12] if ask.commit else wanted}")
    try:
        if ask.day:
            wanted = fetching.commit_at(store, source, ask.branch, ask.day, look)
        if not (ask.commit and git.store_has(store, ask.commit)):
            held = git.store_has(store, wanted)
            reader.include(store)
            wanted = fetching.fetch(store, source, wanted, look, branch=ask.branch)
            told = "" if held else f"fetched {ask.link.name} {ask.branch} {wanted[:8]}"
        facts = graph.facts(paths, reader, ask.link, wanted, ask.kind)
    except OdpmError as error:
        error.where = error.where or f"asked for by {' -> '.join(ask.required_by)}"
        raise
    finally:
        show.done(ask.link.name, told)
    assert facts is not None
    return SourceAnswer(wanted, facts)


def resolve_with_images(
    paths: ProjectPaths, observed: ObservedState, *, fresh: bool = False, only: Sequence[str] = ()
) -> Resolution:
    """The whole graph as `resolve_online` has it, with the digests of images: ours are asked for meanwhile."""
    manifest, known, all_fresh = (
        project_files.whole_description(paths).manifest,
        observed.lock,
        fresh and not only,
    )
    ours = image_digests.base_images(manifest)
    digests = image_digests.start(paths, ours, known, fresh=all_fresh)
    resolved = resolve_online(paths, observed, fresh=fresh, only=only)
    brought = {name: how for name, how in image_digests.base_images(manifest, resolved).items() if name not in ours}
    their_digests = image_digests.start(paths, brought, known, fresh=all_fresh)
    return replace(resolved, images=digests() | their_digests())


def resolve_online(
    paths: ProjectPaths, observed: ObservedState, *, fresh: bool = False, only: Sequence[str] = ()
) -> Resolution:
    """The whole graph, asking servers for what pins and cache do not tell.

    `fresh`: pins do not count (of the repositories named in `only`, where given).
    """
    cache.register(paths)
    manifest, known = observed.manifest, observed.lock
    pins = effective_pins(known, {} if fresh and not only else manifest.locks_git, manifest.odoo_version)
    if fresh:
        moving = matching_keys(pins, only) if only else pins.keys()
        pins = {key: pin for key, pin in pins.items() if key not in moving}
    own = developing_url(remotes(paths), manifest.developing)
    walk = resolve(
        manifest,
        pins,
        paths.settings.get,
        strict=paths.settings.scenario.strict,
        own=own,
        given=paths.settings.is_configured,
    )
    foresee = prefetch(manifest, pins, paths.settings.get, own, paths.settings.is_configured)
    with (
        terminal.activity() as show,
        Reader() as reader,
        Prefetcher(
            paths, lambda ask: fetch(paths, reader, ask, show), lambda ask: ask.what, lambda a, f: foresee(a, f.facts)
        ) as ahead,
    ):
        return drive(walk, ahead.answers)


def save_lock(paths: ProjectPaths, observed: ObservedState, resolved: Resolution) -> None:
    known = observed.lock
    new = complete_lock(resolved.lock(known), known, observed.manifest.locks_git, observed.own)
    files.write(paths.lock, write_lock(new).encode())
