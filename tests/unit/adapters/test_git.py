"""The door to git, with real repositories: what is fetched, what is put where, and what is never touched."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import cat_file, export, fetch
from odpm_tasks.adapters.git import checkout as worktree
from odpm_tasks.adapters.git import remote as access
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.errors import DataLossError, DescriptionError, OdpmError, ProgramError
from tests.unit import repositories
from tests.unit.repositories import packed, put, repository, save, tip, without_times

pytestmark = pytest.mark.usefixtures("clean")
URL = "https://github.com/OCA/web"


def near(path: Path) -> access.Remote:
    """A repository of this machine as a server."""
    return access.remote(URL, mirrors=[(URL, f"file://{path}")])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `origin` is copied from: making it takes a dozen calls of git."""
    where = repository(tmp_path_factory.mktemp("server") / "web", {"a/one.py": "1\n", "README": "web\n"})
    repositories.git(where, "tag", "-a", "-m", "annotated", "v1")
    repositories.git(where, "tag", "light")
    save(where, "second", {"a/one.py": "2\n", "a/two.py": "2\n", "README": None})
    repositories.git(where, "branch", "18.0", "v1^{commit}")
    return packed(where)


@pytest.fixture
def origin(tmp_path: Path, served: Path) -> Path:
    """A server's repository: two commits on 19.0, one on 18.0, a tag of each kind."""
    return Path(shutil.copytree(served, tmp_path / "server" / "web", symlinks=True))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "git" / "web.git"


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory, served: Path) -> Path:
    """A store with both commits of 19.0, and beside it a checkout of the first one. Nobody writes there."""
    store = tmp_path_factory.mktemp("cache") / "web.git"
    fetch.fetch(store, near(served), "19.0")
    repositories.check_out(store.with_name("first"), store, fetch.fetch(store, near(served), "v1"), URL)
    return store


@pytest.fixture
def placed(tmp_path: Path, stocked: Path) -> Path:
    """A checkout of the first commit."""
    return Path(shutil.copytree(stocked.with_name("first"), tmp_path / "project" / "web", symlinks=True))


# Fetching


@pytest.mark.parametrize("name", ["19.0", "18.0", "v1", "light"])
def test_a_branch_or_tag_of_either_kind_gives_its_commit(origin: Path, store: Path, name: str) -> None:
    commit = fetch.fetch(store, near(origin), name)
    assert commit == tip(origin, name)
    assert git.store_has(store, commit)
    assert repositories.git(store, "rev-list", "--count", commit) == "1"
    assert repositories.git(store, "for-each-ref", "--format=%(refname)") == f"refs/odpm/commits/{commit}"


def test_a_branch_counts_before_a_tag_of_its_name(origin: Path, store: Path) -> None:
    repositories.git(origin, "tag", "19.0", "v1^{commit}")
    assert fetch.fetch(store, near(origin), "19.0") == tip(origin, "refs/heads/19.0")


def test_a_full_commit_that_no_branch_ends_in(origin: Path, store: Path) -> None:
    save(origin, "third")
    middle = tip(origin, "HEAD~1")
    assert fetch.fetch(store, near(origin), middle) == middle
    assert git.store_has(store, middle)
    assert not git.store_has(store, tip(origin))


def test_what_the_store_holds_is_not_asked_again(origin: Path, store: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    origin.rename(origin.with_name("gone"))
    assert fetch.fetch(store, near(origin), commit) == commit


def test_a_branch_that_moved_gives_the_new_commit_and_keeps_the_old(origin: Path, store: Path) -> None:
    first = fetch.fetch(store, near(origin), "19.0")
    repositories.git(origin, "reset", "--quiet", "--hard", "v1^{commit}")
    other = save(origin, "rewritten", {"b": "b"})
    assert fetch.fetch(store, near(origin), "19.0") == other
    assert git.store_has(store, first)


def test_a_name_that_the_server_does_not_have(origin: Path, store: Path) -> None:
    with pytest.raises(ProgramError) as caught:
        fetch.fetch(store, near(origin), "17.0")
    assert caught.value.what == f"file://{origin} has no branch or tag '17.0'"
    assert "git ls-remote --heads" in caught.value.todo
    assert caught.value.exit_code == 5
    assert fetch.fetch(store, near(origin), "19.0") == tip(origin)


def test_a_commit_that_the_server_does_not_have(origin: Path, store: Path) -> None:
    with pytest.raises(ProgramError, match="does not provide the commit aaaaaaaaaaaa") as caught:
        fetch.fetch(store, near(origin), "a" * 40)
    assert caught.value.todo.endswith("inv lock --update --only web")


def test_a_server_that_does_not_answer(tmp_path: Path, store: Path) -> None:
    for url in (f"file://{tmp_path / 'nowhere'}", "http://127.0.0.1:1/x"):
        with pytest.raises(ProgramError, match=r"cannot fetch 19\.0 of") as caught:
            fetch.fetch(store, access.remote(url), "19.0")
        assert caught.value.details
        assert f"git ls-remote {url}" in caught.value.todo


def test_several_at_a_time_into_one_store(origin: Path, store: Path) -> None:
    found: dict[str, str] = {}

    def bring(name: str) -> None:
        found[name] = fetch.fetch(store, near(origin), name)

    threads = [threading.Thread(target=bring, args=(name,)) for name in ("19.0", "18.0", "v1")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {name: tip(origin, name) for name in ("19.0", "18.0", "v1")}


def test_a_store_left_half_made_is_made_anew(origin: Path, store: Path) -> None:
    (store / "objects").mkdir(parents=True)
    assert fetch.fetch(store, near(origin), "19.0") == tip(origin)


@pytest.mark.parametrize(
    ("day", "expected"),
    [("2025-03-01", "third"), ("2025-02-01", "second"), ("2025-01-01", "first")],
)
def test_the_last_commit_of_a_day(tmp_path: Path, store: Path, day: str, expected: str) -> None:
    where = repository(tmp_path / "server" / "odoo")
    commits = {
        "first": tip(where),
        "early": save(where, "early", day="2025-02-01T00:00:01"),
        "second": save(where, "second", day="2025-02-01T23:59:58"),
        "third": save(where, "third", day="2025-03-01T10:00:00"),
        "fourth": save(where, "fourth", day="2025-03-02T00:00:00"),
    }
    assert fetch.commit_at(store, near(where), "19.0", day) == commits[expected]


# Looking into a store


def test_names_and_bytes_of_a_commit(origin: Path, store: Path) -> None:
    put(origin, {"odd": "x", "empty": ""})
    (origin / 'ünï "q"\n.txt').write_bytes(b"\x00\xff\n")
    (origin / "link").symlink_to("odd")
    commit = save(origin, "odd names")
    fetch.fetch(store, near(origin), "19.0")
    with Reader() as reader, reader.reading(store) as held:
        names = held.files(commit, 1)
        assert set(names) == {"a/one.py", "a/two.py", "odd", 'ünï "q"\n.txt', "empty"}  # no link
        whole = {"a/one.py": b"2\n", "empty": b"", 'ünï "q"\n.txt': b"\x00\xff\n", "odd": b"x"}
        some = {name: names[name] for name in whole}
        assert held.contents(some, 3) == (whole, ())
        assert held.contents(some, 2) == ({n: d for n, d in whole.items() if len(d) <= 2}, ('ünï "q"\n.txt',))
        assert set(held.files(commit, 0)) == {"odd", 'ünï "q"\n.txt', "empty"}
        with pytest.raises(ProgramError, match="does not find"):
            held.files("1" * 40, 1)
    assert git.blobs(store, commit, ["a/one.py", "missing", "empty", "link"]) == {
        "a/one.py": b"2\n",
        "empty": b"",
        "link": b"odd",
    }
    assert git.blobs(store, commit, []) == {}


def test_repositories_that_are_fetched_at_the_same_time_are_read_by_one_git(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["one", "127.0.0.1:8080", 'a "b" \\ ü', "pending"]
    stores = [tmp_path / "stores" / f"{name}.git" for name in names]
    for store in stores[:3]:
        git.create_store(store)
    started: list[str] = []
    talk = command.piped

    def counted(words: list[str], **options: Any) -> Any:
        started.append(words[-1])
        return talk(words, **options)

    monkeypatch.setattr(command, "piped", counted)
    with Reader() as reader:
        for store in stores:
            reader.include(store)
        for number, store in enumerate(stores):  # what comes into a store after the start is read, too
            put(origin, {"mine": names[number]})
            save(origin, names[number])
            commit = fetch.fetch(store, near(origin), "19.0")
            with reader.reading(store) as held:
                listed = held.files(commit, 1)
                assert held.contents({"mine": listed["mine"]}, 100)[0] == {"mine": names[number].encode()}
        assert len(started) == 2  # the last one was no repository yet
        with pytest.raises(ProgramError, match="does not find"), reader.reading(stores[3]) as held:
            held.files("1" * 40, 1)
        with reader.reading(stores[3]) as held:  # and goes on
            assert held.files(commit, 0).keys() == listed.keys() - {"a/one.py", "a/two.py"}


def test_export_has_the_files_and_nothing_of_git(origin: Path, store: Path, tmp_path: Path) -> None:
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


def looks(tree: Path) -> dict[str, tuple[int, int]]:
    """Mode and time of everything in a tree, itself among it."""
    return {str(p.relative_to(tree)): (p.lstat().st_mode, p.lstat().st_mtime_ns) for p in [tree, *tree.rglob("*")]}


@pytest.mark.parametrize(
    "tree", [b"100644", b"100644 name", b"100644 name\0too short", b"no mode at all\0" + b"x" * 20]
)
def test_a_damaged_tree_is_told(tree: bytes) -> None:
    with pytest.raises(ProgramError, match="damaged"):
        list(cat_file._entries(tree))


def test_what_an_earlier_version_left_is_replaced(origin: Path, store: Path, tmp_path: Path) -> None:
    target = tmp_path / "tree"
    put(target, {"odoo-bin": "as it was laid once\n"})
    export.export(store, fetch.fetch(store, near(origin), "19.0"), target)
    assert [path.name for path in target.iterdir()] == ["files"]


def test_modes_and_times_come_of_the_content_alone(origin: Path, store: Path, tmp_path: Path) -> None:
    """However it reached the build: from the cache, from a checkout, from a folder; whatever the umask."""
    put(origin, {"run": "#!/bin/sh\n", "a/c/deep.py": "1\n"})
    (origin / "run").chmod(0o755)
    (origin / "link").symlink_to("run")
    commit = save(origin, "more")
    fetch.fetch(store, near(origin), "19.0")
    export.export(store, commit, tmp_path / "first")
    seen = looks(tmp_path / "first/files")
    assert seen["run"][0] & 0o777 == 0o755
    assert {mode & 0o777 for name, (mode, _) in seen.items() if name.endswith(".py")} == {0o644}
    assert len({when for name, (_, when) in seen.items() if name.endswith(".py")}) == 2  # of three contents
    before = os.umask(0o077)
    try:
        export.export(store, commit, tmp_path / "second")
        export.export_folders(origin, [""], tmp_path / "third")
        (origin / "a/__pycache__").mkdir()
        put(origin, {"a/__pycache__/one.pyc": "x"})
        export.export_files(origin, tmp_path / "fourth")
    finally:
        os.umask(before)
    assert [looks(tmp_path / name / "files") for name in ("second", "third", "fourth")] == [seen, seen, seen]
    put(origin, {"a/one.py": "3\n"})
    export.export_files(origin, tmp_path / "fifth")
    changed = looks(tmp_path / "fifth/files")
    assert {name for name in seen if seen[name] != changed[name]} == {"a/one.py"}


# Placing


def test_a_new_checkout_is_whole_and_stands_where_it_should(origin: Path, store: Path, tmp_path: Path) -> None:
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
def test_a_new_checkout_knows_where_it_comes_from(stocked: Path, served: Path, tmp_path: Path, url: str) -> None:
    checkout = tmp_path / "web"
    repositories.check_out(checkout, stocked, tip(served), url)
    repositories.git(tmp_path, "init", "-q", "--template=", "plain")
    for words in (["core.alternateRefsPrefixes", "refs/odpm/none"], ["remote.origin.url", url]):
        repositories.git(tmp_path / "plain", "config", *words)
    repositories.git(tmp_path / "plain", "config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*")
    asked = ("config", "--local", "--list")
    assert repositories.git(checkout, *asked) == repositories.git(tmp_path / "plain", *asked)
    assert (checkout / ".git/shallow").read_text(encoding="ascii") == f"{tip(served)}\n"


def test_a_checkout_borrows_its_objects(placed: Path, stocked: Path) -> None:
    assert (placed / ".git/objects/info/alternates").read_text(encoding="utf-8") == f"{stocked / 'objects'}\n"
    assert not list((placed / ".git/objects").glob("??/*"))


def test_what_a_killed_run_left_behind_is_in_nobodys_way(origin: Path, store: Path, tmp_path: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    checkout = tmp_path / "project" / "web"
    half = checkout.with_name(f".web.{os.getpid()}")
    half.mkdir(parents=True)
    (half / "junk").write_bytes(b"x")
    repositories.check_out(checkout, store, commit, URL)
    assert not (checkout / "junk").exists()
    assert [path.name for path in checkout.parent.iterdir()] == ["web"]


def test_a_commit_that_the_store_lacks_leaves_no_checkout(store: Path, origin: Path, tmp_path: Path) -> None:
    fetch.fetch(store, near(origin), "19.0")
    checkout = tmp_path / "project" / "web"
    with pytest.raises(ProgramError):
        repositories.check_out(checkout, store, "a" * 40, URL)
    assert not checkout.exists()


def test_an_untouched_checkout_moves(placed: Path, stocked: Path, served: Path) -> None:
    put(placed, {"mine/notes.txt": "kept"})
    repositories.check_out(placed, stocked, tip(served), URL)
    assert git.head(placed) == git.Head(tip(served), None, tip(served))
    assert (placed / "mine" / "notes.txt").read_text(encoding="utf-8") == "kept"
    assert not (placed / "README").exists()
    assert repositories.git(placed, "status", "--porcelain") == "?? mine/"
    repositories.check_out(placed, stocked, tip(served, "v1"), URL)
    assert (placed / "README").exists()


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


def untracked_in_the_way(checkout: Path) -> None:
    put(checkout, {"a/two.py": "mine\n"})


def other_commit_of_the_server(checkout: Path) -> None:
    repositories.git(checkout, "checkout", "--quiet", "--detach", "HEAD")
    repositories.git(checkout, "commit", "--quiet", "--allow-empty", "--amend", "-m", "amended")


@pytest.mark.parametrize(
    ("touch", "said"),
    [
        (own_branch, "is on your branch 'mine'"),
        (own_commit_on_a_branch, "is on your branch 'mine'"),
        (own_commit, "your own commit"),
        (other_commit_of_the_server, "your own commit"),
        (changed, "has local changes"),
        (staged, "has local changes"),
        (removed, "has local changes"),
        (untracked_in_the_way, "prevent a checkout"),
    ],
)
def test_nothing_of_the_users_is_lost(
    placed: Path, stocked: Path, served: Path, touch: Callable[[Path], None], said: str
) -> None:
    touch(placed)
    repositories.git(placed, "status")
    before = without_times(placed)
    with pytest.raises(DataLossError, match=said) as caught:
        repositories.check_out(placed, stocked, tip(served), URL)
    assert caught.value.exit_code == 7
    assert caught.value.where == str(placed)
    assert caught.value.todo
    borrowed = {".git/objects/info/alternates", ".git/shallow"}  # says where objects are found, and changes none
    after = without_times(placed)
    assert {name: after.get(name) for name in before if name not in borrowed} == {
        name: before[name] for name in before if name not in borrowed
    }
    assert set(after) - set(before) <= borrowed


@pytest.mark.parametrize("touch", [own_commit, own_branch])
def test_the_next_command_that_is_named_helps(
    placed: Path, stocked: Path, served: Path, touch: Callable[[Path], None]
) -> None:
    touch(placed)
    mine = tip(placed)
    with pytest.raises(DataLossError) as caught:
        repositories.check_out(placed, stocked, tip(served), URL)
    subprocess.run(["sh", "-c", caught.value.todo.partition(": ")[2] or caught.value.todo], check=True)
    repositories.check_out(placed, stocked, tip(served), URL)
    assert repositories.git(placed, "branch", "--contains", mine, "--format=%(refname:short)")


def test_a_stash_survives(placed: Path, stocked: Path, served: Path) -> None:
    changed(placed)
    repositories.git(placed, "stash")
    repositories.check_out(placed, stocked, tip(served), URL)
    assert repositories.git(placed, "stash", "list")


@pytest.mark.parametrize(
    "make", [lambda path: put(path, {"notes": "x"}), lambda path: (path / ".git").mkdir(parents=True)]
)
def test_a_foreign_folder_stays(store: Path, origin: Path, tmp_path: Path, make: Callable[[Path], None]) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    checkout = tmp_path / "project" / "web"
    make(checkout)
    before = without_times(checkout)
    with pytest.raises(DataLossError, match="foreign folder") as caught:
        repositories.check_out(checkout, store, commit, URL)
    assert caught.value.exit_code == 7
    assert without_times(checkout) == before


def test_a_foreign_repository_stays(store: Path, origin: Path, tmp_path: Path) -> None:
    commit = fetch.fetch(store, near(origin), "19.0")
    checkout = repository(tmp_path / "project" / "web", {"notes": "mine"}, branch="main")
    repositories.git(checkout, "checkout", "--quiet", "--detach")
    before = without_times(checkout)
    with pytest.raises(DataLossError, match="your own commit"):
        repositories.check_out(checkout, store, commit, URL)
    assert without_times(checkout) == before


# Looking at a checkout


def test_head(tmp_path: Path, placed: Path) -> None:
    first = tip(placed)
    assert git.head(placed) == git.Head(first, None, first)
    own_commit(placed)
    assert git.head(placed) == git.Head(tip(placed), None, first)
    repositories.git(placed, "switch", "--quiet", "-c", "feature/x")
    assert git.head(placed) == git.Head(tip(placed), "feature/x", first)
    assert git.head(tmp_path) is None
    assert git.head(tmp_path / "nowhere") is None
    empty = tmp_path / "empty"
    empty.mkdir()
    repositories.git(empty, "init", "--quiet", "-b", "main")
    assert git.head(empty) == git.Head(None, "main", None)


def test_origin_is_the_address_as_written(placed: Path) -> None:
    repositories.git(placed, "config", "url.https://mirror.example/.insteadOf", "https://github.com/")
    assert git.origin(placed) == URL
    repositories.git(placed, "remote", "remove", "origin")
    assert git.origin(placed) is None


def test_changes_are_those_of_tracked_files(placed: Path) -> None:
    assert git.changes(placed) == ()
    put(placed, {"new": "x", "a/one.py": "mine\n", "README": None})
    repositories.git(placed, "add", "a")
    assert sorted(git.changes(placed)) == [" D README", "M  a/one.py"]


def test_a_filter_that_does_not_run_is_told_of_with_a_way_to_see_it(placed: Path) -> None:
    repositories.git(placed, "config", "filter.broken.process", "no-such-filter")
    repositories.git(placed, "config", "filter.broken.required", "true")
    put(placed, {".git/info/attributes": "* filter=broken\n", "a/one.py": "1\n"})
    with pytest.raises(ProgramError) as caught:
        git.changes(placed)
    lines = str(caught.value).splitlines()
    assert lines[1] == f"  where: {placed}"
    assert any("no-such-filter" in line for line in lines)
    assert lines[-1] == f"  next:  fix the problem until this command succeeds: git -C {placed} status"


def test_hiding_edits_only_what_git_keeps_for_itself(tmp_path: Path) -> None:
    where = repository(tmp_path / "project", {".gitignore": "*.pyc\n"})
    put(where, {"docker-compose.yml": "x", "docker-compose.yml.orig": "x", ".git/info/exclude": "mine"})
    before = without_times(where)
    worktree.exclude_from_status(where, ["/docker-compose.yml", "/docker-compose.yml.orig*"])
    worktree.exclude_from_status(where, ["/docker-compose.yml", "/docker-compose.yml.orig*"])
    assert (where / ".git" / "info" / "exclude").read_text(encoding="utf-8") == (
        "mine\n/docker-compose.yml\n/docker-compose.yml.orig*\n"
    )
    assert repositories.git(where, "status", "--porcelain") == ""
    after = without_times(where)
    assert {name for name in after if after[name] != before.get(name)} == {".git/info/exclude"}
    worktree.exclude_from_status(tmp_path, ["/x"])


def test_hiding_works_in_a_linked_working_tree(tmp_path: Path) -> None:
    where = repository(tmp_path / "project")
    linked = tmp_path / "linked"
    repositories.git(where, "worktree", "add", "--quiet", "--detach", str(linked))
    put(linked, {"docker-compose.yml": "x"})
    worktree.exclude_from_status(linked, ["/docker-compose.yml"])
    assert repositories.git(linked, "status", "--porcelain") == ""


def test_what_is_committed_in_a_folder(tmp_path: Path) -> None:
    where = repository(tmp_path / "project", {"addons/a": "1"})
    committed = git.tree_id(where, "addons")
    put(where, {"addons/a": "2"})
    assert git.tree_id(where, "addons") == committed == repositories.git(where, "rev-parse", "HEAD:addons")
    with pytest.raises(DescriptionError, match="not committed"):
        git.tree_id(where, "other")


def test_committed_content_of_folders(tmp_path: Path) -> None:
    where = repository(tmp_path / "project", {"addons/a": "1", "other/b": "1", ".odpm/x": "1"})
    put(where, {"addons/a": "changed", "addons/new": "x"})
    export.export_folders(where, ["addons"], tmp_path / "out")
    assert {name: data for name, (data, _) in without_times(tmp_path / "out/files").items() if data} == {
        "addons/a": b"1"
    }
    assert repositories.git(where, "status", "--porcelain") == "M addons/a\n?? addons/new"


# Getting in


def test_credentials_travel_by_environment_only() -> None:
    remote = access.remote("https://me:p%40ss%3A@git.example.org/x/web.git")
    token = base64.b64encode(b"me:p@ss:").decode()
    assert remote.url == "https://git.example.org/x/web.git"
    assert remote.env["GIT_CONFIG_COUNT"] == "1"
    assert remote.env["GIT_CONFIG_KEY_0"] == "http.https://git.example.org/x/web.git.extraHeader"
    assert remote.env["GIT_CONFIG_VALUE_0"] == f"Authorization: Basic {token}"
    assert set(remote.secrets) == {"p@ss:", token}
    assert "p@ss" not in repr(remote)
    assert token not in repr(remote)


def test_settings_of_git_in_the_environment_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "2")
    env = access.remote("https://me:pw@h/x").env
    assert env["GIT_CONFIG_COUNT"] == "3"
    assert "GIT_CONFIG_KEY_2" in env
    assert "GIT_CONFIG_KEY_0" not in env


@pytest.mark.parametrize("url", ["https://github.com/OCA/web", "ssh://git@h/x", "git@h:x", "file:///srv/x"])
def test_without_credentials_there_is_no_header(url: str) -> None:
    remote = access.remote(url)
    assert remote.url == url
    assert "GIT_CONFIG_COUNT" not in remote.env
    assert remote.secrets == ()


def test_the_first_fitting_mirror_counts() -> None:
    mirrors = [("https://a/", "https://one/"), ("https://a/b", "https://two/"), ("git@h:", "file:///srv/")]
    assert access.remote("https://a/b/c", mirrors=mirrors).url == "https://one/b/c"
    assert access.remote("git@h:x.git", mirrors=mirrors).url == "file:///srv/x.git"
    assert access.remote("https://other/x", mirrors=mirrors).url == "https://other/x"


def test_a_mirrors_own_password_is_moved_too() -> None:
    remote = access.remote("https://a/x", mirrors=[("https://a/", "https://me:hunter2@mirror/")])
    assert remote.url == "https://mirror/x"
    assert "hunter2" in remote.secrets


def test_git_never_asks_where_nobody_can_answer() -> None:
    env = access.remote("git@h:x", ssh_key="/home/me/.ssh/id").env
    assert env["GIT_TERMINAL_PROMPT"] == "0"
    assert env["GIT_SSH_COMMAND"].startswith("ssh -i /home/me/.ssh/id -o IdentitiesOnly=yes ")
    assert "-o BatchMode=yes" in env["GIT_SSH_COMMAND"]


def test_a_users_own_way_of_starting_ssh_stays(clean: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "ConnectTimeout=7" in access.remote("git@h:x", timeout=7).env["GIT_SSH_COMMAND"]
    (clean / ".gitconfig").write_text("[core]\n\tsshCommand = ssh -F 'my config'\n", encoding="utf-8")
    assert access.remote("git@h:x").env["GIT_SSH_COMMAND"].startswith("ssh -F 'my config' -o ")
    monkeypatch.setenv("GIT_SSH", "plink")
    assert "GIT_SSH_COMMAND" not in access.remote("ssh://h/x").env
    assert access.remote("ssh://h/x", ssh_key="~/id").env["GIT_SSH_COMMAND"] == f"plink -i {clean}/id"
    monkeypatch.setenv("GIT_SSH_COMMAND", "/opt/bin/ssh -v")
    assert access.remote("ssh://h/x").env["GIT_SSH_COMMAND"].startswith("/opt/bin/ssh -v -o ConnectTimeout=30 ")
    assert "GIT_SSH_COMMAND" not in access.remote("https://h/x", ssh_key="/id").env


class Gate(BaseHTTPRequestHandler):
    """A server that lets nobody in and remembers how they tried, and what git's own argv was meanwhile."""

    server: ThreadingHTTPServer
    seen: list[str | None]
    argvs: list[str]

    def do_GET(self) -> None:
        self.seen.append(self.headers.get("Authorization"))
        for line in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = line.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            except OSError:
                continue
            if f":{self.server.server_port}/" in words:
                self.argvs.append(words)
        self.send_response(401)
        self.send_header("WWW-Authenticate", 'Basic realm="x"')
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="looks at the process list of Linux")
def test_a_password_is_sent_and_shown_nowhere(store: Path) -> None:
    Gate.seen, Gate.argvs = [], []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with pytest.raises(OdpmError) as caught:
            fetch.fetch(store, access.remote(f"http://me:hunter2@127.0.0.1:{server.server_port}/web.git"), "19.0")
    finally:
        server.shutdown()
        server.server_close()
    token = base64.b64encode(b"me:hunter2").decode()
    assert f"Basic {token}" in Gate.seen
    assert Gate.argvs
    for text in (*Gate.argvs, str(caught.value), *(str(data) for data, _ in without_times(store).values())):
        assert "hunter2" not in text
        assert token not in text
