"""Alternates of a checkout: add a store, find missing objects, dissociate the checkout from its stores.

`.git/objects/info/alternates` names the stores whose objects the checkout borrows. `.git/shallow`, the shallow boundary,
names the commits that odpm checked out: stores have no history. The user's commits are in the checkout and refer to those:
an object that is reachable from an object of a checkout must not be removed from a store.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from odpm_tasks.adapters import files
from odpm_tasks.adapters.git import messages
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import (
    ProgressCallback,
    commit_missing_error,
    fetch_error,
    run_fetch,
    stderr_text,
)

_IDS = re.compile(rb"\b[0-9a-f]{40}\b")
_NO_REFS = "refs/odpm/none"


def alternates_of(checkout: Path) -> tuple[Path, ...]:
    """The stores that a checkout borrows from, deleted ones included. Alternates that are not bare are the user's."""
    lines = (files.read_text(checkout / ".git/objects/info/alternates") or "").splitlines()
    folders = (Path(line) for line in lines if line.endswith(".git/objects"))
    return tuple(folder.parent for folder in folders if folder.parent.name != ".git")


def init_alternates(fresh: Path, store: Path, commit: str, url: str) -> None:
    """Write alternates, shallow boundary and `origin` of a new repository.

    The same as `add_shallow_commit` and `set_remote`, but without a process for each setting and without fsync: no other
    process uses the repository yet.
    """
    folder = fresh / ".git"
    files.write(folder / "objects/info/alternates", f"{store.absolute() / 'objects'}\n".encode(), derived=True)
    files.write(folder / "shallow", f"{commit}\n".encode(), derived=True)
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    with (folder / "config").open("a", encoding="utf-8") as config:
        config.write(f"[core]\n\talternateRefsPrefixes = {_NO_REFS}\n")
        config.write(f'[remote "origin"]\n\turl = "{quoted}"\n\tfetch = {_branches("origin")}\n')


def add_shallow_commit(checkout: Path, store: Path, commit: str) -> None:
    """Borrow the objects of a commit from a store and add the commit to the shallow boundary."""
    set_alternate(checkout, store)
    boundary = _boundary(checkout)
    if commit not in boundary:
        _write_boundary(checkout, boundary | {commit})


def set_alternate(checkout: Path, store: Path) -> None:
    """Add a store to the alternates and remove deleted stores from them.

    `core.alternateRefsPrefixes` hides the refs of the store: `git fetch` would announce them as present, and the server
    would leave out objects that are reachable from commits of other projects but missing here.
    """
    alternates = checkout / ".git/objects/info/alternates"
    known = (files.read_text(alternates) or "").splitlines()
    deleted = {str(path / "objects") for path in alternates_of(checkout) if not path.is_dir()}
    new = str(store.absolute() / "objects")
    lines = [line for line in known if line not in {new, *deleted}] + [new]
    if lines != known:
        files.write(alternates, "".join(f"{line}\n" for line in lines).encode())
    if _NO_REFS not in (files.read_text(checkout / ".git/config") or ""):
        git.run(checkout, "config", "core.alternateRefsPrefixes", _NO_REFS)


def shallow_commits(checkout: Path) -> tuple[str, ...]:
    """The shallow boundary of a checkout."""
    return tuple(sorted(_boundary(checkout)))


def _boundary(checkout: Path) -> set[str]:
    return set((files.read_text(checkout / ".git/shallow") or "").split())


def _write_boundary(checkout: Path, commits: Collection[str]) -> None:
    files.write(checkout / ".git/shallow", "".join(f"{name}\n" for name in sorted(commits)).encode())


def remove_shallow_commits(checkout: Path, commits: Collection[str]) -> None:
    """Remove commits from the shallow boundary: nothing refers to them, or the checkout has their history."""
    boundary = _boundary(checkout)
    if boundary and boundary <= set(commits) and not alternates_of(checkout):
        (checkout / ".git/shallow").unlink()
    elif not boundary.isdisjoint(commits):
        _write_boundary(checkout, boundary.difference(commits))


def has_full_history(checkout: Path) -> bool:
    """Whether a checkout of odpm is not shallow; one that borrows from a store always is."""
    return not (checkout / ".git/shallow").exists()


# --- missing objects ---------------------------------------------------------------------------------------------------


def missing_commits(checkout: Path) -> tuple[str, ...]:
    """Commits that the checkout refers to and that no repository holds: the store was deleted, or pruned elsewhere.

    Reads only a few files if nothing is missing.
    """
    stores_ = alternates_of(checkout)
    wanted = _boundary(checkout)
    if stores_ and not wanted and (head := git.head(checkout)) and head.base:
        wanted = {head.base}  # the user has fetched the history
    unsure = sorted(commit for commit in wanted if not any(git.store_has(store, commit) for store in stores_))
    return tuple(sorted(_referenced(checkout, _missing(checkout, unsure)))) if unsure else ()


def _missing(repository: Path, objects: Iterable[str]) -> set[str]:
    stdin = "".join(f"{name}\n" for name in objects).encode()
    lines = git.run(repository, "cat-file", "--batch-check", stdin=stdin).text.splitlines()
    return {line.split()[0] for line in lines if line.endswith(" missing")}


def _referenced(checkout: Path, missing: set[str]) -> set[str]:
    """Which of these commits HEAD, a ref, a reflog or a local commit refers to. Does not need the missing objects."""
    if not missing:
        return set()
    folder = checkout / ".git"
    texts = [folder / "HEAD", folder / "ORIG_HEAD", folder / "packed-refs"]
    texts += [path for name in ("refs", "logs", "worktrees") for path in (folder / name).rglob("*") if path.is_file()]
    named = {word.decode() for path in texts for word in _IDS.findall(files.read(path) or b"")}
    return missing & (named | _parents(checkout))


def _parents(checkout: Path) -> set[str]:
    """Parents of the commits that are stored in the checkout itself."""
    stdin = "".join(f"{name}\n" for name in _local_objects(checkout)).encode()
    listed = git.run(checkout, "cat-file", "--batch-check=%(objecttype) %(objectname)", stdin=stdin).text.splitlines()
    commits = "".join(f"{line.split()[1]}\n" for line in listed if line.startswith("commit "))
    texts = git.run(checkout, "cat-file", "--batch", stdin=commits.encode()).stdout
    return {word.decode() for word in re.findall(rb"^parent ([0-9a-f]{40})$", texts, re.MULTILINE)}


def _local_objects(checkout: Path) -> list[str]:
    """Every object that is stored in the checkout itself, reachable or not."""
    objects = checkout / ".git/objects"
    found = [path.parent.name + path.name for path in objects.glob("[0-9a-f][0-9a-f]/*") if len(path.name) == 38]
    for index in sorted((objects / "pack").glob("*.idx")):
        rows = git.run(checkout, "show-index", stdin=index.read_bytes()).text.splitlines()
        found += [row.split()[1] for row in rows]
    return found


def needed_objects(checkout: Path) -> set[str] | None:
    """Every object that is reachable from HEAD, a ref, a reflog, the index or a local object.

    None if git cannot determine them (an object is missing, or the repository is damaged): then every object may be needed.
    """
    words = ["rev-list", "--objects", "--no-object-names", "--all", "--reflog", "--indexed-objects", "--stdin"]
    stdin = "".join(f"{name}\n" for name in _local_objects(checkout)).encode()
    outcome = git.run(checkout, *words, stdin=stdin, check=False)
    return set(outcome.text.split()) if outcome.ok else None


# --- dissociate --------------------------------------------------------------------------------------------------------


def dissociate(checkout: Path) -> None:
    """Copy the borrowed objects (hard links where possible) and remove the stores from the alternates."""
    borrowed = alternates_of(checkout)
    for store in borrowed:
        with stores.lock(store):
            _copy_objects(store / "objects", checkout / ".git/objects")
    alternates = checkout / ".git/objects/info/alternates"
    kept = [line for line in (files.read_text(alternates) or "").splitlines() if Path(line).parent not in borrowed]
    if kept:
        files.write(alternates, "".join(f"{line}\n" for line in kept).encode())
    else:
        alternates.unlink(missing_ok=True)


def copy_objects(checkout: Path, store: Path) -> None:
    """Copy the objects of a store, which the checkout does not borrow."""
    with stores.lock(store):
        _copy_objects(store / "objects", checkout / ".git/objects")


def _copy_objects(store: Path, objects: Path) -> None:
    """Hard-link or copy objects and packs: they never change. The index of a pack is last, because git looks for it."""
    packs = [path for path in store.glob("pack/pack-*") if path.suffix != stores.DAMAGED]
    found = [*store.glob("[0-9a-f][0-9a-f]/*"), *packs]
    with files.disk_errors(objects):
        for path in sorted(found, key=lambda path: (path.suffix == ".idx", path)):
            target = objects / path.relative_to(store)
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f"tmp_odpm_{os.getpid()}")  # `git gc` removes stale tmp_* files
            fresh.unlink(missing_ok=True)
            try:
                os.link(path, fresh)
            except OSError:  # another file system, or one without hard links
                shutil.copy2(path, fresh)
            fresh.replace(target)


def set_remote(checkout: Path, name: str, url: str) -> None:
    """Set the URL of a remote and let `git fetch` fetch all its branches."""
    for key, value in (("url", url), ("fetch", _branches(name))):
        git.run(checkout, "config", f"remote.{name}.{key}", value)


def _branches(remote: str) -> str:
    return f"+refs/heads/*:refs/remotes/{remote}/*"


def fetch_history(checkout: Path, source: Remote, remote: str, on_progress: ProgressCallback | None = None) -> None:
    """Fetch all branches with their history into a dissociated checkout. Errors: ProgramError and its subclasses."""
    options = [] if has_full_history(checkout) else ["--unshallow"]
    outcome = run_fetch(checkout / ".git", source, options, [_branches(remote)], on_progress)
    if not outcome.ok:
        raise fetch_error(outcome, source, "the history")


def fetch_commit(checkout: Path, source: Remote, commit: str, on_progress: ProgressCallback | None = None) -> None:
    """Fetch a commit with its history into a dissociated checkout; all branches if the server refuses commit ids.

    Errors: ProgramError and its subclasses.
    """
    for refspecs in ([commit], [_branches("origin")]):
        if _has_history_of(checkout, commit):
            return
        outcome = run_fetch(checkout / ".git", source, [], refspecs, on_progress)
        if not outcome.ok and messages.failure_kind(stderr_text(outcome)) not in {"commit", "commit ids"}:
            raise fetch_error(outcome, source, commit)
    if not _has_history_of(checkout, commit):
        raise commit_missing_error(source, commit)


def _has_history_of(checkout: Path, commit: str) -> bool:
    """Whether a checkout holds a commit and its complete history."""
    return git.run(checkout, "rev-list", "--quiet", commit, "--not", "--all", check=False).ok
