"""Two servers compared by lines, connection strings, the image of another version."""

from __future__ import annotations

import pytest

from odpm_tasks.core.databases.clusters import compared, connection, content, differences, other_version


def test_what_only_one_side_has_is_named() -> None:
    before, after = ["rows public.a 5", "rows public.b 1", "x"], ["x", "rows public.b 1", "rows public.a 4"]
    assert differences(before, after, "shop") == [
        "missing in shop: rows public.a 5",
        "not there before in shop: rows public.a 4",
    ]
    assert differences(before, before[::-1], "") == []
    assert differences(["role a"], [], "", most=1) == ["missing: role a"]
    assert len(differences(map(str, range(9)), [], "shop")) == 3


@pytest.mark.parametrize(
    ("name", "text"),
    [("shop", "dbname='shop'"), ("it's", r"dbname='it\'s'"), ("a\\b", r"dbname='a\\b'"), ("a=b c", "dbname='a=b c'")],
)
def test_a_connection_string_quotes_any_name(name: str, text: str) -> None:
    assert connection(name) == text


@pytest.mark.parametrize(
    ("image", "old"),
    [
        ("postgres:17", "postgres:15"),
        ("postgres:17.2", "postgres:15"),
        ("postgres:17-alpine", "postgres:15-alpine"),
        (f"mirror.example:5000/postgres:17.2-bookworm@sha256:{'a' * 64}", "mirror.example:5000/postgres:15-bookworm"),
        ("mirror.example:5000/postgres", "mirror.example:5000/postgres:15"),
    ],
)
def test_the_image_of_another_version(image: str, old: str) -> None:
    assert other_version(image, 15) == old


def test_the_content_of_each_database_is_compared_with_its_own() -> None:
    script = content(["shop", 'a "b" = c'])
    border = "-- odpm: another database"
    assert script.count(f"\\echo {border}\n") == 2
    assert """\\connect -reuse-previous=on "dbname='a ""b"" = c'"\n""" in script
    old = f"role a\n{border}\nrows x 1\n{border}\nrows y 2\n"
    assert compared(old, old, ["a", "b"]) == []
    moved = f"role a\n{border}\nrows x 1\nrows y 2\n{border}\n"
    assert compared(old, moved, ["a", "b"]) == ["not there before in a: rows y 2"]
    assert compared(old, old.replace("role a", "role b"), ["a", "b"])[0] == "missing: role a"
