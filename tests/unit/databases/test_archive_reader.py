"""Archives of every kind, and those that are damaged or hostile."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from pathlib import Path

import pytest

from odpm_tasks.core.databases.archive import ArchiveOrigin, check_series, is_same, member_role
from odpm_tasks.databases.archives.reader import opened_archive
from odpm_tasks.errors import DescriptionError, ProgramError

PLAIN = b"--\n-- PostgreSQL database dump\n--\n"
MANIFEST = json.dumps({"db_name": "shop", "major_version": "19.0", "modules": {"base": "19.0.1.3"}}).encode()
FILE = "filestore/ab/ab01"


def zipped(members: dict[str, bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return made.getvalue()


def tarred(members: dict[str, bytes], mode: str = "w") -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode) as target:  # type: ignore[call-overload]
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            target.addfile(info, io.BytesIO(content))
    return made.getvalue()


ARCHIVES = {
    "zip of Odoo": zipped({"dump.sql": PLAIN, FILE: b"x", "manifest.json": MANIFEST}),
    "zip of Odoo.sh": zipped(
        {"dump.sql.gz": gzip.compress(PLAIN), "filestore/shop-main-1/ab/ab01": b"x", "manifest.json": MANIFEST}
    ),
    "tar": tarred({"manifest.json": MANIFEST, "db.dump": b"PGDMP", FILE: b"x"}),
    "tar.gz, with ./": tarred({"./manifest.json": MANIFEST, "./dump.sql": PLAIN, f"./{FILE}": b"x"}, "w:gz"),
}


@pytest.mark.parametrize("kind", ARCHIVES)
def test_each_kind_has_its_parts(kind: str, tmp_path: Path) -> None:
    with opened_archive("-", io.BytesIO(ARCHIVES[kind]), tmp_path) as found:
        assert found.dump is not None
        content = found.dump.open().read()
        assert content == (b"PGDMP" if found.dump_kind == "custom" else PLAIN)
        assert {path: member.open().read() for path, member in found.stored.items()} == {"ab/ab01": b"x"}
        assert (found.manifest.series, found.manifest.origin.database) == ("19.0", "shop")
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize("kind", ["zip of Odoo", "tar"])
def test_where_the_files_of_an_archive_are(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "archive"
    path.write_bytes(ARCHIVES[kind])
    with opened_archive(str(path), io.BytesIO(), tmp_path) as found:
        assert (found.file, found.separate) == (path, True)
        part = found.stored["ab/ab01"].part
        assert part is not None
        content = ARCHIVES[kind][part.offset : part.offset + part.length]
        assert (zlib.decompress(content, -15) if part.deflated else content) == b"x"
    with opened_archive("-", io.BytesIO(ARCHIVES["tar.gz, with ./"]), tmp_path) as found:
        assert (found.file, found.separate, found.stored["ab/ab01"].part) == (None, False, None)


def test_a_folder_and_bare_dumps(tmp_path: Path) -> None:
    root = tmp_path / "backup"
    (root / FILE).parent.mkdir(parents=True)
    (root / FILE).write_bytes(b"x")
    (root / "db.dump").write_bytes(b"PGDMP")
    with opened_archive(str(root), io.BytesIO(), tmp_path) as found:
        assert (found.dump_kind, [*found.stored], found.size) == ("custom", ["ab/ab01"], 6)
    for content, kind in ((b"PGDMP...", "custom"), (PLAIN, "sql"), (gzip.compress(PLAIN), "sql")):
        (tmp_path / "file").write_bytes(content)
        with opened_archive(str(tmp_path / "file"), io.BytesIO(), tmp_path) as found:
            assert found.dump_kind == kind
    (root / "link").symlink_to("/etc/passwd")
    with pytest.raises(DescriptionError, match="a link"), opened_archive(str(root), io.BytesIO(), tmp_path):
        pass


@pytest.mark.parametrize(
    "name",
    ["../x", "/etc/x", "filestore/../../x", "filestore\\..\\x", "filestore/ab/..", "filestore/a\nb", "a/../../b"],
)
@pytest.mark.parametrize("make", [zipped, tarred])
def test_a_path_that_leads_out_is_refused(name: str, make: object, tmp_path: Path) -> None:
    content = (zipped if make is zipped else tarred)({"dump.sql": PLAIN, name: b"x"})
    with (
        pytest.raises(DescriptionError, match="outside of its folder"),
        opened_archive("-", io.BytesIO(content), tmp_path),
    ):
        pass


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_refused(kind: bytes, tmp_path: Path) -> None:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as target:
        info = tarfile.TarInfo("filestore/ab/ab01")
        info.type, info.linkname = kind, "/etc/passwd"
        target.addfile(info)
    with (
        pytest.raises(DescriptionError, match="link or a device"),
        opened_archive("-", io.BytesIO(made.getvalue()), tmp_path),
    ):
        pass
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped_:
        entry = zipfile.ZipInfo("filestore/ab/ab01")
        entry.external_attr = 0o120777 << 16
        zipped_.writestr(entry, "/etc/passwd")
    with (
        pytest.raises(DescriptionError, match="link or a device"),
        opened_archive("-", io.BytesIO(made.getvalue()), tmp_path),
    ):
        pass


def read_all(content: bytes, spool: Path) -> None:
    with opened_archive("-", io.BytesIO(content), spool) as found:
        assert found.dump is not None
        found.dump.open().read()
        for member in found.stored.values():
            member.open().read()


@pytest.mark.parametrize("kind", ["zip of Odoo", "zip of Odoo.sh", "tar.gz, with ./"])
def test_a_cut_archive_is_refused(kind: str, tmp_path: Path) -> None:
    content = ARCHIVES[kind]
    read_all(content, tmp_path)
    for end in (len(content) // 2, 40):
        with pytest.raises((ProgramError, DescriptionError)):
            read_all(content[:end], tmp_path)


NO_BACKUPS = (
    b"",
    b"hello",
    zipped({"readme.txt": b"x"}),
    tarred({"x/dump.sql": PLAIN}),
    zipped({"a.sql": PLAIN, "b.sql": PLAIN}),
)


@pytest.mark.parametrize("content", NO_BACKUPS)
def test_what_is_no_backup(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(DescriptionError), opened_archive("-", io.BytesIO(content), tmp_path):
        pass


def test_roles_of_members() -> None:
    assert member_role("filestore/ab/abcd") == ("file", "ab/abcd")
    assert member_role("filestore/shop/ab/abcd") == ("file", "ab/abcd")
    assert member_role("filestore/") == ("ignored", "")
    assert member_role("notes.txt") == ("ignored", "")


def test_series_and_origin() -> None:
    check_series("", "19.0")
    with pytest.raises(DescriptionError, match=r"Odoo 18\.0, and this project runs 19\.0"):
        check_series("18.0", "19.0")
    here = ArchiveOrigin("1", "shop", "u")
    assert is_same(ArchiveOrigin("1", "shop", "u"), here)
    assert is_same(ArchiveOrigin("1", "shop", "u"), ArchiveOrigin("1", "shop"))
    for other in (
        ArchiveOrigin(),
        ArchiveOrigin("2", "shop", "u"),
        ArchiveOrigin("1", "x", "u"),
        ArchiveOrigin("1", "shop", "v"),
    ):
        assert not is_same(other, here)
