"""Parts of an archive become files, and damaged ones are refused (`templates/store_files.py`)."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import zlib
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import odpm_tasks

CONTENT = b"content of an attachment " * 50_000


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The program, which works in an empty folder."""
    spec = importlib.util.spec_from_file_location(
        "store_files", Path(odpm_tasks.__file__).parent / "templates" / "store_files.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.chdir(tmp_path)
    return module


def stored(program: ModuleType, data: bytes, **given: Any) -> tuple[bytes, list[int]]:
    """Store one member that begins at the fifth byte; its content, and what was reported."""
    Path("archive").write_bytes(b"head" + data)
    counted: list[int] = []
    sha1 = hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
    member = {"path": "ab/x", "offset": 4, "length": len(data), "size": len(CONTENT), "sha1": sha1, "crc": None}
    file = os.open("archive", os.O_RDONLY)
    try:
        program.store(file, {**member, "deflated": False, **given}, counted.append)
    finally:
        os.close(file)
    return Path("ab/x").read_bytes(), counted


def deflated(content: bytes) -> bytes:
    packer = zlib.compressobj(1, zlib.DEFLATED, -15)
    return packer.compress(content) + packer.flush()


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("checksum", [{}, {"sha1": "", "crc": zlib.crc32(CONTENT)}, {"sha1": ""}])
def test_content(packed: bool, checksum: dict[str, Any], program: ModuleType) -> None:
    content, counted = stored(program, deflated(CONTENT) if packed else CONTENT, deflated=packed, **checksum)
    assert content == CONTENT
    assert sum(counted) == len(CONTENT)


DAMAGED: dict[str, tuple[bytes, dict[str, Any]]] = {
    "another content": (CONTENT[:-1] + b"!", {}),
    "another checksum": (CONTENT, {"sha1": "", "crc": 1}),
    "too short": (CONTENT[:-1], {"sha1": ""}),
    "too long": (CONTENT + b"x", {"sha1": ""}),
    "cut off": (CONTENT, {"length": len(CONTENT) + 1, "size": len(CONTENT) + 1, "sha1": ""}),
    "not deflated": (CONTENT, {"deflated": True}),
    "a bomb": (deflated(bytes(100 << 20)), {"deflated": True, "sha1": ""}),
    "deflated, cut off": (deflated(CONTENT)[:-100], {"deflated": True, "sha1": ""}),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_content(kind: str, program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    data, given = DAMAGED[kind]
    with pytest.raises(SystemExit) as error:
        stored(program, data, **given)
    assert error.value.code == 3
    assert capsys.readouterr().err == "ab/x\n"
    assert Path("ab/x").stat().st_size <= len(CONTENT) + 1


def test_a_file_is_not_written_twice(program: ModuleType) -> None:
    stored(program, CONTENT)
    with pytest.raises(FileExistsError):
        stored(program, CONTENT)
