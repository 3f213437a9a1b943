"""odpm 4.x, the older command line tool, installed from the Python index.

It refuses to run as root. As root, it is started as `nobody` in a user namespace, in which `nobody` owns root's files.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

from odpm_tasks.errors import MachineError, ProgramError
from tests.standins.common import Say, install_folder, line, locked, pip_command, root, run, scratch, seconds

WANTED = "odpm==4.7.0"
NOBODY = "65534"


class NotOnIndex(Exception):
    """The Python index of the machine responds but does not have the package."""


def ensure_older(say: Say) -> list[str]:
    """The command that runs odpm 4.x, installed once per machine below the cache folder.

    Errors: NotOnIndex; ProgramError with the last lines of pip for another failure; MachineError if root cannot create a
    user namespace.
    """
    final = root() / WANTED.replace("==", "-")
    with locked(final.name):
        if not (final / "bin" / "odpm").exists():
            begun = time.monotonic()
            with scratch() as work:
                _install(work / "venv")
                install_folder(work / "venv", final)
            say(line("older", f"{WANTED} installed ({seconds(begun)})"))
    return [*_as_nobody(), str(final / "bin" / "python"), str(final / "bin" / "odpm")]


def _install(venv: Path) -> None:
    run(sys.executable, "-m", "venv", "--without-pip", venv)
    try:
        pip = [*pip_command(), "--python", str(venv / "bin" / "python"), "--disable-pip-version-check"]
        run(*pip, "install", "--quiet", WANTED, timeout=600)
    except ProgramError as error:
        output = "\n".join(error.details)
        if f"No matching distribution found for {WANTED}" in output and not re.search(
            r"Retrying|connection", output, re.I
        ):
            raise NotOnIndex(f"the Python index of this machine has no {WANTED}") from error
        raise


def _as_nobody() -> list[str]:
    if os.geteuid() != 0:
        return []
    words = ["unshare", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
    done = subprocess.run([*words, "id", "-u"], capture_output=True, text=True, check=False)
    if done.stdout.strip() != NOBODY:
        raise MachineError(
            "odpm 4.x refuses to run as root, and this machine does not allow user namespaces",
            details=done.stderr.splitlines()[-2:],
            todo="run the tests as another user",
        )
    return words
