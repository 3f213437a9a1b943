"""Checkouts of a project's sources: put into their places, given their history, mended where the cache is gone."""

from __future__ import annotations

import os
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import alternates, checkout, fetch
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import ProgressCallback
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.resolve import Source
from odpm_tasks.core.planning.observed import Checkout
from odpm_tasks.core.sources.link import canonical, without_credentials
from odpm_tasks.errors import CommitMissingError


def check_out(
    paths: ProjectPaths, source: Source, seen: Checkout, remote: Remote, watch: ProgressCallback, empty: Path
) -> None:
    """Bring a checkout to its locked commit, or mend it first: then what is left to do is to be seen anew.

    One that has its history gets that of the commit, too. A new one begins as a copy of `empty`. Errors: WouldLoseError
    where something of the user's is in the way; whatever a fetch meets.
    """
    path, store = paths.source(source.name), paths.store(source.key)
    if seen.gone:
        restore_commits(path, store, seen.gone, remote, watch, source.link.branch)
        return
    if seen.base and alternates.has_full_history(path):
        alternates.dissociate(path)
        alternates.fetch_commit(path, remote, source.commit, watch)
    checkout.check_out(path, store, source.commit, without_credentials(source.link.url), empty)


def restore_commits(
    path: Path, store: Path, commits: tuple[str, ...], remote: Remote, watch: ProgressCallback, branch: str | None
) -> None:
    """Give a checkout back what it rests on, commits of earlier locks with work of the user's on top among them.

    Errors: CommitGoneError where the server has one of them no more.
    """
    for commit in commits:
        try:
            fetch.fetch(store, remote, commit, watch, branch=branch)
        except CommitMissingError as error:
            mine = quote(f"{path}.mine")
            raise CommitMissingError(
                f"work in the checkout rests on {commit[:12]}, which neither the cache nor the server has any more",
                where=str(path),
                details=[error.what],
                todo=f"set it aside and take a fresh one: mv {quote(str(path))} {mine}",
            ) from None
    alternates.set_alternate(path, store)


def unshallow(path: Path, url: str, remote: Remote, watch: ProgressCallback) -> str:
    """Give a checkout all history and all branches, and make it independent of the cache. Returns the remote's name.

    That is `origin`; where the user has turned `origin` to another repository, that stays, and ours is `upstream`.
    """
    origin = git.origin(path)
    name = "origin" if origin is None or canonical(origin) == canonical(url) else "upstream"
    if name == "upstream" or origin is None:
        alternates.set_remote(path, name, url)
    alternates.dissociate(path)
    alternates.fetch_history(path, remote, name, watch)
    return name


def link_folder(path: Path, target: Path) -> None:
    """A `file://` source in its place: a link. A folder that is there already is the user's. Errors: WouldLoseError."""
    if path.exists() and not path.is_symlink():
        raise checkout.foreign_folder_error(path)
    with files.disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(target, target_is_directory=True)
        fresh.replace(path)
