"""What a new project starts with, by series of Odoo: one table.

From 16.0 on it is Debian 12 with that release's own PostgreSQL: the series' requirements name it, and it is the last one
with wkhtmltopdf. Python is one that the series' `requirements.txt` has pins for. Older series get the last Debian whose
libraries fit; the oldest row is what odpm 4.x took where nothing was written. These are defaults for new projects only:
what an `odpm.json` does not say is read by the rules of its format.
"""

from __future__ import annotations

from dataclasses import dataclass

from odpm_tasks.core.odoo.series import series

NEWEST = "19.0"


@dataclass(frozen=True)
class Defaults:
    """Python, Debian release and PostgreSQL for one series of Odoo."""

    python: str
    debian: str
    postgres: str


TABLE: dict[str, Defaults] = {
    #                 Python  Debian  PostgreSQL
    "11.0": Defaults("3.7", "11", "13"),
    "12.0": Defaults("3.7", "11", "13"),
    "13.0": Defaults("3.7", "11", "13"),
    "14.0": Defaults("3.8", "11", "13"),
    "15.0": Defaults("3.9", "11", "13"),
    "16.0": Defaults("3.10", "12", "15"),
    "17.0": Defaults("3.10", "12", "15"),
    "18.0": Defaults("3.11", "12", "15"),
    "19.0": Defaults("3.11", "12", "15"),
}


def defaults(odoo_version: str) -> Defaults:
    """The row of a series; a series between two rows or after the last has the one before it.

    Errors: DescriptionError where the version names no series, or one that odpm does not know.
    """
    return TABLE[series(odoo_version).name]
