"""New."""

from __future__ import annotations

from collections.abc import Callable

_LONGEST = 100


Paint = Callable[[str, str], str]


def plain(text: str, style: str) -> str:
    """The paint that leaves no trace."""
    del style
    return text


def several(count: int, one: str, many: str = "") -> str:
    return f"{count} {one if count == 1 else many or one + 's'}"


def cut(text: str) -> str:
    text = clean(text)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def clean(text: str) -> str:
    """One line without control characters: nothing here may speak to a terminal."""
    return "".join(c if c.isprintable() else " " for c in text).strip()


def count(number: int, one: str, several: str = "") -> str:
    """`1 commit`, `2 commits`."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def size(number: int) -> str:
    """Bytes for people: `0 kB`, `12 kB`, `3.4 MB`, `1.2 GB`."""
    if number < 1_000_000:
        return f"{-(-number // 1000)} kB"
    return f"{number / 1e6:.1f} MB" if number < 1_000_000_000 else f"{number / 1e9:.1f} GB"
