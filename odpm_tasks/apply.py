"""Where steps are performed: one function per step id, each safe to repeat and to kill.

A function gets the sight that the plan was made from and the steps of its id; what it changes is observed anew before
anything that depends on it is decided.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from odpm_tasks import checkouts, observe, python_env, resolving
from odpm_tasks.adapters import files, terminal, worktree
from odpm_tasks.core.place import Place
from odpm_tasks.core.wished import Wishes
from odpm_tasks.core.world import Step
from odpm_tasks.folders import folder_facts
from odpm_tasks.observe import Sight
from odpm_tasks.parallel import together
from odpm_tasks.state import recall, remember


def perform(place: Place, sight: Sight, step_id: str, steps: Sequence[Step], wishes: Wishes) -> None:
    """Perform the acting steps of one id. Errors: whatever the step meets, as an OdpmError."""
    if step_id.startswith("hooks."):
        from odpm_tasks import hooks

        for step in steps:
            hooks.run_hook(place, sight, step_id.removeprefix("hooks."), step.target)
        return
    _PERFORM[step_id](place, sight, steps, wishes)


def _resolve(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    resolving.save_lock(place, sight, resolving.resolve_images(place, sight))


def _materialize(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    resolving.resolve_online(place, sight)


def _checkout(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    resolved = sight.world.resolution
    assert resolved is not None
    targets = {step.target for step in steps}
    wanted = [source for source in resolved.sources if f".odpm/src/{source.name}" in targets]
    links = dict(recall(place).get("links", {}))
    worktree.sweep(place.odpm / "src")
    with terminal.activity() as show, worktree.blank(place.odpm / "src") as empty:

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
                    seen, server = sight.world.checkouts[source.name], resolving.remote(place, source.link.url)
                    checkouts.put(place, source, seen, server, resolving.watch(show, source.name), empty)
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
    from odpm_tasks import validating

    validating.validate(place, sight)


def _image(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    from odpm_tasks import building, networks

    networks.demand(place, sight)
    building.build_missing(place, sight)


def _compose_up(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    from odpm_tasks import credentials, networks, services

    networks.demand(place, sight)
    credentials.make_secrets(place)
    services.up(place, sight)


def _database(place: Place, sight: Sight, steps: Sequence[Step], wishes: Wishes) -> None:
    from odpm_tasks import database

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
