"""Create and change real git repositories."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from odpm_tasks.adapters.git import checkout as git_checkout

Files = Mapping[str, str | None]
AUTHOR = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "author",
    "GIT_AUTHOR_EMAIL": "author@localhost",
    "GIT_COMMITTER_NAME": "author",
    "GIT_COMMITTER_EMAIL": "author@localhost",
}


def git(where: Path, *words: str, env: Mapping[str, str] | None = None) -> str:
    """The standard output of `git WORDS`, stripped."""
    done = subprocess.run(
        ["git", "-c", "core.fsync=none", "-C", str(where), *words],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, **AUTHOR, **(env or {})},
    )
    return done.stdout.strip()


def put(where: Path, files: Files) -> None:
    """Write files; None removes a file."""
    for name, text in files.items():
        path = where / name
        if text is None:
            path.unlink()
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def save(where: Path, message: str, files: Files | None = None, day: str = "2025-01-01") -> str:
    """Commit files; returns the id of the commit. `day`: its date, or `YYYY-MM-DDTHH:MM:SS`, UTC."""
    put(where, files or {})
    when = f"{day}+0000" if "T" in day else f"{day}T12:00:00+0000"
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    git(where, "add", "--all")
    git(where, "commit", "--quiet", "--allow-empty", "-m", message, env=dates)
    return git(where, "rev-parse", "HEAD")


def repository(where: Path, files: Files | None = None, branch: str = "19.0") -> Path:
    """A repository with one commit on `branch`. As a server, it allows filters and requests for any commit id."""
    where.mkdir(parents=True)
    git(where, "init", "--quiet", "--template=", "-b", branch)
    with (where / ".git" / "config").open("a", encoding="utf-8") as config:
        config.write("[uploadpack]\n\tallowAnySHA1InWant = true\n\tallowFilter = true\n")
    save(where, "first", files)
    return where


def packed(where: Path) -> Path:
    """Pack the repository into few files, so that it is cheap to copy."""
    git(where, "gc", "--quiet", "--prune=now")
    return where


def check_out(checkout: Path, store: Path, commit: str, url: str) -> None:
    """Check out a commit from a store."""
    with git_checkout.empty_repository(checkout.parent) as empty:
        git_checkout.check_out(checkout, store, commit, url, empty)


def tip(where: Path, name: str = "HEAD") -> str:
    return git(where, "rev-parse", f"{name}^{{commit}}")


def content(where: Path) -> dict[str, tuple[bytes | str, int, int]]:
    """Path -> content (of a link: its target), mode and modification time of everything below a folder, `.git` included."""
    found: dict[str, tuple[bytes | str, int, int]] = {}
    for path in sorted(where.rglob("*")):
        status = path.lstat()
        what: bytes | str = ""
        if path.is_symlink():
            what = str(path.readlink())
        elif path.is_file():
            what = path.read_bytes()
        found[str(path.relative_to(where))] = (what, status.st_mode, status.st_mtime_ns)
    return found


def without_times(where: Path) -> dict[str, tuple[bytes | str, int]]:
    """Like `content`, without times and without the index, which git rewrites even in read-only commands."""
    return {name: (what, mode) for name, (what, mode, _) in content(where).items() if name != ".git/index"}
