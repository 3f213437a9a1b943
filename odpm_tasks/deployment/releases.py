"""The releases on disk: export one, record deployments, remove old ones. All functions need the project's lock."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import export
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.core.config.paths import (
    CADDYFILE,
    COMPOSE_FILE,
    MAINTENANCE_PAGE,
    ODOO_CONF,
    RELEASE_HISTORY,
    RELEASES,
    ProjectPaths,
    release_folder,
    release_record,
    release_source,
)
from odpm_tasks.core.deployment.releases import Deployment, kept, write_history
from odpm_tasks.core.locking.graph import Source
from odpm_tasks.core.planning.observed import RenderedState
from odpm_tasks.parallel import parallel_map
from odpm_tasks.project_files import deployments, is_exported
from odpm_tasks.project_state import read_state, write_state
from odpm_tasks.sources import own_code

_UNFINISHED = ".new-"


def export_release(paths: ProjectPaths, observed: RenderedState) -> None:
    """Write the folder of the release that the generated files start: sources, configuration, compose file.

    Files of a source at the same commit in another release are linked, not written. Errors: MachineError for a full disk.
    """
    release = observed.rendered.release
    folder = paths.root / RELEASES
    for left in folder.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = f"{_UNFINISHED}{release}"
    sources = {source.name: source.commit for source in observed.resolution.ordered}
    stack = observed.stack
    with files.disk_errors(folder):
        (paths.root / release_folder(fresh) / "src").mkdir(parents=True)
        sources[stack.own_name] = stack.own_content
        others = {release: _sources(paths, release) for release in existing(paths)}

        def put(name: str) -> None:
            target = (paths.root / release_source(fresh, name)).parent
            same = next((other for other, known in others.items() if known.get(name) == sources[name]), "")
            source = next((one for one in observed.resolution.ordered if one.name == name), None)
            if same:
                _link(paths.root / release_source(same, name), target / "files")
            elif source is None:
                own_code.write(paths, stack.own, target)
            else:
                _export(paths, source, target)

        parallel_map(
            paths, put, [*sources] if stack.own.addons else [name for name in sources if name != stack.own_name]
        )
        root = paths.root / release_folder(fresh)
        files.write(root / "odoo.conf", observed.rendered.files[ODOO_CONF], 0o644)
        files.write(root / COMPOSE_FILE, observed.rendered.compose, 0o644)
        for path in (CADDYFILE, MAINTENANCE_PAGE):
            if data := observed.rendered.files.get(path):
                files.write(root / Path(path).name, data, 0o644)
        record = {"commit": git.head_commit(paths.root), "image": observed.image, "sources": sources}
        files.write(paths.root / release_record(fresh), (json.dumps(record, indent=2) + "\n").encode(), 0o644)
        target = paths.root / release_folder(release)
        shutil.rmtree(target, ignore_errors=True)
        root.rename(target)
    last = read_state(paths).get("up", {})
    if "digest" in last and release_folder(release) in (files.read_text(paths.compose) or ""):
        # a running Odoo mounts the folder that was lost; without digest the next steps recreate its container
        write_state(paths, up={key: value for key, value in last.items() if key not in {"digest", "parts"}})


def _export(paths: ProjectPaths, source: Source, target: Path) -> None:
    if source.link.is_file:
        export.export_files(Path(source.link.path), target)
    else:
        export.export(paths.store(source.key), source.commit, target)


def _link(source: Path, target: Path) -> None:
    """The same files in another folder: links, and copies where the file system has none."""

    def put(old: str, new: str) -> None:
        try:
            os.link(old, new, follow_symlinks=False)
        except OSError:
            shutil.copy2(old, new, follow_symlinks=False)

    shutil.copytree(source, target, symlinks=True, copy_function=put)


def existing(paths: ProjectPaths) -> list[str]:
    """The releases that are on disk."""
    return [path.parent.name for path in (paths.root / RELEASES).glob("[!.]*/release.json")]


def record_of(paths: ProjectPaths, release: str) -> Mapping[str, object]:
    """What `export_release` recorded: `commit`, `image`, `sources`; empty where that cannot be read."""
    try:
        found = json.loads(files.read_text(paths.root / release_record(release)) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _sources(paths: ProjectPaths, release: str) -> dict[str, str]:
    found = record_of(paths, release).get("sources")
    return {str(name): str(value) for name, value in found.items()} if isinstance(found, dict) else {}


def compose_text(paths: ProjectPaths, release: str) -> bytes:
    """The compose file that starts a release; empty where it is gone."""
    return files.read(paths.root / release_folder(release) / COMPOSE_FILE) or b""


def restore_files(paths: ProjectPaths, release: str) -> None:
    """Make the compose file of a release that of the project, and the configuration of its reverse proxy, if it has one."""
    folder = paths.root / release_folder(release)
    digests = read_state(paths).get("files", {})
    for target in (COMPOSE_FILE, CADDYFILE, MAINTENANCE_PAGE):
        data = files.read(folder / Path(target).name)
        if data is not None:
            files.write(paths.root / target, data, 0o644)
            digests[target] = files.sha256(data)
    write_state(paths, files=digests)


def current_release(paths: ProjectPaths) -> Deployment | None:
    """The deployment that serves; None where there is none or its release is gone."""
    entries = deployments(paths)
    return entries[-1] if entries and is_exported(paths, entries[-1].release) else None


def record_deployment(paths: ProjectPaths, release: str, updates: Mapping[str, str], *, rollback: bool = False) -> None:
    """Append a deployment to the history, and remove the releases that are not kept. Nothing for the current release
    without updates.
    """
    entries = deployments(paths)
    if not release or (entries and entries[-1].release == release and not updates):
        return
    time = datetime.now(UTC).isoformat(timespec="seconds")
    commit = str(record_of(paths, release).get("commit", ""))
    entries = (*entries, Deployment(release, commit, time, dict(updates), rollback))
    files.write(paths.root / RELEASE_HISTORY, write_history(entries).encode())
    for old in {*existing(paths)} - {*kept(entries)}:
        shutil.rmtree(paths.root / release_folder(old), ignore_errors=True)
