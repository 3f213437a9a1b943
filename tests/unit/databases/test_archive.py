"""What an archive records, and that it is written the same to a file and to a pipe."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from odpm_tasks.adapters import command
from odpm_tasks.core.databases.archive import ArchiveOrigin, archive_kind, write_manifest
from odpm_tasks.databases.archives.programs import in_blocks
from odpm_tasks.databases.archives.tar_writer import copy_without_end, cut_off_end, growth, wait_for_output, written
from odpm_tasks.databases.archives.zip_writer import write_zip
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


ENDS = {"text": b"x" * 700, "zeros": bytes(700_000), "nothing": b""}


@pytest.mark.parametrize("last", ENDS)
def test_the_end_of_a_tar_is_left_out(last: str, tmp_path: Path) -> None:
    root = tmp_path / "new"
    (root / "ab").mkdir(parents=True)
    for name, content in {"a": bytes(1_000_000) + b"x", "b": bytes(2_000_000), "z": ENDS[last]}.items():
        (root / "ab" / name).write_bytes(content)
    made = tmp_path / "made.tar"
    subprocess.run(
        ["tar", "-c", "-b", "512", "--sort=name", "-C", str(tmp_path), "-f", str(made), "new", "--no-recursion", "new"],
        check=True,
    )
    data, counted = made.read_bytes(), list[int]()
    with tarfile.open(made) as tar:
        members = tar.getmembers()
    end = members[-1].offset_data
    assert members[-1].isdir()
    for size in (512, 1000, 1 << 18):
        sink = io.BytesIO()
        copy_without_end(sink, (data[at : at + size] for at in range(0, len(data), size)), counted.append)
        assert sink.getvalue() == data[:end], size
    assert sum(counted) == 3 * len(data)
    with made.open("r+b") as file:
        cut_off_end(file)
        assert file.tell() == end
    assert made.read_bytes() == data[:end]


def test_a_tar_without_files_has_no_end(tmp_path: Path) -> None:
    sink = io.BytesIO()
    copy_without_end(sink, [], print)
    assert sink.getvalue() == b""
    with (tmp_path / "made").open("w+b") as file:
        file.write(b"x" * 512)
        cut_off_end(file)
        assert file.tell() == 512


def test_the_growth_of_a_file_is_counted(tmp_path: Path) -> None:
    counted: list[int] = []
    words = ["sh", "-c", 'sleep 0.3; printf %s "$0"; sleep 0.5', "-- dump\n"]
    with (
        (tmp_path / "made").open("w+b") as file,
        growth(file, counted.append),
        command.piped(words, output=file) as program,
    ):
        wait_for_output(file, program)
        assert written(file) == 8
        program.complete()
    assert sum(counted) == 8


def test_a_file_that_cannot_be_stored_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full network file system says so when the file is stored, and only once."""
    tried = threading.Event()

    def fail(handle: int) -> None:
        tried.set()
        raise OSError(errno.ENOSPC, "No space left on device")

    def written_meanwhile() -> None:
        with (tmp_path / "made").open("w+b") as file, growth(file, print):
            assert tried.wait(10)

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="No space left"):
        written_meanwhile()


def test_a_program_that_fails_before_it_writes(tmp_path: Path) -> None:
    words = in_blocks("sh", "-c", "echo refused >&2; exit 3")
    with (tmp_path / "made").open("w+b") as file, command.piped(words, output=file) as program:
        wait_for_output(file, program)
        with pytest.raises(ProgramError) as error:
            program.complete()
    assert error.value.details == ("refused",)


def test_output_in_blocks() -> None:
    with command.piped(in_blocks("sh", "-c", "echo a; sleep 0.1; echo b")) as program:
        assert program.finish() == b"a\nb\n"


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
