"""A checkout with work of the user is not moved; the error names a command that keeps the work."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import fetch
from odpm_tasks.errors import DataLossError
from tests.unit import repositories
from tests.unit.adapters.conftest import URL, near
from tests.unit.repositories import put, repository, save, tip, without_times

pytestmark = pytest.mark.usefixtures("clean")


def own_branch(checkout: Path) -> None:
    repositories.git(checkout, "switch", "--quiet", "-c", "mine")


def own_commit(checkout: Path) -> None:
    save(checkout, "mine", {"a/one.py": "mine\n"})


def own_commit_on_a_branch(checkout: Path) -> None:
    own_branch(checkout)
    own_commit(checkout)


def changed(checkout: Path) -> None:
    put(checkout, {"a/one.py": "mine\n"})


def staged(checkout: Path) -> None:
    put(checkout, {"b/new": "mine\n"})
    repositories.git(checkout, "add", "--all")


def removed(checkout: Path) -> None:
    put(checkout, {"a/one.py": None})


def untracked_file_of_the_target(checkout: Path) -> None:
    put(checkout, {"a/two.py": "mine\n"})


def amended_commit(checkout: Path) -> None:
    repositories.git(checkout, "checkout", "--quiet", "--detach", "HEAD")
    repositories.git(checkout, "commit", "--quiet", "--allow-empty", "--amend", "-m", "amended")


@pytest.mark.parametrize(
    ("modify", "message"),
    [
        (own_branch, "is on your branch 'mine'"),
        (own_commit_on_a_branch, "is on your branch 'mine'"),
        (own_commit, "your own commit"),
        (amended_commit, "your own commit"),
        (changed, "has local changes"),
        (staged, "has local changes"),
        (removed, "has local changes"),
        (untracked_file_of_the_target, "prevent a checkout"),
    ],
)
def test_local_work_prevents_a_move(
    checkout: Path, shared_store: Path, shared_origin: Path, modify: Callable[[Path], None], message: str
) -> None:
    modify(checkout)
    repositories.git(checkout, "status")
    before = without_times(checkout)
    with pytest.raises(DataLossError, match=message) as caught:
        repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    assert caught.value.exit_code == 7
    assert caught.value.where == str(checkout)
    assert caught.value.todo
    borrowed = {".git/objects/info/alternates", ".git/shallow"}  # only tell git where objects are
    after = without_times(checkout)
    assert {name: after.get(name) for name in before if name not in borrowed} == {
        name: before[name] for name in before if name not in borrowed
    }
    assert set(after) - set(before) <= borrowed


@pytest.mark.parametrize("modify", [own_commit, own_branch])
def test_suggested_command_keeps_the_work(
    checkout: Path, shared_store: Path, shared_origin: Path, modify: Callable[[Path], None]
) -> None:
    modify(checkout)
    mine = tip(checkout)
    with pytest.raises(DataLossError) as caught:
        repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    subprocess.run(["sh", "-c", caught.value.todo.partition(": ")[2] or caught.value.todo], check=True)
    repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    assert repositories.git(checkout, "branch", "--contains", mine, "--format=%(refname:short)")


def test_stash_survives_a_move(checkout: Path, shared_store: Path, shared_origin: Path) -> None:
    changed(checkout)
    repositories.git(checkout, "stash")
    repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    assert repositories.git(checkout, "stash", "list")


def test_ignored_file_is_not_overwritten(checkout: Path, shared_store: Path, shared_origin: Path) -> None:
    put(checkout, {".git/info/exclude": "two.py\n", "a/two.py": "mine"})
    with pytest.raises(DataLossError):
        repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    assert (checkout / "a/two.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize("flag", ["--assume-unchanged", "--skip-worktree"])
def test_change_that_git_status_omits_is_not_overwritten(
    checkout: Path, shared_store: Path, shared_origin: Path, flag: str
) -> None:
    repositories.git(checkout, "update-index", flag, "a/one.py")
    put(checkout, {"a/one.py": "mine"})
    with pytest.raises(DataLossError):
        repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    assert (checkout / "a/one.py").read_text(encoding="utf-8") == "mine"


@pytest.mark.parametrize(
    "make", [lambda path: put(path, {"notes": "x"}), lambda path: (path / ".git").mkdir(parents=True)]
)
def test_foreign_folder_is_not_changed(store: Path, origin: Path, tmp_path: Path, make: Callable[[Path], None]) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    checkout = tmp_path / "project" / "web"
    make(checkout)
    before = without_times(checkout)
    with pytest.raises(DataLossError, match="foreign folder") as caught:
        repositories.check_out(checkout, store, commit, URL)
    assert caught.value.exit_code == 7
    assert without_times(checkout) == before


def test_foreign_repository_is_not_changed(store: Path, origin: Path, tmp_path: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    checkout = repository(tmp_path / "project" / "web", {"notes": "mine"}, branch="main")
    repositories.git(checkout, "checkout", "--quiet", "--detach")
    before = without_times(checkout)
    with pytest.raises(DataLossError, match="your own commit"):
        repositories.check_out(checkout, store, commit, URL)
    assert without_times(checkout) == before


def test_link_at_the_path_of_a_checkout_is_not_followed(checkout: Path, shared_store: Path) -> None:
    before = tip(checkout)
    link = checkout.with_name("link")
    for target in (checkout, checkout.with_name("missing")):
        link.symlink_to(target)
        with pytest.raises(DataLossError):
            repositories.check_out(link, shared_store, before, URL)
        assert link.is_symlink()
        link.unlink()
    assert tip(checkout) == before
