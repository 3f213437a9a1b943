"""Folders that an image is built from: files without git, the same for everybody who has the same content.

Modes are git's two, whatever the umask. A file's time is made of its content: the same bytes have the same time on every
machine and in every clone, and other bytes another one, which Odoo's asset bundles and browsers ask for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.fingerprint import walk
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import EPOCH

_SPAN = 7  # hex digits of an object id: eight and a half years of seconds

# name in the tree, whether it is executable, id of the content
Entry = tuple[str, bool, str]


def export(store: Path, commit: str, target: Path) -> None:
    """Write a commit's files, and nothing of git, to `files` in a new folder."""
    with _new_folder(target) as fresh, tempfile.TemporaryDirectory(prefix="odpm-index-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        command.run(["git", *git.CONFIG, "-C", str(store), "read-tree", commit], env=env)
        command.run(
            ["git", *git.NO_CONVERSION, *git.LFS_POINTERS, "-c", "checkout.workers=0", "-c", "core.bare=false",
             f"--git-dir={_git_dir(store)}", f"--work-tree={fresh}", "checkout-index", "--all", "--force"],
            env=env, cwd=fresh,
        )  # fmt: skip
        _set_modes_and_times(fresh, _entries(store, env))


def export_folders(checkout: Path, folders: Sequence[str], target: Path) -> None:
    """Write the committed content (HEAD) of some folders of a checkout to `files` in a new folder, at the same names."""
    with _new_folder(target) as fresh, tempfile.TemporaryDirectory(prefix="odpm-index-") as scratch:
        env = {"GIT_INDEX_FILE": str(Path(scratch) / "index")}
        command.run(["git", *git.CONFIG, "-C", str(checkout), "read-tree", "HEAD^{tree}"], env=env)
        entries = [
            entry for entry in _entries(checkout, env, [f or "." for f in folders]) if not entry[0].startswith(".odpm/")
        ]
        command.run(
            ["git", *git.NO_CONVERSION, "-C", str(checkout), "checkout-index", "-z", "--stdin", "--force",
             f"--prefix={fresh}/"],
            env=env, stdin=b"".join(os.fsencode(name) + b"\0" for name, _, _ in entries),
        )  # fmt: skip
        _set_modes_and_times(fresh, entries)


def export_files(folder: Path, target: Path) -> None:
    """Write what counts of a `file://` source to `files` in a new folder: all but `.git` and byte code, as its fingerprint has it."""
    entries: list[Entry] = []
    with _new_folder(target) as fresh:
        for name, entry in walk(folder):
            copy = fresh / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            if entry.is_symlink():
                copy.symlink_to(os.readlink(entry.path))  # noqa: PTH115 - bytes as they are
                content = os.fsencode(copy.readlink())
            elif entry.is_file():
                content = Path(entry.path).read_bytes()
                copy.write_bytes(content)
            else:
                continue  # a socket or a pipe has no content
            executable = bool(entry.stat(follow_symlinks=False).st_mode & 0o100)
            entries.append((name, executable, _blob_id(content)))
        _set_modes_and_times(fresh, entries)


def _blob_id(content: bytes) -> str:
    """As git has it, so that a file has one time however it came."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@contextmanager
def _new_folder(target: Path) -> Iterator[Path]:
    """The folder `files` of a new folder, which appears as `target` when all is in it.

    BuildKit gives the top of a context a time of its own, and heeds a `.dockerignore` there: what is built from is below.
    """
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    with files.disk_errors(target):
        shutil.rmtree(fresh, ignore_errors=True)
        (fresh / "files").mkdir(parents=True)
        yield fresh / "files"
        shutil.rmtree(target, ignore_errors=True)
        fresh.rename(target)


def _entries(repository: Path, env: dict[str, str], folders: Sequence[str] = ()) -> list[Entry]:
    listing = command.run(
        ["git", *git.CONFIG, "-C", str(repository), "ls-files", "--stage", "-z", "--full-name", "--", *folders], env=env
    )
    entries = []
    for line in listing.stdout.split(b"\0"):
        if line:
            told, _, name = line.partition(b"\t")
            mode, digest, _ = told.decode().split(" ")
            if mode != "160000":  # a submodule has no files here
                entries.append((os.fsdecode(name), mode == "100755", digest))
    return entries


def _set_modes_and_times(tree: Path, entries: Iterable[Entry]) -> None:
    """Give every file the mode and time that its content asks for, and every folder the oldest time."""
    root = os.fspath(tree)
    folders = [folder for folder, _, _ in os.walk(root, topdown=False)]
    inside = set(folders)
    for name, executable, digest in entries:
        path = f"{root}/{name}"
        if path.rpartition("/")[0] not in inside or not os.path.lexists(path):
            continue  # behind a link, or a name that this disk cannot tell from another one
        if not stat.S_ISLNK(os.lstat(path).st_mode):
            os.chmod(path, 0o755 if executable else 0o644)  # noqa: PTH101
        when = EPOCH + int(digest[:_SPAN], 16)
        os.utime(path, (when, when), follow_symlinks=False)
    for folder in folders:
        os.chmod(folder, 0o755)  # noqa: PTH101, S103 - what the image is to have
        os.utime(folder, (EPOCH, EPOCH))


def _git_dir(repository: Path) -> Path:
    return repository / ".git" if (repository / ".git").exists() else repository
