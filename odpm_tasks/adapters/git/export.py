"""Build contexts for images: folders of files without git metadata, identical for identical content.

The mode is one of git's two, whatever the umask. The modification time of a file is derived from its content: the same
bytes have the same time on every machine and in every clone, other bytes another one. Odoo's asset bundles and browsers
detect changes by this time.
"""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.fingerprint import walk
from odpm_tasks.adapters.git import repair
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import EPOCH

_TIME_DIGITS = 7  # hex digits of an object id: a range of eight and a half years in seconds

# path, whether it is executable, object id of the content
Entry = tuple[str, bool, str]


def export(store: Path, commit: str, target: Path) -> None:
    """Write the files of a commit to `files` in a new folder."""
    scratch_folder = tempfile.TemporaryDirectory(prefix="odpm-index-")
    with repair.explained(store), _new_folder(target) as fresh, scratch_folder as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git.run(store, "read-tree", commit, env=env)
        command.run(
            ["git", *git.NO_CONVERSION, *git.LFS_POINTERS, "-c", "checkout.workers=0", "-c", "core.bare=false",
             f"--git-dir={_git_dir(store)}", f"--work-tree={fresh}", "checkout-index", "--all", "--force"],
            env=env, cwd=fresh,
        )  # fmt: skip
        _set_modes_and_times(fresh, _entries(store, env))


def export_folders(checkout: Path, folders: Sequence[str], target: Path) -> None:
    """Write the committed content (HEAD) of some folders of a checkout to `files` in a new folder, at the same paths.

    The checkout can be a subfolder of its repository; paths are relative to the checkout.
    """
    git_dir = git.query(checkout, "rev-parse", "--absolute-git-dir")
    with _new_folder(target) as fresh, tempfile.TemporaryDirectory(prefix="odpm-index-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        git.run(checkout, "read-tree", git.tree_id(checkout, ""), env=env)
        at = (f"--git-dir={git_dir}", f"--work-tree={fresh}")
        entries = [
            entry
            for entry in _entries(fresh, env, [f or "." for f in folders], at)
            if not entry[0].startswith(".odpm/")
        ]
        command.run(
            ["git", *git.NO_CONVERSION, "-c", "core.bare=false", *at, "checkout-index", "-z", "--stdin", "--force"],
            env=env, cwd=fresh, stdin=b"".join(os.fsencode(name) + b"\0" for name, _, _ in entries),
        )  # fmt: skip
        _set_modes_and_times(fresh, entries)


def export_files(folder: Path, target: Path, only: Sequence[str] = ("",)) -> None:
    """Write a folder to `files` in a new folder: the files of its fingerprint, without `.git` and byte code.

    `only`: these folders in it, without `.odpm`.
    """
    entries: list[Entry] = []
    skip = () if list(only) == [""] else (".odpm",)
    found = [(f"{below}/{name}".lstrip("/"), entry) for below in only for name, entry in walk(folder / below, skip)]
    with _new_folder(target) as fresh:
        for name, entry in found:
            copy = fresh / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if entry.is_symlink():
                copy.symlink_to(os.readlink(entry.path))  # noqa: PTH115 - the bytes unchanged
                content = os.fsencode(copy.readlink())
            elif entry.is_file():
                content = Path(entry.path).read_bytes()
                copy.write_bytes(content)
            else:
                continue  # a socket or a pipe has no content
            executable = bool(entry.stat(follow_symlinks=False).st_mode & 0o100)
            entries.append((name, executable, git.blob_id(content)))
        _set_modes_and_times(fresh, entries)


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """The subfolder `files` of a new folder, which is renamed to `target` at the end of the block.

    A subfolder, because BuildKit sets the time of a context's root itself and reads a `.dockerignore` there.
    """
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    with files.disk_errors(target):
        shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "files").mkdir(parents=True)
        yield fresh / "files"
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)


def _entries(
    repository: Path, env: dict[str, str], folders: Sequence[str] = (), options: Sequence[str] = ()
) -> list[Entry]:
    listing = git.run(repository, *options, "ls-files", "--stage", "-z", "--full-name", "--", *folders, env=env)
    entries = []
    for line in listing.stdout.split(b"\0"):
        if line:
            fields, _, name = line.partition(b"\t")
            mode, digest, _ = fields.decode().split(" ")
            if mode != "160000":  # a submodule has no files here
                entries.append((os.fsdecode(name), mode == "100755", digest))
    return entries


def _set_modes_and_times(tree: Path, entries: Iterable[Entry]) -> None:
    """Set mode and time of every file from its entry; every folder gets the time EPOCH."""
    root = os.fspath(tree)
    folders = [folder for folder, _, _ in os.walk(root, topdown=False)]
    inside = set(folders)
    for name, executable, digest in entries:
        path = f"{root}/{name}"
        if path.rpartition("/")[0] not in inside or not os.path.lexists(path):
            continue  # below a link, or a name that this file system does not distinguish from another one
        if not stat.S_ISLNK(os.lstat(path).st_mode):
            os.chmod(path, 0o755 if executable else 0o644)  # noqa: PTH101
        seconds = EPOCH + int(digest[:_TIME_DIGITS], 16)
        os.utime(path, (seconds, seconds), follow_symlinks=False)
    for folder in folders:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - the mode in the image
        os.utime(folder, (EPOCH, EPOCH))


def _git_dir(repository: Path) -> Path:
    return repository / ".git" if (repository / ".git").exists() else repository
