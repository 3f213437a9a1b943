"""Archives of a package index: what is read of one that is made to fill the memory or to confuse."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable

import pytest

from odpm_tasks.adapters.package_index import _members
from odpm_tasks.core.locking.sdist import metadata_files
from odpm_tasks.errors import ProgramError


def zipped(*names: str, size: int = 20) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, b"\0" * size)
    return data.getvalue()


def tarred(*names: str, size: int = 20, kind: bytes = tarfile.REGTYPE) -> bytes:
    data = io.BytesIO()
    with gzip.GzipFile(fileobj=data, mode="w", compresslevel=1) as packed:
        for name in names:
            entry = tarfile.TarInfo(name)
            entry.type, entry.size = kind, size
            packed.write(entry.tobuf(tarfile.GNU_FORMAT) + b"\0" * (-(-size // 512) * 512))
    return data.getvalue()


def many(number: int) -> list[str]:
    return [f"x/{index}.egg-info/PKG-INFO" for index in range(number)]


def damaged(archive: bytes) -> bytes:
    return archive[:45] + bytes(255 - byte for byte in archive[45:48]) + archive[48:]


def encrypted(archive: bytes) -> bytes:
    listed = archive.index(b"PK\x01\x02") + 8
    return archive[:6] + b"\x01" + archive[7:listed] + b"\x01" + archive[listed + 1 :]


@pytest.mark.parametrize(
    ("name", "archive"),
    [
        ("x.zip", lambda: zipped(*many(101))),
        ("x.zip", lambda: zipped(*many(11), size=2_000_000)),
        ("x.zip", lambda: damaged(zipped("x/setup.py", size=20_000))),
        ("x.zip", lambda: encrypted(zipped("x/setup.py"))),
        ("x.tar.gz", lambda: tarred(*many(101))),
        ("x.tar.gz", lambda: tarred(*many(11), size=2_000_000)),
        ("x.tar.gz", lambda: tarred("x", size=3_000_000, kind=tarfile.GNUTYPE_LONGNAME)),
        ("x.tar.gz", lambda: tarred("x", size=3_000_000, kind=tarfile.XHDTYPE)),
        ("x.tar.gz", lambda: tarred("x", size=3_000_000, kind=tarfile.XGLTYPE)),
        ("x.tar.gz", lambda: b"no archive"),
    ],
)
def test_an_archive_that_is_damaged_or_fills_the_memory_is_refused(name: str, archive: Callable[[], bytes]) -> None:
    with pytest.raises(ProgramError, match="damaged archive"):
        _members(io.BytesIO(archive()), name, metadata_files)


@pytest.mark.parametrize(("name", "make"), [("x.zip", zipped), ("x.tar.gz", tarred)])
def test_files_that_state_metadata_are_read(name: str, make: Callable[..., bytes]) -> None:
    assert len(_members(io.BytesIO(make(*many(9), "x/README", size=2_000_000)), name, metadata_files)) == 9
