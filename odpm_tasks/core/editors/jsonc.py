"""Edit JSON with comments (JSONC): a change of one value keeps every other byte, comments and trailing commas included.

For the parser, comments and trailing commas become blanks, so that each position is the same in the text. The libraries for
Python keep too little: they need Node.js, or write the whole document again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.editors.merge import Edit, Path
from odpm_tasks.core.manifest.json_document import Document, indent_of, parse

_TOKEN = re.compile(r'"(?:[^"\\\n]|\\.)*"|//[^\n\r]*|/\*.*?\*/', re.DOTALL)
_TRAILING = re.compile(r",(?=\s*[}\]])")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_REST = re.compile(r"[ \t]*(?://[^\n\r]*|(?:/\*(?:(?!\*/)[^\n])*\*/[ \t]*)+)?(?=\r?\n)")
_TODO = "fix it, or move the file elsewhere, then: inv ide"


@dataclass(frozen=True)
class _Text:
    """A text with its values. `plain`: without comments and trailing commas, as long as the text. `trailing`: their offsets."""

    text: str
    plain: str
    trailing: frozenset[int]
    document: Document

    @property
    def newline(self) -> str:
        return "\r\n" if "\r\n" in self.text else "\n"

    @property
    def unit(self) -> str:
        indent = indent_of(self.plain)
        return " " * indent if isinstance(indent, int) else indent

    def children(self, path: Path) -> list[Path]:
        found = [other for other in self.document.spans if len(other) == len(path) + 1 and other[:-1] == path]
        return sorted(found, key=lambda other: self.document.spans[other][0])

    def begin(self, path: Path) -> int:
        """The offset of an element, or of the key of a member."""
        begin = self.document.spans[path][0]
        if isinstance(path[-1], int):
            return begin
        siblings = self.children(path[:-1])
        at = siblings.index(path)
        after = self.document.spans[siblings[at - 1]][1] if at else self.document.spans[path[:-1]][0]
        found = _STRING.search(self.plain, after)
        return found.start() if found else begin

    def line_indent(self, offset: int) -> str:
        line = self.text[self.text.rfind("\n", 0, offset) + 1 : offset]
        return line[: len(line) - len(line.lstrip())]


def read(text: str, where: str) -> Any:
    """The value of a text. An empty text is an empty object, as editors read it. Errors: DescriptionError naming the line."""
    return _parsed(text, where).document.value if _plain(text)[0].strip() else {}


def edited(text: str, where: str, edits: Iterable[Edit]) -> str:
    """The text with these changes. Errors: as `read`."""
    if not _plain(text)[0].strip():
        text = f"{text}{'' if text.endswith(chr(10)) or not text else chr(10)}{{}}\n"
    for edit in edits:
        now = _parsed(text, where)
        if edit.kind == "set":
            begin, end = now.document.spans[edit.path]
            shown = _shown(edit.value, now, now.line_indent(begin), "\n" in text[begin:end] or not edit.path)
            text = text[:begin] + shown + text[end:]
        elif edit.kind == "remove":
            text = _removed(now, edit.path)
        else:
            text = _added(now, edit.path, edit.value)
    return text


def _plain(text: str) -> tuple[str, frozenset[int]]:
    def blank(match: re.Match[str]) -> str:
        return match[0] if match[0][0] == '"' else re.sub(r"[^\n\r]", " ", match[0])

    plain = _TOKEN.sub(blank, text)
    strings = [match.span() for match in _TOKEN.finditer(plain)]
    trailing = {
        match.start()
        for match in _TRAILING.finditer(plain)
        if not any(begin <= match.start() < end for begin, end in strings)
    }
    return "".join(" " if at in trailing else char for at, char in enumerate(plain)), frozenset(trailing)


def _parsed(text: str, where: str) -> _Text:
    plain, trailing = _plain(text)
    return _Text(text, plain, trailing, parse(plain, where, _TODO))


def _shown(value: Any, now: _Text, indent: str, lines: bool) -> str:
    if not lines:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, indent=now.unit, ensure_ascii=False).replace("\n", now.newline + indent)


def _added(now: _Text, path: Path, value: Any) -> str:
    """The text with a new member at the end of its object, or a new element at its index."""
    text, parent = now.text, path[:-1]
    begin, end = now.document.spans[parent]
    siblings = now.children(parent)
    name = "" if isinstance(path[-1], int) else f"{json.dumps(path[-1], ensure_ascii=False)}: "
    if not siblings:
        outer, inner = now.line_indent(begin), text[begin + 1 : end - 1].rstrip()
        indent = outer + now.unit
        entry = f"{now.newline}{indent}{name}{_shown(value, now, indent, True)}{now.newline}{outer}"
        return f"{text[: begin + 1]}{inner}{entry}{text[end - 1 :]}"
    first = now.begin(siblings[0])
    lines = "\n" in text[begin:first]
    indent = now.line_indent(first) if lines else ""
    entry = name + _shown(value, now, indent, lines)
    gap = now.newline + indent if lines else " "
    at = path[-1] if isinstance(path[-1], int) else len(siblings)
    if at == 0:
        return f"{text[:first]}{entry},{gap}{text[first:]}"
    last = now.document.spans[siblings[at - 1]][1]
    trailing = next((offset for offset in sorted(now.trailing) if last <= offset < end), -1)
    comma = now.plain.index(",", last) if at < len(siblings) else trailing
    if comma < 0:
        text, comma, tail = f"{text[:last]},{text[last:]}", last, ""
    else:
        tail = ","
    place = comma + 1
    if lines and (rest := _REST.match(text, place)):
        place = rest.end()
    return f"{text[:place]}{gap}{entry}{tail}{text[place:]}"


def _removed(now: _Text, path: Path) -> str:
    """The text without a member or element; comments stay, a line that becomes empty goes."""
    text, siblings = now.text, now.children(path[:-1])
    at = siblings.index(path)
    begin, end = now.begin(path), now.document.spans[path][1]
    closing = now.document.spans[path[:-1]][1]
    trailing = next((offset for offset in sorted(now.trailing) if end <= offset < closing), -1)
    comma = now.plain.index(",", end) if at < len(siblings) - 1 else trailing
    if comma >= 0:
        text = text[:comma] + text[comma + 1 :]
    elif at:
        before = now.plain.index(",", now.document.spans[siblings[at - 1]][1])
        text = text[:before] + text[before + 1 :]
        begin, end = begin - 1, end - 1
    left, right = text[:begin], text[end:]
    stripped, follows = left.rstrip(" \t"), re.match(r"[ \t]*\r?\n", right)
    if stripped.endswith("\n") and follows:
        return stripped + right[follows.end() :]
    return left + right.lstrip(" \t")
