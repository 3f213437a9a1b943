"""Perform the steps of a plan: one function per step id. Each is safe to repeat and to interrupt.

A function gets what it needs of the state that the plan was made from. Its effects are observed again before any step that
depends on them is decided.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from odpm_tasks.adapters import files, terminal
from odpm_tasks.adapters.git import checkout
from odpm_tasks.core.config.paths import (
    COMPOSE_FILE,
    RELEASES,
    ProjectPaths,
    source_folder,
)
from odpm_tasks.core.image.dockerfile import PROGRAMS
from odpm_tasks.core.locking.graph import Source
from odpm_tasks.core.planning.observed import ObservedState, RenderedState, ResolvedState, RunningState
from odpm_tasks.core.planning.options import RunOptions
from odpm_tasks.core.planning.steps import Step
from odpm_tasks.errors import CommitMissingError
from odpm_tasks.locking import resolve
from odpm_tasks.locking.python import lock_python
from odpm_tasks.parallel import parallel_map
from odpm_tasks.project_state import read_state, write_state
from odpm_tasks.sources import cache, remote
from odpm_tasks.sources import checkout as checkouts
from odpm_tasks.sources.checkout import link_folder
from odpm_tasks.sources.git_packages import fetch_missing


def perform(
    paths: ProjectPaths, observed: ObservedState, step_id: str, steps: Sequence[Step], options: RunOptions
) -> None:
    """Perform the acting steps of one id. Errors: whatever the step meets, as an OdpmError."""
    if step_id == "git.resolve":
        resolve.save_lock(paths, observed, resolve.resolve_with_images(paths, observed))
    elif step_id == "git.materialize":
        try:
            resolve.resolve_online(paths, observed)
            if isinstance(observed, ResolvedState) and observed.python.uncached:
                fetch_missing(paths, observed.python, observed.python.uncached)
        except CommitMissingError as error:
            if error.locked_as:
                error.suggest_lock(error.locked_as, strict=observed.scenario.strict)
            raise
    elif isinstance(observed, RenderedState) and step_id in _RENDERED:
        _perform_rendered(paths, observed, step_id, steps, options)
    elif isinstance(observed, ResolvedState):
        _perform_resolved(paths, observed, step_id, steps)
    else:
        raise ValueError(f"{step_id} cannot be performed yet")


def _perform_resolved(paths: ProjectPaths, observed: ResolvedState, step_id: str, steps: Sequence[Step]) -> None:
    if step_id == "git.checkout":
        cache.require_access(paths, write=True)
        _checkout(paths, observed, {step.target for step in steps})
    elif step_id == "python.lock":
        lock_python(paths, observed)
    elif step_id.startswith("hooks."):
        from odpm_tasks.planning import hooks

        for step in steps:
            hooks.run_hook(paths, observed, step_id.removeprefix("hooks."), step.target)
    else:
        raise ValueError(f"{step_id} cannot be performed yet")


_FILES = frozenset({"template.dockerfile", "template.odoo_conf", "compose.generate"})
_RENDERED = _FILES | {
    "compose.validate",
    "ide.files",
    "image.build",
    "compose.database",
    "db.create",
    "db.snapshot",
    "db.update",
    "compose.up",
}


def _perform_rendered(
    paths: ProjectPaths, observed: RenderedState, step_id: str, steps: Sequence[Step], options: RunOptions
) -> None:
    if step_id in _FILES:
        if any(step.target.startswith(RELEASES) for step in steps):
            from odpm_tasks.deployment import releases

            releases.export_release(paths, observed)
        _write_files(paths, observed, [step.target for step in steps if not step.target.startswith(RELEASES)])
    elif step_id == "ide.files":
        from odpm_tasks.stack import editors

        targets = [step.target for step in steps]
        if left := [target for target in targets if target in observed.obsolete_files]:
            _write_files(paths, observed, left)
        editors.write_files(paths, observed, [target for target in targets if target not in left])
    elif step_id == "compose.validate":
        from odpm_tasks.stack import validate

        validate.validate(paths, observed)
    elif step_id == "image.build":
        from odpm_tasks.image import build
        from odpm_tasks.stack import networks

        networks.require(paths, observed.stack)
        build.build_missing(paths, observed)
    elif step_id == "compose.database":
        from odpm_tasks.deployment import deploy
        from odpm_tasks.stack import networks
        from odpm_tasks.stack.databases import postgres

        networks.require(paths, observed.stack)
        if observed.scenario.strict:
            deploy.start_database(paths, observed)
        else:
            postgres.start_database(paths, observed)
    elif step_id == "db.create":
        from odpm_tasks.stack import database

        database.prepare_database(paths, observed, options, steps[0].action == "create")
    elif step_id == "db.snapshot":
        _snapshot(paths, observed, steps, options)
    elif step_id == "db.update":
        from odpm_tasks.deployment import deploy
        from odpm_tasks.stack import database

        if isinstance(observed, RunningState) and observed.scenario.strict:
            deploy.update(paths, observed, options)
        else:
            database.update_database(paths, observed, _with_updates(observed, options))
    else:
        from odpm_tasks.deployment import deploy
        from odpm_tasks.stack import database, networks, up

        networks.require(paths, observed.stack)
        database.provide_template(paths, observed)
        if observed.scenario.strict:
            deploy.start(paths, observed, options)
        else:
            up.up(paths, observed, options.settings)


def _snapshot(paths: ProjectPaths, observed: RenderedState, steps: Sequence[Step], options: RunOptions) -> None:
    """Take a snapshot before an update; or return to the state before an update that was interrupted."""
    from odpm_tasks.databases import snapshots
    from odpm_tasks.databases.access import access
    from odpm_tasks.deployment import deploy
    from odpm_tasks.stack import database

    if isinstance(observed, RunningState) and observed.scenario.strict:
        if steps[0].action == "update":
            deploy.recover(paths, observed)
        else:
            deploy.take_snapshots(paths, observed, options)
        return
    database.require_installed(paths, observed, _with_updates(observed, options))
    with access(paths, observed).connected() as connected:
        made = snapshots.take(connected, observed.database, kind="update")
    terminal.message(f"  the state before: inv db.restore-snapshot {made.name}")


def _with_updates(observed: RenderedState, options: RunOptions) -> RunOptions:
    """The options with all add-ons that this run updates."""
    return replace(options, update=observed.to_update) if isinstance(observed, RunningState) else options


def _checkout(paths: ProjectPaths, observed: ResolvedState, targets: Collection[str]) -> None:
    """Check out the sources whose folders are `targets`, several at a time."""
    selected = [source for source in observed.resolution.sources if source_folder(source.name) in targets]
    links = dict(read_state(paths).get("links", {}))
    with terminal.activity() as show, checkout.empty_repository(paths.odpm / "src") as empty:

        def put(source: Source) -> None:
            path = paths.source(source.name)
            show.note(source.name, f"check out {source.commit[:8]}")
            try:
                if source.link.is_file:
                    link_folder(path, Path(source.link.path))
                    links[source.name] = source.link.path
                else:
                    if path.is_symlink() and links.get(source.name) == str(path.readlink()):
                        path.unlink()  # our link, from when this source was a folder
                    now, server = observed.checkouts[source.name], remote.project_remote(paths, source.link.url)
                    checkouts.check_out(paths, source, now, server, remote.progress_callback(show, source.name), empty)
            finally:
                show.done(source.name)

        parallel_map(paths, put, selected)
    if links:
        write_state(paths, links=links)
    last = read_state(paths).get("up", {})
    if last and any(observed.checkouts[source.name].kind == "absent" for source in selected):
        # running containers mount the folders that are gone; without digest and parts the next steps recreate them
        write_state(
            paths, up={name: value for name, value in last.items() if name in {"project", "database", "folder"}}
        )


def _write_files(paths: ProjectPaths, observed: RenderedState, targets: Sequence[str]) -> None:
    """Write generated files and remove obsolete ones; an edited file is kept as `.orig`. Records the digests."""
    rendered = observed.rendered
    known = observed.recorded.get("files", {}) | read_state(paths).get("files", {})
    recorded = {path: digest for path, digest in known.items() if path in {*rendered.files, *observed.obsolete_files}}
    modes = {program.path: program.mode for program in PROGRAMS}
    for target in targets:
        path = paths.root / target
        if target not in rendered.files:
            if observed.obsolete_files[target]:
                files.remove(path)
            recorded.pop(target, None)
            continue
        data, keep = rendered.files[target], (lambda path=path: _keep(paths, path))
        mode = modes.get(target, 0o644)
        files.write(path, data, mode, before_replace=keep if target in observed.edited else None)
        recorded[target] = files.sha256(data)
        if target == COMPOSE_FILE:
            checkout.exclude_from_status(paths.root, [f"/{COMPOSE_FILE}", f"/{COMPOSE_FILE}.orig*"])
    write_state(paths, files=recorded)


def _keep(paths: ProjectPaths, path: Path) -> None:
    terminal.message(f"  your edits are kept: {files.keep_original(path).relative_to(paths.root)}")
