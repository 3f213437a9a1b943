"""Create checkouts, move unmodified ones, exclude generated files from git status."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from odpm_tasks.adapters.git import checkout as git_checkout
from odpm_tasks.adapters.git import fetch
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.errors import ProgramError
from tests.unit import repositories
from tests.unit.adapters.conftest import URL, near
from tests.unit.repositories import put, repository, tip, without_times

pytestmark = pytest.mark.usefixtures("clean")


def test_new_checkout_is_at_the_commit(origin: Path, store: Path, tmp_path: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    checkout = tmp_path / "project" / "web"
    repositories.check_out(checkout, store, commit, URL)
    assert git.head(checkout) == git.Head(commit, None, commit)
    assert (checkout / "a" / "two.py").read_bytes() == b"2\n"
    assert repositories.git(checkout, "status", "--porcelain") == ""
    assert repositories.git(checkout, "log", "--format=%s") == "second"
    assert git.origin(checkout) == URL
    assert [path.name for path in checkout.parent.iterdir()] == ["web"]
    repositories.git(checkout, "fsck", "--connectivity-only")


@pytest.mark.parametrize("url", [URL, 'ssh://git@host/a"b', r"git@host:a\b", "https://host/a#b;c", "https://host/ä b"])
def test_new_checkout_has_the_configuration_of_a_clone(
    shared_store: Path, shared_origin: Path, tmp_path: Path, url: str
) -> None:
    checkout = tmp_path / "web"
    repositories.check_out(checkout, shared_store, tip(shared_origin), url)
    repositories.git(tmp_path, "init", "-q", "--template=", "plain")
    for words in (["core.alternateRefsPrefixes", "refs/odpm/none"], ["remote.origin.url", url]):
        repositories.git(tmp_path / "plain", "config", *words)
    repositories.git(tmp_path / "plain", "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    asked = ("config", "--local", "--list")
    assert repositories.git(checkout, *asked) == repositories.git(tmp_path / "plain", *asked)
    assert (checkout / ".git/shallow").read_text(encoding="ascii") == f"{tip(shared_origin)}\n"


def test_checkout_borrows_objects_from_the_store(checkout: Path, shared_store: Path) -> None:
    assert (checkout / ".git/objects/info/alternates").read_text(encoding="utf-8") == f"{shared_store / 'objects'}\n"
    assert not list((checkout / ".git/objects").glob("??/*"))


def test_leftover_of_a_killed_run_is_replaced(origin: Path, store: Path, tmp_path: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    checkout = tmp_path / "project" / "web"
    half = checkout.with_name(f".web.{os.getpid()}")
    half.mkdir(parents=True)
    (half / "junk").write_bytes(b"x")
    repositories.check_out(checkout, store, commit, URL)
    assert not (checkout / "junk").exists()
    assert [path.name for path in checkout.parent.iterdir()] == ["web"]


def test_commit_missing_in_the_store_leaves_no_checkout(store: Path, origin: Path, tmp_path: Path) -> None:
    fetch.fetch(store, near(origin), "19.0")
    checkout = tmp_path / "project" / "web"
    with pytest.raises(ProgramError):
        repositories.check_out(checkout, store, "a" * 40, URL)
    assert not checkout.exists()


def test_unmodified_checkout_moves(checkout: Path, shared_store: Path, shared_origin: Path) -> None:
    put(checkout, {"mine/notes.txt": "kept"})
    repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    assert git.head(checkout) == git.Head(tip(shared_origin), None, tip(shared_origin))
    assert (checkout / "mine" / "notes.txt").read_text(encoding="utf-8") == "kept"
    assert not (checkout / "README").exists()
    assert repositories.git(checkout, "status", "--porcelain") == "?? mine/"
    repositories.check_out(checkout, shared_store, tip(shared_origin, "v1"), URL)
    assert (checkout / "README").exists()


def test_checkout_moves_after_git_gc(checkout: Path, shared_store: Path, shared_origin: Path) -> None:
    repositories.git(checkout, "gc", "--quiet")
    repositories.check_out(checkout, shared_store, tip(shared_origin), URL)
    assert (checkout / "a/one.py").read_text(encoding="utf-8") == "2\n"


def test_exclude_from_status_writes_info_exclude_only(tmp_path: Path) -> None:
    where = repository(tmp_path / "project", {".gitignore": "*.pyc\n"})
    put(where, {"docker-compose.yml": "x", "docker-compose.yml.orig": "x", ".git/info/exclude": "mine"})
    before = without_times(where)
    git_checkout.exclude_from_status(where, ["/docker-compose.yml", "/docker-compose.yml.orig*"])
    git_checkout.exclude_from_status(where, ["/docker-compose.yml", "/docker-compose.yml.orig*"])
    assert (where / ".git" / "info" / "exclude").read_text(encoding="utf-8") == (
        "mine\n/docker-compose.yml\n/docker-compose.yml.orig*\n"
    )
    assert repositories.git(where, "status", "--porcelain") == ""
    after = without_times(where)
    assert {name for name in after if after[name] != before.get(name)} == {".git/info/exclude"}
    git_checkout.exclude_from_status(tmp_path, ["/x"])


def test_exclude_from_status_in_a_subfolder_of_a_repository(tmp_path: Path) -> None:
    where = repository(tmp_path / "all", {"shop[1]/odpm.json": "{}"})
    put(where, {"shop[1]/docker-compose.yml": "x", "docker-compose.yml": "x"})
    git_checkout.exclude_from_status(where / "shop[1]", ["/docker-compose.yml"])
    assert repositories.git(where, "status", "--porcelain") == "?? docker-compose.yml"


def test_exclude_from_status_in_a_linked_working_tree(tmp_path: Path) -> None:
    where = repository(tmp_path / "project")
    linked = tmp_path / "linked"
    repositories.git(where, "worktree", "add", "--quiet", "--detach", str(linked))
    put(linked, {"docker-compose.yml": "x"})
    git_checkout.exclude_from_status(linked, ["/docker-compose.yml"])
    assert repositories.git(linked, "status", "--porcelain") == ""
