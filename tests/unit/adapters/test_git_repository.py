"""Queries about a checkout: HEAD, origin, local changes, committed folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import DescriptionError, ProgramError
from tests.unit import repositories
from tests.unit.adapters.conftest import URL
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
