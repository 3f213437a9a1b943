"""File systems whose files can share blocks (XFS, Btrfs), each in a file of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.standins.common import Apt, install_folder, locked, os_release, root, run, scratch, unpack

PACKAGES = {"xfs": ("xfsprogs", "libinih1", "liburcu8"), "btrfs": ("btrfs-progs", "liblzo2-2")}


def _program(kind: str) -> Path:
    """The program that makes a file system, unpacked from the packages of this machine's Debian release."""
    folder = root() / "file-systems" / kind
    with locked(f"file-systems-{kind}"):
        if not folder.exists():
            with scratch() as work:
                debs = Apt(os_release()["VERSION_CODENAME"]).download(PACKAGES[kind], work / "debs")
                unpack(debs, work / "tools")
                install_folder(work / "tools", folder)
    return next(path for path in folder.rglob(f"mkfs.{kind}") if path.is_file())


@contextmanager
def file_system(kind: str, folder: Path, size: str = "2G") -> Iterator[Path]:
    """A folder below `folder` with an empty file system of this kind, for the duration of the block. Needs root."""
    image, mounted = folder / f"{kind}.img", folder / kind
    mounted.mkdir()
    run("truncate", f"--size={size}", image)
    program = _program(kind)
    libraries = os.pathsep.join(str(path) for path in program.parents[1].rglob("*-linux-gnu") if path.is_dir())
    run(program, image, env={"LD_LIBRARY_PATH": libraries})
    run("mount", "-o", "loop", image, mounted)
    try:
        yield mounted
    finally:
        run("umount", "--lazy", mounted)
        image.unlink()
