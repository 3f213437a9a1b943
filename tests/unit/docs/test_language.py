"""The terms of docs/glossary.md: words that they replace do not occur in the pages."""

from __future__ import annotations

import re

import pytest

from tests.unit.docs.pages import PAGES, Page, rows

REPLACED = (
    r"wish(es|ed)?", r"(the|this|our) world", r"sight", r"afresh", r"anew", r"mend(s|ed|ing)?", r"whoever", r"for ever",
    r"stands? (on|alone)", r"rests? on", r"stumbles?", r"patience", r"foresight", r"wanting", r"asks? no server",
    r"what (there is|is there)", r"nobody", r"somebody", r"takes? (over|along)", r"taken over", r"gives? (back|up)", r"is told",
    r"by itself", r"of its own accord", r"brings? (everything|up)", r"brought up", r"lies? in", r"in its place", r"believed",
)  # fmt: skip


BEING_REWRITTEN = {"docs/manifest.md"}


@pytest.mark.parametrize("page", [page for name, page in PAGES.items() if name not in BEING_REWRITTEN])
def test_a_page_uses_the_terms_of_the_glossary(page: Page) -> None:
    # quoted messages are those of the code
    prose = re.sub(r"`[^`\n]*`", "``", page.prose)
    found = [match[0] for match in re.finditer(rf"\b(?:{'|'.join(REPLACED)})\b", prose, re.IGNORECASE)]
    assert found == []


def test_the_glossary_has_one_line_for_each_term() -> None:
    terms = [row[0] for row in rows(PAGES["docs/glossary.md"].text)]
    assert len(terms) == len(set(terms))
    for term in (
        "description", "manifest", "observed state", "project paths", "settings", "options", "converge", "step", "pending",
        "source", "checkout", "store", "pin", "drift", "trust", "census", "SBOM", "prefetch", "retry", "scenario", "fragment",
        "parity", "lock", "plan", "cache",
    ):  # fmt: skip
        assert term in terms
