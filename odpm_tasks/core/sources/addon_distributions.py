"""Distributions of add-ons on a package index, as the OCA publishes them: names, versions, repositories."""

from __future__ import annotations

from collections.abc import Sequence
from email.parser import HeaderParser

from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.errors import DescriptionError


def distribution_name(addon: str, series: str) -> str:
    """The name of the distribution of an add-on. Before 15.0 it contains the series: `odoo14-addon-web-x`.

    Source: setuptools-odoo and whool, "distribution name".
    """
    major = int(series.partition(".")[0])
    return f"odoo{'' if major >= 15 else major}-addon-{addon.replace('_', '-')}"


def metadata_file(names: Sequence[str]) -> tuple[str, ...]:
    """The file of a wheel or source distribution that states its metadata."""
    chosen = [
        name
        for name in names
        if name.endswith(".dist-info/METADATA") or name.count("/") == 1 == name.count("/PKG-INFO")
    ]
    return tuple(chosen[:1])


def repository_of(metadata: str) -> str:
    """The URL of the git repository in core metadata: of `Home-page` or `Project-URL`; "" if there is none.

    A page below the repository, such as `https://github.com/OCA/web/tree/16.0/web_x`, counts as the repository.
    """
    headers = HeaderParser().parsestr(metadata)
    urls = [headers.get("Home-page") or ""]
    urls += [url.partition(",")[2].strip() for url in headers.get_all("Project-URL") or []]
    for url in urls:
        parts = url.split("/")
        if (
            len(parts) >= 5
            and parts[0] == "https:"
            and parts[2] in {"github.com", "gitlab.com"}
            and parts[3]
            and parts[4]
        ):
            try:
                return parse_link("/".join(parts[:5])).canonical
            except DescriptionError:
                continue
    return ""
