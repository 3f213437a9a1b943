"""Archives of databases: their members, what they record, and whether one fits a stack."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

from odpm_tasks.errors import DescriptionError, ProgramError, UsageError

Archive = Literal["zip", "dump"]
ARCHIVES: tuple[Archive, ...] = ("zip", "dump")
SUFFIX = {"zip": ".zip", "dump": ".tar"}
MANIFEST, SQL, CUSTOM, FILESTORE = "manifest.json", "dump.sql", "db.dump", "filestore"


def archive_kind(given: str, output: str) -> Archive:
    """The kind of archive that options ask for: the given one, else that of the name of the file, else `zip`. Errors: UsageError."""
    if given:
        for kind in ARCHIVES:
            if given == kind:
                return kind
        raise UsageError(f"unknown kind of archive {given!r}", where="--archive", todo=f"one of: {', '.join(ARCHIVES)}")
    return "dump" if output.endswith(SUFFIX["dump"]) else "zip"


@dataclass(frozen=True)
class ArchiveOrigin:
    """Where an archive comes from. `stack`: the system identifier of the PostgreSQL cluster; `uuid`: of the database."""

    stack: str = ""
    database: str = ""
    uuid: str = ""


@dataclass(frozen=True)
class ArchiveManifest:
    """What an archive says about itself; empty: not recorded. `series`: of Odoo; `modules`: name -> installed version."""

    series: str = ""
    origin: ArchiveOrigin = field(default_factory=ArchiveOrigin)
    modules: Mapping[str, str] = field(default_factory=dict)


def write_manifest(
    facts: Mapping[str, Any], origin: ArchiveOrigin, lock: Mapping[str, Any] | None, odpm: str, created: str
) -> bytes:
    """`manifest.json` as Odoo writes it, with what odpm records in the key `odpm`.

    `facts`: `series`, `version` (of Odoo), `server` (`server_version_num`), `modules`.
    """
    series, server = str(facts["series"]), int(facts["server"])
    data = {
        "odoo_dump": "1",
        "db_name": origin.database,
        "version": series,
        "version_info": [*map(_number, series.split(".")), 0, "final", 0, ""],
        "major_version": series,
        "pg_version": f"{server // 10000}.{server % 10000}",
        "modules": dict(sorted(facts["modules"].items())),
        "odpm": {
            "version": odpm,
            "created": created,
            "stack": origin.stack,
            "uuid": origin.uuid,
            "neutralized": bool(facts.get("neutralized")),
            "lock": lock,
        },
    }
    return (json.dumps(data, indent=4, ensure_ascii=False) + "\n").encode()


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


def read_manifest(text: bytes) -> ArchiveManifest:
    """The manifest of an archive of odpm, Odoo or click-odoo. Errors: DescriptionError where it is none."""
    try:
        data = json.loads(text)
        own = data.get("odpm") or {}
        origin = ArchiveOrigin(str(own.get("stack", "")), str(data.get("db_name", "")), str(own.get("uuid", "")))
        modules = {str(name): str(version) for name, version in (data.get("modules") or {}).items()}
        return ArchiveManifest(str(data.get("major_version", "")), origin, modules)
    except (ValueError, AttributeError, TypeError):
        raise DescriptionError(f"{MANIFEST} of the archive is not what Odoo writes", todo=_FOREIGN) from None


_FOREIGN = "restore a backup of Odoo: inv db.backup, Odoo's database manager, Odoo.sh or click-odoo-backupdb make one"


def check_series(found: str, wanted: str) -> None:
    """Refuse a database of another series. Errors: DescriptionError with the way out."""
    if found and wanted and found != wanted:
        raise DescriptionError(
            f"the archive holds a database of Odoo {found}, and this project runs {wanted}",
            where="odpm.json: odoo_version",
            todo=f"restore it in a project of {found}, then upgrade it with OpenUpgrade or upgrade.odoo.com",
        )


def is_same(origin: ArchiveOrigin, here: ArchiveOrigin) -> bool:
    """Whether an archive was made of exactly this database: same cluster, name, and uuid where the database still exists."""
    return (
        bool(origin.stack)
        and (origin.stack, origin.database) == (here.stack, here.database)
        and (not here.uuid or origin.uuid == here.uuid)
    )


LONGEST_MANIFEST = 16 << 20  # bytes
Role = Literal["manifest", "sql", "custom", "file", "ignored"]


def member_role(name: str) -> tuple[Role, str]:
    """What a member of an archive is, and its path below the filestore. Errors: DescriptionError for a path that leads out."""
    path = PurePosixPath(name)
    if name.startswith(("/", "\\")) or ".." in path.parts or "\\" in name or not name.isprintable() or "\0" in name:
        raise DescriptionError(f"the archive holds a file outside of its folder: {name[:80]!r}", todo=_HOSTILE)
    parts = path.parts
    if parts == (MANIFEST,):
        return "manifest", ""
    if len(parts) == 1 and re.fullmatch(r"(?:dump|.*)\.sql(?:\.gz)?", name):
        return "sql", ""
    if len(parts) == 1 and name.endswith(".dump"):
        return "custom", ""
    if name.endswith("/"):
        return "ignored", ""
    if FILESTORE in parts[:-1]:
        inner = parts[parts.index(FILESTORE) + 1 :]
        # Odoo.sh: a folder with the name of the database between
        if len(inner) > 2 and not _SHELF.fullmatch(inner[0]) and _SHELF.fullmatch(inner[1]):
            inner = inner[1:]
        return "file", "/".join(inner)
    return "ignored", ""


_SHELF = re.compile(r"[0-9a-f]{2,3}|checklist")
_HOSTILE = "restore only archives that you trust; nothing was changed"


def hostile(what: str) -> DescriptionError:
    """The error for an archive that was made to do harm."""
    return DescriptionError(what, todo=_HOSTILE)


def foreign(what: str = "this is no backup of a database") -> DescriptionError:
    """The error for a file that is something else."""
    return DescriptionError(what, todo=_FOREIGN)


def truncated(what: str) -> ProgramError:
    """The error for an archive that is incomplete."""
    return ProgramError(f"the archive is cut off or damaged: {what}", todo="copy it again, or restore another one")
