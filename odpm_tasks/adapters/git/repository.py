"""git commands that read or create a repository. No decisions.

A *store* is a bare repository in the shared cache. It holds single commits without history; the ref
`refs/odpm/commits/ID` keeps each of them. A *checkout* is a working tree that borrows the objects of a store (alternates).
Its ref `refs/odpm/base` records the commit that odpm checked out: everything else in the checkout belongs to the user.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import integrity
from odpm_tasks.errors import DescriptionError

COMMIT = re.compile(r"[0-9a-f]{40}")


def _with(*settings: str) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("-c", setting))


# For every git command: no setting of the user enables hooks, maintenance or submodules, or changes the repository format.
CONFIG = _with(
    "advice.detachedHead=false",
    "gc.auto=0",
    "maintenance.auto=false",
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "submodule.recurse=false",
    "fetch.recurseSubmodules=false",
    "fetch.prune=false",
    "fetch.pruneTags=false",
    "safe.bareRepository=all",
    "init.defaultObjectFormat=sha1",
    "init.defaultRefFormat=files",
)
# Write files as committed: only the repository's own attributes set line endings, so the bytes are the same on every machine.
NO_CONVERSION = (*CONFIG, *_with("core.autocrlf=false", "core.eol=lf", "core.attributesFile=/dev/null"))
# Write git LFS pointers: the large files are not fetched.
LFS_POINTERS = _with("filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false")


@dataclass(frozen=True)
class Head:
    """HEAD of a checkout. `branch`: None if HEAD is detached; `base`: the commit that odpm checked out."""

    commit: str | None
    branch: str | None
    base: str | None


def run(
    repository: Path, *words: str, env: Mapping[str, str] | None = None, stdin: bytes = b"", check: bool = True
) -> command.Outcome:
    """Run `git WORDS` in a repository. Errors: ProgramError if it fails and `check` is set."""
    return command.run(["git", *CONFIG, "-C", str(repository), *words], env=env, stdin=stdin, check=check)


def query(repository: Path, *words: str) -> str:
    """The standard output of `git WORDS`, stripped. Errors: ProgramError."""
    return run(repository, *words).text.strip()


def store_has(store: Path, commit: str) -> bool:
    """Whether the store holds this commit with all its trees and files; False for a damaged store, see `repair`."""
    return _ref(store, f"refs/odpm/commits/{commit}") is not None and integrity.is_intact(store)


def _ref(git_dir: Path, name: str) -> str | None:
    """The object id of a ref, loose or packed (`git gc` packs refs); None if the ref does not exist."""
    loose = files.read(git_dir / name)
    if loose is not None:
        return loose.decode(errors="replace").strip()
    packed = files.read(git_dir / "packed-refs")
    for line in packed.decode(errors="replace").splitlines() if packed else ():
        commit, _, found = line.partition(" ")
        if found == name:
            return commit
    return None


def has_commit(repository: Path, commit: str) -> bool:
    """Whether a repository holds the commit object."""
    return run(repository, "cat-file", "-e", f"{commit}^{{commit}}", env={"GIT_NO_LAZY_FETCH": "1"}, check=False).ok


def create_store(store: Path) -> None:
    """Create an empty store. An existing folder, which an interrupted run left, is replaced."""
    with files.disk_errors(store):
        store.parent.mkdir(parents=True, exist_ok=True)
        fresh = store.with_name(f".{store.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        # the result of `git init --bare`, without one process for each of sixty repositories
        for folder in integrity.FOLDERS:
            (fresh / folder).mkdir(parents=True)
        for name, text in integrity.FILES.items():
            (fresh / name).write_text(text, encoding="ascii")
        shutil.rmtree(store, ignore_errors=True)
        fresh.rename(store)


def tree_digest(checkout: Path, without: Sequence[str]) -> str | None:
    """40 hex digits over names, modes and content of the files of HEAD except `without`; None if there is no commit.

    The digest depends on the content only, not on the commit or on the depth of the clone.
    """
    outcome = run(checkout, "ls-tree", "-r", "-z", "--full-tree", "HEAD", check=False)
    if not outcome.ok:
        return None
    left_out = {name.encode() for name in without}
    kept = [entry for entry in outcome.stdout.split(b"\0") if entry and entry.partition(b"\t")[2] not in left_out]
    return hashlib.sha1(b"\0".join(kept), usedforsecurity=False).hexdigest()


def tree_id(checkout: Path, folder: str) -> str:
    """The id of a folder's tree at HEAD ("" is the project). Errors: DescriptionError if the folder is not committed.

    The project can be a subfolder of its repository.
    """
    outcome = run(checkout, "rev-parse", "--verify", "-q", f"HEAD:./{folder}", check=False)
    if not outcome.ok:
        raise DescriptionError(
            f"{folder or 'the project'} is not committed to git; images are built from commits",
            where=str(checkout),
            todo=f"git add {folder or '.'} && git commit",
        )
    return outcome.text.strip()


def blobs(store: Path, commit: str, wanted: Iterable[str]) -> dict[str, bytes]:
    """The content of files at a commit, by path. Files that the commit does not contain are left out."""
    paths = [path for path in wanted if "\n" not in path]
    stdin = "".join(f"{commit}:{path}\n" for path in paths).encode(errors="surrogateescape")
    output = run(store, "cat-file", "--batch", stdin=stdin).stdout
    found: dict[str, bytes] = {}
    position = 0
    for path in paths:
        end = output.index(b"\n", position)
        header = output[position:end].split()
        position = end + 1
        if len(header) != 3 or not header[2].isdigit():  # `NAME missing` has no content
            continue
        size = int(header[2])
        if header[1] == b"blob":
            found[path] = output[position : position + size]
        position += size + 1
    return found


def head(checkout: Path) -> Head | None:
    """HEAD of a checkout, read from its files where possible; None if the folder is not a git working tree."""
    text = files.read(checkout / ".git" / "HEAD") if (checkout / ".git").is_dir() else None
    if text is None:
        return None
    base = _ref(checkout / ".git", "refs/odpm/base")
    word = text.decode(errors="replace").strip()
    if COMMIT.fullmatch(word):
        return Head(word, None, base)
    outcome = run(checkout, "rev-parse", "--verify", "-q", "HEAD", check=False)
    return Head(outcome.text.strip() or None, word.removeprefix("ref: refs/heads/"), base)


def origin(checkout: Path) -> str | None:
    """The configured URL of `origin` (before any insteadOf); None if there is none."""
    return run(checkout, "config", "--get", "remote.origin.url", check=False).text.strip() or None


def current_branch(checkout: Path) -> str:
    """The branch of the repository that a folder is in; empty if HEAD is detached or there is no repository."""
    return run(checkout, "symbolic-ref", "--short", "-q", "HEAD", check=False).text.strip()


def gitlinks(folder: Path) -> dict[str, str]:
    """Path -> commit of the submodules that HEAD records below a folder; empty if there is no commit or no repository."""
    outcome = run(folder, "ls-tree", "-r", "-z", "HEAD", check=False)
    entries = (entry.partition("\t") for entry in outcome.text.split("\0") if entry.startswith("160000 commit "))
    found = {path: entry.split()[2] for entry, _, path in entries}
    return {path: commit for path, commit in found.items() if COMMIT.fullmatch(commit)}


def is_on_remote(checkout: Path, commit: str) -> bool:
    """Whether a branch of a remote, as of the last fetch, contains a commit."""
    outcome = run(checkout, "for-each-ref", "--count=1", f"--contains={commit}", "refs/remotes", check=False)
    return outcome.ok and bool(outcome.stdout.strip())


def remotes(checkout: Path) -> tuple[tuple[str, str], ...]:
    """Name and configured URL of all remotes, `origin` first. A remote can have several URLs."""
    outcome = run(checkout, "config", "--get-regexp", r"^remote\..*\.url$", check=False)
    pairs = (line.partition(" ")[::2] for line in outcome.text.splitlines())
    found = [(key.removeprefix("remote.").removesuffix(".url"), url) for key, url in pairs]
    return tuple(sorted(found, key=lambda pair: pair[0] != "origin"))


def changes(checkout: Path, folders: Sequence[str] = (), *, untracked: bool = False) -> tuple[str, ...]:
    """Local changes of tracked files, one `XY path` each, as `git status --porcelain` prints them. Does not write the index.

    `folders`: below these only. `untracked`: also files that git neither tracks nor ignores.

    A file with the committed bytes is unchanged even if git lists it: git does so where the line endings required by the
    repository's attributes differ from the committed ones. Errors: ProgramError if `git status` fails, for instance because
    a filter of the user (git LFS) cannot run.
    """
    new = "normal" if untracked else "no"
    words = ["status", "--porcelain", "-z", "--no-renames", f"--untracked-files={new}", "--ignore-submodules"]
    outcome = run(checkout, *words, "--", *folders, env={"GIT_OPTIONAL_LOCKS": "0"}, check=False)
    if not outcome.ok:
        error = command.failure(outcome)
        error.where = str(checkout)
        error.todo = error.todo or f"fix the problem until this command succeeds: git -C {quote(str(checkout))} status"
        raise error
    found = [row for row in outcome.stdout.decode(errors="surrogateescape").split("\0") if row]
    same = unchanged_files(checkout) if any(row.startswith(" M ") for row in found) else set()
    return tuple(row for row in found if not (row.startswith(" M ") and row[3:] in same))


def tracked(checkout: Path, names: Sequence[str]) -> tuple[str, ...]:
    """The files with these names or in folders of these names that git tracks; none outside of a repository."""
    outcome = run(checkout, "ls-files", "-z", "--", *names, check=False)
    return tuple(filter(None, outcome.text.split("\0"))) if outcome.ok else ()


def head_commit(checkout: Path) -> str:
    """The commit of HEAD of the repository that a folder is in; empty where there is none."""
    return run(checkout, "rev-parse", "--verify", "-q", "HEAD^{commit}", check=False).text.strip()


def in_the_way(checkout: Path, base: str, target: str) -> tuple[str, ...]:
    """The files of a checkout at `base` that git would have to overwrite to check out `target`, although it does not track them.

    Empty where the checkout does not hold `target` yet.
    """
    words = ["diff", "--name-only", "-z", "--no-renames", "--diff-filter=A", base, target]
    outcome = run(checkout, *words, env={"GIT_NO_LAZY_FETCH": "1", "GIT_OPTIONAL_LOCKS": "0"}, check=False)
    added = outcome.stdout.decode(errors="surrogateescape").split("\0") if outcome.ok else []
    return tuple(name for name in added if name and ((checkout / name).is_file() or (checkout / name).is_symlink()))


def unchanged_files(checkout: Path) -> set[str]:
    """Of the files that `git diff-files` lists: those with the bytes and the mode of the index."""
    words = ["diff-files", "--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules"]
    rows = run(checkout, *words).stdout.decode(errors="surrogateescape").split("\0")
    found = set()
    for about, name in zip(rows[::2], rows[1::2], strict=False):
        before, now, blob, *_ = about.lstrip(":").split()
        path = checkout / name
        unchanged_mode = before == now and before.startswith("100")
        if unchanged_mode and path.is_file() and not path.is_symlink() and blob_id(path.read_bytes()) == blob:
            found.add(name)
    return found


def blob_id(content: bytes) -> str:
    """The object id that git gives to a file with this content."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
