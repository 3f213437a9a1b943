"""Queries about a checkout: HEAD, origin, local changes, committed folders. Damaged stores and their repair."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import fetch, integrity
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.errors import DescriptionError, OdpmError, ProgramError
from tests.unit import repositories
from tests.unit.adapters.conftest import URL, near
from tests.unit.repositories import put, repository, save, tip

pytestmark = pytest.mark.usefixtures("clean")


def test_head(tmp_path: Path, checkout: Path) -> None:
    first = tip(checkout)
    assert git.head(checkout) == git.Head(first, None, first)
    save(checkout, "mine", {"a/one.py": "mine\n"})
    assert git.head(checkout) == git.Head(tip(checkout), None, first)
    repositories.git(checkout, "switch", "--quiet", "-c", "feature/x")
    assert git.head(checkout) == git.Head(tip(checkout), "feature/x", first)
    assert git.head(tmp_path) is None
    assert git.head(tmp_path / "nowhere") is None
    empty = tmp_path / "empty"
    empty.mkdir()
    repositories.git(empty, "init", "--quiet", "-b", "main")
    assert git.head(empty) == git.Head(None, "main", None)


def test_origin_is_the_configured_url(checkout: Path) -> None:
    repositories.git(checkout, "config", "url.https://mirror.example/.insteadOf", "https://github.com/")
    assert git.origin(checkout) == URL
    repositories.git(checkout, "remote", "remove", "origin")
    assert git.origin(checkout) is None


def test_changes_of_tracked_files(checkout: Path) -> None:
    assert git.changes(checkout) == ()
    put(checkout, {"new": "x", "a/one.py": "mine\n", "README": None})
    repositories.git(checkout, "add", "a")
    assert sorted(git.changes(checkout)) == [" D README", "M  a/one.py"]


def test_failing_filter_is_an_error_with_a_command(checkout: Path) -> None:
    repositories.git(checkout, "config", "filter.broken.process", "no-such-filter")
    repositories.git(checkout, "config", "filter.broken.required", "true")
    put(checkout, {".git/info/attributes": "* filter=broken\n", "a/one.py": "1\n"})
    with pytest.raises(ProgramError) as caught:
        git.changes(checkout)
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  where: {checkout}"
    assert any("no-such-filter" in line for line in lines)
    assert lines[-1] == f"  next:  fix the problem until this command succeeds: git -C {checkout} status"


def test_tree_id_of_the_committed_folder(tmp_path: Path) -> None:
    where = repository(tmp_path / "project", {"addons/a": "1"})
    committed = git.tree_id(where, "addons")
    put(where, {"addons/a": "2"})
    assert git.tree_id(where, "addons") == committed == repositories.git(where, "rev-parse", "HEAD:addons")
    with pytest.raises(DescriptionError, match="not committed"):
        git.tree_id(where, "other")


def test_tree_id_in_a_subfolder_of_a_repository(tmp_path: Path) -> None:
    where = repository(tmp_path / "all", {"addons/other": "1", "shop/addons/a": "1"})
    assert git.tree_id(where / "shop", "addons") == repositories.git(where, "rev-parse", "HEAD:shop/addons")
    assert git.tree_id(where / "shop", "") == repositories.git(where, "rev-parse", "HEAD:shop")


def _packs(store: Path, suffix: str = ".pack") -> list[Path]:
    found = sorted((store / "objects/pack").glob(f"*{suffix}"))
    for path in found:
        path.chmod(0o644)
    return found


def _overwrite(store: Path, suffix: str, data: bytes) -> None:
    for path in _packs(store, suffix):
        path.write_bytes(data)


def _truncate(store: Path) -> None:
    for path in _packs(store):
        path.write_bytes(path.read_bytes()[:-30])


def _remove(store: Path, suffix: str) -> None:
    for path in _packs(store, suffix):
        path.unlink()


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated pack": _truncate,
    "empty pack": lambda store: _overwrite(store, ".pack", b""),
    "removed pack": lambda store: _remove(store, ".pack"),
    "overwritten index": lambda store: _overwrite(store, ".idx", b"\0" * 2000),
    "removed index": lambda store: _remove(store, ".idx"),
    "removed objects": lambda store: shutil.rmtree(store / "objects"),
    "empty HEAD": lambda store: (store / "HEAD").write_bytes(b""),
    "config of zeros": lambda store: (store / "config").write_bytes(b"\0" * 60),
    "damaged boundary": lambda store: (store / "shallow").write_bytes(b"\0" * 41),
}


def test_a_first_fetch_that_failed_is_no_damage(origin: Path, store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(OdpmError):
        fetch.fetch(store, near(origin), "nosuch")
    assert store.is_dir()
    fetch.fetch(store, near(origin), "19.0")
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damage_is_noticed_and_the_next_fetch_repairs_it(
    origin: Path, store: Path, damage: Callable[[Path], object], capsys: pytest.CaptureFixture[str]
) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    assert git.store_has(store, commit)
    damage(store)
    integrity.forget()  # as in the next run
    assert not git.store_has(store, commit)
    capsys.readouterr()
    assert fetch.fetch(store, near(origin), commit) == commit
    assert f"the cache of {origin.as_uri()} is damaged" in capsys.readouterr().err
    assert git.store_has(store, commit)
    assert repositories.git(store, "fsck", "--connectivity-only") == ""
    assert fetch.fetch(store, near(origin), "18.0") == tip(origin, "18.0")
    assert capsys.readouterr().err == ""


def test_commits_of_intact_packs_are_kept(origin: Path, store: Path) -> None:
    kept = fetch.fetch(store, near(origin), "18.0")
    before = set(_packs(store))
    lost = fetch.fetch(store, near(origin), "19.0")
    for path in set(_packs(store)) - before:
        path.write_bytes(path.read_bytes()[:-30])
    origin.rename(origin.with_name("away"))
    integrity.forget()
    assert fetch_again(store, origin, lost) is None
    assert git.store_has(store, kept)
    assert stores.commits(store) == stores.shallow_commits(store) == {kept}
    assert [path.name for path in (store / "objects/pack").glob(f"*{stores.DAMAGED}")]


def fetch_again(store: Path, origin: Path, commit: str) -> str | None:
    try:
        return fetch.fetch(store, near(origin), commit)
    except ProgramError:
        return None


def test_pack_that_is_being_received_is_no_damage(origin: Path, store: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    (store / "objects/pack/pack-0123.pack").write_bytes(b"PACK")  # git writes the index last
    integrity.forget()
    assert git.store_has(store, commit)
    assert integrity.broken_packs(store) == []


def test_damage_inside_a_pack_is_an_error_with_a_command(origin: Path, store: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    for path in _packs(store):
        data = path.read_bytes()
        path.write_bytes(data[:14] + bytes(byte ^ 0x55 for byte in data[14:-20]) + data[-20:])
    with pytest.raises(ProgramError) as caught, Reader() as reader, reader.reading(store) as objects:
        objects.files(commit, 0)
    with pytest.raises(ProgramError) as again:
        fetch.fetch(store, near(origin), "19.0")
    for error in (caught.value, again.value):
        assert error.where == str(store)
        assert "is damaged" in error.what
        assert error.todo.endswith(f"mv {store} {store}.damaged")
    store.rename(f"{store}.damaged")
    assert fetch.fetch(store, near(origin), "19.0") == commit
