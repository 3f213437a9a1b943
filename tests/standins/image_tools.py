"""The programs `cosign`, `oras` and `skopeo`, which work on images of a registry, from Debian packages."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from odpm_tasks.errors import MachineError
from tests.standins.common import Apt, install_folder, is_debian, locked, os_release, root, scratch, unpack

PROGRAMS = ("cosign", "oras", "skopeo")
NEWER = "trixie"  # the first release with the first two, which need no other package
LIBRARIES = ("libgpgme11", "libassuan0", "libgpg-error0", "libdevmapper1.02.1")


def ensure_image_tools() -> dict[str, str]:
    """The environment variables under which the programs are found. Errors: MachineError."""
    if all(map(shutil.which, PROGRAMS)):
        return {}
    if not is_debian():
        raise MachineError(f"{', '.join(PROGRAMS)} are not installed", todo="install them")
    unpacked = root() / "image-tools"
    with locked("image-tools"):
        if not (unpacked / "usr/bin/skopeo").exists():
            with scratch() as work:
                own = Apt(os_release().get("VERSION_CODENAME", "stable"))
                debs = Apt(NEWER).download(PROGRAMS[:2], work / "newer")
                debs += own.download((PROGRAMS[2], *LIBRARIES), work / "own")
                unpack(debs, work / "root")
                install_folder(work / "root", unpacked)
    libraries = [path for folder in ("usr/lib", "lib") for path in (unpacked / folder).glob("*-linux-gnu")]
    return {
        "PATH": os.pathsep.join([str(Path(unpacked, "usr/bin")), os.environ["PATH"]]),
        "LD_LIBRARY_PATH": os.pathsep.join(map(str, libraries)),
    }
