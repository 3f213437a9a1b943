"""The load generator `wrk`, from the Debian package if none is installed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from odpm_tasks.errors import MachineError
from tests.standins.common import Apt, install_folder, is_debian, locked, os_release, root, scratch, unpack

PACKAGES = ("wrk", "libluajit-5.1-2", "libluajit-5.1-common")


def ensure_wrk() -> list[str]:
    """The command: installed, otherwise unpacked in the cache. Errors: MachineError."""
    if found := shutil.which("wrk"):
        return [found]
    if not is_debian():
        raise MachineError("wrk is not installed", todo="install wrk")
    unpacked = root() / "wrk"
    with locked("wrk"):
        if not (unpacked / "usr/bin/wrk").exists():
            with scratch() as work:
                debs = Apt(os_release().get("VERSION_CODENAME", "stable")).download(PACKAGES, work / "debs")
                unpack(debs, work / "root")
                install_folder(work / "root", unpacked)
    folders = [path for path in (unpacked / "usr/lib").glob("*-linux-gnu") if path.is_dir()]
    return ["env", f"LD_LIBRARY_PATH={os.pathsep.join(map(str, folders))}", str(Path(unpacked, "usr/bin/wrk"))]
