"""The installed add-ons of a database compared with those of the sources.

Odoo's rules: odoo/modules/module.py (`adapt_version`) and odoo/modules/loading.py, which stores the adapted version.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from odpm_tasks.core.odoo.addon_checks import names_text
from odpm_tasks.core.odoo.addon_versions import adapted_version, compare_key, stored_series
from odpm_tasks.errors import DescriptionError, OdpmError

_SHOWN = 5


@dataclass(frozen=True)
class AddonVersion:
    """Both versions with the series, as Odoo stores them."""

    name: str
    installed: str
    source: str

    def __str__(self) -> str:
        return f"{self.name} {self.installed} -> {self.source}"


@dataclass(frozen=True)
class DatabaseFindings:
    """How the installed add-ons differ from the sources: the version is raised or lowered there, or the add-on is gone.

    `series`: that of the database, where it is another one than that of the sources; then nothing else is compared.
    """

    raised: tuple[AddonVersion, ...] = ()
    lowered: tuple[AddonVersion, ...] = ()
    gone: tuple[str, ...] = ()
    series: str = ""

    def errors(self, database: str, odoo_version: str) -> Iterator[OdpmError]:
        """Why a strict scenario does not start Odoo with this database."""
        if self.series:
            yield DescriptionError(
                f"the database {database} is of Odoo {self.series}, the sources are {odoo_version}",
                where="odpm.json",
                todo="inv up -d NAME starts with another database; a database changes its series by OpenUpgrade or Odoo's service",
            )
        if self.gone:
            yield DescriptionError(
                f"installed in the database {database} and in no source: {names_text(self.gone)}",
                where="odpm.json",
                todo=f"add the repository again; or with the old sources: inv mod.uninstall {','.join(self.gone)}",
            )

    def texts(self, database: str, odoo_version: str, *, updated: bool) -> Iterator[str]:
        """What is reported and stops nothing. `updated`: raised versions are updated in this run."""
        for error in self.errors(database, odoo_version):
            yield f"{error.what} ({error.todo})"
        if self.raised and not updated:
            names = ",".join(addon.name for addon in self.raised)
            yield f"not updated in the database {database}: {_versions(self.raised)} (inv up -u {names})"
        if self.lowered:
            yield f"the database {database} has newer add-ons than the sources: {_versions(self.lowered)}"


def compare(installed: Mapping[str, str], sources: Mapping[str, str | None], odoo_version: str) -> DatabaseFindings:
    """Compare `installed` (name -> version in the database) with `sources` (name -> version in the manifest, None: unknown).

    `base` and add-ons for Odoo's own tests are in no list of sources and are not compared.
    """
    wanted = stored_series(odoo_version)
    series = stored_series(installed.get("base") or wanted)
    if series.removeprefix("saas~") != wanted.removeprefix("saas~"):
        return DatabaseFindings(series=series)
    raised, lowered, gone = [], [], []
    for name, version in sorted(installed.items()):
        if name == "base" or name.startswith("test_"):
            continue
        if name not in sources:
            gone.append(name)
            continue
        source = sources[name]
        if source is None:
            continue
        addon = AddonVersion(name, version, adapted_version(source, series))
        if version and compare_key(addon.source) > compare_key(version):
            raised.append(addon)
        elif version and compare_key(addon.source) < compare_key(version):
            lowered.append(addon)
    return DatabaseFindings(tuple(raised), tuple(lowered), tuple(gone))


def _versions(addons: tuple[AddonVersion, ...]) -> str:
    shown = ", ".join(map(str, addons[:_SHOWN]))
    return f"{shown} and {len(addons) - _SHOWN} more" if len(addons) > _SHOWN else shown
