"""`oca_dependencies.txt`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from odpm_tasks.core.link import Link
from odpm_tasks.core.oca import parse_oca_dependencies
from odpm_tasks.errors import DescriptionError, OdpmError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "links"),
    [
        ("", ()),
        ("# nothing\n\n   \n", ()),
        ("web\n", (Link("https://github.com/OCA/web", "19.0"),)),
        ("\ufeffweb # why\r\n", (Link("https://github.com/OCA/web", "19.0"),)),
        ("web\tgit@host:me/web.git", (Link("git@host:me/web.git", "19.0"),)),
        ("web https://h/me/web 19.0-fix", (Link("https://h/me/web", "19.0-fix"),)),
        (f"web https://h/me/web 19.0 {COMMIT}", (Link("https://h/me/web", "19.0", COMMIT),)),
        ("b\na\nb", (Link("https://github.com/OCA/b", "19.0"), Link("https://github.com/OCA/a", "19.0"))),
    ],
)
def test_read(text: str, links: tuple[Link, ...]) -> None:
    assert parse_oca_dependencies(text, "19.0", "web/oca_dependencies.txt") == links


def test_every_bad_line_is_named() -> None:
    text = "web\n../x\nqueue ext::sh\nmail https://me:hunter2@h/x -b\na https://h/x b c d"
    with pytest.raises(DescriptionError) as caught:
        parse_oca_dependencies(text, "19.0", "queue/oca_dependencies.txt")
    message = str(caught.value)
    assert [detail.split(":")[0] for detail in caught.value.details] == ["line 2", "line 3", "line 4", "line 5"]
    assert "queue/oca_dependencies.txt" in message
    assert "hunter2" not in message


@given(st.text() | st.text("ab#/:@. \n-"))
def test_any_text_gives_links_or_our_error(text: str) -> None:
    try:
        links = parse_oca_dependencies(text, "19.0", "here")
    except OdpmError:
        return
    assert all(link.branch for link in links if not link.is_file)
