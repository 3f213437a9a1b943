"""Open archives of databases: a file, a folder or standard input. Every member is checked before the first one is used."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, cast

from odpm_tasks.adapters import files
from odpm_tasks.core.databases import archive
from odpm_tasks.core.databases.archive import ArchiveManifest, Role
from odpm_tasks.errors import DescriptionError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

Opener = Callable[[], IO[bytes]]
_GZIP, _ZIP, _CUSTOM = b"\x1f\x8b", b"PK", b"PGDMP"
_PLAIN = b"PostgreSQL database dump"


@dataclass(frozen=True)
class StoredPart:
    """Where the content of a member is in the file of the archive.

    `deflated`: it is compressed; `crc`: its checksum, if the archive has one.
    """

    offset: int
    length: int
    deflated: bool = False
    crc: int | None = None


@dataclass(frozen=True)
class ArchiveMember:
    """A file of an archive. `path`: below the filestore; `size`: in bytes, as the archive says.

    `part`: None where its content is not one part of a file.
    """

    path: str
    size: int
    open: Opener
    part: StoredPart | None = None


@dataclass
class OpenArchive:
    """The parts of an archive. `dump_kind`: `sql` or `custom`; `stored`: the files of the filestore.

    `separate`: several threads may read members at the same time. `file`: the file that it was opened from, if it is one.
    """

    dump_kind: Role = "ignored"
    dump: ArchiveMember | None = None
    manifest: ArchiveManifest = field(default_factory=ArchiveManifest)
    stored: dict[str, ArchiveMember] = field(default_factory=dict)
    separate: bool = False
    file: Path | None = None

    @property
    def size(self) -> int:
        """The bytes of all parts, as the archive says."""
        return sum(one.size for one in self.stored.values()) + (self.dump.size if self.dump else 0)


@contextlib.contextmanager
def opened_archive(source: str, stdin: BinaryIO, spool: Path, where: str = "standard input") -> Iterator[OpenArchive]:
    """Open an archive: a path, or `-` for `stdin`, which is kept in a nameless file in the folder `spool` meanwhile.

    `where`: the name of `stdin` in messages.
    Errors: DescriptionError for what is no archive, and for hostile members; ProgramError for a damaged archive, also within the
    block; MachineError for a full disk.
    """
    with contextlib.ExitStack() as cleanup, damaged(where if source == "-" else source):
        if source != "-" and Path(source).expanduser().is_dir():
            yield _folder(Path(source).expanduser())
            return
        if source == "-":
            file = cleanup.enter_context(_spooled(stdin, spool))
        else:
            file = cleanup.enter_context(_open(Path(source).expanduser(), spool))
        found = _read(file, cleanup)
        path = Path(source).expanduser()
        found.file = path.resolve() if source != "-" and path.is_file() else None
        yield found


def _open(path: Path, spool: Path) -> contextlib.AbstractContextManager[BinaryIO]:
    if not path.exists():
        raise DescriptionError("there is no such file", where=str(path), todo="inv db.restore FILE")
    with files.disk_errors(path):
        stream = path.open("rb")
    return _spooled(stream, spool) if files.is_stream(path) else contextlib.closing(stream)


@contextlib.contextmanager
def _spooled(stream: BinaryIO, spool: Path) -> Iterator[BinaryIO]:
    with files.disk_errors(spool), tempfile.TemporaryFile(dir=spool) as kept:
        shutil.copyfileobj(stream, kept, 1 << 20)
        kept.seek(0)
        yield cast(BinaryIO, kept)


@contextlib.contextmanager
def damaged(where: str) -> Iterator[None]:
    """Convert the errors of the libraries to ProgramError."""
    try:
        yield
    except (zipfile.BadZipFile, tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, NotImplementedError) as error:
        found = archive.truncated(str(error) or type(error).__name__)
        found.where = where
        raise found from None


def _read(file: BinaryIO, cleanup: contextlib.ExitStack) -> OpenArchive:
    head = file.read(4096)
    file.seek(0)
    if head.startswith(_ZIP):
        return _zip(cleanup.enter_context(zipfile.ZipFile(file)), file)
    packed = head.startswith(_GZIP)
    if packed:
        head = gzip.GzipFile(fileobj=file).read(4096)
        file.seek(0)
    if head[257:262] == b"ustar":
        return _tar(cleanup.enter_context(tarfile.open(fileobj=file, mode="r:*")), None if packed else file)
    if head.startswith(_CUSTOM) and not packed:
        return _bare(file, "custom")
    if _PLAIN in head:
        made = _bare(file, "sql")
        return OpenArchive("sql", _unpacked(made.dump)) if packed and made.dump else made
    raise archive.foreign()


def _bare(file: BinaryIO, kind: Role) -> OpenArchive:
    size = file.seek(0, 2)
    file.seek(0)
    return OpenArchive(kind, ArchiveMember("", size, lambda: file))


def _zip(found: zipfile.ZipFile, file: BinaryIO) -> OpenArchive:
    made = OpenArchive(separate=True)
    for info in found.infolist():
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in {0, stat.S_IFREG, stat.S_IFDIR}:
            raise archive.hostile(f"the archive holds a link or a device: {info.filename[:80]!r}")
        if info.flag_bits & 1:
            raise archive.foreign(f"{info.filename[:80]} is encrypted")
        part = _zip_part(file, info)
        _add(made, info.filename, info.file_size, lambda info=info: found.open(info), part)  # type: ignore[misc]
    return _complete(made)


def _zip_part(file: BinaryIO, info: zipfile.ZipInfo) -> StoredPart | None:
    """Where the content of a member is: after its local header, whose lengths differ from those of the directory (APPNOTE.TXT 4.3.7)."""
    header = os.pread(file.fileno(), 30, info.header_offset)
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED} or header[:4] != b"PK\x03\x04":
        return None
    begin = info.header_offset + len(header) + sum(struct.unpack("<HH", header[26:30]))
    return StoredPart(begin, info.compress_size, info.compress_type == zipfile.ZIP_DEFLATED, info.CRC)


def _tar(found: tarfile.TarFile, file: BinaryIO | None) -> OpenArchive:
    """`file`: that of an archive which is not compressed."""
    made = OpenArchive(separate=file is not None)

    def opened(member: tarfile.TarInfo) -> IO[bytes]:
        if file and not member.issparse():
            return io.BufferedReader(FilePart(file, member.offset_data, member.size), 1 << 18)
        return cast("IO[bytes]", found.extractfile(member))

    for member in found:
        if not (member.isreg() or member.isdir()):
            raise archive.hostile(f"the archive holds a link or a device: {member.name[:80]!r}")
        made.separate = made.separate and not member.issparse()
        name = member.name.removeprefix("./") + ("/" if member.isdir() else "")
        part = StoredPart(member.offset_data, member.size) if file and not member.issparse() else None
        _add(made, name, member.size, lambda member=member: opened(member), part)  # type: ignore[misc]
    return _complete(made)


class FilePart(io.RawIOBase):
    """A part of a file, which other parts are read beside: it has a position of its own."""

    def __init__(self, file: BinaryIO, start: int, length: int) -> None:
        self._file, self._position, self._end = file, start, start + length

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer)[: self._end - self._position]
        count = os.preadv(self._file.fileno(), [view], self._position) if view else 0
        self._position += count
        return count


def _folder(root: Path) -> OpenArchive:
    made = OpenArchive(separate=True)
    for path in sorted(root.rglob("*")):
        mode = path.lstat().st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
            raise archive.hostile(f"the folder holds a link or a device: {path}")
        if stat.S_ISREG(mode):
            _add(made, path.relative_to(root).as_posix(), path.stat().st_size, lambda path=path: path.open("rb"))  # type: ignore[misc]
    return _complete(made)


def _add(made: OpenArchive, name: str, size: int, opener: Opener, part: StoredPart | None = None) -> None:
    role, inner = archive.member_role(name)
    member = ArchiveMember(inner, size, opener, part)
    if role == "manifest":
        if size > archive.LONGEST_MANIFEST:
            raise archive.hostile(f"{name} is too long")
        with opener() as stream:
            made.manifest = archive.read_manifest(stream.read(archive.LONGEST_MANIFEST))
    elif role in {"sql", "custom"}:
        if made.dump is not None:
            raise archive.foreign("the archive holds several dumps")
        made.dump_kind, made.dump = role, member if not name.endswith(".gz") else _unpacked(member)
    elif role == "file":
        if inner in made.stored:
            raise archive.hostile(f"the archive holds a file twice: {name[:80]!r}")
        made.stored[inner] = member


def _unpacked(member: ArchiveMember) -> ArchiveMember:
    return ArchiveMember("", member.size, lambda: cast("IO[bytes]", gzip.GzipFile(fileobj=member.open())))


def _complete(made: OpenArchive) -> OpenArchive:
    if made.dump is None:
        raise archive.foreign("the archive holds no dump of a database")
    return made
