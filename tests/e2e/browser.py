"""A headless Chromium that logs in to Odoo and looks at its pages."""

from __future__ import annotations

import base64
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import ConsoleMessage, Page, sync_playwright

from tests.standins.browser import ensure_browser

MINUTE = 60_000.0  # ms
# The stand-in of Odoo, from Debian's package, lacks libraries that Debian leaves out.
_LEFT_OUT = re.compile(r"'Could not get content for [\w/.-]+/static/lib/")
# The pixels of a picture as RGBA
_PIXELS = """async url => {
    const bitmap = await createImageBitmap(await (await fetch(url)).blob(), {premultiplyAlpha: "none"});
    const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
    const context = canvas.getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const data = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
    let text = "";
    for (const byte of data) text += String.fromCharCode(byte);
    return [bitmap.width, bitmap.height, btoa(text)];
}"""


@dataclass(frozen=True)
class Picture:
    """Pixels as RGBA, row by row."""

    width: int
    height: int
    pixels: bytes


@dataclass(frozen=True)
class Browser:
    """A page whose user is logged in. `errors`: exceptions of its scripts and what they wrote as errors."""

    page: Page
    errors: list[str]

    def picture(self, path: str) -> Picture:
        """A picture of Odoo as the browser shows it."""
        width, height, data = self.page.evaluate(_PIXELS, path)
        return Picture(width, height, base64.b64decode(data))


def _note(errors: list[str], message: ConsoleMessage) -> None:
    if message.type == "error" and not _LEFT_OUT.match(message.text):
        errors.append(message.text)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


@contextmanager
def logged_in(url: str, user: str, password: str) -> Iterator[Browser]:
    """Fill in the login page as a user does, and wait for the menu of the web client."""
    program = ensure_browser(_say)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=3 * MINUTE)
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(3 * MINUTE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: _note(errors, message))
        page.goto(url)
        page.fill("input[name=login]", user)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_selector(".o_main_navbar")
        yield Browser(page, errors)
        chromium.close()
