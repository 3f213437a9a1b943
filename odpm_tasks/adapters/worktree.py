"""Working trees: put a commit into one, move it only if nothing is lost, write out files without git."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import command, files, git
from odpm_tasks.errors import WouldLoseError


def place(checkout: Path, store: Path, commit: str, url: str) -> None:
    """Put a commit into `checkout`: a new one appears at once and whole, an existing one moves only if nothing is lost.

    Errors: WouldLoseError when something of the user's is in the way.
    """
    if checkout.is_symlink():
        raise in_the_way(checkout)
    if checkout.exists():
        _move(checkout, store, commit)
        return
    fresh = checkout.with_name(f".{checkout.name}.{os.getpid()}")
    with files.disk_errors(checkout):
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.parent.mkdir(parents=True, exist_ok=True)
        command.run(["git", "init", "--quiet", "--template=", str(fresh)])
        _borrow(fresh, store, commit)
        for key, value in (("remote.origin.url", url), ("remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")):
            command.run(["git", "-C", str(fresh), "config", key, value])
        _switch(fresh, commit)
        fresh.rename(checkout)


def in_the_way(path: Path) -> WouldLoseError:
    return WouldLoseError(
        "a foreign folder is in the place of a checkout", where=str(path), todo=f"mv {path} elsewhere"
    )


def _move(checkout: Path, store: Path, commit: str) -> None:
    now = git.head(checkout)
    where = str(checkout)
    if now is None:
        raise in_the_way(checkout)
    if now.branch is not None:
        raise WouldLoseError(
            f"the checkout stands on your branch {now.branch!r}", where=where, todo=f"git -C {where} checkout --detach"
        )
    if now.commit != now.base:
        raise WouldLoseError(
            f"the checkout stands on a commit of your own, {str(now.commit)[:12]}",
            where=where,
            todo=f"keep it: git -C {where} branch keep-{str(now.commit)[:8]} && git -C {where} checkout {str(now.base)[:12]}",
        )
    if changed := git.changes(checkout):
        raise WouldLoseError(
            "the checkout has local changes",
            where=where,
            details=changed[:3],
            todo=f"keep them: git -C {where} stash; or drop them: git -C {where} checkout -- .",
        )
    _borrow(checkout, store, commit)
    _switch(checkout, commit)


def _borrow(checkout: Path, store: Path, commit: str) -> None:
    """Let a checkout use the store's objects; git does not borrow from a shallow store by itself."""
    alternates = checkout / ".git/objects/info/alternates"
    line = f"{store / 'objects'}\n"
    known = files.read_text(alternates) or ""
    if line not in known:
        files.write(alternates, (known + line).encode())
    shallow = checkout / ".git/shallow"
    boundary = set((files.read_text(shallow) or "").split())
    theirs = set((files.read_text(store / "shallow") or "").split())
    if commit in theirs and commit not in boundary:
        files.write(shallow, "".join(f"{name}\n" for name in sorted(boundary | {commit})).encode())


def _switch(checkout: Path, commit: str) -> None:
    outcome = command.run(
        [
            "git",
            *git.QUIET,
            "-c",
            "checkout.workers=0",
            "-C",
            str(checkout),
            "checkout",
            "--quiet",
            "--no-overwrite-ignore",
            "--detach",
            commit,
        ],
        check=False,
    )
    if not outcome.ok:
        if b"would be overwritten" in outcome.stderr:
            lines = [
                line.strip() for line in outcome.stderr.decode(errors="replace").splitlines() if line.startswith("\t")
            ]
            raise WouldLoseError(
                "files of yours are in the way of a checkout",
                where=str(checkout),
                details=lines[:3],
                todo="move them elsewhere",
            )
        raise command.failure(outcome)
    files.write(checkout / ".git/refs/odpm/base", f"{commit}\n".encode())


def export(store: Path, commit: str, target: Path) -> None:
    """Write a commit's files, and nothing of git, to a new folder; `.dockerignore` is left out (it would drop files)."""
    with files.disk_errors(target):
        fresh = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(parents=True)
        index = fresh.with_name(f"{fresh.name}.index")
        env = {"GIT_INDEX_FILE": str(index)}
        try:
            command.run(["git", "-C", str(store), "read-tree", commit], env=env)
            command.run(
                ["git", *git.QUIET, "-c", "checkout.workers=0", "-c", "core.bare=false", f"--git-dir={_git_dir(store)}",
                 f"--work-tree={fresh}", "checkout-index", "--all", "--force"],
                env=env, cwd=fresh,
            )  # fmt: skip
        finally:
            index.unlink(missing_ok=True)
        (fresh / ".dockerignore").unlink(missing_ok=True)
        fresh.rename(target)


def export_folders(checkout: Path, folders: Sequence[str], target: Path) -> None:
    """Write the committed content (HEAD) of some folders of a checkout to a new folder, at the same names."""
    tree = git.ask(checkout, "rev-parse", "HEAD^{tree}")
    with tempfile.TemporaryDirectory(prefix="odpm-index-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        command.run(["git", "-C", str(checkout), "read-tree", tree], env=env)
        listing = command.run(
            ["git", "-C", str(checkout), "ls-files", "-z", "--full-name", "--", *(f or "." for f in folders)], env=env
        )
        names_ = [name for name in listing.stdout.split(b"\0") if name and not name.startswith(b".odpm/")]
        target.mkdir(parents=True, exist_ok=True)
        command.run(
            [
                "git",
                *git.QUIET,
                "-C",
                str(checkout),
                "checkout-index",
                "-z",
                "--stdin",
                "--force",
                f"--prefix={target}/",
            ],
            env=env,
            feed=b"".join(name + b"\0" for name in names_),
        )


def _git_dir(repository: Path) -> Path:
    return repository / ".git" if (repository / ".git").exists() else repository


def hide(checkout: Path, names_to_hide: Sequence[str]) -> None:
    """Keep generated files out of `git status` through `.git/info/exclude`, never by editing a committed file."""
    outcome = command.run(["git", "-C", str(checkout), "rev-parse", "--git-path", "info/exclude"], check=False)
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
