"""Where steps are performed: one function per step id, each safe to repeat and to kill.

A function gets the sight that the plan was made from and the steps of its id; what it changes is observed anew before
anything that depends on it is decided.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from odpm_tasks import (
    building,
    cache,
    checkouts,
    credentials,
    database,
    graph,
    hooks,
    image_digests,
    networks,
    observe,
    python_env,
    services,
    validating,
)
from odpm_tasks.adapters import access, files, git, terminal, worktree
from odpm_tasks.adapters import fetch as fetching
from odpm_tasks.adapters.git_words import Progress
from odpm_tasks.adapters.talk import Watch
from odpm_tasks.core.lock import counting_pins, named, write_lock
from odpm_tasks.core.lock_changes import completed
from odpm_tasks.core.place import Place
from odpm_tasks.core.resolve import Ask, Found, Resolution, drive, foresight, resolve
from odpm_tasks.core.world import Step
from odpm_tasks.errors import OdpmError
from odpm_tasks.folders import file_source, folder_facts, own_url
from odpm_tasks.observe import Sight, Wishes
from odpm_tasks.parallel import Ahead, together
from odpm_tasks.state import recall, remember


def perform(place: Place, sight: Sight, step_id: str, steps: Sequence[Step], wishes: Wishes) -> None:
    """Perform the acting steps of one id. Errors: whatever the step meets, as an OdpmError."""
    if step_id.startswith("hooks."):
        for step in steps:
            hooks.run_hook(place, sight, step_id.removeprefix("hooks."), step.target)
        return
    _PERFORM[step_id](place, sight, steps, wishes)


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


def fetch(place: Place, ask: Ask, show: terminal.Activity) -> Found:
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
            wanted = fetching.fetch(store, source, wanted, look, branch=ask.branch)
            told = "" if held else f"fetched {ask.link.name} {ask.branch} {wanted[:8]}"
        facts = graph.facts(place, ask.link, wanted, ask.kind)
    except OdpmError as error:
        error.where = error.where or f"asked for by {' -> '.join(ask.asked_by)}"
        error.message = error.render()
        raise
    finally:
        show.done(ask.link.name, told)
    assert facts is not None
    return Found(wanted, facts)


def resolve_images(place: Place, sight: Sight, *, fresh: bool = False, only: Sequence[str] = ()) -> Resolution:
    """The whole graph as `resolve_online` has it, with the digests of images, asked for meanwhile."""
    digests = image_digests.begin(
        place, observe.whole_description(place).manifest, sight.world.lock, fresh=fresh and not only
    )
    resolved = resolve_online(place, sight, fresh=fresh, only=only)
    return replace(resolved, images=digests())


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
    own = own_url(place, manifest.developing)
    walk = resolve(
        manifest, pins, place.settings.get, strict=place.settings.scenario.strict, own=own, given=place.settings.written
    )
    foresee = foresight(manifest, pins, place.settings.get, own, place.settings.written)
    with (
        terminal.activity() as show,
        Ahead(
            place, lambda ask: fetch(place, ask, show), lambda ask: ask.what, lambda a, f: foresee(a, f.facts)
        ) as ahead,
    ):
        return drive(walk, ahead.answers)


def _resolve(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    save_lock(place, sight, resolve_images(place, sight))


def save_lock(place: Place, sight: Sight, resolved: Resolution) -> None:
    known = sight.world.lock
    new = completed(resolved.lock(known), known, sight.world.manifest.locks_git, sight.world.own)
    files.write(place.lock, write_lock(new).encode())


def _materialize(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    resolve_online(place, sight)


def _checkout(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    resolved = sight.world.resolution
    assert resolved is not None
    targets = {step.target for step in steps}
    wanted = [source for source in resolved.sources if f".odpm/src/{source.name}" in targets]
    links = dict(recall(place).get("links", {}))
    worktree.sweep(place.odpm / "src")
    with terminal.activity() as show:

        def put(source: Any) -> None:
            path = place.source(source.name)
            show.note(source.name, f"check out {source.commit[:8]}")
            try:
                if source.link.is_file:
                    link_in(path, Path(source.link.path))
                    links[source.name] = source.link.path
                else:
                    if path.is_symlink() and links.get(source.name) == str(path.readlink()):
                        path.unlink()  # a link of ours, from when this source was a folder
                    seen, server = sight.world.checkouts[source.name], remote(place, source.link.url)
                    checkouts.put(place, source, seen, server, watch(show, source.name))
            finally:
                show.done(source.name)

        together(place, put, wanted)
    if links:
        remember(place, links=links)


def link_in(path: Path, target: Path) -> None:
    """A `file://` source in its place: a link. A folder that is there already is the user's. Errors: WouldLoseError."""
    if path.exists() and not path.is_symlink():
        raise worktree.in_the_way(path)
    with files.disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(path)


def _python(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    lock_python(place, sight)


def lock_python(place: Place, sight: Sight, *, fresh: bool = False) -> None:
    """Lock the Python packages that this stack asks for; the repositories' lock, where it is read, learns their hash."""
    resolved, known = sight.world.resolution, observe.lock(place) if sight.world.reads_lock else None
    assert resolved is not None
    merged = python_env.asked_packages(sight.world.manifest, resolved, folder_facts(place.root))
    python_env.write_locks(place, sight.world.manifest, merged, known, fresh=fresh)


def _files(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    rendered = sight.world.rendered
    assert rendered is not None
    known = sight.state.get("files", {}) | recall(place).get("files", {})
    recorded = {path: digest for path, digest in known.items() if path in {*rendered.files, *sight.world.leftovers}}
    for step in steps:
        path = place.root / step.target
        if step.target not in rendered.files:
            if sight.world.leftovers[step.target]:
                files.remove(path)
            recorded.pop(step.target, None)
            continue
        data, keep = rendered.files[step.target], (lambda path=path: _keep(place, path))
        edited = step.target in sight.world.edited
        files.write(path, data, 0o755 if step.target.endswith("odoo-run") else 0o644, before=keep if edited else None)
        recorded[step.target] = files.sha256(data)
        if step.target == "docker-compose.yml":
            worktree.hide(place.root, ["/docker-compose.yml", "/docker-compose.yml.orig*"])
    remember(place, files=recorded)


def _keep(place: Place, path: Path) -> None:
    terminal.say(f"  your edits are kept: {files.keep_original(path).relative_to(place.root)}")


def _validate(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    validating.validate(place, sight)


def _image(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    networks.demand(place, sight)
    building.build_missing(place, sight)


def _compose_up(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    networks.demand(place, sight)
    credentials.make_secrets(place)
    services.up(place, sight)


def _database(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    database.prepare_database(place, sight, wishes, steps[0].action == "create")


_PERFORM: dict[str, Callable[[Place, Sight, Sequence[Step], Wishes], None]] = {
    "git.resolve": _resolve,
    "git.materialize": _materialize,
    "git.checkout": _checkout,
    "python.lock": _python,
    "template.dockerfile": _files,
    "template.odoo_conf": _files,
    "compose.generate": _files,
    "compose.validate": _validate,
    "ide.files": _files,
    "image.build": _image,
    "compose.up": _compose_up,
    "db.create": _database,
}
