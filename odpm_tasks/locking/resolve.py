"""Resolve the graph of repositories with network access, and write the lock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from odpm_tasks import project_files
from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.git import fetch as git_fetch
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.image import wkhtmltopdf
from odpm_tasks.core.locking.changes import complete_lock, require_branches
from odpm_tasks.core.locking.graph import Resolution, SourceAnswer, SourceQuery
from odpm_tasks.core.locking.lockfile import write_lock
from odpm_tasks.core.locking.pins import effective_pins, matching_keys
from odpm_tasks.core.locking.resolve import drive, prefetch, resolve
from odpm_tasks.core.planning.observed import ObservedState
from odpm_tasks.errors import CommitMissingError, OdpmError
from odpm_tasks.locking import archive_state, image_digests, pdf_renderer
from odpm_tasks.parallel import Prefetcher
from odpm_tasks.sources import cache, merging
from odpm_tasks.sources.facts import stored_facts
from odpm_tasks.sources.folders import developing_url, file_answer, reserved_names
from odpm_tasks.sources.project_names import remotes
from odpm_tasks.sources.remote import progress_callback, project_remote


def answer(paths: ProjectPaths, reader: Reader, query: SourceQuery, show: terminal.Activity) -> SourceAnswer:
    """Answer one query of the resolver, from the cache if it holds the commit, else from the server."""
    if query.link.is_file:
        return file_answer(paths, query.link)
    name, message = query.link.name, ""
    show.note(name, f"fetch {query.commit[:12] if query.commit else query.branch}")
    try:
        store = paths.store(query.link.canonical)
        if query.link.merges:
            return _merged(paths, reader, query, show)
        if query.commit and git.store_has(store, query.commit):
            commit = query.commit
        else:
            commit, fetched = _fetch(paths, reader, query, show)
            message = f"fetched {name} {query.branch} {commit[:8]}" if fetched else ""
        facts = stored_facts(paths, reader, query.link, commit, query.kind)
    except OdpmError as error:
        error.where = error.where or f"required by {' -> '.join(query.required_by)}"
        link = query.link
        if isinstance(error, CommitMissingError) and error.commit in {
            link.commit,
            *(one.commit for one in link.merges),
        }:
            error.suggest_change("a link", f"the link of {name} in odpm.json")
        raise
    finally:
        show.done(name, message)
    return SourceAnswer(commit, facts)


def _merged(paths: ProjectPaths, reader: Reader, query: SourceQuery, show: terminal.Activity) -> SourceAnswer:
    """The answer for a repository with merges: its merge commit is made where the cache does not hold it."""
    reader.include(paths.store(query.link.canonical))
    merged = merging.provide(paths, query, progress_callback(show, query.link.name))
    facts, pin_facts = (
        stored_facts(paths, reader, query.link, commit, query.kind) for commit in (merged.commit, merged.pin)
    )
    return SourceAnswer(merged.commit, facts, merged, pin_facts)


def _fetch(paths: ProjectPaths, reader: Reader, query: SourceQuery, show: terminal.Activity) -> tuple[str, bool]:
    """Fetch the commit of a query into its store: its id, and whether the store did not hold it before.

    The tip of a branch is not known before the fetch, so it always counts as new.
    """
    source, store = project_remote(paths, query.link.url), paths.store(query.link.canonical)
    on_progress = progress_callback(show, query.link.name)
    revision = query.commit or query.branch
    if query.day:
        revision = git_fetch.commit_at(store, source, query.branch, query.day, on_progress)
    held = git.store_has(store, revision)
    reader.include(store)
    return git_fetch.fetch(store, source, revision, on_progress, branch=query.branch), not held


def resolve_with_images(
    paths: ProjectPaths, observed: ObservedState, *, fresh: bool = False, only: Sequence[str] = ()
) -> Resolution:
    """`resolve_online` with the digests of base images and the state of the Debian archive, queried at the same time."""
    manifest, known = project_files.manifest_of_all_scenarios(paths).manifest, observed.lock
    all_fresh = fresh and not only
    described = image_digests.base_images(manifest)
    digests = image_digests.start(paths, described, known, fresh=all_fresh)
    fresh_renderer = fresh and (not only or wkhtmltopdf.NAME in only)
    renderer = pdf_renderer.start(paths, manifest, known, fresh=fresh_renderer)
    system = archive_state.start(paths, manifest, known, fresh=all_fresh)
    resolved = resolve_online(paths, observed, fresh=fresh, only=only)
    complete = image_digests.base_images(manifest, resolved, reserved_names(paths, manifest, remotes(paths)))
    added = {name: mirrored for name, mirrored in complete.items() if name not in described}
    added_digests = image_digests.start(paths, added, known, fresh=all_fresh)
    return replace(resolved, images=digests() | added_digests(), renderer=renderer(), system=system())


def resolve_online(
    paths: ProjectPaths, observed: ObservedState, *, fresh: bool = False, only: Sequence[str] = ()
) -> Resolution:
    """The whole graph. What pins and cache do not answer is fetched.

    `fresh`: ignore pins, those of the repositories in `only` where it is not empty, else all. Errors: LockError where a pin
    of `locks.git` has another branch than its link.
    """
    cache.register(paths)
    cache.require_access(paths, write=True)
    manifest, settings = observed.manifest, paths.settings
    pins = effective_pins(observed.lock, {} if fresh and not only else manifest.locks_git, manifest.odoo_version)
    if fresh:
        ignored = matching_keys(pins, only) if only else pins.keys()
        pins = {key: pin for key, pin in pins.items() if key not in ignored}
    require_branches(observed.lock, manifest, (link for link in manifest.links if link.canonical in pins))
    own = developing_url(remotes(paths), manifest.developing)
    walk = resolve(manifest, pins, settings.get, strict=settings.scenario.strict, own=own)
    following = prefetch(manifest, pins, settings.get, own)
    with (
        terminal.activity() as show,
        Reader() as reader,
        Prefetcher(
            paths,
            work=lambda query: answer(paths, reader, query, show),
            key=lambda query: query.request,
            follow=lambda query, found: following(query, found.facts),
        ) as prefetcher,
    ):
        resolved = drive(walk, prefetcher.answers)
    kept = (source.link for source in resolved.sources if source.key in pins)
    require_branches(observed.lock, manifest, kept)
    return resolved


def save_lock(paths: ProjectPaths, observed: ObservedState, resolved: Resolution) -> None:
    """Write the lock of a resolution, as `complete_lock` limits it."""
    known = observed.lock
    new = complete_lock(resolved.lock(known), known, observed.manifest.locks_git, observed.own)
    files.write(paths.lock, write_lock(new).encode())
