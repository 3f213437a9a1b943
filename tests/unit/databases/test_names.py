"""Which names databases and snapshots may have."""

from __future__ import annotations

import pytest

from odpm_tasks.core.databases.names import check_name, check_snapshot_name
from odpm_tasks.errors import DescriptionError


@pytest.mark.parametrize("name", ["shop", "Shop 2", "boutique-é", "店", "a.b_c-d", "a" * 63])
def test_names_that_a_user_may_give(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        *(
            "",
            "postgres",
            "template0",
            "template1",
            "Template9",
            "../x",
            "a/b",
            "a\\b",
            ".",
            "..",
            ".x",
            "-x",
            " x",
            "a\nb",
        ),
        *("odpm.new.1", "odpm.snapshot.ab", "é" * 32),
    ],
)
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(DescriptionError, match="cannot be the name"):
        check_name(name)


@pytest.mark.parametrize("name", ["before", "20251127-084501", "v1.2+x", "étape"])
def test_names_of_snapshots(name: str) -> None:
    assert check_snapshot_name(name) == name


@pytest.mark.parametrize("name", ["", "-x", ".x", "a b", "a/b", "a\n", "a" * 101, "'"])
def test_other_names_of_snapshots_are_refused(name: str) -> None:
    with pytest.raises(DescriptionError, match="cannot be the name"):
        check_snapshot_name(name)
