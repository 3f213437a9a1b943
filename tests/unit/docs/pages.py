"""The pages of the documentation, and what they contain: code blocks, inline code, tables, links, anchors."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Block:
    """One fenced code block."""

    page: str
    language: str
    text: str


@dataclass(frozen=True)
class Page:
    path: Path

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    @cached_property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @cached_property
    def blocks(self) -> list[Block]:
        found = re.findall(r"^( *)```(\w*)\n(.*?)^\1```", self.text, re.MULTILINE | re.DOTALL)
        return [
            Block(self.name, language, re.sub(rf"^{indent}", "", text, flags=re.MULTILINE))
            for indent, language, text in found
        ]

    @cached_property
    def prose(self) -> str:
        """The text without its code blocks."""
        return re.sub(r"^( *)```.*?^\1```", "", self.text, flags=re.MULTILINE | re.DOTALL)

    @cached_property
    def inline(self) -> list[str]:
        return re.findall(r"`([^`\n]+)`", self.prose)

    @cached_property
    def links(self) -> list[str]:
        return re.findall(r"\]\(([^)\s]+)\)", self.prose)

    @cached_property
    def anchors(self) -> set[str]:
        return {slug(heading) for heading in re.findall(r"^#+ (.+)$", self.prose, re.MULTILINE)}

    def section(self, heading: str) -> str:
        """The text below a heading, up to the next heading of the same level or above."""
        level = len(heading) - len(heading.lstrip("#"))
        below = self.text.split(f"\n{heading}\n", 1)[1]
        return re.split(rf"^#{{1,{level}}} ", below, maxsplit=1, flags=re.MULTILINE)[0]


def slug(heading: str) -> str:
    """The anchor of a heading, as forges and MkDocs make it."""
    return re.sub(r"\s+", "-", re.sub(r"[^\w\s-]", "", heading.strip().lower()))


def rows(text: str) -> list[list[str]]:
    """The cells of every table row, without heads and rules."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    heads = {number - 1 for number, row in enumerate(cells) if set("".join(row)) <= set("-: ")}
    return [row for number, row in enumerate(cells) if number not in heads and number - 1 not in heads]


DOCS = ROOT / "docs"
PAGES = {
    page.name: page
    for page in (
        Page(path)
        for path in sorted(
            [
                *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "tests/bench/README.md")),
                *DOCS.rglob("*.md"),
            ]
        )
    )
}
BLOCKS = [block for page in PAGES.values() for block in page.blocks]
