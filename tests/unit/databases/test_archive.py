"""What an archive records, and that it is written the same to a file and to a pipe."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from odpm_tasks.adapters import command
from odpm_tasks.adapters.terminal import Activity
from odpm_tasks.core.databases.archive import ArchiveOrigin, archive_kind, write_manifest
from odpm_tasks.databases.archive_writer import TarFile, write_tar, write_zip
from odpm_tasks.databases.progress import ByteProgress
from odpm_tasks.errors import ProgramError, UsageError

FILES = {"1c/1c2a": b"x" * 100_000, "ab/abcd": b"\x89PNG" + bytes(range(256)) * 2000, "00/empty": b""}
DUMP = (b"-- dump\n", b"CREATE TABLE x();\n" * 1000)


class Pipe:
    """A destination that is written once, from start to end."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        self.data += data
        return len(data)

    def flush(self) -> None:
        pass

    def seekable(self) -> bool:
        return False


def stored() -> Iterator[tuple[str, int, io.BytesIO]]:
    for name, content in FILES.items():
        yield name, len(content), io.BytesIO(content)


EXPECTED = {f"filestore/{name}": content for name, content in FILES.items()} | {"manifest.json": b"{}"}


@pytest.mark.parametrize("destination", [io.BytesIO, Pipe])
def test_zip(destination: type) -> None:
    sink = destination()
    counted: list[int] = []
    write_zip(sink, b"{}", iter(DUMP), stored(), counted.append)
    data = sink.data if isinstance(sink, Pipe) else sink.getvalue()
    with zipfile.ZipFile(io.BytesIO(data)) as made:
        assert made.namelist()[:2] == ["manifest.json", "dump.sql"]
        assert {name: made.read(name) for name in made.namelist()} == EXPECTED | {"dump.sql": b"".join(DUMP)}
        sizes = {one.filename: one.compress_size for one in made.infolist()}
    assert sum(counted) == sum(map(len, FILES.values()))
    assert sizes["filestore/1c/1c2a"] < 2000
    assert sizes["filestore/ab/abcd"] > len(FILES["ab/abcd"])  # a picture is not compressed again


@pytest.mark.parametrize("destination", [io.BytesIO, Pipe])
def test_tar(destination: type, tmp_path: Path) -> None:
    sink = destination()
    counted: list[int] = []
    write_tar(sink, b"{}", iter(DUMP), stored(), counted.append, tmp_path)
    data = sink.data if isinstance(sink, Pipe) else sink.getvalue()
    with tarfile.open(fileobj=io.BytesIO(data)) as made:
        found = {one.name: content.read() for one in made if (content := made.extractfile(one))}
    assert found == EXPECTED | {"db.dump": b"".join(DUMP)}
    assert sum(counted) == sum(map(len, FILES.values()))
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("files", [FILES, {}])
def test_programs_write_a_tar_themselves(files: dict[str, bytes], tmp_path: Path) -> None:
    for name, content in files.items():
        (tmp_path / "filestore" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "filestore" / name).write_bytes(content)
    path = tmp_path / "made.tar"
    progress = ByteProgress(Activity(), "x", 0)
    with path.open("w+b") as sink:
        made = TarFile(sink)
        made.begin(b"{}")
        with command.piped(["sh", "-c", 'sleep 0.3; printf %s "$0"; sleep 0.3', "-- dump\n"], output=sink) as program:
            made.wait_for_output(program)
            assert made.size == 3 * 512 + 8
            with made.watched(progress, "database"):
                program.complete()
        made.end_dump()
        if files:
            with command.piped(["tar", "-c", "-C", str(tmp_path), "filestore"], output=sink) as program:
                program.complete()
        made.end()
    assert path.stat().st_size % 512 == 0
    with tarfile.open(path) as read:
        found = {one.name: member.read() for one in read if (member := read.extractfile(one))}
    assert found == {f"filestore/{name}": content for name, content in files.items()} | {
        "manifest.json": b"{}",
        "db.dump": b"-- dump\n",
    }


def test_a_program_that_fails_to_write_a_tar(tmp_path: Path) -> None:
    with (tmp_path / "made.tar").open("w+b") as sink:
        made = TarFile(sink)
        made.begin(b"{}")
        with command.piped(["sh", "-c", "echo refused >&2; exit 3"], output=sink) as program:
            made.wait_for_output(program)
            with pytest.raises(ProgramError) as error:
                program.complete()
    assert error.value.details == ("refused",)


def test_the_manifest_has_the_keys_of_odoo() -> None:
    facts = {
        "series": "19.0",
        "server": "150004",
        "modules": {"web": "19.0.1.0", "base": "19.0.1.3"},
        "neutralized": True,
    }
    made = json.loads(write_manifest(facts, ArchiveOrigin("7", "shop", "u"), {"a": 1}, "5.0.0", "2025-11-27T08:45:01Z"))
    own = made.pop("odpm")
    assert made == {
        "odoo_dump": "1",
        "db_name": "shop",
        "version": "19.0",
        "version_info": [19, 0, 0, "final", 0, ""],
        "major_version": "19.0",
        "pg_version": "15.4",
        "modules": {"base": "19.0.1.3", "web": "19.0.1.0"},
    }
    assert own == {
        "version": "5.0.0", "created": "2025-11-27T08:45:01Z", "stack": "7", "uuid": "u", "neutralized": True, "lock": {"a": 1},
    }  # fmt: skip


@pytest.mark.parametrize(
    ("given", "output", "kind"),
    [("", "", "zip"), ("", "-", "zip"), ("", "x.tar", "dump"), ("zip", "x.tar", "zip"), ("dump", "", "dump")],
)
def test_kind(given: str, output: str, kind: str) -> None:
    assert archive_kind(given, output) == kind


def test_unknown_kind() -> None:
    with pytest.raises(UsageError, match="7z"):
        archive_kind("7z", "")
