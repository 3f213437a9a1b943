"""Read trees and files of commits in stores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import cat_file, fetch
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.errors import ProgramError
from tests.unit.adapters.conftest import near
from tests.unit.repositories import put, save

pytestmark = pytest.mark.usefixtures("clean")


def test_names_and_content_of_the_files_of_a_commit(origin: Path, store: Path) -> None:
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


def test_contents_stop_at_a_total_size(origin: Path, store: Path) -> None:
    save(origin, "next", {"x": "1234", "y": "1234", "z": "5678"})
    commit = fetch.fetch(store, near(origin), "19.0")
    with Reader() as reader, reader.reading(store) as held:
        ids = {name: digest for name, digest in held.files(commit, 0).items() if name in "xyz"}
        assert held.contents(ids, 10, 8)[1] == ()  # the same content counts once
        complete, skipped = held.contents(ids, 10, 7)
        assert (set(complete), skipped) in [({"x", "y"}, ("z",)), ({"z"}, ("x", "y"))]


def test_size_and_links_of_a_tree(origin: Path, store: Path) -> None:
    put(origin, {"d/e/f": "1", "d/g": "2", "h": "3"})
    (origin / "d/e/out").symlink_to("../../..")
    (origin / "long").symlink_to("x" * 200)
    (origin / "bytes").symlink_to(b"\xff".decode(errors="surrogateescape"))
    commit = save(origin, "links")
    fetch.fetch(store, near(origin), "19.0")
    with Reader() as reader, reader.reading(store) as held:
        tree = held.tree(commit, 10)
        assert (tree.size.files, tree.size.depth, tree.size.links) == (len(held.files(commit, 5)) + 3, 2, 3)
        assert sorted(tree.links(100)) == [("bytes", "\udcff"), ("d/e/out", "../../.."), ("long", None)]
        assert held.tree(commit, 1).size.depth == 2
        assert held.tree(commit, 2).size == tree.size


def test_blobs_skips_folders_and_missing_files(origin: Path, store: Path) -> None:
    save(origin, "next", {"d/x": "1", "f": "2"})
    commit = fetch.fetch(store, near(origin), "19.0")
    assert git.blobs(store, commit, ["d", "missing", "f"]) == {"f": b"2"}


def test_one_git_process_reads_several_repositories(
    origin: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["one", "127.0.0.1:8080", 'a "b" \\ ü', "pending"]
    stores = [tmp_path / "stores" / f"{name}.git" for name in names]
    for store in stores[:3]:
        git.create_store(store)
    started: list[str] = []
    original = command.piped

    def counted(words: list[str], **options: Any) -> Any:
        started.append(words[-1])
        return original(words, **options)

    monkeypatch.setattr(command, "piped", counted)
    with Reader() as reader:
        for store in stores:
            reader.include(store)
        for number, store in enumerate(stores):  # objects added to a store after the start are readable
            put(origin, {"mine": names[number]})
            save(origin, names[number])
            commit = fetch.fetch(store, near(origin), "19.0")
            with reader.reading(store) as held:
                listed = held.files(commit, 1)
                assert held.contents({"mine": listed["mine"]}, 100)[0] == {"mine": names[number].encode()}
        assert len(started) == 2  # the last repository did not exist at the start
        with pytest.raises(ProgramError, match="does not find"), reader.reading(stores[3]) as held:
            held.files("1" * 40, 1)
        with reader.reading(stores[3]) as held:  # the next process works
            assert held.files(commit, 0).keys() == listed.keys() - {"a/one.py", "a/two.py"}


@pytest.mark.parametrize(
    "tree",
    [
        b"100644",
        b"100644 name",
        b"100644 name\0too short",
        b"no mode at all\0" + b"x" * 20,
        b"100844 name\0" + b"x" * 20,
        b"0120000 name\0" + b"x" * 20,
    ],
)
def test_damaged_tree_is_an_error(tree: bytes) -> None:
    with pytest.raises(ProgramError, match="damaged"):
        list(cat_file._entries(tree))
