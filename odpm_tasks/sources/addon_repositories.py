"""The repositories of add-ons that no source has: queried from the package index on request, kept in the cache."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from odpm_tasks.adapters import files, index_settings
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.sources.addon_distributions import distribution_name, metadata_file, repository_of

if TYPE_CHECKING:
    from odpm_tasks.adapters.package_index import PackageIndex

MOST = 100
"""The most add-ons that one run queries; a description with more missing ones lacks a repository that has many of them."""


def known(paths: ProjectPaths, odoo_version: str, addon: str) -> str:
    """The URL of the repository that has an add-on, as an earlier query found it; "" if there was none."""
    path = _path(paths, odoo_version, addon)
    return ((files.read_text(path) if path else None) or "").strip()


def query(paths: ProjectPaths, odoo_version: str, addons: Iterable[str]) -> None:
    """Query the package index for the repositories of add-ons and keep what it states.

    Errors: ProgramError where the index does not answer.
    """
    from odpm_tasks.adapters.package_index import AccessError, PackageIndex
    from odpm_tasks.core.locking.python_errors import access_error
    from odpm_tasks.core.locking.uv_output import access_reason

    release = series(odoo_version).name
    settings = index_settings.index()
    index = PackageIndex(
        index_settings.index_urls(settings), settings.certificates, paths.cache / "addons" / "metadata"
    )
    for addon in list(addons)[:MOST]:
        path = _path(paths, odoo_version, addon)
        if path is None or known(paths, odoo_version, addon):
            continue
        try:
            repository = _stated(index, addon, release)
        except AccessError as error:
            reason = access_reason(error.url, error.status, error.text)
            raise access_error(reason, index_settings.index_names(settings)) from None
        if repository:
            files.write(path, f"{repository}\n".encode(), derived=True)


def _stated(index: PackageIndex, addon: str, release: str) -> str:
    """The URL that the distribution of an add-on states; "" if there is no distribution, or if it states none."""
    found = index.distributions(distribution_name(addon, release))
    matching = [one for one in found if one.version.startswith(f"{release}.")] or found
    stated = index.stated(matching[0], metadata_file, _repository)[1] if matching else None
    return str(stated["repository"]) if stated else ""


def _repository(contents: Mapping[str, bytes]) -> Mapping[str, Any] | None:
    return next(({"repository": repository_of(data.decode(errors="replace"))} for data in contents.values()), None)


def _path(paths: ProjectPaths, odoo_version: str, addon: str) -> Path | None:
    """The file that keeps the repository of an add-on; None for a name that no distribution can have."""
    if not re.fullmatch(r"[A-Za-z0-9]\w{0,200}", addon, re.ASCII):
        return None
    return paths.cache / "addons" / series(odoo_version).name / addon
