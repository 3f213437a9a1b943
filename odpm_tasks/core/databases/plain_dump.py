"""Plain SQL dumps of pg_dump as a stream of statements and data, read without psql: its commands (`\\!`, `\\connect`) do not exist here.

Statements that set owners and rights, and those of the whole server, are left out or refused; the role that runs the others
has rights on one new database only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from odpm_tasks.errors import DescriptionError

_HEADER = re.compile(rb"PostgreSQL database dump")
_END = b"PostgreSQL database dump complete"
_VERSION = re.compile(rb"Dumped (from database|by pg_dump) version (\d+)(\S*)")
_TOKEN = re.compile(rb"--|/\*|'|\"|\$(?:[A-Za-z_\x80-\xff][\w\x80-\xff]*)?\$|;|\\")
_ESCAPE = re.compile(rb"['\\\\]")
_LONGEST = 256 << 20  # bytes of one statement
_KEY = re.compile(rb"\\(un)?restrict [A-Za-z0-9]+[ \t\r]*\n")


@dataclass(frozen=True)
class Statement:
    """A statement of the dump, without comments; `line`: where it begins. `copy`: data follows."""

    text: bytes
    line: int
    copy: bool = False


@dataclass(frozen=True)
class Data:
    """A part of the data of the last statement; the last part is empty."""

    rows: bytes


@dataclass
class Header:
    """The versions that a dump names; 0: not named."""

    server: int = 0
    program: int = 0
    known: bool = False


@dataclass
class DumpParser:
    """Splits a dump. `feed` blocks of bytes, then `close`. Errors: DescriptionError, also for a dump that is cut off."""

    header: Header = field(default_factory=Header)
    _buffer: bytearray = field(default_factory=bytearray)
    _statement: bytearray = field(default_factory=bytearray)
    _inside: bytes = b""  # what is open: a quote, `E'`, `--`, `/*`, `$tag$`, or `COPY`
    _depth: int = 0
    _line: int = 1
    _begin: int = 1
    _complete: bool = False
    _at_line_start: bool = True

    def feed(self, block: bytes) -> Iterator[Statement | Data]:
        self._buffer += block
        while True:
            before = len(self._buffer), self._inside
            yield from self._copy_data() if self._inside == b"COPY" else self._text()
            if (len(self._buffer), self._inside) == before:
                return

    def close(self) -> Iterator[Statement | Data]:
        """The rest. Errors: DescriptionError where the dump does not end as pg_dump ends one."""
        yield from self.feed(b"\n")
        if not self.header.known:
            raise DescriptionError("this is no dump of pg_dump", todo=_TODO)
        if not self._complete:
            raise DescriptionError(f"the dump is cut off after line {self._line}", todo=_TODO)

    def _text(self) -> Iterator[Statement | Data]:
        """Read up to the end of a statement, or as far as the buffer is certain."""
        if self._inside:
            self._quoted()
            return
        found = _TOKEN.search(self._buffer)
        if found is None:
            # a token may continue in the next block: `-`, `/`, `$tag`, and `E` before a quote
            keep = re.search(rb"(?:\$[\w\x80-\xff]*|[-/\w\x80-\xff]+)\Z", self._buffer[-80:])
            self._take(len(self._buffer) - (len(keep[0]) if keep else 0))
            return
        token, start = bytes(found[0]), found.start()
        if token == b";":
            self._take(start)
            yield from self._end_of_statement()
        elif token == b"\\":
            self._backslash(start)
        elif token in {b"--", b"/*"}:
            self._take(start)
            self._inside, self._depth = token, 0
        elif token.startswith(b"$") and re.search(rb"[\w\x80-\xff$]\Z", self._before(start)):
            self._take(start + 1)  # part of a name
        else:
            escapes = token == b"'" and re.search(rb"(?<![\w\x80-\xff$])[eE]\Z", self._before(start))
            self._take(found.end())
            self._inside = b"E'" if escapes else token

    def _before(self, start: int) -> bytes:
        """The two bytes before a position of the buffer."""
        return bytes(self._statement[-2:] + self._buffer[max(0, start - 2) : start])[-2:]

    def _quoted(self) -> None:
        """Read up to the end of what is open."""
        kind = self._inside
        if kind == b"--":
            end = self._buffer.find(b"\n")
            if end >= 0:
                self._comment(bytes(self._buffer[:end]))
                self._drop(end)
                self._inside = b""
        elif kind == b"/*":
            for found in [*re.finditer(rb"/\*|\*/", self._buffer)]:
                self._depth += 1 if found[0] == b"/*" else -1
                if self._depth == 0:
                    self._drop(found.end())
                    self._statement += b" "
                    self._inside = b""
                    return
            self._depth = 0  # the comment is read again with more of it
            if len(self._buffer) > _LONGEST:
                raise self._too_long()
        elif kind == b"E'":
            self._escaped_string()
        else:
            end = self._buffer.find(kind)
            if end >= 0:
                self._take(end + len(kind))
                self._inside = b""
            else:
                self._take(max(0, len(self._buffer) - len(kind) + 1))

    def _escaped_string(self) -> None:
        """Read up to the end of `E'…'`, in which a backslash or a second quote escapes a quote."""
        position = 0
        while found := _ESCAPE.search(self._buffer, position):
            if found[0] == b"'" and found.end() == len(self._buffer):
                self._take(found.start())  # the next block tells whether another quote follows
                return
            if found[0] == b"'" and self._buffer[found.end()] != ord("'"):
                self._take(found.end())
                self._inside = b""
                return
            position = found.end() + 1
        self._take(len(self._buffer) - (position > len(self._buffer)))

    def _comment(self, text: bytes) -> None:
        self.header.known |= bool(_HEADER.search(text))
        self._complete |= _END in text
        if found := _VERSION.search(text):
            version = int(found[2])
            if found[1] == b"by pg_dump":
                self.header.program = version
            else:
                self.header.server = version

    def _backslash(self, start: int) -> None:
        """Leave out the lines `\\restrict` and `\\unrestrict` that pg_dump writes. Errors: DescriptionError for others."""
        end = self._buffer.find(b"\n", start)
        if end < 0 and len(self._buffer) - start < 4096:
            self._take(start)
            return
        line = bytes(self._buffer[start : end + 1])
        if not self._statement.strip() and not self._buffer[:start].strip() and _KEY.fullmatch(line):
            self._drop(end + 1)
            self._statement.clear()
            return
        self._take(start)
        shown = line[:60].decode(errors="replace").strip()
        raise DescriptionError(
            f"line {self._line} of the dump is a command of psql, not SQL: {shown}",
            todo="dump one database, without --create: pg_dump DATABASE > FILE",
        )

    def _end_of_statement(self) -> Iterator[Statement | Data]:
        self._drop(1)
        text = bytes(self._statement).strip()
        self._statement.clear()
        begin, self._begin = self._begin, self._line
        if not text:
            return
        copy = bool(_COPY.fullmatch(text))
        yield Statement(text, begin, copy)
        if copy:
            self._inside, self._at_line_start = b"COPY", False

    def _copy_data(self) -> Iterator[Statement | Data]:
        """Read rows up to the line `\\.`."""
        if not self._at_line_start:  # the rest of the line of COPY
            end = self._buffer.find(b"\n")
            if end < 0:
                return
            self._drop(end + 1)
            self._at_line_start = True
        end = 0 if self._buffer.startswith(b"\\.\n") else self._buffer.find(b"\n\\.\n") + 1
        if end or self._buffer.startswith(b"\\.\n"):
            if end:
                yield Data(bytes(self._buffer[:end]))
            self._drop(end + 3)
            self._inside = b""
            self._begin = self._line
            yield Data(b"")
            return
        last = self._buffer.rfind(b"\n", 0, max(0, len(self._buffer) - 3)) + 1
        if last:
            yield Data(bytes(self._buffer[:last]))
            self._drop(last)
        if len(self._buffer) > _LONGEST:
            yield Data(bytes(self._buffer[:-4]))
            self._drop(len(self._buffer) - 4)

    def _take(self, count: int) -> None:
        """Move bytes to the statement."""
        if not self._statement.strip():
            text = self._buffer[:count]
            self._begin = self._line + text[: len(text) - len(text.lstrip())].count(b"\n")
        self._statement += self._buffer[:count]
        if len(self._statement) > _LONGEST:
            raise self._too_long()
        self._drop(count)

    def _drop(self, count: int) -> None:
        self._line += self._buffer.count(b"\n", 0, count)
        del self._buffer[:count]

    def _too_long(self) -> DescriptionError:
        return DescriptionError(f"a statement of the dump is too long (line {self._begin})", todo=_TODO)


_TODO = "make the dump again with: pg_dump DATABASE > FILE"
_COPY = re.compile(rb"COPY\s+(?:\"(?:[^\"]|\"\")+\"|[\w$.\x80-\xff])+\s*(?:\([^;']*\)\s*)?FROM\s+stdin", re.IGNORECASE)

# Statements of pg_dump that a role without rights cannot run, and that a copy of the data does not need.
_LEFT_OUT = re.compile(
    rb"(?:ALTER\s+DEFAULT\s+PRIVILEGES|GRANT|REVOKE|COMMENT\s+ON\s+EXTENSION|CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?"
    rb"\"?(?:plpgsql|pg_stat_statements|pg_buffercache)\"?|CREATE\s+SCHEMA\s+public$|COMMENT\s+ON\s+SCHEMA\s+public"
    rb"|(?:CREATE|ALTER)\s+(?:PUBLICATION|SUBSCRIPTION|EVENT\s+TRIGGER)|SECURITY\s+LABEL|ALTER\s+EVENT\s+TRIGGER"
    rb"|SET\s+(?:SESSION\s+AUTHORIZATION|default_tablespace|transaction_timeout)\b)",
    re.IGNORECASE,
)
_OWNER = re.compile(rb"ALTER\s.*\sOWNER\s+TO\s+(?:\"(?:[^\"]|\"\")+\"|[\w$]+)", re.IGNORECASE | re.DOTALL)
_REFUSED = re.compile(
    rb"(?:ALTER\s+SYSTEM|(?:CREATE|DROP|ALTER)\s+(?:DATABASE|ROLE|USER|GROUP|TABLESPACE|SERVER|FOREIGN\s+DATA\s+WRAPPER)\b|LOAD\b|COPY\b"
    rb"|SET\s+ROLE\b|RESET\s+(?:ROLE|SESSION)|DROP\s+OWNED|REASSIGN\s+OWNED)",
    re.IGNORECASE,
)


def is_left_out(statement: Statement) -> bool:
    """Whether a restore leaves out a statement: owners, rights, replication, extensions that watch the server."""
    text = statement.text
    return bool(
        _LEFT_OUT.match(text) or (text[:6].upper() == b"ALTER " and b"'" not in text and _OWNER.fullmatch(text))
    )


def check(statement: Statement) -> None:
    """Refuse a statement that reaches beyond the database. Errors: DescriptionError naming it."""
    if not statement.copy and _REFUSED.match(statement.text):
        shown = b" ".join(statement.text[:200].split())[:60].decode(errors="replace")
        raise DescriptionError(
            f"line {statement.line} of the dump reaches beyond the database: {shown}",
            todo="restore only archives that you trust; a backup of one database has no such statement",
        )


_EXTENSION = re.compile(rb"CREATE\s+EXTENSION\s+(?:IF\s+NOT\s+EXISTS\s+)?\"?([\w-]+)\"?", re.IGNORECASE)


def extension(statement: Statement) -> str:
    """The extension that a statement creates, empty for other statements."""
    found = _EXTENSION.match(statement.text)
    return found[1].decode(errors="replace") if found else ""


def creates_nothing(statement: Statement) -> bool:
    """Whether a statement sets a parameter or creates an extension: what comes before all else in a dump."""
    return bool(extension(statement) or re.match(rb"SET\s|SELECT\s+pg_catalog\.set_config\('", statement.text))
