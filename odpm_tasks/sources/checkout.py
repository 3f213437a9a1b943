"""The checkouts of a project: check out commits, fetch their history, restore objects that the cache has lost."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import alternates, checkout, fetch, repair
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import ProgressCallback
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.graph import Source
from odpm_tasks.core.planning.observed import Checkout
from odpm_tasks.core.sources.link import Link, canonical, without_credentials
from odpm_tasks.core.sources.merges import Merged
from odpm_tasks.errors import CommitMissingError
from odpm_tasks.sources import merge_records, merging
from odpm_tasks.sources.remote import project_remote


def check_out(
    paths: ProjectPaths, source: Source, current: Checkout, remote: Remote, on_progress: ProgressCallback, empty: Path
) -> None:
    """Check out the locked commit, or only restore missing commits where there are any: the rest is planned afterwards.

    A checkout with full history gets the history of the commit, too. A new one starts as a copy of `empty`. Errors:
    DataLossError where the user's files are in the way; the errors of a fetch.
    """
    path, store = paths.source(source.name), paths.store(source.key)
    if current.gone:
        restore_commits(paths, path, source.link, current.gone, remote, on_progress)
        return
    if current.base and alternates.has_full_history(path):
        alternates.dissociate(path)
        if source.merged:
            _fetch_merged(paths, path, source.merged, remote, on_progress)
            alternates.copy_objects(path, store)
        else:
            alternates.fetch_commit(path, remote, source.commit, on_progress)
    with repair.explained(store):
        checkout.check_out(path, store, source.commit, without_credentials(source.link.url), empty)
    if source.merged:
        merge_records.record(path, source.merged)


def _fetch_merged(
    paths: ProjectPaths, path: Path, merged: Merged, remote: Remote, on_progress: ProgressCallback
) -> None:
    """Fetch the parents of a merge commit with their history into a checkout that borrows nothing."""
    alternates.fetch_commit(path, remote, merged.pin, on_progress)
    for ref in merged.merges:
        server = project_remote(paths, ref.url) if ref.url else remote
        alternates.fetch_commit(path, server, ref.commit, on_progress)


def restore_commits(
    paths: ProjectPaths,
    path: Path,
    link: Link,
    commits: tuple[str, ...],
    remote: Remote,
    on_progress: ProgressCallback,
) -> None:
    """Fetch the missing commits that a checkout depends on, among them commits of earlier locks below the user's commits.

    A merge commit is made again. Errors: CommitMissingError where the server no longer has one of them.
    """
    store = paths.store(link.canonical)
    for commit in commits:
        try:
            if merged := merge_records.recorded(path, commit):
                merging.restore(paths, link, merged, link.branch or "HEAD", on_progress)
            else:
                fetch.fetch(store, remote, commit, on_progress, branch=link.branch)
        except CommitMissingError as error:
            aside = quote(f"{path}.mine")
            raise CommitMissingError(
                f"the checkout depends on commit {commit[:12]}, which neither the cache nor the server has any more",
                where=str(path),
                details=[error.what],
                todo=f"move it away, then check it out again: mv {quote(str(path))} {aside}",
            ) from None
    alternates.set_alternate(path, store)


def unshallow(paths: ProjectPaths, path: Path, url: str, remote: Remote, on_progress: ProgressCallback) -> str:
    """Fetch all history and all branches into a checkout, and make it independent of the cache. Returns the remote's name.

    The name is `origin`, or `upstream` where the user has set `origin` to another repository.
    """
    origin = git.origin(path)
    name = "origin" if origin is None or canonical(origin) == canonical(url) else "upstream"
    if name == "upstream" or origin is None:
        alternates.set_remote(path, name, url)
    alternates.dissociate(path)
    alternates.fetch_history(path, remote, name, on_progress)
    for commit in alternates.shallow_commits(path):
        if merged := merge_records.recorded(path, commit):
            _fetch_merged(paths, path, merged, remote, on_progress)
            alternates.remove_shallow_commits(path, [commit])
    return name


def link_folder(path: Path, target: Path) -> None:
    """Create the link of a `file://` source. Errors: DataLossError where the path is a file or folder of the user."""
    if path.exists() and not path.is_symlink():
        raise checkout.foreign_folder_error(path)
    with files.disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(path)
