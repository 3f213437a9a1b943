"""The table of series: which row applies to a version, which versions are refused."""

from __future__ import annotations

from itertools import pairwise

import pytest

from odpm_tasks.core.odoo.series import TABLE, old_python, series
from odpm_tasks.errors import DescriptionError


def test_every_series_since_11_has_its_own_row() -> None:
    assert [row.name for row in TABLE] == [f"{major}.0" for major in range(11, 20)]
    assert all(older.release < newer.release for older, newer in pairwise(TABLE))


@pytest.mark.parametrize(
    ("version", "row"),
    [
        ("11.0", "11.0"),
        ("19.0", "19.0"),
        ("saas-17.4", "17.0"),
        ("16.0-custom", "16.0"),
        ("customer/18.0", "18.0"),
        ("25.0", "19.0"),
    ],
)
def test_series_of_a_version(version: str, row: str) -> None:
    assert series(version).name == row


@pytest.mark.parametrize("version", ["master", "", "10.0", "8.0", "19"])
def test_a_version_without_a_supported_series_is_refused(version: str) -> None:
    with pytest.raises(DescriptionError) as caught:
        series(version)
    assert "odoo_version" in caught.value.where
    assert caught.value.exit_code == 4


def test_the_websocket_port_option_changes_in_16() -> None:
    names = {row.name: row.gevent_port_option for row in TABLE}
    assert [name for name, option in names.items() if option == "longpolling_port"] == [
        "11.0",
        "12.0",
        "13.0",
        "14.0",
        "15.0",
    ]
    assert series("16.0").gevent_port_option == "gevent_port"


def test_demo_options_change_in_19() -> None:
    assert series("18.0").no_demo == ("--without-demo=all",)
    assert series("18.0").with_demo == ()
    assert series("19.0").no_demo == ("--without-demo=True",)
    assert series("19.0").with_demo == ("--with-demo",)


def test_the_health_route_exists_since_15() -> None:
    assert [row.name for row in TABLE if not row.health_path] == ["11.0", "12.0", "13.0", "14.0"]


@pytest.mark.parametrize(
    ("odoo", "python", "fits"),
    [
        ("19.0", "3.10", True),
        ("19.0", "3.9", False),
        ("saas-17.4", "3.9.2", False),
        ("16.0-custom", "3.7", True),
        ("16.0", "3.6", False),
        ("11.0", "3.5", True),
        ("11.0", "2.7", False),
        ("master", "3.7", True),  # no series, nothing is known
        ("8.0", "3.7", True),  # refused elsewhere
    ],
)
def test_a_python_that_is_older_than_the_series_needs_is_named_with_one_that_fits(
    odoo: str, python: str, fits: bool
) -> None:
    text = old_python(odoo, python)
    assert (text == "") is fits
    assert fits or (python in text and series(odoo).python in text)


def test_the_python_of_a_new_project_is_not_too_old() -> None:
    assert [row.name for row in TABLE if old_python(row.name, row.python)] == []
