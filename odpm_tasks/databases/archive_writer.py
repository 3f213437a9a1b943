"""Write archives of databases from start to end: nothing is held in memory, and the destination may be a pipe."""

from __future__ import annotations

import contextlib
import os
import re
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import IO, BinaryIO

from odpm_tasks.adapters import command
from odpm_tasks.core.databases.archive import CUSTOM, FILESTORE, MANIFEST, SQL
from odpm_tasks.databases.progress import INTERVAL, ByteProgress

StoredFile = tuple[str, int, IO[bytes]]  # path below the filestore, size, content
Count = Callable[[int], None]  # called with the number of bytes of files that were written
BLOCK = 1 << 18
PACKED = re.compile(  # beginnings of files that deflate does not make smaller: PNG, JPEG, GIF, ZIP and Office, gzip, xz, zstd, MP4, WebP
    rb"\x89PNG|\xff\xd8\xff|GIF8|PK\x03\x04|\x1f\x8b|\xfd7zXZ|\x28\xb5\x2f\xfd|....ftyp|RIFF....WEBP", re.DOTALL
)
_LARGE = 1 << 31
_PAUSE = 0.01  # seconds


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


def write_tar(
    sink: BinaryIO, manifest: bytes, dump: Iterator[bytes], stored: Iterable[StoredFile], count: Count, spool: Path
) -> None:
    """manifest.json, db.dump and filestore/: unpacked, it is the folder that click-odoo-restoredb reads.

    `spool`: a folder for the dump, because a tar has the size of a member before it. A file is written by `TarFile` instead.
    """
    _write_manifest(sink, manifest)
    with tempfile.TemporaryFile(dir=spool) as kept:
        length = sum(map(kept.write, dump))
        kept.seek(0)
        _tar_header(sink, CUSTOM, length)
        while block := kept.read(BLOCK):
            sink.write(block)
        _pad(sink, length)
    for name, length, content in stored:
        _tar_header(sink, f"{FILESTORE}/{name}", length)
        _copy(content.read(BLOCK), content, sink.write, count)
        _pad(sink, length)
    sink.write(bytes(2 * tarfile.BLOCKSIZE))


class TarFile:
    """The same archive in a file of this machine, which the programs write into themselves: their output passes no pipe of ours.

    They get `file` as their output: pg_dump after `begin`, tar after `end_dump`, which also writes the end of the archive.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file

    def begin(self, manifest: bytes) -> None:
        _write_manifest(self.file, manifest)
        self._header = self.file.tell()
        _tar_header(self.file, CUSTOM, 0)
        self.file.flush()

    @property
    def size(self) -> int:
        """The bytes that were written so far."""
        return os.fstat(self.file.fileno()).st_size

    def wait_for_output(self, program: command.PipedProcess) -> None:
        """Wait until a program writes after `begin`, or has ended."""
        while program.runs and self.size == self._header + tarfile.BLOCKSIZE:
            time.sleep(_PAUSE)

    @contextlib.contextmanager
    def watched(self, progress: ByteProgress, text: str) -> Iterator[None]:
        """Count what programs write during the block."""
        ended = threading.Event()

        def watch() -> None:
            known = self.size
            while not ended.wait(INTERVAL):
                known, before = self.size, known
                progress.add(known - before, text)

        watching = threading.Thread(target=watch, daemon=True)
        watching.start()
        try:
            yield
        finally:
            ended.set()
            watching.join()

    def end_dump(self) -> None:
        """Write the size of the dump, which is known now."""
        length = self.file.seek(0, os.SEEK_END) - self._header - tarfile.BLOCKSIZE
        _pad(self.file, length)
        self.file.seek(self._header)
        _tar_header(self.file, CUSTOM, length)
        self._files = self.file.seek(0, os.SEEK_END)

    def end(self) -> None:
        """Write the end of an archive without files."""
        if self.file.seek(0, os.SEEK_END) == self._files:
            self.file.write(bytes(2 * tarfile.BLOCKSIZE))


def _write_manifest(sink: BinaryIO, manifest: bytes) -> None:
    _tar_header(sink, MANIFEST, len(manifest))
    sink.write(manifest)
    _pad(sink, len(manifest))


def _copy(head: bytes, content: IO[bytes], write: Callable[[bytes], object], count: Count) -> None:
    block = head
    while block:
        write(block)
        count(len(block))
        block = content.read(BLOCK)


def _tar_header(sink: BinaryIO, name: str, length: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = length, 0o600, int(time.time())
    sink.write(info.tobuf(tarfile.GNU_FORMAT))


def _pad(sink: BinaryIO, length: int) -> None:
    sink.write(bytes(-length % tarfile.BLOCKSIZE))
