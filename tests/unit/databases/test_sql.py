"""How PostgreSQL copies a database."""

from __future__ import annotations

import pytest

from odpm_tasks.core.databases.sql import Strategy, connect, create_copy, strategy


@pytest.mark.parametrize(
    ("version", "size", "file_system", "expected"),
    [
        (140012, 1_000_000_000, "xfs", ""),
        (150004, 10_000_000, "xfs", "WAL_LOG"),
        (170002, 1_000_000_000, "xfs", "FILE_COPY"),
        (180001, 10_000_000, "xfs", "CLONE"),
        (180001, 1_000_000_000, "btrfs", "CLONE"),
        (180001, 10_000_000, "ext2/ext3", "WAL_LOG"),
        (180001, 1_000_000_000, "overlayfs", "FILE_COPY"),
        (190000, 1_000_000_000, "", "FILE_COPY"),
    ],
)
def test_how_a_database_is_copied(version: int, size: int, file_system: str, expected: Strategy) -> None:
    assert strategy(version, size, file_system) == expected


def test_the_sql_of_a_copy() -> None:
    hidden = "ALLOW_CONNECTIONS = false IS_TEMPLATE = true"
    assert create_copy("a", "b c", "odoo") == f'CREATE DATABASE "b c" TEMPLATE = "a" OWNER = "odoo" {hidden}'
    assert f' OWNER = "odoo" STRATEGY = WAL_LOG {hidden}' in create_copy("a", "b", "odoo", "WAL_LOG")
    first, second = create_copy("a", "b", "odoo", "CLONE").splitlines()
    assert (first, "STRATEGY = FILE_COPY" in second) == ("SET file_copy_method = clone;", True)


def test_the_command_of_psql_that_connects() -> None:
    """A value is quoted for libpq, and the whole for psql."""
    for name, quoted in (("shop", "shop"), ("a'b", r"a\'b"), (r"a\b", r"a\\b"), ('a "b"', 'a ""b""')):
        assert connect(name, "odoo") == f"""\\connect -reuse-previous=off "dbname='{quoted}' user='odoo'\""""
