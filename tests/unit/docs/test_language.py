"""The terms of docs/glossary.md: words that they replace do not occur in the pages."""

from __future__ import annotations

import re
import tokenize
from pathlib import Path

import pytest

from tests.unit.docs.pages import PAGES, ROOT, Page, rows

REPLACED = (
    r"wish(es|ed)?", r"(the|this|our) world", r"sight", r"afresh", r"anew", r"mend(s|ed|ing)?", r"whoever", r"for ever",
    r"stands? (on|alone)", r"rests? on", r"stumbles?", r"patience", r"foresight", r"wanting", r"asks? no server",
    r"what (there is|is there)", r"nobody", r"somebody", r"takes? (over|along)", r"taken over", r"gives? (back|up)", r"is told",
    r"by itself", r"of its own accord", r"brings? (everything|up)", r"brought up", r"lies? in", r"in its place", r"believed",
)  # fmt: skip


CODE = [path for path in (ROOT / "odpm_tasks").rglob("*.py") if path.parent.name != "templates"]


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_a_page_uses_the_terms_of_the_glossary(page: Page) -> None:
    # quoted messages are those of the code
    prose = re.sub(r"`[^`\n]*`", "``", page.prose)
    found = [match[0] for match in re.finditer(rf"\b(?:{'|'.join(REPLACED)})\b", prose, re.IGNORECASE)]
    assert found == []


def phrases(path: Path) -> str:
    """The comments, docstrings and strings of a module."""
    with path.open("rb") as file:
        tokens = [
            token.string
            for token in tokenize.tokenize(file.readline)
            if token.type in {tokenize.STRING, tokenize.COMMENT}
        ]
    return "\n".join(tokens)


@pytest.mark.parametrize("folder", sorted({path.parent for path in CODE}), ids=lambda folder: folder.name)
def test_the_code_uses_the_terms_of_the_glossary(folder: Path) -> None:
    found = {
        f"{path.name}: {match[0]}"
        for path in CODE
        if path.parent == folder
        for match in re.finditer(rf"\b(?:{'|'.join(REPLACED)})\b", phrases(path), re.IGNORECASE)
    }
    assert found == set()


def test_the_glossary_has_one_line_for_each_term() -> None:
    terms = [row[0] for row in rows(PAGES["docs/glossary.md"].text)]
    assert len(terms) == len(set(terms))
    for term in (
        "description", "manifest", "observed state", "project paths", "settings", "options", "converge", "step", "pending",
        "source", "checkout", "store", "pin", "drift", "trust", "census", "SBOM", "prefetch", "retry", "scenario", "fragment",
        "parity", "lock", "plan", "cache",
    ):  # fmt: skip
        assert term in terms
