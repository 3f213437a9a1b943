"""Text for people: numbers with their noun, sizes, shortened lines, styles."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterable, Sequence

MAX_LENGTH = 100

Paint = Callable[[str, str], str]
"""Adds a style to a text: `paint(text, style)`. The terminal adapter has one with colors, `unstyled` has none."""


def unstyled(text: str, style: str) -> str:
    """The text without a style, for output that is not a terminal."""
    del style
    return text


def plural(count: int, one: str, many: str = "") -> str:
    """`1 commit`, `2 commits`; `many` is the plural where it is not `one` with an `s`."""
    return f"{count} {one if count == 1 else many or one + 's'}"


def nearest(word: str, known: Iterable[str]) -> str:
    """`; the nearest is NAME` for the known name that is most like a word, empty where none is."""
    from difflib import get_close_matches

    names = {name.lower(): name for name in known}
    near = get_close_matches(word.lower(), names, n=1, cutoff=0.5)
    return f"; the nearest is {names[near[0]]}" if near else ""


def clean(text: str) -> str:
    """The text as one line: each control character becomes a blank, so that no text controls the terminal."""
    return "".join(char if char.isprintable() else " " for char in text).strip()


def printable_json(text: str) -> str:
    """JSON with an escape (`\\u009b`) for each character that could control a terminal: json escapes those below 32 only."""

    def escaped(char: str) -> str:
        number = ord(char)
        if number < 0x10000:
            return f"\\u{number:04x}"
        return f"\\u{0xD7C0 + (number >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"

    return "".join(char if char.isprintable() or char == "\n" else escaped(char) for char in text)


def cut(text: str, longest: int = MAX_LENGTH) -> str:
    """The text as one line of at most `longest` characters; `…` at its end marks a cut."""
    text = clean(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def limited(texts: Sequence[str], most: int = 200) -> tuple[str, ...]:
    """At most `most` texts, and how many more there are: a repository can cause any number of warnings."""
    return tuple(texts) if len(texts) <= most else (*texts[:most], f"… and {len(texts) - most} more warnings")


def size(number: int) -> str:
    """A number of bytes: `0 kB`, `12 kB`, `3.4 MB`, `1.2 GB`."""
    if number < 1_000_000:
        return f"{-(-number // 1000)} kB"
    return f"{number / 1e6:.1f} MB" if number < 1_000_000_000 else f"{number / 1e9:.1f} GB"


def decoded(data: bytes) -> str:
    """The text of a file of another tool: UTF-8, or what its byte order mark says, as pip reads it."""
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, errors="replace")
    return data.decode("utf-8", errors="replace")


_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def table(rows: Sequence[Sequence[str]], paint: Paint) -> str:
    """Rows as columns of text; the first row is painted bold."""
    wide = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    wide[-1] = 0
    lines = [
        clean("  ".join(f"{cell:<{width}}" for cell, width in zip(row, wide, strict=True)).rstrip()) for row in rows
    ]
    return "\n".join([paint(lines[0], "bold"), *lines[1:]])
