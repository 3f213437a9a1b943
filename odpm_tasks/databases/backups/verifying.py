"""Verify a backup: restore it into a scratch database, and compare rows, checksums and files with those of the time it was made."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from odpm_tasks.adapters import terminal
from odpm_tasks.core.databases import stored_backups
from odpm_tasks.core.databases.stored_backups import CheckedTable, StoredBackup, Verified
from odpm_tasks.databases import copying
from odpm_tasks.databases.access import DatabaseAccess
from odpm_tasks.databases.archives import loading
from odpm_tasks.databases.archives.reader import OpenArchive
from odpm_tasks.databases.backups import repository
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.databases.quiet import failed
from odpm_tasks.errors import ProgramError

_BLOCK = 1 << 18
_HASH = re.compile(r"[0-9a-f]{40}")
_CHECKS = Path(__file__).parents[2] / "templates" / "backup_checks.sql"
_ATTACHED = "SELECT DISTINCT store_fname FROM ir_attachment WHERE store_fname IS NOT NULL"


def verify(access: DatabaseAccess, container_id: str, chosen: StoredBackup, show: terminal.Activity) -> Verified:
    """Restore a backup into a hidden database, compare it, and remove it. Nothing else is changed, no file is stored.

    Errors: ProgramError naming what differs; those of `repository.received` and `loading.load`.
    """
    expected = stored_backups.read_checks(repository.file_of(container_id, chosen, "checks.txt"))
    copying.remove_leftovers(access)
    with repository.received(access, container_id, chosen, show) as found:
        progress = ByteProgress(show, chosen.database, found.size)
        hidden = loading.load(access, found, progress)
        try:
            show.note(chosen.database, "compare")
            wrong = [
                *stored_backups.differences(expected, _checks(access, hidden)),
                *_files(access, hidden, found, progress),
            ]
        finally:
            copying.discard(access, [hidden])
        show.done(chosen.database)
    if wrong:
        raise ProgramError(
            f"the backup {chosen.id} of {chosen.database} is not what was backed up: {wrong[0]}",
            where=f"{chosen.shown_time} UTC",
            details=wrong[1:3],
            todo="verify an older one (inv backup.list), and make a new one: inv backup.run",
        )
    rows = sum(one.rows for one in expected.values())
    return Verified(chosen, len(expected), rows, len(found.stored))


def _checks(access: DatabaseAccess, hidden: str) -> dict[str, CheckedTable]:
    script = f"BEGIN;\n{_CHECKS.read_text(encoding='utf-8')}\nCOMMIT;\n"
    outcome = access.psql(script, database_name=hidden)
    if not outcome.ok:
        raise failed(outcome, "compare the restored database")
    return stored_backups.read_checks(outcome.text)


def _files(access: DatabaseAccess, hidden: str, found: OpenArchive, progress: ByteProgress) -> Iterator[str]:
    """What is wrong with the files: content that does not fit its name, attachments without their file."""
    for path, member in found.stored.items():
        digest = hashlib.sha1(usedforsecurity=False)
        with member.open() as content:
            for block in iter(lambda: content.read(_BLOCK), b""):
                digest.update(block)
                progress.add(len(block), "files")
        name = PurePosixPath(path).name
        if _HASH.fullmatch(name) and digest.hexdigest() != name:
            yield f"the content of the file {path} is another one"
    for name in access.sql(_ATTACHED, database_name=hidden).splitlines():
        if name not in found.stored:
            yield f"the file {name} of an attachment is missing"
