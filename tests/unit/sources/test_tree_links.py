"""Which symbolic links of a tree lead out of it."""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from odpm_tasks.core.sources.tree_links import MAX_FILES, check_size, links_out, links_out_error, links_out_of_folders
from odpm_tasks.errors import DescriptionError

OUT: dict[str, list[tuple[str, str | None]]] = {
    "absolute": [("m/static/pw", "/run/secrets/db_password")],
    "of a process": [("m/static/pw", "/proc/self/root/run/secrets/db_password")],
    "absolute into the place of the tree": [("m/x", "/opt/odoo/src/web/m")],
    "upward": [("m/static/pw", "../../../odoo/odoo.conf")],
    "exactly above": [("up", "..")],
    "upward and back in": [("m/x", "../../web/m")],
    "upward behind a name": [("m/x", "a/../../../x")],
    "upward behind dots": [("m/x", ".//./../.././x")],
    "through another link": [("a", "b/.."), ("b", ".")],
    "a link below a link to a folder": [("d/e/up", "../.."), ("x", "d/e/up/../..")],
    "a chain": [("a", "c/../../.."), ("c", "d"), ("d", "e/f")],
    "its own name": [("loop", "loop/..")],
    "git's folder": [("m/static/config", "../../.git/config")],
    "git's folder on Windows": [("x", "GIT~1/config")],
    "git's folder on macOS": [("x", ".g\u200cit/config")],
    "git's folder with a stream": [("x", ".git::$INDEX_ALLOCATION/config")],
    "another case": [("D", "."), ("x", "d/../../secret")],
    "another case, two links": [("D", "."), ("d", "a/b"), ("x", "d/../y")],
    "another normalization": [("\u00e9", "."), ("x", "e\u0301/../y")],
    "two entries of one name": [("d", "a/b/c"), ("d", "."), ("x", "d/../y")],
    "a NUL ends it": [("m/x", "/etc/passwd\0m")],
    "a NUL ends the last part": [("x", "..\0m")],
    "a folder that something creates later": [("x", "__pycache__/../../y")],
    "too long": [("x", None)],
    "named like a manifest": [("m/__manifest__.py", "/etc/passwd")],
    "named like a file of git": [(".gitmodules", "../../.env")],
    "named like the description": [("odpm.json", "../../../odpm.json")],
    "an escape code": [("m/\x1b[2J", "/x\n\x1b[31m\udcff")],
}


@pytest.mark.parametrize("links", OUT.values(), ids=OUT)
def test_a_link_that_leads_out_is_named(links: list[tuple[str, str | None]]) -> None:
    found = links_out(links)
    assert found
    assert all(text.isprintable() for text in found)
    assert found[-1].startswith(("x ", "m/", "a ", "up ", "loop ", ".git", "odpm.json ", "d "))


IN: dict[str, list[tuple[str, str | None]]] = {
    "nothing": [],
    "as OCA has it": [("setup/a/odoo/addons/a", "../../../../a")],
    "to the root": [("top", "."), ("a/top", "..")],
    "to itself": [("loop", "loop")],
    "to nothing": [("x", "missing"), ("y", "")],
    "behind a link": [("a", "c/d"), ("x", "a/../e"), ("y/z", "../a/../../e")],
    "names with dots": [("x", "...x"), ("y", "..a/b"), ("z", ".gitignore"), ("w", ".github/x")],
    "a backslash is part of a name": [("x", "..\\..\\y")],
}


@pytest.mark.parametrize("links", IN.values(), ids=IN)
def test_a_link_that_stays_inside_is_allowed(links: list[tuple[str, str | None]]) -> None:
    assert links_out(links) == ()


NAMES = st.sampled_from(["a", "b", "A", "é", "é"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map("/".join)
TARGETS = st.lists(NAMES | st.sampled_from(["..", "..", ".", ""]), min_size=1, max_size=6).map("/".join)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(PATHS, TARGETS, max_size=6), st.lists(PATHS, max_size=3))
def test_links_that_are_allowed_stay_inside_on_disk(links: dict[str, str], folders: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        root = Path(name).resolve() / "tree"
        root.mkdir()
        made = []
        for path, target in [*links.items(), *((folder, None) for folder in folders)]:
            spot = root / path
            if any(part.is_symlink() for part in (spot, *spot.parents)) or os.path.lexists(spot):
                continue  # git writes nothing below a link
            spot.parent.mkdir(parents=True, exist_ok=True)
            if target is None:
                spot.mkdir()
            elif target:
                spot.symlink_to(target)
                made.append((path, target))
        reported = {text.partition(" -> ")[0] for text in links_out(made)}
        bad = {path for path, _ in made if not Path(os.path.realpath(root / path)).is_relative_to(root)}
        assert not bad or reported, (made, bad)
        if not reported:
            ends = links_out_of_folders(made, ("a",))
            strays = {p for p, _ in made if p.startswith("a/") and not _below(root / p, root / "a")}
            assert not strays or ends


def _below(path: Path, folder: Path) -> bool:
    return Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder))


def test_links_that_are_made_to_be_expensive_take_seconds() -> None:
    chain = [(f"a{number}", f"a{number + 1}/../a{number + 1}/..") for number in range(3000)]
    wide = [(f"w{number}", "x/" * 1000 + "../" * 1000 + "y") for number in range(3000)]
    begin = time.monotonic()
    links_out([*chain, *wide])
    assert time.monotonic() - begin < 20


def test_tolerated_folders_cannot_be_reached_from_outside() -> None:
    links = [(".venv/bin/python", "/usr/bin/python3"), (".cache/x", "y"), ("m/c", "../.cache/x")]
    assert links_out(links, (".venv", ".cache")) == ()
    for bad in (("m/p", "../.venv/bin/python"), ("m/p", "../.VENV"), ("v", ".venv")):
        assert links_out([*links, bad], (".venv", ".cache")) == (" -> ".join(bad),)


def test_folders_of_the_project() -> None:
    links = [("addons/x", "../other/x"), ("addons/y", "../more/y"), ("addons/z", "../../addons/z"), ("addons/a", "y")]
    assert links_out_of_folders(links, ("addons", "more")) == ("addons/x -> ../other/x", "addons/z -> ../../addons/z")
    assert links_out_of_folders(links, ("",)) == ("addons/z -> ../../addons/z",)


def test_messages() -> None:
    many = links_out([(f"x{number}", "/" + "y" * 400) for number in range(8)])
    error = links_out_error("web", many, folder=False)
    assert error.what == "web contains symbolic links that lead out of its tree"
    assert error.where.startswith("web: x0 -> /yy")
    assert error.details[-1] == "and 3 more"
    assert all(len(line) < 250 for line in error.render().splitlines())
    with pytest.raises(DescriptionError, match="web has more than 1,000,000 files"):
        check_size("web", MAX_FILES + 1, 3, 0)
    with pytest.raises(DescriptionError, match="nested folders"):
        check_size("web", 1, 501, 0)
    with pytest.raises(DescriptionError, match="more than 10,000 symbolic links"):
        check_size("web", 1, 1, 10_001)
    check_size("web", MAX_FILES, 500, 10_000)
