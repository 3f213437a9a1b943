"""odpm 4.x, the older command line, installed from the Python index as its users have it: driven by its options only.

It refuses to run as root, so where we are root it runs as `nobody` of a user namespace, who owns there what root owns.
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
    """The machine's Python index answers, and has no such package."""


def ensure_older(say: Say) -> list[str]:
    """The words that run odpm 4.x; installed once per machine, below the cache folder.

    Errors: NotOnIndex; ProgramError with pip's own last lines for any other reason; MachineError where root can become
    nobody else.
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
        said = "\n".join(error.details)
        if f"No matching distribution found for {WANTED}" in said and not re.search(r"Retrying|connection", said, re.I):
            raise NotOnIndex(f"the Python index of this machine has no {WANTED}") from error
        raise


def _as_nobody() -> list[str]:
    if os.geteuid() != 0:
        return []
    words = ["unshare", f"--map-user={NOBODY}", f"--map-group={NOBODY}"]
    done = subprocess.run([*words, "id", "-u"], capture_output=True, text=True, check=False)
    if done.stdout.strip() != NOBODY:
        raise MachineError(
            "odpm 4.x refuses root, and this machine gives root no user namespace",
            details=done.stderr.splitlines()[-2:],
            todo="run the tests as another user",
        )
    return words
