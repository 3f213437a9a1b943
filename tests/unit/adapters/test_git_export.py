"""Build contexts: files of a commit, of a checkout, of a folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import export, fetch
from tests.unit import repositories
from tests.unit.adapters.conftest import near
from tests.unit.repositories import put, repository, save, without_times

pytestmark = pytest.mark.usefixtures("clean")


def test_export_contains_the_files_without_git_metadata(origin: Path, store: Path, tmp_path: Path) -> None:
    put(origin, {".dockerignore": "*\n", "a/.dockerignore": "*\n", ".gitignore": "x\n", "run": "#!/bin/sh\n"})
    (origin / "run").chmod(0o755)
    (origin / "link").symlink_to("run")
    commit = save(origin, "more")
    fetch.fetch(store, near(origin), "19.0")
    before = without_times(store)
    target = tmp_path / "trees" / commit
    export.export(store, commit, target)
    target = target / "files"
    assert {str(path.relative_to(target)) for path in target.rglob("*") if not path.is_dir()} == {
        ".dockerignore",
        ".gitignore",
        "a/.dockerignore",
        "a/one.py",
        "a/two.py",
        "link",
        "run",
    }
    assert (target / "a" / "one.py").read_bytes() == b"2\n"
    assert os.access(target / "run", os.X_OK)
    assert (target / "link").readlink() == Path("run")
    assert [path.name for path in target.parents[1].iterdir()] == [commit]
    assert without_times(store) == before


def modes_and_times(tree: Path) -> dict[str, tuple[int, int]]:
    """Mode and modification time by relative path, the root included."""
    return {str(p.relative_to(tree)): (p.lstat().st_mode, p.lstat().st_mtime_ns) for p in [tree, *tree.rglob("*")]}


def test_existing_folder_is_replaced(origin: Path, store: Path, tmp_path: Path) -> None:
    target = tmp_path / "tree"
    put(target, {"odoo-bin": "as it was laid once\n"})
    export.export(store, fetch.fetch(store, near(origin), "19.0"), target)
    assert [path.name for path in target.iterdir()] == ["files"]


def test_modes_and_times_depend_on_the_content_only(origin: Path, store: Path, tmp_path: Path) -> None:
    """The same for an export from the store, from a checkout and from a folder, with any umask."""
    put(origin, {"run": "#!/bin/sh\n", "a/c/deep.py": "1\n"})
    (origin / "run").chmod(0o755)
    (origin / "link").symlink_to("run")
    commit = save(origin, "more")
    fetch.fetch(store, near(origin), "19.0")
    export.export(store, commit, tmp_path / "first")
    expected = modes_and_times(tmp_path / "first/files")
    assert expected["run"][0] & 0o777 == 0o755
    assert {mode & 0o777 for name, (mode, _) in expected.items() if name.endswith(".py")} == {0o644}
    assert len({when for name, (_, when) in expected.items() if name.endswith(".py")}) == 2  # of three contents
    before = os.umask(0o077)
    try:
        export.export(store, commit, tmp_path / "second")
        export.export_folders(origin, [""], tmp_path / "third")
        (origin / "a/__pycache__").mkdir()
        put(origin, {"a/__pycache__/one.pyc": "x"})
        export.export_files(origin, tmp_path / "fourth")
    finally:
        os.umask(before)
    assert [modes_and_times(tmp_path / name / "files") for name in ("second", "third", "fourth")] == [
        expected,
        expected,
        expected,
    ]
    put(origin, {"a/one.py": "3\n"})
    export.export_files(origin, tmp_path / "fifth")
    changed = modes_and_times(tmp_path / "fifth/files")
    assert {name for name in expected if expected[name] != changed[name]} == {"a/one.py"}


def test_export_of_folders_contains_the_committed_content(tmp_path: Path) -> None:
    where = repository(tmp_path / "project", {"addons/a": "1", "other/b": "1", ".odpm/x": "1"})
    put(where, {"addons/a": "changed", "addons/new": "x"})
    export.export_folders(where, ["addons"], tmp_path / "out")
    assert {name: data for name, (data, _) in without_times(tmp_path / "out/files").items() if data} == {
        "addons/a": b"1"
    }
    assert repositories.git(where, "status", "--porcelain") == "M addons/a\n?? addons/new"


def test_export_of_a_project_in_a_subfolder_of_its_repository(tmp_path: Path) -> None:
    """Paths are relative to the project; files of the repository with the same paths do not get in."""
    files = {"addons/a": "1", ".odpm/x": "1"}
    where = repository(
        tmp_path / "all", {"addons/wrong": "1", **{f"shop/{name}": text for name, text in files.items()}}
    )
    for folders in (["addons"], [""]):
        export.export_folders(where / "shop", folders, tmp_path / "out")
        found = without_times(tmp_path / "out/files")
        assert {name: data for name, (data, _) in found.items() if data} == {"addons/a": b"1"}
    assert repositories.git(where, "status", "--porcelain") == ""
