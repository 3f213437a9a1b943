"""The graph of repositories, with servers asked for what pins and cache do not tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from odpm_tasks import cache, graph, image_digests, observe
from odpm_tasks.adapters import access, files, git, terminal
from odpm_tasks.adapters import fetch as fetching
from odpm_tasks.adapters.git_words import Progress
from odpm_tasks.adapters.objects import Reader
from odpm_tasks.adapters.talk import Watch
from odpm_tasks.core.lock import counting_pins, named, write_lock
from odpm_tasks.core.lock_changes import completed
from odpm_tasks.core.place import Place
from odpm_tasks.core.resolve import Ask, Found, Resolution, drive, foresight, resolve
from odpm_tasks.errors import OdpmError
from odpm_tasks.folders import file_source, own_url, remotes
from odpm_tasks.observe import Sight
from odpm_tasks.parallel import Ahead


def remote(place: Place, url: str) -> access.Remote:
    settings = place.settings
    key = settings.get("PATH_TO_SSH_KEY")
    return access.remote(url, mirrors=settings.git_mirrors, ssh_key=key, silence=settings.git_timeout)


def watch(show: terminal.Activity, name: str) -> Watch:
    """Shows how far the fetch of a repository is."""

    def look(progress: Progress) -> None:
        if progress.trouble:
            show.stumble(name, progress.trouble, progress.phase)
        else:
            show.note(name, progress.phase.split()[0].lower(), progress.percent, progress.size, progress.rate)

    return look


def fetch(place: Place, reader: Reader, ask: Ask, show: terminal.Activity) -> Found:
    """Answer one question of the resolver, from the cache where it holds the commit, else from the server."""
    if ask.link.is_file:
        return file_source(place, ask.link)
    source = remote(place, ask.link.url)
    store = place.store(ask.link.canonical)
    wanted = ask.commit or ask.branch
    look, told = watch(show, ask.link.name), ""
    show.note(ask.link.name, f"fetch {wanted[:12] if ask.commit else wanted}")
    try:
        if ask.day:
            wanted = fetching.commit_at(store, source, ask.branch, ask.day, look)
        if not (ask.commit and git.holds(store, ask.commit)):
            held = git.holds(store, wanted)
            reader.soon(store)
            wanted = fetching.fetch(store, source, wanted, look, branch=ask.branch)
            told = "" if held else f"fetched {ask.link.name} {ask.branch} {wanted[:8]}"
        facts = graph.facts(place, reader, ask.link, wanted, ask.kind)
    except OdpmError as error:
        error.where = error.where or f"asked for by {' -> '.join(ask.asked_by)}"
        raise
    finally:
        show.done(ask.link.name, told)
    assert facts is not None
    return Found(wanted, facts)


def resolve_images(place: Place, sight: Sight, *, fresh: bool = False, only: Sequence[str] = ()) -> Resolution:
    """The whole graph as `resolve_online` has it, with the digests of images: ours are asked for meanwhile."""
    manifest, known, all_fresh = observe.whole_description(place).manifest, sight.world.lock, fresh and not only
    ours = image_digests.images(manifest)
    digests = image_digests.begin(place, ours, known, fresh=all_fresh)
    resolved = resolve_online(place, sight, fresh=fresh, only=only)
    brought = {name: how for name, how in image_digests.images(manifest, resolved).items() if name not in ours}
    their_digests = image_digests.begin(place, brought, known, fresh=all_fresh)
    return replace(resolved, images=digests() | their_digests())


def resolve_online(place: Place, sight: Sight, *, fresh: bool = False, only: Sequence[str] = ()) -> Resolution:
    """The whole graph, asking servers for what pins and cache do not tell.

    `fresh`: pins do not count (of the repositories named in `only`, where given).
    """
    cache.register(place)
    manifest, known = sight.world.manifest, sight.world.lock
    pins = counting_pins(known, {} if fresh and not only else manifest.locks_git, manifest.odoo_version)
    if fresh:
        moving = named(pins, only) if only else pins.keys()
        pins = {key: pin for key, pin in pins.items() if key not in moving}
    own = own_url(remotes(place), manifest.developing)
    walk = resolve(
        manifest, pins, place.settings.get, strict=place.settings.scenario.strict, own=own, given=place.settings.written
    )
    foresee = foresight(manifest, pins, place.settings.get, own, place.settings.written)
    with (
        terminal.activity() as show,
        Reader() as reader,
        Ahead(
            place, lambda ask: fetch(place, reader, ask, show), lambda ask: ask.what, lambda a, f: foresee(a, f.facts)
        ) as ahead,
    ):
        return drive(walk, ahead.answers)


def save_lock(place: Place, sight: Sight, resolved: Resolution) -> None:
    known = sight.world.lock
    new = completed(resolved.lock(known), known, sight.world.manifest.locks_git, sight.world.own)
    files.write(place.lock, write_lock(new).encode())
