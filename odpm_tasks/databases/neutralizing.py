"""Neutralise a database, and make a copy a database of its own: nothing that it does reaches customers, banks or mailboxes."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from odpm_tasks.adapters import terminal
from odpm_tasks.core.databases import neutralize as rules
from odpm_tasks.core.databases import sql
from odpm_tasks.core.odoo.addon_versions import stored_series
from odpm_tasks.core.odoo.series import series
from odpm_tasks.core.text import plural
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.quiet import failed
from odpm_tasks.errors import DescriptionError
from odpm_tasks.stack import addon_hashes
from odpm_tasks.stack.database import odoo_failure, run_program

_ATTEMPTS = 3
_CONCURRENT = "could not serialize access"


def require_series(access: DatabaseAccess, database: str, shown: str = "") -> str:
    """The series of a database, if it is the one of the project. `shown`: its name in messages.

    Errors: DescriptionError for a database that is not Odoo's, or of another series.
    """
    details = access.json(sql.details(), database)
    if details is None:
        raise DescriptionError(
            "this is no database of Odoo",
            where=shown or database,
            todo="inv db.list shows which ones are: they have a series",
        )
    found = stored_series(details.get("base") or "")
    wanted = stored_series(access.observed.manifest.odoo_version)
    if found != wanted:
        raise DescriptionError(
            f"the database is of Odoo {found or 'of an unknown series'}, and this project runs {wanted}",
            where=shown or database,
            todo=f"work on it in a project of {found or 'its series'}; OpenUpgrade or upgrade.odoo.com bring it to {wanted}",
        )
    return found


def neutralize(access: DatabaseAccess, database: str) -> None:
    """Neutralise a database of the project's series, that accepts connections. Safe to repeat.

    From 16.0 on by Odoo itself, which runs the `data/neutralize.sql` of each installed add-on, before that by `rules.OLDER`; each
    is one transaction. Errors: ProgramError, and the database is as before.
    """
    if series(access.observed.manifest.odoo_version).release >= rules.OWN_COMMAND:
        _by_odoo(access, database)
        run(access, database, rules.script(rules.ALWAYS))
    else:
        run(access, database, rules.script((*rules.OLDER, *rules.ALWAYS)))


def _by_odoo(access: DatabaseAccess, database: str) -> None:
    installed = addon_hashes.installed(access.container, database)
    known = addon_hashes.addon_folders(access.observed.stack)
    gone = [name for name in installed if name not in known]
    if gone:
        terminal.warn(
            f"{plural(len(gone), 'installed add-on')} of {database} cannot be neutralised, not on the add-ons path: {', '.join(gone[:5])}"
        )
    for attempt in range(1, _ATTEMPTS + 1):
        outcome, lines, kept = run_program(access.paths, access.observed, database, ["neutralize", "-d", database])
        if outcome.ok:
            return
        if attempt == _ATTEMPTS or not any(_CONCURRENT in line for line in lines):
            error = odoo_failure(access.paths, access.observed, database, outcome.code, lines, f"the whole log: {kept}")
            error.what = f"{database} is not neutralised: {error.what}"
            raise error


def run(access: DatabaseAccess, database: str, script: str) -> None:
    """Run SQL in a database, with the rights of Odoo's role, in one transaction. Errors: ProgramError."""
    outcome = access.psql(f"BEGIN;\n{script};\nCOMMIT;\n", database_name=database)
    if not outcome.ok:
        raise failed(outcome, f"neutralise {database}")


def renew_identity(access: DatabaseAccess, database: str) -> None:
    """Give a copy its own uuid and secret. Errors: ProgramError."""
    created = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    run(access, database, ";\n".join(rules.new_identity(str(uuid.uuid1()), str(uuid.uuid4()), created)))
