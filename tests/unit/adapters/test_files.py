"""Files: atomic replacement, backups, locks, fingerprints."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.adapters import files
from odpm_tasks.adapters.fingerprint import fingerprint, walk
from odpm_tasks.errors import BusyError, DescriptionError, MachineError


@contextlib.contextmanager
def small_disk(size: int) -> Iterator[None]:
    """No file of this process may grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_write_replaces_atomically_and_creates_folders(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "file"
    files.write(path, b"one")
    before = path.stat()
    files.write(path, b"two", 0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.stat().st_ino != before.st_ino
    assert before.st_mode & 0o777 == 0o644
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_failed_write_keeps_the_old_bytes_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write(path, b"old")
    with pytest.raises(OSError, match="too large"), small_disk(4096):
        files.write(path, b"x" * 100_000)
    assert path.read_bytes() == b"old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_folder_instead_of_a_file_is_kept(tmp_path: Path) -> None:
    (tmp_path / "file").mkdir()
    with pytest.raises(OSError, match="directory"):
        files.write(tmp_path / "file", b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]
    with pytest.raises(DescriptionError, match="a folder exists where a file is needed"):
        files.read(tmp_path / "file")


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (errno.ENOSPC, "the disk is full"),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "cannot write: Permission denied"),
        (errno.EROFS, "cannot write: Read-only file system"),
    ],
)
def test_disk_errors_become_machine_errors(code: int, said: str) -> None:
    with pytest.raises(MachineError) as caught, files.disk_errors(Path("/srv/project/file")):
        raise OSError(code, os.strerror(code))
    assert caught.value.what == said
    assert caught.value.where == "/srv/project/file"
    assert caught.value.exit_code == 8


def test_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert files.read(path) is None
    path.write_bytes(b"\xef\xbb\xbfa\r\n")
    assert files.read(path) == b"\xef\xbb\xbfa\r\n"
    assert files.read_text(path) == "a\r\n"
    assert files.read(path / "below") is None
    path.write_bytes(b"ok\xff")
    with pytest.raises(DescriptionError, match=r"not UTF-8 text \(byte 2\)"):
        files.read_text(path)


def edit_and_replace(path: Path, text: str) -> str:
    """Edit a generated file and generate it again; returns the name of the backup."""
    files.write(path, text.encode())
    kept: list[Path] = []
    files.write(path, b"generated", before_replace=lambda: kept.append(files.keep_original(path)))
    assert path.read_bytes() == b"generated"
    return kept[0].name


def test_backups_are_numbered(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    kept = [edit_and_replace(path, text) for text in ("one", "two", "three")]
    assert kept == ["compose.yml.orig", "compose.yml.orig.1", "compose.yml.orig.2"]
    assert [(tmp_path / name).read_text(encoding="utf-8") for name in kept] == ["one", "two", "three"]


def test_same_content_is_backed_up_once(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    assert [edit_and_replace(path, "mine") for _ in range(2)] == ["compose.yml.orig"] * 2
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["compose.yml", "compose.yml.orig"]


def test_changed_backup_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    edit_and_replace(path, "mine")
    (tmp_path / "compose.yml.orig").write_text("mine, and more", encoding="utf-8")
    assert edit_and_replace(path, "mine") == "compose.yml.orig.1"
    assert (tmp_path / "compose.yml.orig").read_text(encoding="utf-8") == "mine, and more"


def test_existing_folder_or_link_with_the_name_of_a_backup_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "compose.yml"
    (tmp_path / "compose.yml.orig").mkdir()
    (tmp_path / "compose.yml.orig.1").symlink_to("nowhere")
    assert edit_and_replace(path, "mine") == "compose.yml.orig.2"
    assert (tmp_path / "compose.yml.orig.1").is_symlink()


@pytest.mark.parametrize("target", ["elsewhere.yml", "nowhere"])
def test_link_is_backed_up_and_its_target_unchanged(tmp_path: Path, target: str) -> None:
    path, other = tmp_path / "compose.yml", tmp_path / "elsewhere.yml"
    other.write_text("mine", encoding="utf-8")
    path.symlink_to(target)
    files.write(path, b"generated", before_replace=lambda: files.keep_original(path))
    assert not path.is_symlink()
    assert (tmp_path / "compose.yml.orig").readlink() == Path(target)
    assert other.read_text(encoding="utf-8") == "mine"


def test_failed_write_keeps_the_edited_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    files.write(path, b"mine")
    with pytest.raises(OSError, match="too large"), small_disk(4096):
        files.write(path, b"x" * 100_000, before_replace=lambda: files.keep_original(path))
    assert path.read_bytes() == b"mine"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_digest_below(tmp_path: Path) -> None:
    root, outside = tmp_path / "root", tmp_path / "outside"
    for folder in (root / "a", outside):
        folder.mkdir(parents=True)
        (folder / "file").write_bytes(b"x")
    (root / "link").symlink_to("a/file")
    (root / "way").symlink_to(outside)
    assert files.digest_below(root, "a/file") == files.sha256(b"x")
    for name in ("a", "gone", "link", "way/file", "../outside/file"):
        assert files.digest_below(root, name) is None


OTHER = """
import sys
from pathlib import Path
from odpm_tasks.adapters import files
from odpm_tasks.errors import BusyError
try:
    with files.exclusive(Path(sys.argv[1]), "this project"):
        print("held", flush=True)
        sys.stdin.read()
except BusyError as error:
    print(error)
    raise SystemExit(error.exit_code)
"""


def other(path: Path) -> subprocess.Popen[str]:
    """Another process that takes the lock, prints that, and holds it until its input ends."""
    words = [sys.executable, "-c", OTHER, str(path)]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_error_names_the_process_that_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.lock"
    with files.exclusive(path, "this project"), other(path) as process:
        said, _ = process.communicate()
        assert process.returncode == 6
        assert said.startswith(f"odpm: process {os.getpid()} (since ")
        assert "holds this project" in said
    with other(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"process {process.pid} ") as caught, files.exclusive(path, "this project"):
            pass
        assert caught.value.where == str(path)
        process.communicate()
    with files.exclusive(path, "this project"):
        pass


def test_exclusive_waits_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with other(path) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        assert process.stdin is not None
        threading.Timer(0.2, process.stdin.close).start()
        with files.exclusive(path, "this project", wait=10):
            process.wait()


def test_lock_of_a_killed_process_is_free(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with other(path) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
        process.wait()
        with files.exclusive(path, "this project", wait=5):
            assert str(os.getpid()) in (tmp_path / "run.lock.holder").read_text(encoding="utf-8")


def test_lock_is_reentrant(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    with files.exclusive(path, "it"):
        with files.exclusive(path, "it"):
            pass
        with other(path) as process:
            process.communicate()
            assert process.returncode == 6
    with other(path) as process:
        process.communicate()
        assert process.returncode == 0


def test_lock_excludes_other_threads(tmp_path: Path) -> None:
    path = tmp_path / "run.lock"
    seen: list[BaseException | None] = []

    def try_it() -> None:
        try:
            with files.exclusive(path, "it"):
                seen.append(None)
        except BusyError as error:
            seen.append(error)

    with files.exclusive(path, "it"):
        thread = threading.Thread(target=try_it)
        thread.start()
        thread.join()
    assert isinstance(seen[0], BusyError)


def tree(root: Path) -> Path:
    (root / "mod").mkdir(parents=True)
    (root / "mod" / "__init__.py").write_text("import x\n", encoding="utf-8")
    (root / "run.sh").write_text("#!/bin/sh\n", encoding="utf-8")
    (root / "link").symlink_to("run.sh")
    return root


def test_fingerprint_is_independent_of_the_location(tmp_path: Path) -> None:
    first, second = tree(tmp_path / "one"), tree(tmp_path / "two" / "deep")
    assert fingerprint(first) == fingerprint(second)
    assert len(fingerprint(first)) == 40
    assert set(fingerprint(first)) <= set("0123456789abcdef")


def relink(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").symlink_to("mod")


def link_to_file(root: Path) -> None:
    (root / "link").unlink()
    (root / "link").write_text("run.sh", encoding="utf-8")


@pytest.mark.parametrize(
    "change",
    [
        lambda root: (root / "run.sh").write_bytes(b"#!/bin/sh\r\n"),
        lambda root: (root / "mod" / "__init__.py").write_text("import y\n", encoding="utf-8"),
        lambda root: (root / "run.sh").chmod(0o755),
        lambda root: (root / "run.sh").rename(root / "walk.sh"),
        lambda root: (root / "run.sh").rename(root / "mod" / "run.sh"),
        lambda root: (root / "new").write_bytes(b""),
        lambda root: (root / "run.sh").unlink(),
        relink,
        link_to_file,
    ],
)
def test_fingerprint_changes_with(tmp_path: Path, change: Callable[[Path], object]) -> None:
    root = tree(tmp_path / "tree")
    before = fingerprint(root)
    change(root)
    assert fingerprint(root) != before


def noise(root: Path) -> None:
    for name in (".git/objects/x", "mod/__pycache__/a.txt", "mod/x.pyc", "mod/deep/.git/HEAD"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


@pytest.mark.parametrize(
    "change",
    [
        noise,
        lambda root: os.utime(root / "run.sh", (1, 1)),
        lambda root: (root / "run.sh").chmod(0o600),
        lambda root: (root / "empty").mkdir(),
    ],
)
def test_fingerprint_ignores(tmp_path: Path, change: Callable[[Path], object]) -> None:
    root = tree(tmp_path / "tree")
    before = fingerprint(root)
    change(root)
    assert fingerprint(root) == before


def test_walk_is_sorted_and_does_not_follow_links(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree")
    noise(root)
    (root / "round").symlink_to(root, target_is_directory=True)
    (root / "b").mkdir()
    (root / "b" / "a").write_bytes(b"")
    (root / "b-a").write_bytes(b"")
    assert [name for name, _ in walk(root)] == ["b-a", "b/a", "link", "mod/__init__.py", "round", "run.sh"]


@given(
    st.dictionaries(st.text("ab", min_size=1, max_size=3), st.binary(max_size=4), max_size=3),
    st.dictionaries(st.text("ab", min_size=1, max_size=3), st.binary(max_size=4), max_size=3),
)
def test_fingerprints_are_equal_only_for_equal_trees(
    tmp_path_factory: pytest.TempPathFactory, first: dict[str, bytes], second: dict[str, bytes]
) -> None:
    roots = [tmp_path_factory.mktemp("tree") for _ in range(2)]
    for root, held in zip(roots, (first, second), strict=True):
        for name, data in held.items():
            (root / name).write_bytes(data)
    assert (fingerprint(roots[0]) == fingerprint(roots[1])) == (first == second)
