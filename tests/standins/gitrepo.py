"""Bare git repositories from a stream of files: one commit, one branch, one pack; the id depends on the content only."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.errors import ProgramError
from tests.standins.common import install_folder, root, run, scratch

LABEL = "odpm.standin"
WHO = "odpm stand-ins <standins@localhost>"
WHEN = "1758153600 +0000"  # the same time for every commit, so that the id depends on the content only
PREFIX = "https://github.com/"


@dataclass(frozen=True)
class File:
    """One file of a tree: path with slashes, content, whether it is executable."""

    path: str
    data: bytes
    executable: bool = False


def place(name: str) -> Path:
    """The path of the stand-in for `PREFIX + name`; a mirror rule for the prefix leads to it."""
    return root() / "git" / "github.com" / f"{name}.git"


def rewrite_rule() -> str:
    """`FROM=TO` for git's `url.TO.insteadOf FROM`."""
    return f"{PREFIX}=file://{root() / 'git' / 'github.com'}/"


def recipe_of(repo: Path) -> str:
    """The recipe of the repository; "" if it does not exist."""
    done = subprocess.run(
        ["git", "config", "--file", str(repo / "config"), LABEL], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def commit_of(repo: Path, branch: str) -> str:
    return run("git", "--git-dir", repo, "rev-parse", f"refs/heads/{branch}").strip()


def write_bare(final: Path, branch: str, message: str, files: Iterable[File], recipe: str) -> int:
    """Create the repository `final` with one commit; returns the number of files.

    One `git fast-import` writes a single pack: no working tree, no loose objects, and a server can send the entries of
    the pack unchanged. The repository allows partial clones and requests for any commit id.
    """
    with scratch() as work:
        repo = work / "repo.git"
        run("git", "init", "--quiet", "--bare", "--template=", "-b", branch, repo)
        for key, value in (
            ("uploadpack.allowFilter", "true"),
            ("uploadpack.allowAnySHA1InWant", "true"),
            ("gc.auto", "0"),
        ):
            run("git", "--git-dir", repo, "config", key, value)
        count = _import(repo, branch, message, files)
        run("git", "--git-dir", repo, "config", LABEL, recipe)
        (repo / "git-daemon-export-ok").touch()
        install_folder(repo, final)
    return count


def _import(repo: Path, branch: str, message: str, files: Iterable[File]) -> int:
    options = ("core.compression=1", "fastimport.unpackLimit=0", "core.fsync=none")
    words = ["git", "--git-dir", str(repo), *(word for option in options for word in ("-c", option))]
    with subprocess.Popen(
        [*words, "fast-import", "--quiet", "--depth=0"], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stderr is not None
        out = process.stdin
        try:
            tree: list[tuple[str, str]] = []
            for file in files:
                tree.append((file.path, "100755" if file.executable else "100644"))
                out.write(b"blob\nmark :%d\ndata %d\n" % (len(tree), len(file.data)))
                out.write(file.data)
                out.write(b"\n")
            text = message.encode()
            out.write(f"commit refs/heads/{branch}\nauthor {WHO} {WHEN}\ncommitter {WHO} {WHEN}\n".encode())
            out.write(b"data %d\n%s\n" % (len(text), text))
            for mark, (path, mode) in enumerate(tree, start=1):
                out.write(f"M {mode} :{mark} {path}\n".encode())
            out.write(b"\n")
            out.close()
        except BrokenPipeError:
            tree = []
        errors = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise ProgramError("git fast-import failed", where=str(repo), details=errors.splitlines()[-8:])
    return len(tree)
