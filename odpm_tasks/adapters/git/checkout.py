"""Working trees: put a commit into one, move it only if nothing is lost, write out files without git."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from shlex import quote

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import alternates
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import DataLossError, MachineError, ProgramError

ALMOST_FULL = 4 << 20  # bytes; git takes away the part of a file that it could not finish
# The git of a killed run still works in the checkout: it ends by itself, and takes the lock of the index with it.
_ANOTHER_GIT = r"fatal: unable to write new index file|index\.lock': File exists"
MOVING = "odpm-moving"  # in .git: the commit that a run of ours is bringing just now


@contextlib.contextmanager
def empty_repository(folder: Path) -> Iterator[Path]:
    """A new repository in a folder, to be copied for each checkout there: git has found out what the disk can do."""
    made = folder / f".@empty.{os.getpid()}"  # no source is called so
    with files.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(made, ignore_errors=True)
    try:
        command.run(["git", *git.CONFIG, "init", "--quiet", "--template=", str(made)])
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def check_out(checkout: Path, store: Path, commit: str, url: str, empty: Path) -> None:
    """Put a commit into `checkout`: a new one appears at once and whole, an existing one moves only if nothing is lost.

    One that has its history borrows nothing: it must hold the commit. A new one begins as a copy of `empty` (see `blank`).
    Errors: WouldLoseError when something of the user's is in the way.
    """
    if checkout.is_symlink():
        raise foreign_folder_error(checkout)
    if checkout.exists():
        _move(checkout, store, commit)
        return
    fresh = checkout.with_name(f".{checkout.name}.{os.getpid()}")
    with files.disk_errors(checkout):
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            shutil.copytree(empty, fresh)
            alternates.init_alternates(fresh, store, commit, url)
            _switch(checkout, commit, fresh=fresh)
            fresh.rename(checkout)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def foreign_folder_error(path: Path) -> DataLossError:
    return DataLossError(
        "a foreign folder is in the place of a checkout", where=str(path), todo=move_aside_command(path)
    )


def move_aside_command(path: Path) -> str:
    """The command that moves something of the user's out of the way."""
    return f"mv {quote(str(path))} {quote(f'{path}.mine')}"


def _move(checkout: Path, store: Path, commit: str) -> None:
    now = git.head(checkout)
    if now is None:
        raise foreign_folder_error(checkout)
    marker = checkout / ".git" / MOVING
    target = files.read_text(marker)
    if target and now.base and now.branch is None and now.commit in {now.base, target.strip()}:
        _finish_move(checkout, now.base, target.strip())
        now = git.head(checkout) or now
    _refuse_data_loss(checkout, now)
    if not alternates.has_full_history(checkout):
        alternates.add_shallow_commit(checkout, store, commit)
    files.write(marker, f"{commit}\n".encode())
    _switch(checkout, commit)


def _refuse_data_loss(checkout: Path, now: git.Head) -> None:
    """What `git checkout` would take along or leave behind is the user's. Errors: WouldLoseError with the way out."""
    where, here = str(checkout), f"git -C {quote(str(checkout))}"
    if now.branch is not None:
        raise DataLossError(
            f"the checkout stands on your branch {now.branch!r}",
            where=where,
            todo=f"leave it for a while (the branch stays): {here} checkout --detach"
            + (f" {now.base[:12]}" if now.base else ""),
        )
    if now.commit != now.base:
        own = str(now.commit)
        raise DataLossError(
            f"the checkout stands on a commit of your own, {own[:12]}",
            where=where,
            todo=f"keep it: {here} branch keep-{own[:8]} && {here} checkout {now.base[:12]}"
            if now.base
            else move_aside_command(checkout),
        )
    if changed := git.changes(checkout):
        raise DataLossError(
            "the checkout has local changes",
            where=where,
            details=changed[:2],
            todo=f"keep them: {here} stash; or drop them: {here} checkout -- .",
        )


def _finish_move(checkout: Path, base: str, target: str) -> None:
    """Finish a move that was killed: our half of it goes on, a file that neither commit explains is the user's.

    Errors: WouldLoseError naming such files.
    """
    (checkout / ".git/index.lock").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="odpm-index-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "LC_ALL": "C"}
        outcome = command.run(["git", *git.CONFIG, "-C", str(checkout), "read-tree", target], env=env, check=False)
        if not outcome.ok:
            raise _refused_names(outcome, checkout, target) or command.failure(outcome)
        listed = command.run(
            ["git", *git.CONFIG, "-C", str(checkout), "diff-files", "--name-only", "-z"], env=env
        ).stdout
    gone = command.run(
        [
            "git",
            *git.CONFIG,
            "-C",
            str(checkout),
            "diff",
            "--name-only",
            "-z",
            "--no-renames",
            "--diff-filter=D",
            base,
            target,
        ]
    )
    differing = [name for name in listed.decode(errors="surrogateescape").split("\0") if name]
    removed = [name for name in gone.stdout.decode(errors="surrogateescape").split("\0") if name]
    old, new = git.blobs(checkout, base, [*differing, *removed]), git.blobs(checkout, target, differing)
    foreign = []
    for name in differing:
        content = _content(checkout, name)
        ours = content is None or content == old.get(name) or new.get(name, b"").startswith(content)
        if not ours:
            foreign.append(name)
    if foreign:
        raise DataLossError(
            "a move of the checkout was interrupted, and files have been edited since",
            where=str(checkout),
            details=foreign[:2],
            todo=f"copy them elsewhere, then: git -C {quote(str(checkout))} checkout -f {target[:12]}",
        )
    for name in removed:
        if name in old and _content(checkout, name) == old[name]:
            (checkout / name).unlink()
    _switch(checkout, target, force=True)


def _content(checkout: Path, name: str) -> bytes | None:
    """What a file or link holds; None where there is none, also behind a link: there it is not the checkout's."""
    path = checkout / name
    if any((checkout / folder).is_symlink() for folder in PurePath(name).parents):
        return None
    if path.is_symlink():
        return os.fsencode(path.readlink())
    return path.read_bytes() if path.is_file() else None


def _refused_names(outcome: command.Outcome, checkout: Path, commit: str) -> ProgramError | None:
    """The error where git found names in a commit that no checkout may hold: it refuses them before it begins."""
    said = outcome.stderr.decode(errors="replace")
    names = re.findall(r"^(?:error: invalid path '|\t(?=\.git/))(.*?)'?$", said, re.MULTILINE)
    if not names:
        return None
    (checkout / ".git" / MOVING).unlink(missing_ok=True)
    return ProgramError(
        f"git refuses to check out {commit[:12]}: it holds names that would lead into git's own files or out of the folder",
        where=str(checkout),
        details=names[:1],
        todo="find out who put them there; a commit without them can be named in the dependencies of odpm.json",
    )


def _switch(checkout: Path, commit: str, *, force: bool = False, fresh: Path | None = None) -> None:
    """Let the working tree of `checkout` (of `fresh`, which is to become it) be a commit. Errors: also WouldLoseError."""
    # not in the reflog, where it is not the user's: each name there keeps a commit in the cache
    quiet = ["-c", "checkout.workers=0", "-c", "core.logAllRefUpdates=false"]
    words = ["checkout", "--quiet", "--force" if force else "--no-overwrite-ignore", "--detach", commit]
    options = [*git.NO_CONVERSION, *git.LFS_POINTERS, *quiet, "-C", str(fresh or checkout)]
    for pause in (0.2, 1.0, 3.0, 0.0):
        outcome = command.run(["git", *options, *words], env={"LC_ALL": "C"}, check=False)
        said = outcome.stderr.decode(errors="replace")
        if outcome.ok or not pause or not re.search(_ANOTHER_GIT, said):
            break
        time.sleep(pause)
    if not outcome.ok and (refused := _refused_names(outcome, checkout, commit)):
        raise refused
    if "would be overwritten" in said or "would lose untracked files" in said:
        names = [line.strip() for line in said.splitlines() if line.startswith("\t")]
        if fresh is None and names and git.unchanged_files(checkout).issuperset(names):
            for name in names:  # what git takes for changes are line ends that its own attributes do not want
                (checkout / name).unlink()
            _switch(checkout, commit, force=force)
            return
        (checkout / ".git" / MOVING).unlink(missing_ok=True)  # git has refused before it began
        first = quote(str(checkout / names[0])) if names else "them"
        raise DataLossError(
            "files of yours are in the way of a checkout",
            where=str(checkout),
            details=names[:2],
            todo=f"mv {first} {first}.mine",
        )
    if "error: unable to write" in said:  # and git ends with 0 all the same
        lines = [line for line in said.splitlines() if line.startswith("error: ")]
        full = shutil.disk_usage(fresh or checkout).free < ALMOST_FULL
        what = "the disk is full" if full else "git could not write every file"
        todo = (
            "free some space, then run the same command again"
            if full
            else "make it writable, then run the same command again"
        )
        raise MachineError(what, where=str(checkout), details=lines[:1], todo=todo)
    if not outcome.ok:
        error = command.failure(outcome)
        error.where = str(checkout)
        error.todo = error.todo or "mend what git complains of, then run the same command again"
        raise error
    files.write((fresh or checkout) / ".git/refs/odpm/base", f"{commit}\n".encode(), derived=fresh is not None)
    (checkout / ".git" / MOVING).unlink(missing_ok=True)


def remove_leftovers(folder: Path) -> None:
    """Take away the beginnings of checkouts that killed runs have left (`.NAME.PID`). The caller holds the project."""
    for path in folder.glob(".*.*"):
        if re.fullmatch(r"\..+\.\d+", path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def exclude_from_status(checkout: Path, names_to_hide: Sequence[str]) -> None:
    """Keep generated files out of `git status` through `.git/info/exclude`, never by editing a committed file."""
    outcome = command.run(
        ["git", *git.CONFIG, "-C", str(checkout), "rev-parse", "--git-path", "info/exclude"], check=False
    )
    if not outcome.ok:
        return
    path = checkout / outcome.text.strip()
    text = files.read_text(path) or ""
    missing = [name for name in names_to_hide if name not in text.splitlines()]
    if missing:
        files.write(
            path,
            (text + ("\n" if text and not text.endswith("\n") else "") + "".join(f"{m}\n" for m in missing)).encode(),
        )
