"""Read the files of a project: description, lock, `.env`, deployments.

The models of description and lock are imported where they are read: a project can be found without them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from odpm_tasks.adapters import files
from odpm_tasks.adapters.dotenv import read_env
from odpm_tasks.core.config.paths import DEPLOYMENT_FILE, RELEASE_HISTORY, ProjectPaths, release_record
from odpm_tasks.core.config.settings import PORTS, WEB_PORTS
from odpm_tasks.core.deployment.journal import Journal, read_journal, write_journal
from odpm_tasks.core.deployment.releases import Deployment, read_history
from odpm_tasks.errors import DescriptionError

if TYPE_CHECKING:
    from odpm_tasks.core.locking.lockfile import Lock
    from odpm_tasks.core.manifest.model import Manifest, ManifestResult


def read_deployment(paths: ProjectPaths) -> Journal | None:
    """The journal of a deployment that an earlier run began and did not end."""
    return read_journal(files.read_text(paths.root / DEPLOYMENT_FILE))


def write_deployment(paths: ProjectPaths, journal: Journal | None) -> None:
    """Write the journal of the deployment that runs; None: it has ended."""
    path = paths.root / DEPLOYMENT_FILE
    if journal is None:
        files.remove(path)
    else:
        files.write(path, write_journal(journal).encode())


def deployments(paths: ProjectPaths) -> tuple[Deployment, ...]:
    """The deployments of this checkout, the oldest first."""
    return read_history(files.read_text(paths.root / RELEASE_HISTORY))


def is_exported(paths: ProjectPaths, release: str) -> bool:
    """Whether a release is on disk."""
    return (paths.root / release_record(release)).is_file()


def env_file(path: Path) -> dict[str, str]:
    """The variables that a `.env` file sets. Errors: DescriptionError with the line that cannot be read."""
    text = files.read_text(path)
    return {} if text is None else read_env(text, str(path), os.environ)


def description(paths: ProjectPaths) -> tuple[Manifest, tuple[str, ...]]:
    """The manifest with the scenario's overlay, and warnings. Errors: DescriptionError."""
    result = manifest_of_all_scenarios(paths)
    return result.manifest.for_scenario(paths.settings.scenario.name), result.warnings


def manifest_of_all_scenarios(paths: ProjectPaths) -> ManifestResult:
    """The manifest without any scenario's overlay. Errors: DescriptionError."""
    from odpm_tasks.core.manifest.reader import read_manifest

    text = files.read_text(paths.manifest)
    if text is None:
        raise DescriptionError(
            "there is no odpm.json", where=str(paths.root), todo="create one: python -m odpm_tasks init"
        )
    for name in (*PORTS, *WEB_PORTS):
        paths.settings.port(name)
    return read_manifest(text, paths.settings.get)


def lock(paths: ProjectPaths) -> Lock | None:
    """The lock; None where there is none. Errors: LockError where it cannot be read."""
    from odpm_tasks.core.locking.lockfile import read_lock

    text = files.read_text(paths.lock)
    return read_lock(text) if text is not None else None
