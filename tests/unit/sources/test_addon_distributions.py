"""Distributions of add-ons: names on the index, and the repository that metadata states."""

from __future__ import annotations

import pytest

from odpm_tasks.core.sources.addon_distributions import distribution_name, metadata_file, repository_of


@pytest.mark.parametrize(
    ("series", "name"),
    [
        ("11.0", "odoo11-addon-web-x"),
        ("14.0", "odoo14-addon-web-x"),
        ("15.0", "odoo-addon-web-x"),
        ("19.0", "odoo-addon-web-x"),
    ],
)
def test_the_name_contains_old_series(series: str, name: str) -> None:
    assert distribution_name("web_x", series) == name


def test_the_metadata_of_wheels_and_source_distributions() -> None:
    wheel = ["odoo/addons/x/__init__.py", "odoo_addon_x-16.0.dist-info/METADATA", "odoo_addon_x-16.0.dist-info/WHEEL"]
    sdist = ["x-1/x.egg-info/PKG-INFO", "x-1/PKG-INFO"]
    assert metadata_file(wheel) == ("odoo_addon_x-16.0.dist-info/METADATA",)
    assert metadata_file(sdist) == ("x-1/PKG-INFO",)
    assert metadata_file(["x"]) == ()


@pytest.mark.parametrize(
    ("lines", "url"),
    [
        ("Home-page: https://github.com/OCA/contract", "https://github.com/OCA/contract"),
        ("Home-page: https://github.com/OCA/web/tree/16.0/web_x", "https://github.com/OCA/web"),
        ("Project-URL: Homepage, https://github.com/OCA/web.git", "https://github.com/OCA/web"),
        (
            "Home-page: https://acme.example\nProject-URL: Source, https://gitlab.com/acme/x",
            "https://gitlab.com/acme/x",
        ),
        ("Home-page: http://github.com/OCA/web", ""),
        ("Home-page: https://github.com/OCA", ""),
        ("Home-page: https://github.com/OCA/\x1b[31m", ""),
        ("Summary: nothing", ""),
    ],
)
def test_the_repository_that_metadata_states(lines: str, url: str) -> None:
    assert repository_of(f"Metadata-Version: 2.1\nName: x\n{lines}\n\nText: https://github.com/no/no\n") == url
