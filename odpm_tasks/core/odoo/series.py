"""What differs between the series of Odoo: one table, read by whoever composes a command line or a file.

A row holds for its own series and for every later one up to the next row, so a series that is newer than
the table gets the newest row. Series before 11.0 (Python 2) are refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from odpm_tasks.errors import DescriptionError


@dataclass(frozen=True)
class Series:
    """The facts of one series.

    `health_path` is empty where Odoo has no health route: then a TCP connect is all that can be asked.
    `no_demo` and `with_demo` are the arguments that create a database without and with demo data.
    `dev_features` are the words that `--dev` takes; `all` stands for `dev_all`.
    `needs_lessc` says that assets are compiled by Node's lessc, `old_setuptools` that pins of the series
    only build with a setuptools that still has 2to3.
    """

    name: str
    gevent_port_option: str
    health_path: str
    no_demo: tuple[str, ...]
    with_demo: tuple[str, ...]
    dev_features: tuple[str, ...]
    dev_all: tuple[str, ...]
    needs_lessc: bool = False
    old_setuptools: bool = False
    http_port_option: str = "http_port"  # xmlrpc_port until 10.0, since then a hidden alias
    odoo_bin: str = "odoo-bin"

    @property
    def release(self) -> tuple[int, int]:
        major, minor = self.name.split(".")
        return int(major), int(minor)


_ALL = ("--without-demo=all",)
_DEBUGGERS = ("pudb", "wdb", "ipdb", "pdb")
_CLASSIC = ("reload", "qweb", "werkzeug", "xml")
_VIEWS = ("reload", "qweb", "xml")
_TRUE, _DEMO = ("--without-demo=True",), ("--with-demo",)
_19 = (*_CLASSIC, "access", "replica")

TABLE: tuple[Series, ...] = (
    #      name    gevent port         health route   no demo, demo  --dev takes                --dev=all
    Series("11.0", "longpolling_port", "", _ALL, (), (*_DEBUGGERS, *_CLASSIC), ("pdb", *_CLASSIC), True, True),
    Series("12.0", "longpolling_port", "", _ALL, (), (*_DEBUGGERS, *_CLASSIC), ("pdb", *_CLASSIC), True, True),
    Series("13.0", "longpolling_port", "", _ALL, (), (*_DEBUGGERS, *_CLASSIC), ("pdb", *_CLASSIC), False, True),
    Series("14.0", "longpolling_port", "", _ALL, (), (*_DEBUGGERS, *_CLASSIC), ("pdb", *_CLASSIC), False, True),
    Series("15.0", "longpolling_port", "/web/health", _ALL, (), (*_DEBUGGERS, *_CLASSIC), ("pdb", *_CLASSIC)),
    Series("16.0", "gevent_port", "/web/health", _ALL, (), _CLASSIC, _VIEWS),
    Series("17.0", "gevent_port", "/web/health", _ALL, (), _CLASSIC, _VIEWS),
    Series("18.0", "gevent_port", "/web/health", _ALL, (), _CLASSIC, _VIEWS),
    Series("19.0", "gevent_port", "/web/health", _TRUE, _DEMO, _19, ("access", *_VIEWS)),
)


def series(odoo_version: str) -> Series:
    """The row for an `odoo_version` such as `17.0`, `saas-17.4` or `16.0-custom`."""
    found = re.search(r"(?<![\d.])(\d{1,3})\.(\d)(?!\d)", odoo_version)
    if found is None:
        raise DescriptionError(
            f"odoo_version {odoo_version!r} names no series of Odoo",
            where="odpm.json: odoo_version",
            todo='write the series, for example "odoo_version": "18.0"',
        )
    wanted = (int(found[1]), int(found[2]))
    rows = [row for row in TABLE if row.release <= wanted]
    if not rows:
        raise DescriptionError(
            f"Odoo {found[0]} is older than {TABLE[0].name}, the oldest series odpm knows",
            where="odpm.json: odoo_version",
            todo=f"use a series from {TABLE[0].name} to {TABLE[-1].name}",
        )
    return rows[-1]
