"""Where steps are performed: one function per step id, each safe to repeat and to kill.

A function gets the sight that the plan was made from and the steps of its id; what it changes is observed anew before
anything that depends on it is decided.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.git import checkout
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.planning.observed import Observation
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.steps import Step
from odpm_tasks.locking import resolve
from odpm_tasks.locking.python import lock_python
from odpm_tasks.parallel import parallel_map
from odpm_tasks.project_files import read_state, write_state
from odpm_tasks.sources import checkout as checkouts
from odpm_tasks.sources import remote
from odpm_tasks.sources.checkout import link_folder


def perform(
    paths: ProjectPaths, observation: Observation, step_id: str, steps: Sequence[Step], options: RunOptions
) -> None:
    """Perform the acting steps of one id. Errors: whatever the step meets, as an OdpmError."""
    if step_id.startswith("hooks."):
        from odpm_tasks.planning import hooks

        for step in steps:
            hooks.run_hook(paths, observation, step_id.removeprefix("hooks."), step.target)
        return
    _PERFORM[step_id](paths, observation, steps, options)


def _resolve(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    resolve.save_lock(paths, observation, resolve.resolve_with_images(paths, observation))


def _materialize(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    resolve.resolve_online(paths, observation)


def _checkout(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    resolved = observation.observed.resolution
    assert resolved is not None
    targets = {step.target for step in steps}
    wanted = [source for source in resolved.sources if f".odpm/src/{source.name}" in targets]
    links = dict(read_state(paths).get("links", {}))
    checkout.remove_leftovers(paths.odpm / "src")
    with terminal.activity() as show, checkout.empty_repository(paths.odpm / "src") as empty:

        def put(source: Any) -> None:
            path = paths.source(source.name)
            show.note(source.name, f"check out {source.commit[:8]}")
            try:
                if source.link.is_file:
                    link_folder(path, Path(source.link.path))
                    links[source.name] = source.link.path
                else:
                    if path.is_symlink() and links.get(source.name) == str(path.readlink()):
                        path.unlink()  # a link of ours, from when this source was a folder
                    seen, server = (
                        observation.observed.checkouts[source.name],
                        remote.project_remote(paths, source.link.url),
                    )
                    checkouts.check_out(paths, source, seen, server, remote.progress_watch(show, source.name), empty)
            finally:
                show.done(source.name)

        parallel_map(paths, put, wanted)
    if links:
        write_state(paths, links=links)


def _python(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    lock_python(paths, observation)


def _files(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    rendered = observation.observed.rendered
    assert rendered is not None
    known = observation.state.get("files", {}) | read_state(paths).get("files", {})
    recorded = {
        path: digest
        for path, digest in known.items()
        if path in {*rendered.files, *observation.observed.obsolete_files}
    }
    for step in steps:
        path = paths.root / step.target
        if step.target not in rendered.files:
            if observation.observed.obsolete_files[step.target]:
                files.remove(path)
            recorded.pop(step.target, None)
            continue
        data, keep = rendered.files[step.target], (lambda path=path: _keep(paths, path))
        edited = step.target in observation.observed.edited
        files.write(
            path, data, 0o755 if step.target.endswith("odoo-run") else 0o644, before_replace=keep if edited else None
        )
        recorded[step.target] = files.sha256(data)
        if step.target == "docker-compose.yml":
            checkout.exclude_from_status(paths.root, ["/docker-compose.yml", "/docker-compose.yml.orig*"])
    write_state(paths, files=recorded)


def _keep(paths: ProjectPaths, path: Path) -> None:
    terminal.message(f"  your edits are kept: {files.keep_original(path).relative_to(paths.root)}")


def _validate(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    from odpm_tasks.stack import validate

    validate.validate(paths, observation)


def _image(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    from odpm_tasks.image import build
    from odpm_tasks.stack import networks

    networks.require(paths, observation)
    build.build_missing(paths, observation)


def _compose_up(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    from odpm_tasks.stack import networks, secrets, up

    networks.require(paths, observation)
    secrets.make_secrets(paths)
    up.up(paths, observation)


def _database(paths: ProjectPaths, observation: Observation, steps: Sequence[Step], options: RunOptions) -> None:
    from odpm_tasks.stack import database

    database.prepare_database(paths, observation, options, steps[0].action == "create")


_PERFORM: dict[str, Callable[[ProjectPaths, Observation, Sequence[Step], RunOptions], None]] = {
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
