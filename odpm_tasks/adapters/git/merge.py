"""Merge commits in a store, without a working tree: `git merge-tree --write-tree` (git 2.38 or later).

No setting of the user, of the machine or of the repositories has an influence: the merge runs in an empty temporary repository
that borrows the objects of the store, without configuration and attributes files. It merges copies of the commits whose
parents are the merge bases, so the store needs no history. After a conflict or an interruption the store is as before.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import messages
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.fetch import fetch, prepare
from odpm_tasks.adapters.git.merge_base import Bases, Tip
from odpm_tasks.adapters.git.transport import ProgressCallback, fetch_error, run_fetch, stderr_text
from odpm_tasks.errors import MachineError, ProgramError

OLDEST = "2.38"  # the first git with `merge-tree --write-tree`
_ENV = {
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_PARAMETERS": "",
    "GIT_CONFIG_COUNT": "0",
    "GIT_ATTR_NOSYSTEM": "1",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "LC_ALL": "C",
}
# git's own defaults, written out: they differ between versions
_CONFIG = """[core]
\trepositoryformatversion = 0
\tbare = true
\tattributesFile = /dev/null
[merge]
\trenames = true
\tdirectoryRenames = conflict
\trenameLimit = 7000
\trenormalize = false
\tconflictStyle = merge
[diff]
\talgorithm = histogram
"""
_KIND = re.compile(r"CONFLICT \(([\w/ -]+)\)")
_UNFIT = re.compile(rb"usage: git merge-tree|unknown option|not a git command")


class ConflictError(Exception):
    """A merge that git cannot do alone. `names`: the files; `kinds`: what conflicts, in git's words (`contents`)."""

    def __init__(self, names: Sequence[str], kinds: Sequence[str]) -> None:
        super().__init__("conflict")
        self.names, self.kinds = tuple(names), tuple(kinds)


def fetch_commits(store: Path, commits: Sequence[tuple[str, Tip]], on_progress: ProgressCallback | None = None) -> None:
    """Fetch commits with their trees and files, with one request for each server; those that the store holds are not fetched.

    The tip of a commit is its server, and the refs that contain it for a server that provides no commit ids. Errors: those of
    a fetch.
    """
    with stores.lock(store, commits[0][1].source):
        if all(git.store_has(store, commit) for commit, _ in commits):
            return
        prepare(store, commits[0][1].source)
        missing = {commit: tip for commit, tip in commits if not git.store_has(store, commit)}
        refused: dict[str, Tip] = {}
        for url in dict.fromkeys(tip.source.url for tip in missing.values()):
            group = {commit: tip for commit, tip in missing.items() if tip.source.url == url}
            source = next(iter(group.values())).source
            refspecs = [f"+{commit}:refs/odpm/commits/{commit}" for commit in group]
            outcome = run_fetch(store, source, ["--depth=1"], refspecs, on_progress)
            if messages.failure_kind(stderr_text(outcome)) in {"commit", "commit ids"} and not outcome.ok:
                refused |= group
            elif not outcome.ok:
                raise fetch_error(outcome, source, next(iter(group)))
    for commit, tip in refused.items():
        _fetch_one(store, commit, tip, on_progress)


def _fetch_one(store: Path, commit: str, tip: Tip, on_progress: ProgressCallback | None) -> None:
    """Fetch a commit alone; from a server that refuses commit ids, as a part of its branch or of its pull request."""
    for number, ref in enumerate(tip.refs, 1):
        try:
            fetch(store, tip.source, commit, on_progress, branch=ref)
        except ProgramError:
            if number == len(tip.refs):
                raise
        else:
            return


class Scratch:
    """A temporary repository that borrows the objects of a store and receives the objects of the merges.

    `trees`: commit -> id of its tree.
    """

    def __init__(self, folder: Path, store: Path, commits: Sequence[str]) -> None:
        self._folder, self._store = folder, store
        commits = tuple(dict.fromkeys(commits))
        ids = self._git("rev-parse", *(f"{commit}^{{tree}}" for commit in commits)).text.split()
        self.trees = dict(zip(commits, ids, strict=True))

    def merge(self, ours: str, commit: str, bases: Sequence[str], ancestors: Bases) -> str:
        """Merge a commit into a tree; the resulting tree. `bases`: the merge bases, `ancestors`: their ancestry.

        Errors: ConflictError; MachineError for a git that is too old.
        """
        copies: dict[str, str] = {}

        def copy(base: str) -> str:
            if base not in copies:
                copies[base] = self._commit(self.trees[base], [copy(other) for other in ancestors.get(base, ())])
            return copies[base]

        parents = [copy(base) for base in bases]
        sides = [self._commit(ours, parents, "ours"), self._commit(self.trees[commit], parents, "theirs")]
        outcome = self._git("merge-tree", "--write-tree", "-z", "--name-only", "--messages", *sides, check=False)
        fields = outcome.stdout.decode(errors="surrogateescape").split("\0")
        if outcome.code == 1 and git.COMMIT.fullmatch(fields[0]):
            end = fields.index("", 1) if "" in fields[1:] else len(fields)
            kinds = {found[1] for text in fields[end:] if (found := _KIND.fullmatch(text))}
            raise ConflictError(sorted(set(fields[1:end])), sorted(kinds))
        if outcome.ok:
            return fields[0]
        if _UNFIT.search(outcome.stderr):
            raise MachineError(
                f"merges need git {OLDEST} or later; this is git {version()}",
                todo="install a newer git, or remove the merges from odpm.json",
            )
        raise command.failure(outcome)

    def _commit(self, tree: str, parents: Sequence[str], name: str = "base") -> str:
        lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents)]
        lines += [f"{role} odpm <odpm@localhost> 0 +0000" for role in ("author", "committer")]
        return write_object(self._folder / "objects", "commit", ("\n".join([*lines, "", name]) + "\n").encode())

    def keep(self, tree: str, content: bytes) -> str:
        """Move the objects of a merged tree into the store and add its commit; the id of the commit."""
        pending, found = [tree], list[str]()
        while pending:
            name = pending.pop()
            path = _loose(self._folder / "objects", name)
            if name not in found and path.exists():
                found.append(name)
                kind, data = _read_object(path)
                pending += _names_in_tree(data) if kind == "tree" else []
        with files.disk_errors(self._store):
            for name in reversed(found):
                target = _loose(self._store / "objects", name)
                target.parent.mkdir(exist_ok=True)
                _loose(self._folder / "objects", name).replace(target)
            commit = write_object(self._store / "objects", "commit", content)
            edge = stores.shallow_commits(self._store) | {commit}
            files.write(self._store / "shallow", "".join(f"{name}\n" for name in sorted(edge)).encode(), derived=True)
            files.write(self._store / "refs/odpm/commits" / commit, f"{commit}\n".encode(), derived=True)
        return commit

    def _git(self, *words: str, check: bool = True) -> command.Outcome:
        return command.run(["git", f"--git-dir={self._folder}", *words], env=_ENV, check=check)


@contextmanager
def scratch(store: Path, commits: Sequence[str]) -> Iterator[Scratch]:
    """A scratch repository beside a store, which is locked meanwhile; `commits` of the store can be merged."""
    folder = store.with_name(f".{store.name}.merge.{os.getpid()}")
    with stores.lock(store), files.disk_errors(store):
        shutil.rmtree(folder, ignore_errors=True)
        try:
            (folder / "objects/info").mkdir(parents=True)
            (folder / "refs/heads").mkdir(parents=True)
            (folder / "HEAD").write_text("ref: refs/heads/none\n", encoding="ascii")
            (folder / "config").write_text(_CONFIG, encoding="ascii")
            (folder / "objects/info/alternates").write_bytes(os.fsencode(store.absolute() / "objects") + b"\n")
            yield Scratch(folder, store, commits)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@cache
def version() -> str:
    """The version of git, such as `2.39.5`."""
    words = command.run(["git", "version"]).text.split()
    return words[2] if len(words) > 2 else "unknown"


def write_object(objects: Path, kind: str, content: bytes) -> str:
    """Write a loose object (gitrepository-layout); its id."""
    data = f"{kind} {len(content)}\0".encode() + content
    name = hashlib.sha1(data, usedforsecurity=False).hexdigest()
    path = _loose(objects, name)
    if not path.exists():
        files.write(path, zlib.compress(data), 0o444, derived=True)
    return name


def _loose(objects: Path, name: str) -> Path:
    return objects / name[:2] / name[2:]


def _read_object(path: Path) -> tuple[str, bytes]:
    header, _, content = zlib.decompress(path.read_bytes()).partition(b"\0")
    return header.split()[0].decode(), content


def _names_in_tree(content: bytes) -> list[str]:
    """The ids in a tree object: `MODE SP NAME NUL ID`, the id has 20 bytes."""
    names, position = [], 0
    while position < len(content):
        end = content.index(b"\0", position) + 21
        names.append(content[end - 20 : end].hex())
        position = end
    return names
