"""A PDF report of Odoo, and what a reader sees on its first page."""

from __future__ import annotations

import base64
import io
import re
from dataclasses import dataclass

from pypdf import PdfReader

NAME = "Ελληνικά 中文 한국어 हिन्दी"
FOOTER = "FOOTER-4711"
# Input for the Odoo shell: render a page with the layout of invoices.
SCRIPT = f"""
import base64
company = env.company
company.external_report_layout_id = env.ref("web.external_layout_standard")
company.report_footer = {FOOTER!r}
company.name = {NAME!r}
data, kind = env["ir.actions.report"]._render_qweb_pdf("web.action_report_externalpreview", company.ids)
print("PDF:" + base64.b64encode(data).decode())
"""


@dataclass(frozen=True)
class Report:
    """The first page of a report: its text, the names of its fonts, the number of its pictures."""

    text: str
    fonts: frozenset[str]
    pictures: int


def read_report(output: str) -> Report:
    """The report in the output of SCRIPT."""
    found = re.search(r"^PDF:(\S+)$", output, re.MULTILINE)
    assert found, output
    page = PdfReader(io.BytesIO(base64.b64decode(found[1]))).pages[0]
    fonts = page["/Resources"]["/Font"]  # type: ignore[index]
    names = frozenset(str(font.get_object()["/BaseFont"]).lstrip("/") for font in fonts.values())
    return Report(page.extract_text(), names, len(page.images))


def check_report(output: str) -> None:
    """Header with the logo, footer with the number of the page, style sheets, and every script of the text."""
    report = read_report(output)
    assert FOOTER in report.text
    assert re.search(r"Page\s*1\s*/\s*1", report.text), report.text
    assert report.pictures == 1
    assert any("Lato" in name for name in report.fonts), "the style sheets of Odoo were not read"
    assert any("WenQuanYi" in name for name in report.fonts)
    assert any("Lohit" in name for name in report.fonts)
