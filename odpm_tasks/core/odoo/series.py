"""What differs between the series of Odoo: one table.

A row applies to its series and to all later ones up to the next row, so a series newer than the table uses the newest row.
Series before 11.0 need Python 2 and are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from odpm_tasks.errors import DescriptionError

_PKG_RESOURCES = ("setuptools<82",)
_CYTHON = ("cython<3.1", "setuptools<82")
_2TO3 = ("cython<3.1", "setuptools<58")


@dataclass(frozen=True)
class Series:
    """The properties of one series.

    `oldest_python`: Odoo refuses an older one when it starts (`odoo/__init__.py`, from 18.0 on MIN_PY_VERSION of `release.py`).
    `python`, `debian`, `postgres`: the versions that a new project starts with; the formats of `odpm.json` have their own
    defaults. From 16.0 on they are Debian 12, the last release with wkhtmltopdf, and its PostgreSQL; older series get the
    last Debian that their libraries build on. `python` is a version for which the series' requirements have pins.
    `gevent_port_option`: the option for the websocket port. `health_path`: the health route, empty if the series has none
    (then only a TCP connection can be checked). `no_demo`, `with_demo`: the arguments that create a database without and
    with demo data. `needs_lessc`: Odoo compiles assets with Node's lessc. `build_constraints`: versions
    of the tools that packages are built with. Pinned requirements are older than these tools: some need 2to3 (setuptools
    until 57) or `pkg_resources` (until 81), gevent 21.8.0 needs a Cython before 3.1. `own_commands`: Odoo has the commands
    `module`, `i18n` and `db`.
    """

    name: str
    oldest_python: str
    python: str
    debian: str
    postgres: str
    gevent_port_option: str
    health_path: str
    no_demo: tuple[str, ...]
    with_demo: tuple[str, ...]
    needs_lessc: bool = False
    build_constraints: tuple[str, ...] = _PKG_RESOURCES
    odoo_bin: str = "odoo-bin"
    own_commands: bool = False

    @property
    def release(self) -> tuple[int, int]:
        major, minor = self.name.split(".")
        return int(major), int(minor)


_ALL = ("--without-demo=all",)
_TRUE, _DEMO = ("--without-demo=True",), ("--with-demo",)

TABLE: tuple[Series, ...] = (
    #      name    oldest  Python  Debian PostgreSQL gevent port  health route   no demo, demo
    Series(
        "11.0", "3.5", "3.7", "11", "13", "longpolling_port", "", _ALL, (), needs_lessc=True, build_constraints=_2TO3
    ),
    Series(
        "12.0", "3.5", "3.7", "11", "13", "longpolling_port", "", _ALL, (), needs_lessc=True, build_constraints=_2TO3
    ),
    Series("13.0", "3.6", "3.7", "11", "13", "longpolling_port", "", _ALL, (), build_constraints=_2TO3),
    Series("14.0", "3.6", "3.8", "11", "13", "longpolling_port", "", _ALL, (), build_constraints=_2TO3),
    Series("15.0", "3.7", "3.9", "11", "13", "longpolling_port", "/web/health", _ALL, (), build_constraints=_CYTHON),
    Series("16.0", "3.7", "3.10", "12", "15", "gevent_port", "/web/health", _ALL, (), build_constraints=_CYTHON),
    Series("17.0", "3.10", "3.10", "12", "15", "gevent_port", "/web/health", _ALL, (), build_constraints=_CYTHON),
    Series("18.0", "3.10", "3.11", "12", "15", "gevent_port", "/web/health", _ALL, ()),
    Series("19.0", "3.10", "3.11", "12", "15", "gevent_port", "/web/health", _TRUE, _DEMO, own_commands=True),
)
NEWEST = TABLE[-1].name


def series(odoo_version: str) -> Series:
    """The row for an `odoo_version` such as `17.0`, `saas-17.4` or `16.0-custom`.

    Errors: DescriptionError if the version contains no series, or one older than the table.
    """
    found = re.search(r"(?<![\d.])(\d{1,3})\.(\d)(?!\d)", odoo_version)
    if found is None:
        raise DescriptionError(
            f"odoo_version {odoo_version!r} is not a series of Odoo",
            where="odpm.json: odoo_version",
            todo=f'write the series, for example "odoo_version": "{NEWEST}"',
        )
    release = (int(found[1]), int(found[2]))
    rows = [row for row in TABLE if row.release <= release]
    if not rows:
        raise DescriptionError(
            f"Odoo {found[0]} is older than {TABLE[0].name}, the oldest supported series",
            where="odpm.json: odoo_version",
            todo=f"use a series from {TABLE[0].name} to {NEWEST}",
        )
    return rows[-1]


def old_python(odoo_version: str, python: str) -> str:
    """Why a series cannot run with a Python version; empty where it can, and for a version without a known series."""
    try:
        facts = series(odoo_version)
    except DescriptionError:
        return ""
    if _release(python) >= _release(facts.oldest_python):
        return ""
    return f"Odoo {odoo_version} needs Python {facts.oldest_python} or newer, and this is {python}; {facts.python} fits"


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])
