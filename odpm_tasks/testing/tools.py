"""Python packages for tests alone: installed beside the image, so that neither the lock nor the image changes with them."""

from __future__ import annotations

import hashlib
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from odpm_tasks.adapters import files, uv
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.errors import ProgramError

TOOLS = "/run/odpm-test-tools"  # in the container
COVERAGE = "coverage>=7.2,<8"
BROWSER = "websocket-client>=0.57,<2"  # Odoo talks to Chromium with it
_FOLDER = ".odpm/testing/tools"
_MACHINES = {"arm64": "aarch64", "amd64": "x86_64"}


def tools_folder(paths: ProjectPaths, python: str, requirements: Sequence[str]) -> Path | None:
    """The folder with these packages for that version of Python, installed where it does not exist; None without packages.

    Errors: ProgramError where the package index does not have them.
    """
    if not requirements:
        return None
    machine = platform.machine().lower()
    digest = hashlib.sha256("\0".join([python, machine, *requirements]).encode()).hexdigest()[:12]
    folder = paths.root / _FOLDER / digest
    if folder.is_dir():
        return folder
    unfinished = folder.with_name(f"{digest}.new")
    with files.disk_errors(folder):
        shutil.rmtree(folder.parent, ignore_errors=True)
        unfinished.mkdir(parents=True)
        try:
            uv.install(requirements, unfinished, ".".join(python.split(".")[:2]), _MACHINES.get(machine, machine))
        except uv.UvError as error:
            raise ProgramError(
                f"cannot install {', '.join(requirements)} for the tests",
                details=error.output.strip().splitlines()[-5:],
                todo="check the package index: inv doctor --network",
            ) from None
        unfinished.replace(folder)
    return folder
