"""What a user sees: a headless Chromium logs in, looks at the first screen, and prints a report."""

from __future__ import annotations

import io
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from pypdf import PdfReader
from pypdf.generic import StreamObject

from tests.e2e.browser import Browser, Picture, look
from tests.e2e.harness import REPOSITORY, Bench

pytestmark = pytest.mark.docker


def embedded(report: PdfReader) -> list[StreamObject]:
    """The pictures of the first page."""
    found = [entry.get_object() for entry in report.pages[0]["/Resources"]["/XObject"].values()]  # type: ignore[index]
    return [entry for entry in found if entry["/Subtype"] == "/Image"]


def size(picture: StreamObject) -> tuple[int, int]:
    return int(str(picture["/Width"])), int(str(picture["/Height"]))


def same_pixels(seen: Picture, printed: StreamObject) -> bool:
    """Whether a picture in a PDF has the colours that the browser shows, wherever it is opaque: they are rounded differently."""
    rgb, rgba = printed.get_data(), seen.pixels
    opaque = [number for number in range(seen.width * seen.height) if rgba[4 * number + 3] == 255]
    return bool(opaque) and all(abs(rgb[3 * n + c] - rgba[4 * n + c]) <= 2 for n in opaque for c in range(3))


def test_the_first_screen_and_the_report_of_the_demo(developer: Bench) -> None:
    """The screen lists add-ons; the printed report has the same ones, their icons, and the company's logo in its header."""

    def see(browser: Browser) -> tuple[list[str], PdfReader, Picture, list[Picture]]:
        page = browser.page
        rows = page.locator(".o_data_row")
        rows.first.wait_for()
        shown = rows.locator("[name=shortdesc]").all_inner_texts()
        versions = rows.locator("[name=installed_version]").all_inner_texts()
        assert "Stack Info" in shown
        assert "Partner first name and last name" in shown
        page.locator("thead .o_list_record_selector input").check()
        page.locator(".o_cp_action_menus button", has_text="Print").click()
        with page.expect_download() as download:
            page.locator(".o_menu_item", has_text="Stack Info").click()
        report = PdfReader(io.BytesIO(Path(download.value.path()).read_bytes()))
        logo = browser.picture("/web/image/res.company/1/logo")
        query = "SELECT id FROM ir_module_module WHERE name IN ('stack_info', 'partner_firstname')"
        icons = [
            browser.picture(f"/web/image/ir.module.module/{number}/icon_image")
            for number in developer.sql(query, "project").split()
        ]
        return [*shown, *versions], report, logo, icons

    cells, report, logo, icons = look(developer.url("/web/login?db=project"), "admin", "admin", see)
    text = report.pages[0].extract_text()
    lines = [line.strip() for line in text.splitlines()]
    for cell in (*cells, "What this Odoo is made of", "My Company"):
        assert cell in lines
    assert re.search(r"Page\s*1\s*/\s*1", text), text
    pictures = embedded(report)
    assert sorted(map(size, pictures)) == sorted((one.width, one.height) for one in (logo, *icons))
    assert same_pixels(logo, next(one for one in pictures if size(one) == (logo.width, logo.height)))


@pytest.fixture
def quick_start(developer: Bench) -> Iterator[str]:
    """A database with the add-on of the quick start's page."""
    page = (REPOSITORY / "docs/quickstart.md").read_text(encoding="utf-8")
    manifest = re.search(r"`addons/shop_hello/__manifest__\.py`.*?```python\n(.*?)```", page, re.DOTALL)
    assert manifest
    folder = developer.root / "addons/shop_hello"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "__manifest__.py").write_text(manifest[1], encoding="utf-8")
    try:
        developer.ok("up", "-d", "shop", "-i", "shop_hello")
        yield "shop"
    finally:
        developer.sql("DROP DATABASE IF EXISTS shop WITH (FORCE)")
        shutil.rmtree(folder)


def test_the_first_screen_of_the_quick_start(developer: Bench, quick_start: str) -> None:
    """Its add-on needs one of OCA's that changes the web client: it was blank where versions did not fit each other."""

    def see(browser: Browser) -> set[str]:
        browser.page.locator(".o_action_manager > *").first.wait_for()
        browser.page.locator(".o_grid_apps_menu__button").click()
        apps = browser.page.locator(".o-app-menu-item")
        apps.first.wait_for()
        return {name.strip() for name in apps.all_inner_texts()}

    seen = look(developer.url(f"/web/login?db={quick_start}"), "admin", "admin", see)
    assert {"Apps", "Settings"} <= seen
