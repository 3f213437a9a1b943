"""A headless Chromium that logs in to Odoo and looks at its pages."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from playwright.sync_api import ConsoleMessage, Page, Request, sync_playwright
from playwright.sync_api import Error as PlaywrightError

from tests.standins.browser import ensure_browser

T = TypeVar("T")

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


def _note_aborted(aborted: list[str], request: Request) -> None:
    if request.failure and "ERR_NETWORK_CHANGED" in request.failure:
        aborted.append(request.url)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def look(url: str, user: str, password: str, see: Callable[[Browser], T], certificate: str = "") -> T:
    """Log in, and return what `see` returns; no script of the page may fail. `certificate`: of the server, PEM, if no
    authority that the browser knows has issued it.

    Chromium ends its requests when a network of the machine comes or goes, as they do in other tests: then look again.
    """
    for last in (False, False, True):
        aborted: list[str] = []
        try:
            with _logged_in(url, user, password, aborted, certificate) as browser:
                seen = see(browser)
                assert browser.errors == []
                return seen
        except (PlaywrightError, AssertionError):
            if last or not aborted:
                raise
            _say(f"a network of this machine changed while {aborted[0]} was loaded: once more")
    raise AssertionError


def _pin(certificate: str) -> str:
    """The digest of the public key of a certificate, as browsers write it."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    data = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


@contextmanager
def _logged_in(url: str, user: str, password: str, aborted: list[str], certificate: str) -> Iterator[Browser]:
    """Fill in the login page as a user does, and wait for the menu of the web client. `aborted`: gets URLs, see `look`."""
    program = ensure_browser(_say)
    with sync_playwright() as playwright:
        arguments = [
            "--no-sandbox",
            *([f"--ignore-certificate-errors-spki-list={_pin(certificate)}"] if certificate else []),
        ]
        chromium = playwright.chromium.launch(executable_path=program, args=arguments, timeout=3 * MINUTE)
        page = chromium.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(3 * MINUTE)
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: _note(errors, message))
        page.on("requestfailed", lambda request: _note_aborted(aborted, request))
        page.goto(url)
        page.fill("input[name=login]", user)
        page.fill("input[name=password]", password)
        page.click("button[type=submit]")
        page.wait_for_selector(".o_main_navbar")
        yield Browser(page, errors)
        chromium.close()
