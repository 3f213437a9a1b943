"""Repair of damaged stores, and the error where git finds damage that `integrity` does not see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import integrity
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.errors import ProgramError

_DAMAGE = re.compile(
    r"does not find the object|not a git repository|bad (object|config|shallow)|inflate:|is corrupt|does not match index"
    r"|file .* is (far )?too (small|short)|hash mismatch|missing (blob|tree|commit)|loose object|invalid object"
    r"|unable to (read|unpack|parse) |could not read |cannot read object",
    re.IGNORECASE,
)


def damage(store: Path) -> list[str]:
    """The names of the damaged files of a store; none if it is intact, or never held a commit.

    A first fetch that failed or was interrupted leaves a store without a commit, which is no damage.
    """
    broken = integrity.broken_files(store)
    used = "objects" not in broken or bool(stores.commits(store))
    return [*broken, *(f"{name}.pack" for name in integrity.broken_packs(store))] if used else []


def repair(store: Path) -> list[str]:
    """Make a store usable, if it is not; returns what `damage` does. The caller has locked it.

    Damaged packs are moved aside and kept until `sources.prune`. The refs of commits that are no longer complete are
    removed, so that these commits are fetched again when they are needed. Other objects stay: checkouts borrow them.
    """
    damaged, broken, packs = damage(store), integrity.broken_files(store), integrity.broken_packs(store)
    if not broken and not packs:
        return []
    with files.disk_errors(store):
        for name in packs:
            for path in sorted((store / "objects/pack").glob(f"{name}.*"), key=lambda path: path.suffix != ".idx"):
                path.replace(path.with_name(path.name + stores.DAMAGED))
        for folder in integrity.FOLDERS:
            (store / folder).mkdir(parents=True, exist_ok=True)
        for name in broken:
            if name in integrity.FILES:
                files.write(store / name, integrity.FILES[name].encode())
        files.write(store / "shallow", b"")  # a line that git cannot parse would stop every command
        complete = stores.remove_incomplete_commits(store)
        files.write(store / "shallow", "".join(f"{commit}\n" for commit in sorted(complete)).encode())
    return damaged


@contextmanager
def explained(store: Path, *, fetching: bool = False) -> Iterator[None]:
    """Convert the error of a git command that reads a damaged store: it names the store and a command that repairs it.

    `fetching`: the message may come from the server, so it is converted only if a commit of the store cannot be read.
    """
    try:
        yield
    except ProgramError as error:
        texts = [text for text in (*error.details, error.what) if _DAMAGE.search(text)]
        if not texts or not store.is_dir() or (fetching and stores.complete_commits(store) == stores.commits(store)):
            raise
        aside = f"mv {quote(str(store))} {quote(f'{store}.damaged')}"
        raise ProgramError(
            f"the cache of {store.name.removesuffix('.git')} is damaged",
            where=str(store),
            details=texts[:1],
            todo=f"move it away, then run the same command again, which fetches it: {aside}",
        ) from None
