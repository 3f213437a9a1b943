"""Checks of users and owners: as whom Odoo runs, and files of the project that its owner does not own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from shlex import quote

from odpm_tasks.adapters import files
from odpm_tasks.core.audit.findings import Finding
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.text import plural

MOST = 20_000  # files and folders that are looked at


def run_user(paths: ProjectPaths) -> Iterator[Finding]:
    """ODPM_UID and ODPM_GID: numbers, and those of the owner of the project, whose files Odoo writes in `developer`."""
    owner = paths.root.stat()
    for name, wanted in (("ODPM_UID", owner.st_uid), ("ODPM_GID", owner.st_gid)):
        value = paths.settings.get(name) or ""
        where = paths.settings.where(name)
        if value and not (value.isascii() and value.isdigit()):
            yield Finding("user", "error", f"{name} is not a number: {value}", where, f"{name}={wanted} in .env")
        elif value and wanted and int(value) not in {0, wanted}:
            what = f"Odoo runs with {name}={value}, and the project belongs to {wanted}: it cannot write there"
            yield Finding("user", "warning", what, where, f"remove {name}, or {name}={wanted} in .env")


def foreign_files(paths: ProjectPaths) -> Iterator[Finding]:
    """Files of the project that another user owns, as programs in containers and sudo leave them: two levels of folders.

    `.odpm/secrets` has files of the users of the containers.
    """
    owner = paths.root.stat().st_uid
    found = [path for path in islice(_entries(paths), MOST) if path.lstat().st_uid != owner]
    if found:
        first = str(found[0].relative_to(paths.root))
        other = files.user_name(found[0].lstat().st_uid)
        who = f"{files.user_name(owner)}:" if owner else "root:"
        yield Finding(
            "user",
            "warning",
            f"{plural(len(found), 'file or folder', 'files or folders')} of the project belong to {other}: git or Odoo may fail",
            first + (" and others" if len(found) > 1 else ""),
            f"sudo chown -R {who} {quote(str(paths.root / first if len(found) == 1 else paths.root))}",
        )


def _entries(paths: ProjectPaths) -> Iterator[Path]:
    for path in sorted(paths.root.iterdir()):
        yield path
        if path.is_dir() and not path.is_symlink():
            for inner in sorted(path.iterdir()):
                yield inner
                if path.name not in {".git", ".odpm"} and inner.is_dir() and not inner.is_symlink():
                    yield from sorted(inner.iterdir())
