"""Write the files of an archive into a filestore. Odoo names files by the SHA-1 of their content, so that damage shows."""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from odpm_tasks.adapters import command
from odpm_tasks.adapters.docker.run_image import PYTHON
from odpm_tasks.core.databases import archive
from odpm_tasks.core.odoo.conf import DATA_DIR
from odpm_tasks.databases.access import ARCHIVE, LARGE, DatabaseAccess
from odpm_tasks.databases.archives.reader import ArchiveMember, OpenArchive
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.errors import ProgramError

_BLOCK = 1 << 18
_HEAD = 1 << 16
_HASH = re.compile(r"[0-9a-f]{40}")
_PROGRAM = Path(__file__).parents[2] / "templates" / "store_files.py"
_DAMAGED = 3  # its exit code


def store(
    access: DatabaseAccess, hidden: str, found: OpenArchive, progress: ByteProgress, stop: threading.Event
) -> None:
    """Write the files of an archive as those of the database `hidden`, until `stop` is set.

    Errors: ProgramError for content that does not fit its name; MachineError (full disk).
    """
    folder = f"{DATA_DIR}/filestore/{hidden}"
    size = sum(member.size for member in found.stored.values())
    parts = all(member.part for member in found.stored.values())
    beside = size >= LARGE and parts and access.has_image
    if beside and found.file and _store_beside(access, folder, found.file, found, progress, stop):
        return
    if found.stored:
        _store_by_stream(access, folder, found, progress, stop)


def _store_beside(
    access: DatabaseAccess, folder: str, file: Path, found: OpenArchive, progress: ByteProgress, stop: threading.Event
) -> bool:
    """The same in a container that reads the archive itself; false where the engine does not reach it."""
    words = [PYTHON, "-I", "-c", _PROGRAM.read_text(encoding="utf-8"), ARCHIVE, folder, *access.user.split(":")]
    with command.piped(access.beside(file, words, writes_file=False)) as program:
        try:
            program.write(_identity(file))
        except ProgramError:  # it has ended
            return False
        if program.output.readline() != b"ready\n":
            return False
        program.write(b"".join(_plan(found)) + b"\n")
        while (line := program.output.readline()) not in {b"done\n", b""}:
            progress.add(int(line), "files")
            if stop.is_set():
                return True
        if not line:
            outcome = program.outcome()
            if outcome.code == _DAMAGED:
                raise _damaged(outcome.stderr.decode(errors="replace").strip())
            raise command.failure(outcome)
    return True


def _identity(file: Path) -> bytes:
    with file.open("rb") as stream:
        head = hashlib.sha1(stream.read(_HEAD), usedforsecurity=False).hexdigest()
    return json.dumps({"size": file.stat().st_size, "head": head}).encode() + b"\n"


def _plan(found: OpenArchive) -> Iterator[bytes]:
    for path, member in found.stored.items():
        assert member.part is not None
        facts = {"path": path, "size": member.size, "sha1": _sha1(path), **vars(member.part)}
        yield json.dumps(facts).encode() + b"\n"


def _store_by_stream(
    access: DatabaseAccess, folder: str, found: OpenArchive, progress: ByteProgress, stop: threading.Event
) -> None:
    script = 'mkdir -p "$0" && cd "$0" && exec tar -x -f - --no-same-owner --no-same-permissions'
    with command.piped(access.in_volume(["sh", "-c", script, folder], interactive=True)) as program:
        for path, member in found.stored.items():
            if stop.is_set():
                return
            info = tarfile.TarInfo(path)
            info.size, info.mode = member.size, 0o644
            program.write(info.tobuf(tarfile.PAX_FORMAT))
            with member.open() as content:
                _copy(content, path, member, program, progress)
            program.write(bytes(-member.size % tarfile.BLOCKSIZE))
        program.write(bytes(2 * tarfile.BLOCKSIZE))
        program.finish()


def _copy(
    content: IO[bytes], path: str, member: ArchiveMember, program: command.PipedProcess, progress: ByteProgress
) -> None:
    digest, left = hashlib.sha1(usedforsecurity=False), member.size
    while left and (block := content.read(min(_BLOCK, left))):
        program.write(block)
        digest.update(block)
        left -= len(block)
        progress.add(len(block), "files")
    if left or _sha1(path) not in {"", digest.hexdigest()}:
        raise _damaged(path)


def _sha1(path: str) -> str:
    """The SHA-1 of the content that a path names; empty for other names, and for the marks of Odoo's own cleaning, which are empty."""
    name = Path(path).name
    return name if _HASH.fullmatch(name) and not path.startswith("checklist/") else ""


def _damaged(path: str) -> Exception:
    return archive.truncated(f"the content of {path} is not that of its name")
