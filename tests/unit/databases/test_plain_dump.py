"""Plain dumps as statements and data, wherever the blocks end, and what is refused in them."""

from __future__ import annotations

import pytest

from odpm_tasks.core.databases.plain_dump import Data, DumpParser, Statement, check, extension, is_left_out
from odpm_tasks.errors import DescriptionError

DUMP = b"""--
-- PostgreSQL database dump
--

\\restrict abcDEF123

-- Dumped from database version 15.4 (Debian 15.4-1)
-- Dumped by pg_dump version 16.1

SET standard_conforming_strings = on;
CREATE FUNCTION public."do;it"() RETURNS text LANGUAGE sql AS $_$ SELECT 'a;b' -- no comment; $_$;
/* a /* nested; */ comment; */ CREATE TABLE public."order" (a$b$ text DEFAULT E'it\\'s;' || ';''', "x;y" text);
COMMENT ON TABLE public."order" IS 'ends with a backslash \\';
COPY public."order" (a, "b") FROM stdin;
1\t\\N;
\\.x\ty

\\.


COPY public.empty (a) FROM stdin;
\\.
SELECT pg_catalog.setval('public.s', 1, false);
\\unrestrict abcDEF123
--
-- PostgreSQL database dump complete
--
"""
STATEMENTS = [
    b"SET standard_conforming_strings = on",
    b"CREATE FUNCTION public.\"do;it\"() RETURNS text LANGUAGE sql AS $_$ SELECT 'a;b' -- no comment; $_$",
    b"CREATE TABLE public.\"order\" (a$b$ text DEFAULT E'it\\'s;' || ';''', \"x;y\" text)",
    b"COMMENT ON TABLE public.\"order\" IS 'ends with a backslash \\'",
    b'COPY public."order" (a, "b") FROM stdin',
    b"COPY public.empty (a) FROM stdin",
    b"SELECT pg_catalog.setval('public.s', 1, false)",
]


def parse(dump: bytes, size: int) -> tuple[list[bytes], bytes, list[int], DumpParser]:
    """Statements, data and lines of a dump that comes in blocks of this size."""
    parser, statements, data, lines = DumpParser(), list[bytes](), b"", list[int]()
    blocks = [dump[at : at + size] for at in range(0, len(dump), size)]
    parts = [*(part for block in blocks for part in parser.feed(block)), *parser.close()]
    for part in parts:
        if isinstance(part, Data):
            data += part.rows
        else:
            statements.append(part.text)
            lines.append(part.line)
    return statements, data, lines, parser


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 5000])
def test_blocks_may_end_anywhere(size: int) -> None:
    statements, data, lines, parser = parse(DUMP, size)
    assert statements == STATEMENTS
    assert data == b"1\t\\N;\n\\.x\ty\n\n"
    assert lines == [10, 11, 12, 13, 14, 21, 23]
    assert (parser.header.server, parser.header.program) == (15, 16)


@pytest.mark.parametrize("size", [1, 4096])
@pytest.mark.parametrize(
    "command",
    [b"\\! touch /tmp/x\n", b"\\connect shop\n", b"SELECT 1 \\gexec\n", b"\\restrict a b\n", b"\\i /etc/passwd\n"],
)
def test_commands_of_psql_are_refused(command: bytes, size: int) -> None:
    with pytest.raises(DescriptionError, match="command of psql"):
        parse(DUMP.replace(b"SET standard", command + b"SET standard"), size)


def test_a_dump_that_is_cut_off_or_none() -> None:
    for end in (100, 400, len(DUMP) - 40):
        with pytest.raises(DescriptionError, match="cut off"):
            parse(DUMP[:end], 4096)
    with pytest.raises(DescriptionError, match="no dump of pg_dump"):
        parse(b"SELECT 1;", 4096)


@pytest.mark.parametrize(
    "text",
    [
        "ALTER SYSTEM SET port = 1",
        "COPY public.x FROM PROGRAM 'id'",
        "COPY public.x TO '/tmp/x'",
        "copy public.x from '/etc/passwd'",
        "DROP DATABASE shop",
        "CREATE ROLE x",
        "ALTER  ROLE odpm_restore SUPERUSER",
        "SET ROLE postgres",
        "REASSIGN OWNED BY odoo TO odpm_restore",
        "CREATE SERVER x FOREIGN DATA WRAPPER y",
    ],
)
def test_what_reaches_beyond_the_database(text: str) -> None:
    with pytest.raises(DescriptionError, match="line 7 of the dump reaches beyond"):
        check(Statement(text.encode(), 7))


def test_what_is_left_out() -> None:
    out = (
        "ALTER TABLE public.x OWNER TO odoo",
        'ALTER FUNCTION public.f(a text) OWNER TO "my role"',
        "ALTER LARGE OBJECT 1 OWNER TO odoo",
        "GRANT ALL ON TABLE public.x TO reader",
        "COMMENT ON EXTENSION pg_trgm IS 'x'",
        "CREATE SCHEMA public",
        "SET transaction_timeout = 0",
        "CREATE PUBLICATION p FOR ALL TABLES",
    )
    kept = (
        "ALTER TABLE public.x ADD y text",
        "COMMENT ON TABLE x IS 'OWNER TO y'",
        "SET client_encoding = 'UTF8'",
        "CREATE SCHEMA public2",
    )
    assert [text for text in (*out, *kept) if is_left_out(Statement(text.encode(), 1))] == list(out)
    assert extension(Statement(b'CREATE EXTENSION IF NOT EXISTS "uuid-ossp" WITH SCHEMA public', 1)) == "uuid-ossp"
