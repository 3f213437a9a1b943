"""A Chromium for the tests: that of the machine; otherwise Debian's package, or the one that Playwright downloads."""

from __future__ import annotations

import os
import shutil
import sys
import time
from pathlib import Path

from odpm_tasks.errors import MachineError, OdpmError
from tests.standins.common import Apt, Say, is_debian, line, locked, os_release, run, seconds

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def ensure_browser(say: Say) -> Path:
    """The program, installed if the machine has none. Errors: MachineError with a command."""
    if found := _installed():
        return found
    begun = time.monotonic()
    with locked("browser"):
        found = _installed()  # another process installed it meanwhile
        if found is None and os.geteuid() == 0 and is_debian():
            Apt(os_release().get("VERSION_CODENAME", "stable"), updates=True).install("chromium")
            found = _installed()
        elif found is None:
            found = _downloaded()
    if found is None:
        raise MachineError("there is no Chromium for the tests", todo="apt-get install chromium")
    say(line("browser", f"{found} ({seconds(begun)})"))
    return found


def _installed() -> Path | None:
    return next((Path(found) for name in NAMES if (found := shutil.which(name))), None)


def _downloaded() -> Path:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        program = Path(playwright.chromium.executable_path)
    if not program.exists():
        try:
            run(sys.executable, "-m", "playwright", "install", "chromium", timeout=600)
        except OdpmError as error:
            raise MachineError(
                "there is no Chromium for the tests, and it cannot be downloaded",
                details=error.details,
                todo="apt-get install chromium",
            ) from error
    return program
