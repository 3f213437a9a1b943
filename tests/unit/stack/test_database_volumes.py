"""Which volume of PostgreSQL has the data, and when a version must not start."""

from __future__ import annotations

import pytest

from odpm_tasks.core.stack.database_volumes import database_volumes
from tests.unit.builders import manifest

FIFTEEN, SEVENTEEN, MARK = "shop_db-developer-15", "shop_db-developer-17", "shop_db-developer-17.upgrade"
OTHERS = (
    "shop_db-server-18",
    "shop_odoo-developer",
    "shop_db-developer",
    "my-shop_db-developer-18",
    "shop_db-developer-18.x",
)


@pytest.mark.parametrize(
    ("asked", "names", "newest", "older", "refused"),
    [
        ("15", (), 0, (), ""),
        ("15", (FIFTEEN,), 15, (), ""),
        ("15.4", (FIFTEEN,), 15, (), ""),
        ("17", (FIFTEEN,), 15, (FIFTEEN,), "inv db.upgrade-postgres moves it; to keep that version: write 15 there"),
        ("17", (FIFTEEN, SEVENTEEN), 17, (FIFTEEN,), ""),
        ("15", (FIFTEEN, SEVENTEEN), 17, (), "write 17 there"),
        ("17", (FIFTEEN, SEVENTEEN, MARK), 15, (FIFTEEN,), "starts it again; to go back: write 15 there"),
        ("17", (FIFTEEN, MARK), 15, (FIFTEEN,), "starts it again"),
        ("15", (FIFTEEN, SEVENTEEN, MARK), 15, (), ""),
        ("18", (FIFTEEN, SEVENTEEN), 17, (FIFTEEN, SEVENTEEN), "write 17 there"),
    ],
)
def test_the_newest_complete_volume_has_the_data(
    asked: str, names: tuple[str, ...], newest: int, older: tuple[str, ...], refused: str
) -> None:
    found = database_volumes("shop", "developer", manifest(postgres=asked), (*OTHERS, *names))
    assert (found.newest, found.older) == (newest, older)
    assert found.name == f"shop_db-developer-{asked[:2]}"
    assert found.mark == f"{found.name}.upgrade"
    error = found.refusal()
    assert (error is not None) == bool(refused)
    if error:
        assert (error.exit_code, refused in error.todo) == (4, True)
        assert (
            f"{found.complete[newest]} holds data of PostgreSQL {newest}, and odpm.json asks for {asked}" in error.what
        )
