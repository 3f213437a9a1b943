"""Restore an archive of a database with its files. It gets its name last; what is half restored is removed by the next run."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from odpm_tasks.adapters import command, terminal
from odpm_tasks.core.databases import archive
from odpm_tasks.core.databases.archive import ArchiveOrigin
from odpm_tasks.core.databases.names import NEW
from odpm_tasks.core.databases.snapshots import Snapshot
from odpm_tasks.core.odoo.addon_versions import stored_series
from odpm_tasks.core.odoo.conf import DATA_DIR
from odpm_tasks.core.text import plural, size
from odpm_tasks.databases import copying, neutralizing, snapshots
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.archives import loading, storing
from odpm_tasks.databases.archives.backup import cluster
from odpm_tasks.databases.archives.reader import ArchiveMember, OpenArchive
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.databases.quiet import new_identity
from odpm_tasks.errors import DataLossError, MachineError, ProgramError
from odpm_tasks.stack import addon_hashes


@dataclass(frozen=True)
class Restored:
    """What a restore did. `before`: the snapshot of the database that was replaced."""

    neutralized: bool
    before: Snapshot | None


def restore(
    access: DatabaseAccess,
    found: OpenArchive,
    database: str,
    *,
    replace: bool,
    neutralized: bool,
    show: terminal.Activity,
) -> Restored:
    """Restore an archive as `database`; `replace`: an existing one, of which a snapshot is taken first.

    It is neutralised and gets its own uuid, unless `neutralized` is false or the archive was made of this very database.
    Errors: DataLossError where the database exists and `replace` is false; DescriptionError for an archive of another series;
    MachineError where the disk is too small; those of `loading.load` and `neutralizing.neutralize`. Nothing is left after an error.
    """
    copying.remove_leftovers(access)
    exists = require_replaceable(access, database, replace)
    _check(access, found)
    here = ArchiveOrigin(cluster(access), database, _uuid(access, database) if exists else "")
    neutralized = neutralized and not archive.is_same(found.manifest.origin, here)
    progress = ByteProgress(show, database, found.size)
    hidden = f"{NEW}{new_identity()}"
    try:
        _unpack(access, hidden, found, progress)
        _report_missing(access, hidden, found.stored)
        if neutralized:
            neutralizing.neutralize(access, hidden)
            neutralizing.renew_identity(access, hidden)
        return Restored(neutralized, snapshots.publish(access, hidden, database))
    except BaseException:
        copying.discard(access, [hidden])
        raise


def _unpack(access: DatabaseAccess, hidden: str, found: OpenArchive, progress: ByteProgress) -> None:
    """Load the dump and write the files, both at the same time where the archive can be read so.

    Errors: those of `loading.load`, `neutralizing.require_series` and `storing.store`; the other part is stopped.
    """
    stop = threading.Event()

    def store() -> None:
        try:
            storing.store(access, hidden, found, progress, stop)
        except BaseException:
            stop.set()
            raise

    with ThreadPoolExecutor(1) as pool:
        files = pool.submit(store) if found.separate else None
        try:
            loading.load_as(access, hidden, found, progress, stop)
            neutralizing.require_series(access, hidden, "the archive")
        except loading.Stopped:
            pass
        except BaseException:
            stop.set()
            raise
        if files:
            files.result()
    if files is None:
        storing.store(access, hidden, found, progress, stop)


def require_replaceable(access: DatabaseAccess, database: str, replace: bool, option: str = "-d") -> bool:
    """Whether a database of this name exists. Errors: DataLossError if it does and `replace` is false. `option`: gives another name."""
    exists = copying.exists(access, database)
    if exists and not replace:
        raise DataLossError(
            f"there is a database {database} already",
            where=database,
            todo=f"restore it under another name: {option} NAME; or replace it, after a snapshot: --replace",
        )
    return exists


def _uuid(access: DatabaseAccess, database: str) -> str:
    return access.sql("SELECT value FROM ir_config_parameter WHERE key = 'database.uuid'", database_name=database)


def _check(access: DatabaseAccess, found: OpenArchive) -> None:
    """What can be known before anything starts. Errors: DescriptionError, MachineError."""
    archive.check_series(found.manifest.series, stored_series(access.observed.manifest.odoo_version))
    known = addon_hashes.addon_folders(access.observed.stack)
    gone = sorted(name for name in found.manifest.modules if name not in known)
    if gone:
        terminal.warn(
            f"{plural(len(gone), 'installed add-on')} of the archive not on the add-ons path: {', '.join(gone[:10])}"
            f"{' …' if len(gone) > 10 else ''}; inv mod.missing -d DATABASE lists them afterwards"
        )
    if found.stored and not access.has_files:
        raise ProgramError(
            "there is no place for the files of the archive: Odoo was not started yet",
            where=f"volume {access.volume}",
            todo="inv up",
        )
    free = _free_space(access)
    if found.size > free:
        raise MachineError(
            f"the archive unpacks to {size(found.size)}, and there are {size(free)} free",
            where=f"volume {access.volume}",
            todo="free some space: inv prune shows what is unused",
        )


def _free_space(access: DatabaseAccess) -> int:
    listed = command.run(access.in_volume(["df", "-Pk", DATA_DIR])).text.splitlines()
    return int(listed[-1].split()[3]) * 1024


def _report_missing(access: DatabaseAccess, hidden: str, stored: Mapping[str, ArchiveMember]) -> None:
    """Name attachments whose files the archive lacks: the original lacked them, too."""
    query = "SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname IS NOT NULL"
    missing = [name for name in access.sql(query, database_name=hidden).splitlines() if name not in stored]
    if missing:
        terminal.warn(f"the archive lacks {plural(len(missing), 'file')} of attachments, the first: {missing[0]}")
