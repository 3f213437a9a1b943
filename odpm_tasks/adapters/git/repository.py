"""The door to git: small questions and small acts, no decisions.

A *store* is a bare repository of the shared cache that holds, without history, the commits somebody asked for; each is
kept by a ref `refs/odpm/commits/ID`. A *checkout* is a working tree that borrows the store's objects (alternates) and
remembers in `refs/odpm/base` which commit we put there, so that whatever else is in it is known to be the user's.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import command, files
from odpm_tasks.errors import DescriptionError

COMMIT = re.compile(r"[0-9a-f]{40}")


def _with(*settings: str) -> tuple[str, ...]:
    return tuple(word for setting in settings for word in ("-c", setting))


# What no setting of the user's may change, for every git of ours: it runs no hook, looks after nothing, leaves submodules
# alone, and takes the cache for what it is.
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
# Files as they are committed: line ends by the repository's own attributes only, the same bytes on every machine.
NO_CONVERSION = (*CONFIG, *_with("core.autocrlf=false", "core.eol=lf", "core.attributesFile=/dev/null"))
# Of git LFS the pointers: what they stand for lies on a server that nobody has asked yet.
LFS_POINTERS = _with("filter.lfs.smudge=", "filter.lfs.process=", "filter.lfs.required=false")


@dataclass(frozen=True)
class Head:
    """What a checkout stands on: `branch` is None when detached; `base` is the commit we put there."""

    commit: str | None
    branch: str | None
    base: str | None


def store_has(store: Path, commit: str) -> bool:
    """Whether the store holds this commit whole."""
    return _ref(store, f"refs/odpm/commits/{commit}") is not None


def _ref(git_dir: Path, name: str) -> str | None:
    """What a ref of ours points to, loose or packed (a `git gc` of the user's packs them); None where there is none."""
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
    words = ["git", *CONFIG, "-C", str(repository), "cat-file", "-e", f"{commit}^{{commit}}"]
    return command.run(words, env={"GIT_NO_LAZY_FETCH": "1"}, check=False).ok


def create_store(store: Path) -> None:
    with files.disk_errors(store):
        store.parent.mkdir(parents=True, exist_ok=True)
        fresh = store.with_name(f".{store.name}.{os.getpid()}")
        shutil.rmtree(fresh, ignore_errors=True)
        # what `git init --bare` makes (gitrepository-layout), without a process for each of sixty repositories
        for folder in ("objects/info", "objects/pack", "refs/heads"):
            (fresh / folder).mkdir(parents=True)
        (fresh / "config").write_text(
            "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n", encoding="ascii"
        )
        (fresh / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
        shutil.rmtree(store, ignore_errors=True)
        fresh.rename(store)


def query(repository: Path, *words: str) -> str:
    """One question to git about a repository, answered as stripped text."""
    return command.run(["git", *CONFIG, "-C", str(repository), *words]).text.strip()


def tree_digest(checkout: Path, without: Sequence[str]) -> str | None:
    """40 hex digits over names, modes and content of HEAD's files, some left out; None where nothing is committed.

    The same for the same content, whatever commit holds it and however much history was cloned.
    """
    outcome = command.run(
        ["git", *CONFIG, "-C", str(checkout), "ls-tree", "-r", "-z", "--full-tree", "HEAD"], check=False
    )
    if not outcome.ok:
        return None
    left_out = {name.encode() for name in without}
    kept = [entry for entry in outcome.stdout.split(b"\0") if entry and entry.partition(b"\t")[2] not in left_out]
    return hashlib.sha1(b"\0".join(kept), usedforsecurity=False).hexdigest()


def tree_id(checkout: Path, folder: str) -> str:
    """The id of a folder's committed content at HEAD ("" is the root). Errors: DescriptionError where nothing is committed."""
    outcome = command.run(
        ["git", *CONFIG, "-C", str(checkout), "rev-parse", "--verify", "-q", f"HEAD:{folder}"], check=False
    )
    if not outcome.ok:
        raise DescriptionError(
            f"{folder or 'the project'} is not committed to git, and an image is made of commits",
            where=str(checkout),
            todo=f"git add {folder or '.'} && git commit",
        )
    return outcome.text.strip()


def blobs(store: Path, commit: str, wanted: Iterable[str]) -> dict[str, bytes]:
    """The bytes of files at a commit, by name; what is not there is left out."""
    paths = [path for path in wanted if "\n" not in path]
    stdin = "".join(f"{commit}:{path}\n" for path in paths).encode(errors="surrogateescape")
    output = command.run(["git", *CONFIG, "-C", str(store), "cat-file", "--batch"], stdin=stdin).stdout
    found: dict[str, bytes] = {}
    position = 0
    for path in paths:
        end = output.index(b"\n", position)
        header = output[position:end].split()
        position = end + 1
        if len(header) != 3 or not header[2].isdigit():  # "… missing" has no content
            continue
        size = int(header[2])
        if header[1] == b"blob":
            found[path] = output[position : position + size]
        position += size + 1
    return found


def head(checkout: Path) -> Head | None:
    """What a checkout stands on, read from its files where possible; None where it is no git working tree."""
    text = files.read(checkout / ".git" / "HEAD") if (checkout / ".git").is_dir() else None
    if text is None:
        return None
    based = _ref(checkout / ".git", "refs/odpm/base")
    word = text.decode(errors="replace").strip()
    if COMMIT.fullmatch(word):
        return Head(word, None, based)
    outcome = command.run(["git", *CONFIG, "-C", str(checkout), "rev-parse", "--verify", "-q", "HEAD"], check=False)
    return Head(outcome.text.strip() or None, word.removeprefix("ref: refs/heads/"), based)


def origin(checkout: Path) -> str | None:
    """The address of `origin` as configured (before any insteadOf), None where there is none."""
    outcome = command.run(["git", *CONFIG, "-C", str(checkout), "config", "--get", "remote.origin.url"], check=False)
    return outcome.text.strip() or None


def remotes(checkout: Path) -> tuple[tuple[str, str], ...]:
    """Name and address of all remotes, as configured, `origin` first; one may have several addresses."""
    outcome = command.run(
        ["git", *CONFIG, "-C", str(checkout), "config", "--get-regexp", r"^remote\..*\.url$"], check=False
    )
    pairs = (line.partition(" ")[::2] for line in outcome.text.splitlines())
    found = [(key.removeprefix("remote.").removesuffix(".url"), url) for key, url in pairs]
    return tuple(sorted(found, key=lambda pair: pair[0] != "origin"))


def changes(checkout: Path) -> tuple[str, ...]:
    """Local changes of tracked files, one `XY path` each, as `git status --porcelain` has them. The index stays as it is.

    A file that holds what was committed, byte for byte, is none, though git may call it one: where a repository's
    attributes want other line ends than those that somebody committed. Errors: ProgramError where git cannot tell, for
    instance because a filter of the user's (git LFS) does not run.
    """
    words = ["status", "--porcelain", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules"]
    outcome = command.run(["git", *CONFIG, "-C", str(checkout), *words], env={"GIT_OPTIONAL_LOCKS": "0"}, check=False)
    if not outcome.ok:
        error = command.failure(outcome)
        error.where = str(checkout)
        error.todo = error.todo or f"mend what git complains of, until this works: git -C {quote(str(checkout))} status"
        raise error
    found = [row for row in outcome.stdout.decode(errors="surrogateescape").split("\0") if row]
    same = unchanged_files(checkout) if any(row.startswith(" M ") for row in found) else set()
    return tuple(row for row in found if not (row.startswith(" M ") and row[3:] in same))


def unchanged_files(checkout: Path) -> set[str]:
    """Of the files that git would have to look at: those with the very bytes, and the mode, of the index."""
    words = ["diff-files", "--raw", "-z", "--no-abbrev", "--no-renames", "--ignore-submodules"]
    rows = (
        command.run(["git", *CONFIG, "-C", str(checkout), *words]).stdout.decode(errors="surrogateescape").split("\0")
    )
    found = set()
    for about, name in zip(rows[::2], rows[1::2], strict=False):
        before, now, blob, *_ = about.lstrip(":").split()
        path = checkout / name
        if before == now and before.startswith("100") and path.is_file() and not path.is_symlink():
            data = path.read_bytes()
            if hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest() == blob:
                found.add(name)
    return found
