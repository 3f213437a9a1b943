"""A JSON parser that records the position of each value, for messages with a line and for edits.

It is stricter than the standard library: no duplicate keys, no NaN or Infinity, no byte order mark.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any, NoReturn

from odpm_tasks.errors import DescriptionError

Path = tuple[str | int, ...]

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+')
_DEPTH = 100
_TODO = "fix it, then: inv validate"


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed text. `spans`: begin and end offset of each value. `lines`: the line of its key, or of the value itself."""

    value: Any
    spans: dict[Path, tuple[int, int]]
    lines: dict[Path, int]

    def line(self, path: Path) -> int:
        """The line of the value, or of the innermost object or list around it."""
        while path not in self.lines and path:
            path = path[:-1]
        return self.lines.get(path, 1)


def parse(text: str, where: str, todo: str = _TODO) -> Document:
    """Parse a text. Errors: DescriptionError with line and column, and with `todo`, if it is not valid JSON."""
    if text.startswith("\ufeff"):
        _fail("it begins with a byte order mark", where, "save it as UTF-8 without BOM")
    try:
        value = json.loads(text)
        walker = _Walker(text)
        walker.walk()
    except json.JSONDecodeError as error:
        _fail(f"line {error.lineno}, column {error.colno}: {_reason(text, error)}", where, todo)
    except _InvalidJson as error:
        line, column = _position(text, error.offset)
        _fail(f"line {line}, column {column}: {error}", where, todo)
    except RecursionError:
        _fail("it is nested too deeply", where, todo)
    except ValueError as error:
        _fail(f"{error}", where, todo)
    return Document(value, walker.spans, walker.lines)


def spell(path: Path) -> str:
    """A path in messages: `dependencies[2]`, `services.mailpit.image`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        elif re.fullmatch(r"[\w-]+", part):
            text += f".{part}" if text else part
        else:
            text += f"[{json.dumps(part, ensure_ascii=False)}]"
    return text


def dump(value: Any, indent: str | int = 4) -> str:
    return json.dumps(value, indent=indent, ensure_ascii=False) + "\n"


def indent_of(text: str) -> str | int:
    """The indent of the first level of a text; 4 if it has none."""
    found = re.search(r"\{[^\S\n]*\n([ \t]+)\"", text)
    return found[1] if found else 4


def with_value(text: str, where: str, key: str, value: Any) -> str:
    """The text with one top-level key set and every other byte unchanged. A new key is added at the end of the object."""
    document = parse(text, where)
    if not isinstance(document.value, dict):
        _fail("it is not an object", where)
    indent = indent_of(text)
    unit = " " * indent if isinstance(indent, int) else indent
    newline = "\r\n" if "\r\n" in text else "\n"
    shown = json.dumps(value, indent=unit, ensure_ascii=False).replace("\n", newline + unit)
    if (key,) in document.spans:
        begin, end = document.spans[(key,)]
        return text[:begin] + shown + text[end:]
    entry = f"{newline}{unit}{json.dumps(key, ensure_ascii=False)}: {shown}"
    if document.value:
        last = max(end for path, (_, end) in document.spans.items() if len(path) == 1)
        return f"{text[:last]},{entry}{text[last:]}"
    begin, end = document.spans[()]
    return f"{text[:begin]}{{{entry}{newline}}}{text[end:]}"


class _InvalidJson(Exception):
    def __init__(self, reason: str, offset: int) -> None:
        super().__init__(reason)
        self.offset = offset


@dataclass
class _Walker:
    """Records the positions in a text that json.loads accepts, and reports what json.loads does not check."""

    text: str
    spans: dict[Path, tuple[int, int]] = field(default_factory=dict)
    lines: dict[Path, int] = field(default_factory=dict)

    def walk(self) -> None:
        self.tokens = _TOKEN.finditer(self.text)
        self.counted, self.line = 0, 1
        self._value(next(self.tokens), ())

    def _value(self, token: re.Match[str], path: Path) -> int:
        begin = token.start()
        self.lines.setdefault(path, self._line(begin))
        if len(path) > _DEPTH:
            raise _InvalidJson("it is nested too deeply", begin)
        if token[0] == "{":
            end = self._object(path)
        elif token[0] == "[":
            end = self._array(path)
        else:
            end = token.end()
            if token[0][0] == '"':
                self._string(token)
            elif token[0] not in ("true", "false", "null") and not math.isfinite(float(token[0])):
                raise _InvalidJson(f"{token[0]} is not a JSON number", begin)
        self.spans[path] = (begin, end)
        return end

    def _object(self, path: Path) -> int:
        token = next(self.tokens)
        while token[0] != "}":
            if token[0] == ",":
                token = next(self.tokens)
            key = self._string(token)
            if (*path, key) in self.spans:
                raise _InvalidJson(
                    f"the key {json.dumps(key, ensure_ascii=False)} occurs twice in one object", token.start()
                )
            self.lines[(*path, key)] = self._line(token.start())
            next(self.tokens)  # the colon
            self._value(next(self.tokens), (*path, key))
            token = next(self.tokens)
        return token.end()

    def _array(self, path: Path) -> int:
        token, index = next(self.tokens), 0
        while token[0] != "]":
            if token[0] == ",":
                token = next(self.tokens)
            self._value(token, (*path, index))
            token, index = next(self.tokens), index + 1
        return token.end()

    def _string(self, token: re.Match[str]) -> str:
        value: str = json.loads(token[0])
        if any("\ud800" <= char <= "\udfff" for char in value):
            raise _InvalidJson("an unpaired surrogate is not a character", token.start())
        return value

    def _line(self, offset: int) -> int:
        """The line of an offset. Offsets only grow, so each part of the text is counted once."""
        self.line += self.text.count("\n", self.counted, offset)
        self.counted = offset
        return self.line


def _position(text: str, offset: int) -> tuple[int, int]:
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def _reason(text: str, error: json.JSONDecodeError) -> str:
    """The message of the parser; a clearer one for a trailing comma and for comments."""
    before = text[: error.pos].rstrip()
    after = text[error.pos : error.pos + 2]
    if before.endswith(",") and after[:1] in ("}", "]", ""):
        return "a comma before the closing bracket"
    if after[:2] in ("//", "/*") or after[:1] == "#":
        return "JSON has no comments"
    return error.msg[:1].lower() + error.msg[1:]


def _fail(reason: str, where: str, todo: str = _TODO) -> NoReturn:
    raise DescriptionError(f"{where} is not valid JSON: {reason}", where=where, todo=todo)
