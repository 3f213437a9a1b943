"""Copy and rename databases of the stack, with their files."""

from __future__ import annotations

from dataclasses import replace

from odpm_tasks.core.databases import sql
from odpm_tasks.core.databases.snapshots import record
from odpm_tasks.databases import copying, listing, neutralizing
from odpm_tasks.databases.access import DatabaseAccess


def copy(access: DatabaseAccess, source: str, target: str, neutralized: bool = True) -> None:
    """Copy a database with its files while Odoo runs. The copy has its own uuid and is neutralised before Odoo finds it, unless
    `neutralized` is false.

    Errors: DataLossError where the target exists; DescriptionError for a database that cannot be neutralised; those of
    `copying.copy_hidden` and `neutralizing.neutralize`. Nothing is left of a copy that failed.
    """
    copying.remove_leftovers(access)
    copying.require_free(access, target)
    if neutralized:
        neutralizing.require_series(access, source)
    comment = access.json(sql.database_facts(source))["comment"] or ""
    hidden = copying.copy_hidden(access, source)
    try:
        if neutralized:
            copying.open_hidden(access, hidden)
            neutralizing.neutralize(access, hidden)
            neutralizing.renew_identity(access, hidden)
        copying.publish(access, hidden, target, comment)
    except BaseException:
        copying.discard(access, [hidden])
        raise


def rename(access: DatabaseAccess, source: str, target: str) -> None:
    """Rename a database with its files; its snapshots follow. Errors: those of `copying.rename`."""
    copying.remove_leftovers(access)
    own = [one for one in listing.snapshots(access) if one.database == source]
    copying.rename(access, source, target, *(sql.comment(one.id, record(replace(one, database=target))) for one in own))
