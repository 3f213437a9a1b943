"""Checkouts: create one at a commit, move one to another commit unless that would lose work of the user."""

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
from odpm_tasks.errors import DataLossError, MachineError, OdpmError, ProgramError

ALMOST_FULL = 4 << 20  # bytes; git deletes the part of a file that it could not finish
# The git process of a killed run still works in the checkout: it ends soon and removes the lock of the index.
_INDEX_LOCKED = r"fatal: unable to write new index file|index\.lock': File exists"
_RETRY_DELAYS = (0.2, 1.0, 3.0)  # seconds
MOVING = "odpm-moving"  # file in .git: the commit that a run is checking out


@contextlib.contextmanager
def empty_repository(folder: Path) -> Iterator[Path]:
    """A temporary empty repository in a folder. Copied for each new checkout, it saves one `git init` each."""
    empty = folder / f".@empty.{os.getpid()}"  # not a valid name of a source
    with files.disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(empty, ignore_errors=True)
    try:
        command.run(["git", *git.CONFIG, "init", "--quiet", "--template=", str(empty)])
        yield empty
    finally:
        shutil.rmtree(empty, ignore_errors=True)


def check_out(checkout: Path, store: Path, commit: str, url: str, empty: Path) -> None:
    """Check out a commit: create the checkout atomically, or move an existing one if no work of the user is lost.

    A checkout with full history borrows nothing: it must hold the commit. A new one is a copy of `empty` (see
    `empty_repository`). Errors: DataLossError if files or commits of the user prevent it.
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
    return DataLossError("a foreign folder exists at the path of a checkout", where=str(path), todo=_move_aside(path))


def _move_aside(path: Path) -> str:
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
    """Errors: DataLossError for a branch, a commit or changes that `git checkout` would detach from, lose or carry over."""
    where, in_checkout = str(checkout), f"git -C {quote(str(checkout))}"
    if now.branch is not None:
        raise DataLossError(
            f"the checkout is on your branch {now.branch!r}",
            where=where,
            todo=f"detach HEAD (the branch is kept): {in_checkout} checkout --detach"
            + (f" {now.base[:12]}" if now.base else ""),
        )
    if now.commit != now.base:
        own = str(now.commit)
        raise DataLossError(
            f"the checkout is at your own commit {own[:12]}",
            where=where,
            todo=f"keep it: {in_checkout} branch keep-{own[:8]} && {in_checkout} checkout {now.base[:12]}"
            if now.base
            else _move_aside(checkout),
        )
    if changed := git.changes(checkout):
        raise DataLossError(
            "the checkout has local changes",
            where=where,
            details=changed[:2],
            todo=f"keep them: {in_checkout} stash; or discard them: {in_checkout} checkout -- .",
        )


def _finish_move(checkout: Path, base: str, target: str) -> None:
    """Finish an interrupted move. A file that matches neither the old nor the new commit was edited by the user.

    Errors: DataLossError with the names of such files.
    """
    (checkout / ".git/index.lock").unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(prefix="odpm-index-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index"), "LC_ALL": "C"}
        outcome = git.run(checkout, "read-tree", target, env=env, check=False)
        if not outcome.ok:
            raise _invalid_names_error(outcome, checkout, target) or command.failure(outcome)
        differing = _names(git.run(checkout, "diff-files", "--name-only", "-z", env=env))
    removed = _names(git.run(checkout, "diff", "--name-only", "-z", "--no-renames", "--diff-filter=D", base, target))
    old, new = git.blobs(checkout, base, [*differing, *removed]), git.blobs(checkout, target, differing)
    edited = []
    for name in differing:
        content = _content(checkout, name)
        unedited = content is None or content == old.get(name) or new.get(name, b"").startswith(content)
        if not unedited:
            edited.append(name)
    if edited:
        raise DataLossError(
            "a move of the checkout was interrupted, and files were edited after that",
            where=str(checkout),
            details=edited[:2],
            todo=f"copy them elsewhere, then: git -C {quote(str(checkout))} checkout -f {target[:12]}",
        )
    for name in removed:
        if name in old and _content(checkout, name) == old[name]:
            (checkout / name).unlink()
    _switch(checkout, target, force=True)


def _names(outcome: command.Outcome) -> list[str]:
    return [name for name in outcome.stdout.decode(errors="surrogateescape").split("\0") if name]


def _content(checkout: Path, name: str) -> bytes | None:
    """The content of a file, or the target of a link; None if it is missing, or below a linked folder: not in the checkout."""
    path = checkout / name
    if any((checkout / folder).is_symlink() for folder in PurePath(name).parents):
        return None
    if path.is_symlink():
        return os.fsencode(path.readlink())
    return path.read_bytes() if path.is_file() else None


def _invalid_names_error(outcome: command.Outcome, checkout: Path, commit: str) -> ProgramError | None:
    """The error for a commit with names that git refuses to check out. git checks them before it writes a file."""
    text = outcome.stderr.decode(errors="replace")
    names = re.findall(r"^(?:error: invalid path '|\t(?=\.git/))(.*?)'?$", text, re.MULTILINE)
    if not names:
        return None
    (checkout / ".git" / MOVING).unlink(missing_ok=True)
    return ProgramError(
        f"git refuses to check out {commit[:12]}: it contains paths inside .git or outside of the checkout",
        where=str(checkout),
        details=names[:1],
        todo="find out who committed them; to use another commit, name it in the dependencies of odpm.json",
    )


def _switch(checkout: Path, commit: str, *, force: bool = False, fresh: Path | None = None) -> None:
    """Check out `commit` in `checkout`, or in `fresh`, which is renamed to it later. Errors: also DataLossError."""
    # no reflog entry, which would keep the commit in the cache as long as work of the user
    settings = ["-c", "checkout.workers=0", "-c", "core.logAllRefUpdates=false"]
    words = ["checkout", "--quiet", "--force" if force else "--no-overwrite-ignore", "--detach", commit]
    options = [*git.NO_CONVERSION, *git.LFS_POINTERS, *settings, "-C", str(fresh or checkout)]
    for delay in (*_RETRY_DELAYS, 0.0):
        outcome = command.run(["git", *options, *words], env={"LC_ALL": "C"}, check=False)
        text = outcome.stderr.decode(errors="replace")
        if outcome.ok or not delay or not re.search(_INDEX_LOCKED, text):
            break
        time.sleep(delay)
    if "would be overwritten" in text or "would lose untracked files" in text:
        names = [line.strip() for line in text.splitlines() if line.startswith("\t")]
        if fresh is None and names and git.unchanged_files(checkout).issuperset(names):
            for name in names:  # they differ only in line endings that contradict the repository's attributes
                (checkout / name).unlink()
            _switch(checkout, commit, force=force)
            return
    if (error := _switch_error(outcome, checkout, commit, fresh)) is not None:
        raise error
    files.write((fresh or checkout) / ".git/refs/odpm/base", f"{commit}\n".encode(), derived=fresh is not None)
    (checkout / ".git" / MOVING).unlink(missing_ok=True)


def _switch_error(outcome: command.Outcome, checkout: Path, commit: str, fresh: Path | None) -> OdpmError | None:
    """The error for a `git checkout` that failed, or that reports files it could not write although it exits with 0."""
    text = outcome.stderr.decode(errors="replace")
    if not outcome.ok and (error := _invalid_names_error(outcome, checkout, commit)):
        return error
    if "would be overwritten" in text or "would lose untracked files" in text:
        (checkout / ".git" / MOVING).unlink(missing_ok=True)  # git has not changed anything
        names = [line.strip() for line in text.splitlines() if line.startswith("\t")]
        return DataLossError(
            "untracked or changed files prevent a checkout",
            where=str(checkout),
            details=names[:2],
            todo=_move_aside(checkout / names[0]) if names else "move them away, then run the same command again",
        )
    if "error: unable to write" in text:
        full = shutil.disk_usage(fresh or checkout).free < ALMOST_FULL
        return MachineError(
            "the disk is full" if full else "git could not write every file",
            where=str(checkout),
            details=[line for line in text.splitlines() if line.startswith("error: ")][:1],
            todo=f"{'free some space' if full else 'make it writable'}, then run the same command again",
        )
    if outcome.ok:
        return None
    failed = command.failure(outcome)
    failed.where = str(checkout)
    failed.todo = failed.todo or "fix what git reports, then run the same command again"
    return failed


def remove_leftovers(folder: Path) -> None:
    """Remove unfinished checkouts of killed runs (`.NAME.PID`). The caller has locked the project."""
    for path in folder.glob(".*.*"):
        if re.fullmatch(r"\..+\.\d+", path.name) and path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _escaped(folder: str) -> str:
    """A folder in a pattern of gitignore(5), which has special characters."""
    return re.sub(r"([\\*?\[])", r"\\\1", folder)


def exclude_from_status(checkout: Path, patterns: Sequence[str]) -> None:
    """Add patterns for generated files to `.git/info/exclude`; committed files such as `.gitignore` stay as they are.

    Patterns that begin with `/` are relative to the checkout, which can be a subfolder of its repository.
    """
    outcome = git.run(checkout, "rev-parse", "--show-prefix", "--git-path", "info/exclude", check=False)
    if not outcome.ok:
        return
    prefix, _, file = outcome.text.partition("\n")
    path = checkout / file.strip()
    patterns = [f"/{_escaped(prefix)}{pattern[1:]}" if pattern.startswith("/") else pattern for pattern in patterns]
    text = files.read_text(path) or ""
    missing = [pattern for pattern in patterns if pattern not in text.splitlines()]
    if missing:
        newline = "\n" if text and not text.endswith("\n") else ""
        files.write(path, (text + newline + "".join(f"{pattern}\n" for pattern in missing)).encode())
