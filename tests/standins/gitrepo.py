"""Bare git repositories out of a stream of files: one commit, one branch, one pack, the same id for the same content."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from odpm_tasks.errors import ProgramError
from tests.standins.common import install_folder, root, run, scratch

LABEL = "odpm.standin"
WHO = "odpm stand-ins <standins@localhost>"
WHEN = "1758153600 +0000"  # one moment for every commit: the id then rests on the content alone
PREFIX = "https://github.com/"


@dataclass(frozen=True)
class File:
    """One file of a tree: its path with slashes, its content, whether it may be run."""

    path: str
    data: bytes
    executable: bool = False


def place(name: str) -> Path:
    """Where the stand-in of `PREFIX + name` lies: a prefix rewrite of the address finds it."""
    return root() / "git" / "github.com" / f"{name}.git"


def rewrite_rule() -> str:
    """`FROM=TO` for git's `url.TO.insteadOf FROM`."""
    return f"{PREFIX}=file://{root() / 'git' / 'github.com'}/"


def recipe_of(repo: Path) -> str:
    """What the repository was made by, "" where there is none."""
    done = subprocess.run(
        ["git", "config", "--file", str(repo / "config"), LABEL], capture_output=True, text=True, check=False
    )
    return done.stdout.strip()


def commit_of(repo: Path, branch: str) -> str:
    return run("git", "--git-dir", repo, "rev-parse", f"refs/heads/{branch}").strip()


def write_bare(final: Path, branch: str, message: str, files: Iterable[File], recipe: str) -> int:
    """Make `final` hold one commit with the files; gives their number.

    Everything goes through one `git fast-import` into a single pack: no working tree, no loose objects, and a server
    hands the pack's entries on as they are. The repository serves partial clones and any commit id.
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
        said = process.stderr.read().decode(errors="replace")
    if process.returncode:
        raise ProgramError("git fast-import failed", where=str(repo), details=said.splitlines()[-8:])
    return len(tree)
