"""Reading commits: a `git cat-file --batch` that is asked for trees, then for files, and answers at once.

Source: git-cat-file(1), "Batch output". A tree object is a row of `MODE SP NAME NUL ID`, the id in 20 bytes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import ProgramError

_AT_ONCE = 500  # questions; all of them fit into a pipe, so that neither side waits for the other to read
_CHUNK = 1 << 20


class Objects:
    """The objects that a git was started to read."""

    def __init__(self, talk: command.PipedProcess) -> None:
        self._talk = talk

    def files(self, commit: str, folders: int) -> dict[str, str]:
        """The ids of the files of a commit that lie at most so many folders deep, by `/`-separated name.

        Links and submodules are none. Errors: ProgramError where the commit is not there.
        """
        found: dict[str, str] = {}
        level = {"": f"{commit}^{{tree}}"}
        for depth in range(folders + 1):
            below: dict[str, str] = {}
            trees = dict(self._read(sorted(set(level.values()))))
            for prefix, tree in level.items():
                for mode, name, digest in _entries(trees[tree] or b""):
                    if mode == b"40000":
                        below[f"{prefix}{name}/"] = digest
                    elif mode.startswith(b"100"):
                        found[prefix + name] = digest
            level = below if depth < folders else {}
        return found

    def contents(self, ids: Mapping[str, str], most: int) -> tuple[dict[str, bytes], tuple[str, ...]]:
        """The bytes of files by name, and the names of those that have more than `most`, which are not kept."""
        known = dict(self._read(sorted(set(ids.values())), most))
        whole = {name: data for name, digest in ids.items() if (data := known[digest]) is not None}
        return whole, tuple(name for name in ids if name not in whole)

    def _read(self, names: Sequence[str], most: int | None = None) -> Iterator[tuple[str, bytes | None]]:
        """The bytes of objects, None for more than `most` of them."""
        for start in range(0, len(names), _AT_ONCE):
            some = names[start : start + _AT_ONCE]
            self._talk.write("".join(f"{name}\n" for name in some).encode())
            for name in some:
                size = self._size(name)
                fits = most is None or size <= most
                if fits:
                    data = self._talk.read(size)
                else:
                    for left in range(size, 0, -_CHUNK):
                        self._talk.read(min(left, _CHUNK))
                self._talk.read(1)
                yield name, data if fits else None

    def _size(self, name: str) -> int:
        words = self._talk.read_line().split()
        if len(words) != 3:  # `NAME missing`
            raise ProgramError(f"git does not find the object {name[:12]}")
        return int(words[2])


def _entries(tree: bytes) -> Iterator[tuple[bytes, str, str]]:
    """Mode, name and id of what a tree holds. Errors: ProgramError where it is none: a fetch does not look inside."""
    position = 0
    while position < len(tree):
        mode, space, _ = tree[position : position + 7].partition(b" ")
        start = position + len(mode) + 1
        end = tree.find(b"\0", start)
        if not (space and mode.isdigit()) or end < 0 or end + 21 > len(tree):
            raise ProgramError("a folder of the repository is damaged; git fsck tells more")
        yield mode, tree[start:end].decode(errors="surrogateescape"), tree[end + 1 : end + 21].hex()
        position = end + 21


class Reader:
    """Reads many repositories by as few processes as it can; for several threads, which are served one after another.

    A git reads the repositories that it was started with, and whatever is added to them while it runs.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._included: dict[Path, None] = {}
        self._known: frozenset[Path] = frozenset()
        self._running = ExitStack()
        self._objects: Objects | None = None

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def include(self, repository: Path) -> None:
        """Tell of a repository that will be read: the next git is started with it."""
        self._included[repository] = None

    @contextmanager
    def reading(self, repository: Path) -> Iterator[Objects]:
        """The objects of a repository, for as long as the block lasts. Errors: ProgramError where git cannot read it."""
        with self._lock:
            if repository not in self._known:
                self._start(repository)
            assert self._objects is not None
            try:
                yield self._objects
            except BaseException:
                self._end()  # there may be answers that nobody has read
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
        self._objects = Objects(self._running.enter_context(command.piped(words, env=env)))
        self._known = frozenset((repository, *others))

    def _end(self) -> None:
        self._known = frozenset()
        self._running.close()


def _quoted(path: Path) -> str:
    """A path in a list of them: there may be a port in it (git(1), GIT_ALTERNATE_OBJECT_DIRECTORIES)."""
    return '"' + str(path).replace("\\", "\\\\").replace('"', '\\"') + '"'
