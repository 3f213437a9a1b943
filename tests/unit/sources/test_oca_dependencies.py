"""`oca_dependencies.txt`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.sources.link import Link
from odpm_tasks.core.sources.oca_dependencies import parse_oca_dependencies
from odpm_tasks.errors import DescriptionError, OdpmError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("", ()),
        ("# nothing\n\n   \n", ()),
        ("web\n", (Link("https://github.com/OCA/web"),)),
        ("\ufeffweb # why\r\n", (Link("https://github.com/OCA/web"),)),
        ("web\tgit@host:me/web.git", (Link("git@host:me/web.git"),)),
        ("web https://h/me/web 19.0-fix", (Link("https://h/me/web", "19.0-fix"),)),
        (f"web https://h/me/web 19.0 {COMMIT}", (Link("https://h/me/web", "19.0", COMMIT),)),
        ("b\na\nb", (Link("https://github.com/OCA/b"), Link("https://github.com/OCA/a"))),
    ],
)
def test_parse(text: str, links: tuple[Link, ...]) -> None:
    assert parse_oca_dependencies(text, "web/oca_dependencies.txt") == links


def test_every_invalid_line_is_named() -> None:
    text = "web\n../x\nqueue ext::sh\nmail https://me:hunter2@h/x -b\na https://h/x b c d"
    with pytest.raises(DescriptionError) as caught:
        parse_oca_dependencies(text, "queue/oca_dependencies.txt")
    message = str(caught.value)
    assert [detail.split(":")[0] for detail in caught.value.details] == ["line 2", "line 3", "line 4", "line 5"]
    assert "queue/oca_dependencies.txt" in message
    assert "hunter2" not in message


@given(st.text() | st.text("ab#/:@. \n-"))
def test_any_text_gives_links_or_an_error(text: str) -> None:
    try:
        links = parse_oca_dependencies(text, "here")
    except OdpmError:
        return
    assert all(link.canonical for link in links)


names = st.from_regex(r"[a-z][a-z0-9_-]{0,8}", fullmatch=True)
branches = names.filter(lambda name: not name.endswith("-"))
sources = st.one_of(
    st.tuples(names),
    st.tuples(names, names.map("https://git.test/me/{}".format)),
    st.tuples(names, names.map("git@git.test:me/{}.git".format), branches),
    st.tuples(names, names.map("ssh://git@git.test/me/{}".format), branches, st.just(COMMIT)),
)
blank = st.sampled_from(["", "   ", "# a comment", "\t# name url branch"])


@given(st.lists(sources | blank), st.sampled_from(["\n", "\r\n"]), st.sampled_from([" ", "\t", "  "]), st.booleans())
def test_round_trip(lines: list[tuple[str, ...] | str], end: str, gap: str, noted: bool) -> None:
    note = " # why" if noted else ""
    text = end.join(line if isinstance(line, str) else gap.join(line) + note for line in lines)
    asked = [line for line in lines if isinstance(line, tuple)]
    expected = []
    for name, *rest in asked:
        url, branch, commit = [*rest, None, None, None][:3]
        expected.append(Link(url or f"https://github.com/OCA/{name}", branch, commit))
    assert parse_oca_dependencies(text, "here") == tuple(dict.fromkeys(expected))
