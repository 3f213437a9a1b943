"""What a checkout borrows from the shared stores, what it rests on there, and how it comes to stand by itself.

The objects of the commits that we put into a checkout lie in a store (`.git/objects/info/alternates`); `.git/shallow`
names each of these commits, for its history ends there. What the user commits lies in the checkout itself and leads to
them: no store may give up anything that a checkout's own objects lead to.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Collection, Iterable
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import messages
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import (
    ProgressCallback,
    commit_missing_error,
    fetch_error,
    run_fetch,
    stderr_text,
)

WAIT = 600.0
_IDS = re.compile(rb"\b[0-9a-f]{40}\b")
_NO_REFS = "refs/odpm/none"


def alternates_of(checkout: Path) -> tuple[Path, ...]:
    """The stores that a checkout borrows from, also those that are gone. A working repository of the user's is none."""
    lines = (files.read_text(checkout / ".git/objects/info/alternates") or "").splitlines()
    folders = (Path(line) for line in lines if line.endswith(".git/objects"))
    return tuple(folder.parent for folder in folders if folder.parent.name != ".git")


def init_alternates(fresh: Path, store: Path, commit: str, url: str) -> None:
    """Tell a new repository, which nobody sees yet, what it borrows, where its history ends and where it comes from.

    What `borrow` and `set_remote` do for one in its place, without a process for each word and without waiting for the disk.
    """
    folder = fresh / ".git"
    files.write(folder / "objects/info/alternates", f"{store.absolute() / 'objects'}\n".encode(), derived=True)
    files.write(folder / "shallow", f"{commit}\n".encode(), derived=True)
    quoted = url.replace("\\", "\\\\").replace('"', '\\"')
    with (folder / "config").open("a", encoding="utf-8") as config:
        config.write(f"[core]\n\talternateRefsPrefixes = {_NO_REFS}\n")
        config.write(f'[remote "origin"]\n\turl = "{quoted}"\n\tfetch = {_branches("origin")}\n')


def add_shallow_commit(checkout: Path, store: Path, commit: str) -> None:
    """Let a checkout use a store's objects for a commit, whose history ends there."""
    set_alternate(checkout, store)
    boundary = _boundary(checkout)
    if commit not in boundary:
        _end_history_at(checkout, boundary | {commit})


def set_alternate(checkout: Path, store: Path) -> None:
    """Let a checkout use a store's objects, in the place of stores that are gone.

    What the store happens to hold is not known to this checkout: told of it, a server would leave out of a `git fetch` of
    the user's what lies behind another project's commits.
    """
    alternates = checkout / ".git/objects/info/alternates"
    known = (files.read_text(alternates) or "").splitlines()
    vanished = {str(lender / "objects") for lender in alternates_of(checkout) if not lender.is_dir()}
    mine = str(store.absolute() / "objects")
    lines = [line for line in known if line not in {mine, *vanished}] + [mine]
    if lines != known:
        files.write(alternates, "".join(f"{line}\n" for line in lines).encode())
    if _NO_REFS not in (files.read_text(checkout / ".git/config") or ""):
        command.run(["git", *git.CONFIG, "-C", str(checkout), "config", "core.alternateRefsPrefixes", _NO_REFS])


def _boundary(checkout: Path) -> set[str]:
    return set((files.read_text(checkout / ".git/shallow") or "").split())


def _end_history_at(checkout: Path, commits: Collection[str]) -> None:
    files.write(checkout / ".git/shallow", "".join(f"{name}\n" for name in sorted(commits)).encode())


def remove_shallow_commits(checkout: Path, commits: Collection[str]) -> None:
    """Commits that nothing in the checkout leads to end no history any more."""
    boundary = _boundary(checkout)
    if not boundary.isdisjoint(commits):
        _end_history_at(checkout, boundary.difference(commits))


def has_full_history(checkout: Path) -> bool:
    """Whether a checkout of ours has its history; a borrowing one never has."""
    return not (checkout / ".git/shallow").exists()


# --- what is gone ------------------------------------------------------------------------------------------------------


def missing_commits(checkout: Path) -> tuple[str, ...]:
    """Commits that the checkout rests on and that nobody holds any more: its store was deleted, or pruned from afar.

    Read from a few files where all is well.
    """
    stores = alternates_of(checkout)
    wanted = _boundary(checkout)
    if stores and not wanted and (head := git.head(checkout)) and head.base:
        wanted = {head.base}  # the user has fetched the history
    unsure = sorted(commit for commit in wanted if not any(git.store_has(store, commit) for store in stores))
    return tuple(sorted(_referenced(checkout, _missing(checkout, unsure)))) if unsure else ()


def _missing(repository: Path, objects: Iterable[str]) -> set[str]:
    stdin = "".join(f"{name}\n" for name in objects).encode()
    lines = command.run(
        ["git", *git.CONFIG, "-C", str(repository), "cat-file", "--batch-check"], stdin=stdin
    ).text.splitlines()
    return {line.split()[0] for line in lines if line.endswith(" missing")}


def _referenced(checkout: Path, missing: set[str]) -> set[str]:
    """Which of these commits HEAD, a ref, a reflog or a commit of the checkout's own names. Works without them."""
    if not missing:
        return set()
    folder = checkout / ".git"
    texts = [folder / "HEAD", folder / "ORIG_HEAD", folder / "packed-refs"]
    texts += [path for name in ("refs", "logs", "worktrees") for path in (folder / name).rglob("*") if path.is_file()]
    named = {word.decode() for path in texts for word in _IDS.findall(files.read(path) or b"")}
    return missing & (named | _parents(checkout))


def _parents(checkout: Path) -> set[str]:
    """Parents of the commits that lie in the checkout itself."""
    stdin = "".join(f"{name}\n" for name in local_objects(checkout)).encode()
    ask = ["git", *git.CONFIG, "-C", str(checkout), "cat-file"]
    listed = command.run([*ask, "--batch-check=%(objecttype) %(objectname)"], stdin=stdin).text.splitlines()
    commits = "".join(f"{line.split()[1]}\n" for line in listed if line.startswith("commit "))
    texts = command.run([*ask, "--batch"], stdin=commits.encode()).stdout
    return {word.decode() for word in re.findall(rb"^parent ([0-9a-f]{40})$", texts, re.MULTILINE)}


def local_objects(checkout: Path) -> list[str]:
    """Every object that lies in the checkout itself, reachable or not."""
    objects = checkout / ".git/objects"
    found = [path.parent.name + path.name for path in objects.glob("[0-9a-f][0-9a-f]/*") if len(path.name) == 38]
    for index in sorted((objects / "pack").glob("*.idx")):
        rows = command.run(
            ["git", *git.CONFIG, "-C", str(checkout), "show-index"], stdin=index.read_bytes()
        ).text.splitlines()
        found += [row.split()[1] for row in rows]
    return found


def needed_objects(checkout: Path) -> set[str] | None:
    """Every object that HEAD, a ref, a reflog, the index or an object of the checkout's own leads to.

    None where git cannot tell (something is missing, or the repository is broken): then everything may be needed.
    """
    words = ["rev-list", "--objects", "--no-object-names", "--all", "--reflog", "--indexed-objects", "--stdin"]
    stdin = "".join(f"{name}\n" for name in local_objects(checkout)).encode()
    outcome = command.run(["git", *git.CONFIG, "-C", str(checkout), *words], stdin=stdin, check=False)
    return set(outcome.text.split()) if outcome.ok else None


# --- standing by itself ------------------------------------------------------------------------------------------------


def dissociate(checkout: Path) -> None:
    """Take over what is borrowed, so that the checkout needs no store any more; costs no room on the same disk."""
    stores = alternates_of(checkout)
    for store in stores:
        with files.exclusive(store.with_name(store.name + ".lock"), f"the cache of {store.name}", wait=WAIT):
            _copy_objects(store / "objects", checkout / ".git/objects")
    alternates = checkout / ".git/objects/info/alternates"
    kept = [line for line in (files.read_text(alternates) or "").splitlines() if Path(line).parent not in stores]
    if kept:
        files.write(alternates, "".join(f"{line}\n" for line in kept).encode())
    else:
        alternates.unlink(missing_ok=True)


def _copy_objects(store: Path, objects: Path) -> None:
    """Objects never change, so a second name will do; the index of a pack comes last, for git looks for that."""
    found = [*store.glob("[0-9a-f][0-9a-f]/*"), *store.glob("pack/pack-*")]
    with files.disk_errors(objects):
        for path in sorted(found, key=lambda path: (path.suffix == ".idx", path)):
            target = objects / path.relative_to(store)
            if target.exists():
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            fresh = target.with_name(f"tmp_odpm_{os.getpid()}")  # git takes away what is named so and was left
            fresh.unlink(missing_ok=True)
            try:
                os.link(path, fresh)
            except OSError:  # another disk, or one without links
                shutil.copy2(path, fresh)
            fresh.replace(target)


def set_remote(checkout: Path, name: str, url: str) -> None:
    """Name a remote whose branches `git fetch` brings."""
    for key, value in (("url", url), ("fetch", _branches(name))):
        command.run(["git", *git.CONFIG, "-C", str(checkout), "config", f"remote.{name}.{key}", value])


def _branches(remote: str) -> str:
    return f"+refs/heads/*:refs/remotes/{remote}/*"


def fetch_history(checkout: Path, source: Remote, remote: str, on_progress: ProgressCallback | None = None) -> None:
    """Bring all branches with all history into a checkout that stands alone. Errors: ProgramError and its like."""
    deeper = [] if has_full_history(checkout) else ["--unshallow"]
    outcome = run_fetch(checkout / ".git", source, deeper, [_branches(remote)], on_progress)
    if not outcome.ok:
        raise fetch_error(outcome, source, "the history")


def fetch_commit(checkout: Path, source: Remote, commit: str, on_progress: ProgressCallback | None = None) -> None:
    """Bring a commit with its history into a checkout that stands alone; of a server that gives branches only, all of them.

    Errors: ProgramError and its like.
    """
    for names in ([commit], [_branches("origin")]):
        if connected(checkout, commit):
            return
        outcome = run_fetch(checkout / ".git", source, [], names, on_progress)
        if not outcome.ok and messages.failure_kind(stderr_text(outcome)) not in {"commit", "commit ids"}:
            raise fetch_error(outcome, source, commit)
    if not connected(checkout, commit):
        raise commit_missing_error(source, commit)


def connected(checkout: Path, commit: str) -> bool:
    """Whether a checkout holds a commit with its history, as far as that is not held already."""
    words = ["git", *git.CONFIG, "-C", str(checkout), "rev-list", "--quiet", commit, "--not", "--all"]
    return command.run(words, check=False).ok
