"""What `down` says that it removed."""

from __future__ import annotations

import pytest

from odpm_tasks.stack.down import Removal

EVERYTHING = ("shop_db-developer",), ("docker-compose.yml",)


@pytest.mark.parametrize(
    ("removed", "data", "text"),
    [
        (Removal("shop"), False, "containers of shop removed; the database is kept"),
        (Removal("shop", containers=False), False, "shop has no containers; the database is kept"),
        (Removal("shop", True, *EVERYTHING), True, "containers, volumes and generated files of shop removed"),
        (Removal("shop", False, EVERYTHING[0]), True, "volumes of shop removed"),
        (Removal("shop", True, EVERYTHING[0]), True, "containers and volumes of shop removed"),
        (Removal("shop", containers=False), True, "shop has no containers and no volumes"),
    ],
)
def test_only_what_was_there_is_named_as_removed(removed: Removal, data: bool, text: str) -> None:
    assert removed.result(data=data) == text
