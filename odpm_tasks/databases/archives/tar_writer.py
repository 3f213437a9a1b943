"""Write the tar archive of a database: manifest.json, filestore/ and db.dump. Nothing is held in memory.

Unpacked, it is the folder that click-odoo-restoredb reads. The dump comes last, because a tar has the size of a member before it:
pg_dump writes into a file of its own, while a tar of the files is written into the archive.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tarfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from odpm_tasks.adapters import command
from odpm_tasks.core.databases.archive import CUSTOM, FILESTORE, MANIFEST
from odpm_tasks.core.odoo.conf import DATA_DIR
from odpm_tasks.databases.access import ARCHIVE, LARGE, DatabaseAccess
from odpm_tasks.databases.archives.programs import stoppable
from odpm_tasks.databases.progress import INTERVAL, ByteProgress
from odpm_tasks.errors import ProgramError

BLOCK = 1 << 18
_PAUSE = 0.02  # seconds

# The folder comes once more at the end, so that the zeros after it can be told from those of a file. tar's own block of 10 KB makes
# many small packets of the engine's stream.
_TAR = (
    f"cd {DATA_DIR}/filestore && if [ -d $0 ]; then exec tar -c -f - -b 512 --format=gnu --hard-dereference --owner=0 --group=0"
    f" --numeric-owner --mode=u=rwX,go= --exclude=checklist --transform=s,^$0,{FILESTORE}, $0 --no-recursion $0; fi"
)


def write_tar(
    access: DatabaseAccess,
    folder: str,
    sink: BinaryIO,
    manifest: bytes,
    dumper: command.PipedProcess,
    dump: BinaryIO,
    size: int,
    progress: ByteProgress,
) -> None:
    """Write the archive with the files of a folder beside the filestores, `size` bytes, and what `dumper` writes into the file `dump`.

    Errors: ProgramError, MachineError; a program that fails ends the other one.
    """
    _header(sink, MANIFEST, len(manifest))
    sink.write(manifest)
    _pad(sink, len(manifest))
    with growth(dump, progress.of("database")):
        if access.has_files:
            _add_files(access, folder, sink, dumper, size, progress.of("files"))
        dumper.complete()
    length = dump.seek(0, os.SEEK_END)
    dump.seek(0)
    _header(sink, CUSTOM, length)
    shutil.copyfileobj(dump, sink, 1 << 20)
    _pad(sink, length)
    sink.write(bytes(2 * tarfile.BLOCKSIZE))


def _add_files(
    access: DatabaseAccess,
    folder: str,
    sink: BinaryIO,
    dumper: command.PipedProcess,
    size: int,
    count: Callable[[int], None],
) -> None:
    if not (sink.seekable() and sink.readable()):  # a pipe, or standard output that goes into a file
        with command.piped(access.in_volume(stoppable("sh", "-c", _TAR, folder), interactive=True)) as tar:
            copy_without_end(sink, _watching(dumper, tar.blocks(BLOCK)), count)
        return
    sink.flush()
    begin = written(sink)
    if size >= LARGE and access.has_image:
        words = stoppable("sh", "-c", f"{{ {_TAR}; }} >>{ARCHIVE}", folder)
        with command.piped(access.beside(Path(sink.name), words, writes_file=True)) as tar, growth(sink, count):
            _wait(tar, dumper)
            if written(sink) > begin:  # else the engine does not reach the file
                _complete(tar, sink)
    if written(sink) == begin:
        words = access.in_volume(stoppable("sh", "-c", _TAR, folder), interactive=True)
        with command.piped(words, output=sink) as tar, growth(sink, count):
            _wait(tar, dumper)
            tar.complete()
    cut_off_end(sink)


def _complete(tar: command.PipedProcess, sink: BinaryIO) -> None:
    try:
        tar.complete()
    except ProgramError:
        sink.seek(0, os.SEEK_END)
        sink.write(bytes(BLOCK))  # a full disk, which tar does not name, is an OSError
        sink.flush()
        raise


def _wait(tar: command.PipedProcess, dumper: command.PipedProcess) -> None:
    while tar.runs:
        _check(dumper)
        time.sleep(_PAUSE)


def _watching(dumper: command.PipedProcess, blocks: Iterator[bytes]) -> Iterator[bytes]:
    for block in blocks:
        _check(dumper)
        yield block


def _check(dumper: command.PipedProcess) -> None:
    if not dumper.runs:
        dumper.complete()


def copy_without_end(sink: BinaryIO, blocks: Iterable[bytes], count: Callable[[int], None]) -> None:
    """Copy a tar whose last member is a folder, without the zeros at its end."""
    zeros = length = 0
    for block in blocks:
        if kept := len(block.rstrip(b"\0")):
            for start in range(0, zeros, BLOCK):
                sink.write(bytes(min(BLOCK, zeros - start)))
            sink.write(block[:kept])
            length += zeros + kept
            zeros = 0
        zeros += len(block) - kept
        count(len(block))
    _pad(sink, length)  # a folder is a header: one block, with text at its beginning


def cut_off_end(file: BinaryIO) -> None:
    """The same for a file that ends with such a tar. Its position is at the end afterwards."""
    end = file.seek(0, os.SEEK_END)
    while end:
        start = max(0, end - BLOCK)
        file.seek(start)
        if kept := len(file.read(end - start).rstrip(b"\0")):
            end = start + kept
            break
        end = start
    file.truncate(end)
    file.seek(end)
    _pad(file, end)


@contextlib.contextmanager
def growth(file: BinaryIO, count: Callable[[int], None]) -> Iterator[None]:
    """Count what a program writes into a file during the block, and store it on the disk meanwhile.

    Errors: OSError where that fails: the system reports it once, so that a later look would not find it.
    """
    ended, known, failed = threading.Event(), written(file), list[OSError]()

    def watch() -> None:
        nonlocal known
        while not ended.wait(INTERVAL):
            known, before = written(file), known
            count(known - before)
            try:
                os.fsync(file.fileno())
            except OSError as error:
                failed.append(error)
                return

    watching = threading.Thread(target=watch, daemon=True)
    watching.start()
    try:
        yield
    finally:
        ended.set()
        watching.join()
    for error in failed:
        raise error


def wait_for_output(file: BinaryIO, program: command.PipedProcess) -> None:
    """Wait until a program has written into an empty file, or has ended."""
    while program.runs and not written(file):
        time.sleep(_PAUSE)


def written(file: BinaryIO) -> int:
    """The bytes that a file holds, also those of other programs."""
    return os.fstat(file.fileno()).st_size


def _header(sink: BinaryIO, name: str, length: int) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = length, 0o600, int(time.time())
    sink.write(info.tobuf(tarfile.GNU_FORMAT))


def _pad(sink: BinaryIO, length: int) -> None:
    sink.write(bytes(-length % tarfile.BLOCKSIZE))
