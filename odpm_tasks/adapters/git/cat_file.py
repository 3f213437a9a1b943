"""Read commits: one `git cat-file --batch` process answers requests for trees and files.

Source: git-cat-file(1), "Batch output". An entry of a tree object is `MODE SP NAME NUL ID`; the id has 20 bytes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import repair
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import ProgramError

_BATCH = 500  # requests at once: they fit into a pipe, so git and this process do not block each other
_CHUNK = 1 << 20
# file types of git; the other bits of a mode do not change them, and git accepts a mode with other bits
_TYPE, _FOLDER, _FILE, _LINK = 0o170000, 0o040000, 0o100000, 0o120000


@dataclass
class TreeSize:
    """The number of files (links and submodules are files), of nested folders and of links of a tree."""

    files: int = 0
    depth: int = 0
    links: int = 0


MARKS = frozenset({"__manifest__.py", "__openerp__.py"})  # a folder with one of these files is an add-on of Odoo


@dataclass
class _Folder:
    """One tree object: the names and ids of its folders and links, its files of MARKS, and its size with everything below it."""

    marked: bool = False
    folders: list[tuple[str, str]] = field(default_factory=list)
    links: list[tuple[str, str]] = field(default_factory=list)
    size: TreeSize = field(default_factory=TreeSize)


class Objects:
    """The objects that a running `git cat-file --batch` can read."""

    def __init__(self, process: command.PipedProcess) -> None:
        self._process = process

    def files(self, commit: str, folders: int) -> dict[str, str]:
        """Path -> blob id of the files of a commit in at most `folders` nested folders, without links and submodules.

        Errors: ProgramError if the commit is missing.
        """
        found: dict[str, str] = {}
        level = {"": f"{commit}^{{tree}}"}
        for depth in range(folders + 1):
            below: dict[str, str] = {}
            trees = dict(self._read(sorted(set(level.values()))))
            for prefix, tree in level.items():
                for kind, name, digest in _entries(trees[tree] or b""):
                    if kind == _FOLDER:
                        below[f"{prefix}{name}/"] = digest
                    elif kind == _FILE:
                        found[prefix + name] = digest
            level = below if depth < folders else {}
        return found

    def tree(self, commit: str, most_depth: int) -> Tree:
        """The size of the tree of a commit and its links. Each tree object is read once, however often it occurs.

        A tree with more than `most_depth` nested folders is not read to its end. Errors: ProgramError if the commit is
        missing.
        """
        root = f"{commit}^{{tree}}"
        known: dict[str, _Folder] = {}
        level = [root]
        for _ in range(most_depth + 2):
            for name, data in self._read(level):
                known[name] = _folder(data or b"")
            level = sorted({digest for name in level for _, digest in known[name].folders} - known.keys())
            if not level:
                break
        else:
            return Tree(TreeSize(depth=most_depth + 1), self, known, root)
        _add_sizes(known, root)
        return Tree(known[root].size, self, known, root)

    def contents(
        self, ids: Mapping[str, str], most: int, total: int | None = None
    ) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """The content of files by name, and the names of the files that are skipped.

        A file with more than `most` bytes is skipped. Files with the same content share it; once all different contents have
        more than `total` bytes, further ones are skipped.
        """
        known: dict[str, bytes | None] = {}
        size = 0
        for digest, data in self._read(sorted(set(ids.values())), most):
            size += len(data or b"")
            known[digest] = data if total is None or size <= total else None
        complete = {name: data for name, digest in ids.items() if (data := known[digest]) is not None}
        return complete, tuple(name for name in ids if name not in complete)

    def _read(self, names: Sequence[str], most: int | None = None) -> Iterator[tuple[str, bytes | None]]:
        """The content of objects; None for an object with more than `most` bytes."""
        for start in range(0, len(names), _BATCH):
            batch = names[start : start + _BATCH]
            self._process.write("".join(f"{name}\n" for name in batch).encode())
            for name in batch:
                size = self._size(name)
                fits = most is None or size <= most
                if fits:
                    data = self._process.read(size)
                else:
                    for left in range(size, 0, -_CHUNK):
                        self._process.read(min(left, _CHUNK))
                self._process.read(1)
                yield name, data if fits else None

    def _size(self, name: str) -> int:
        words = self._process.read_line().split()
        if len(words) != 3:  # `NAME missing`
            raise ProgramError(f"git does not find the object {name[:12]}")
        return int(words[2])


class Tree:
    """The tree of a commit: its size, and its symbolic links on demand. Valid as long as its `Objects`."""

    def __init__(self, size: TreeSize, objects: Objects, known: Mapping[str, _Folder], root: str) -> None:
        self.size = size
        self._objects, self._known, self._root = objects, known, root

    def marked(self, shallowest: int, deepest: int) -> list[str]:
        """The folders with a file of MARKS from `shallowest` to `deepest` nested folders, sorted; those in another one, in hidden
        folders and in `node_modules` are left out."""
        found: list[str] = []
        pending = [("", self._root, 0)]
        while pending:
            prefix, tree, depth = pending.pop()
            for name, digest in self._known[tree].folders if tree in self._known else ():
                below = self._known.get(digest)
                if below is None or name.startswith(".") or name == "node_modules":
                    continue
                if below.marked:
                    found += [prefix + name] if depth + 1 >= shallowest else []
                elif depth + 1 < deepest:
                    pending.append((f"{prefix}{name}/", digest, depth + 1))
        return sorted(found)

    def links(self, most: int) -> list[tuple[str, str | None]]:
        """Path and target of every link; None for a target with more than `most` bytes."""
        found: list[tuple[str, str]] = []
        pending = [("", self._root)]
        while pending:
            prefix, tree = pending.pop()
            folder = self._known[tree]
            found += [(prefix + name, digest) for name, digest in folder.links]
            pending += [
                (f"{prefix}{name}/", digest) for name, digest in folder.folders if self._known[digest].size.links
            ]
        targets, _ = self._objects.contents({digest: digest for _, digest in found}, most)
        return [
            (path, targets[digest].decode(errors="surrogateescape") if digest in targets else None)
            for path, digest in found
        ]


def _folder(data: bytes) -> _Folder:
    folder = _Folder()
    for kind, name, digest in _entries(data):
        if kind == _FOLDER:
            folder.folders.append((name, digest))
        else:
            folder.size.files += 1
            folder.marked = folder.marked or (kind == _FILE and name in MARKS)
            if kind == _LINK:
                folder.links.append((name, digest))
    folder.size.links = len(folder.links)
    return folder


def _add_sizes(known: Mapping[str, _Folder], root: str) -> None:
    """Add to the size of each tree below `root` the sizes of its folders."""
    done: set[str] = set()
    pending = [root]
    while pending:
        folder = known[pending[-1]]
        missing = [digest for _, digest in folder.folders if digest not in done]
        if missing:
            pending += missing
            continue
        name = pending.pop()
        if name not in done:
            done.add(name)
            for _, digest in folder.folders:
                size = known[digest].size
                folder.size.files += size.files
                folder.size.links += size.links
                folder.size.depth = max(folder.size.depth, size.depth + 1)


def _entries(tree: bytes) -> Iterator[tuple[int, str, str]]:
    """Type, name and id of the entries of a tree. Errors: ProgramError for a damaged tree: a fetch does not check it."""
    position = 0
    while position < len(tree):
        mode, space, _ = tree[position : position + 7].partition(b" ")
        start = position + len(mode) + 1
        end = tree.find(b"\0", start)
        if not (space and mode.isdigit()) or set(mode) & set(b"89") or end < 0 or end + 21 > len(tree):
            raise ProgramError("the repository contains a damaged tree object; git fsck prints details")
        yield int(mode, 8) & _TYPE, tree[start:end].decode(errors="surrogateescape"), tree[end + 1 : end + 21].hex()
        position = end + 21


class Reader:
    """Reads repositories with as few git processes as possible. Threads can share it; they are served one at a time.

    A process reads the repositories that exist when it starts, and objects that are added to them later.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._included: dict[Path, None] = {}
        self._running = ExitStack()
        self._objects: dict[Path, Objects] = {}

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def include(self, repository: Path) -> None:
        """Announce a repository that will be read: the next process can read it, too."""
        self._included[repository] = None

    @contextmanager
    def reading(self, repository: Path) -> Iterator[Objects]:
        """The objects of a repository, inside the `with` block. Errors: ProgramError if git cannot read it."""
        with self._lock:
            if repository not in self._objects:
                self._start(repository)
            try:
                with repair.explained(repository):
                    yield self._objects[repository]
            except BaseException:
                self._end()  # the pipe may contain output that was not read
                raise
            finally:
                self._included.pop(repository, None)

    def _start(self, repository: Path) -> None:
        self._end()
        others = [path for path in list(self._included) if path != repository and (path / "objects").is_dir()]
        words = ["git", *git.CONFIG, "-C", str(repository), "cat-file", "--batch"]
        env = {
            "GIT_NO_LAZY_FETCH": "1",
            "GIT_ALTERNATE_OBJECT_DIRECTORIES": os.pathsep.join(_quoted(path / "objects") for path in others),
        }
        objects = Objects(self._running.enter_context(command.piped(words, env=env)))
        self._objects = dict.fromkeys((repository, *others), objects)

    def _end(self) -> None:
        self._objects = {}
        self._running.close()


def _quoted(path: Path) -> str:
    """A path in GIT_ALTERNATE_OBJECT_DIRECTORIES, quoted: it can contain a colon (git(1))."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
