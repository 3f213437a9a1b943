"""Checkouts of a project's sources: put into their places, given their history, mended where the cache is gone."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import borrowing, fetch, git, worktree
from odpm_tasks.adapters.access import Remote
from odpm_tasks.adapters.talk import Watch
from odpm_tasks.core.link import canonical, without_credentials
from odpm_tasks.core.place import Place
from odpm_tasks.core.resolve import Source
from odpm_tasks.core.world import Checkout
from odpm_tasks.errors import CommitGoneError


def put(place: Place, source: Source, seen: Checkout, remote: Remote, watch: Watch, empty: Path) -> None:
    """Bring a checkout to its locked commit, or mend it first: then what is left to do is to be seen anew.

    One that has its history gets that of the commit, too. A new one begins as a copy of `empty`. Errors: WouldLoseError
    where something of the user's is in the way; whatever a fetch meets.
    """
    path, store = place.source(source.name), place.store(source.key)
    if seen.gone:
        mend(path, store, seen.gone, remote, watch, source.link.branch)
        return
    if seen.base and borrowing.whole(path):
        borrowing.stand_alone(path)
        borrowing.fetch_commit(path, remote, source.commit, watch)
    worktree.place(path, store, source.commit, without_credentials(source.link.url), empty)


def mend(path: Path, store: Path, commits: tuple[str, ...], remote: Remote, watch: Watch, branch: str | None) -> None:
    """Give a checkout back what it rests on, commits of earlier locks with work of the user's on top among them.

    Errors: CommitGoneError where the server has one of them no more.
    """
    for commit in commits:
        try:
            fetch.fetch(store, remote, commit, watch, branch=branch)
        except CommitGoneError as error:
            mine = quote(f"{path}.mine")
            raise CommitGoneError(
                f"work in the checkout rests on {commit[:12]}, which neither the cache nor the server has any more",
                where=str(path),
                details=[error.what],
                todo=f"set it aside and take a fresh one: mv {quote(str(path))} {mine}",
            ) from None
    borrowing.lean_on(path, store)


def unshallow(path: Path, url: str, remote: Remote, watch: Watch) -> str:
    """Give a checkout all history and all branches, and make it independent of the cache. Returns the remote's name.

    That is `origin`; where the user has turned `origin` to another repository, that stays, and ours is `upstream`.
    """
    origin = git.origin(path)
    name = "origin" if origin is None or canonical(origin) == canonical(url) else "upstream"
    if name == "upstream" or origin is None:
        borrowing.set_remote(path, name, url)
    borrowing.stand_alone(path)
    borrowing.fetch_history(path, remote, name, watch)
    return name
