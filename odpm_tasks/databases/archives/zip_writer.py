"""Write the zip archive of a database from start to end: nothing is held in memory, and the destination may be a pipe."""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from typing import IO, BinaryIO

from odpm_tasks.core.databases.archive import FILESTORE, MANIFEST, SQL

StoredFile = tuple[str, int, IO[bytes]]  # path below the filestore, size, content
Count = Callable[[int], None]  # called with the number of bytes of files that were written
BLOCK = 1 << 18
PACKED = re.compile(  # beginnings of files that deflate does not make smaller: PNG, JPEG, GIF, ZIP and Office, gzip, xz, zstd, MP4, WebP
    rb"\x89PNG|\xff\xd8\xff|GIF8|PK\x03\x04|\x1f\x8b|\xfd7zXZ|\x28\xb5\x2f\xfd|....ftyp|RIFF....WEBP", re.DOTALL
)
_LARGE = 1 << 31


def write_zip(
    sink: BinaryIO, manifest: bytes, dump: Iterator[bytes], stored: Iterable[StoredFile], count: Count
) -> None:
    """The archive of Odoo's database manager: manifest.json, dump.sql and filestore/."""
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as target:
        target.writestr(_member(MANIFEST), manifest, compresslevel=1)
        with target.open(_member(SQL), "w", force_zip64=True) as entry:
            for block in dump:
                entry.write(block)
        for name, length, content in stored:
            head = content.read(BLOCK)
            info = _member(f"{FILESTORE}/{name}", level=0 if PACKED.match(head) else 1)
            with target.open(info, "w", force_zip64=length >= _LARGE) as entry:
                _copy(head, content, entry.write, count)


def _member(name: str, level: int = 1) -> zipfile.ZipInfo:
    """A member that is compressed by deflate also at level 0: only so can a reader of a pipe find its end."""
    info = zipfile.ZipInfo(name, time.gmtime()[:6])
    info.compress_type = zipfile.ZIP_DEFLATED
    info._compresslevel = level  # type: ignore[attr-defined]
    info.external_attr = 0o600 << 16
    return info


def _copy(head: bytes, content: IO[bytes], write: Callable[[bytes], object], count: Count) -> None:
    block = head
    while block:
        write(block)
        count(len(block))
        block = content.read(BLOCK)
