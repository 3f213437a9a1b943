"""The installed add-ons of a database compared with the sources."""

from __future__ import annotations

import pytest

from odpm_tasks.core.odoo.addon_versions import adapted_version
from odpm_tasks.core.odoo.installed_addons import AddonVersion, DatabaseFindings, compare

BASE = {"base": "19.0.1.3"}


@pytest.mark.parametrize(
    ("version", "series", "stored"),
    [
        ("1.2", "19.0", "19.0.1.2"),
        ("19.0.1.0.0", "19.0", "19.0.1.0.0"),
        ("", "19.0", "19.0.1.0"),
        ("1.2.3.4", "19.0", "1.2.3.4"),
        ("1.2.3.4", "18.0", "18.0.1.2.3.4"),
        ("18.0", "18.0", "18.0.18.0"),
        ("1.0", "saas~18.4", "saas~18.4.1.0"),
    ],
)
def test_the_version_that_odoo_stores(version: str, series: str, stored: str) -> None:
    assert adapted_version(version, series) == stored


@pytest.mark.parametrize(
    ("installed", "source", "raised", "lowered"),
    [
        ("19.0.1.9", "1.10", True, False),
        ("19.0.1.0", "19.0.1.0.0", False, False),
        ("19.0.2.0", "1.9", False, True),
        ("", "1.0", False, False),  # never updated since the column exists
    ],
)
def test_versions(installed: str, source: str, raised: bool, lowered: bool) -> None:
    found = compare({**BASE, "acme": installed}, {"acme": source}, "19.0")
    change = (AddonVersion("acme", installed, adapted_version(source, "19.0")),)
    assert found == DatabaseFindings(change if raised else (), change if lowered else ())


def test_add_ons_that_are_gone() -> None:
    """`base` and the add-ons of Odoo's own tests are in no list of sources."""
    assert compare({**BASE, "acme": "19.0.1.0", "test_http": "19.0.1.0"}, {}, "19.0") == DatabaseFindings(
        gone=("acme",)
    )


def test_a_version_that_is_unknown_is_not_compared() -> None:
    assert compare({**BASE, "sale": "19.0.1.0"}, {"sale": None}, "19.0") == DatabaseFindings()


@pytest.mark.parametrize(("base", "series"), [("18.0.1.3", "18.0"), ("saas~18.4.1.3", "saas~18.4")])
def test_another_series_hides_everything_else(base: str, series: str) -> None:
    found = compare({"base": base, "acme": "18.0.1.0"}, {"acme": "19.0.1.0"}, "19.0")
    assert found == DatabaseFindings(series=series)
    assert compare({"base": "saas~18.4.1.3"}, {}, "18.4") == DatabaseFindings()


@pytest.mark.parametrize(
    ("odoo_version", "series"), [("16.0-custom", "16.0"), ("saas-17.4", "saas~17.4"), ("acme/19.0", "19.0")]
)
def test_the_series_is_found_in_the_name_of_a_branch(odoo_version: str, series: str) -> None:
    """`odoo_version` is the branch of the platform where the manifest names none."""
    change = AddonVersion("acme", f"{series}.1.0", f"{series}.1.1")
    found = compare({"base": f"{series}.1.3", "acme": change.installed}, {"acme": "1.1"}, odoo_version)
    assert found == DatabaseFindings(raised=(change,))
    assert compare({"base": "15.0.1.3"}, {}, odoo_version) == DatabaseFindings(series="15.0")


def test_texts() -> None:
    many = tuple(AddonVersion(f"acme_{number}", "19.0.1.0", "19.0.1.1") for number in range(7))
    (text,) = DatabaseFindings(many).texts("shop", "19.0", updated=False)
    assert "acme_4 19.0.1.0 -> 19.0.1.1 and 2 more (inv up -u acme_0,acme_1," in text
    assert list(DatabaseFindings(many).texts("shop", "19.0", updated=True)) == []
    (gone,) = DatabaseFindings(gone=("acme",)).texts("shop", "19.0", updated=True)
    assert gone.startswith("installed in the database shop and in no source: acme (")
    (lowered,) = DatabaseFindings(lowered=many[:1]).texts("shop", "19.0", updated=True)
    assert lowered == "the database shop has newer add-ons than the sources: acme_0 19.0.1.0 -> 19.0.1.1"
    (error,) = DatabaseFindings(series="18.0").errors("shop", "19.0")
    assert (error.exit_code, error.what) == (4, "the database shop is of Odoo 18.0, the sources are 19.0")
