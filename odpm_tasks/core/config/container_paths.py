"""Paths in Odoo's container as paths in the checkout."""

from __future__ import annotations

import re
from collections.abc import Iterable


class ContainerPaths:
    """Folders of the container and what they are in the checkout."""

    def __init__(self, folders: Iterable[tuple[str, str]]) -> None:
        """`folders`: pairs of folder in the checkout ("" is its root) and absolute folder in the container; the deepest one counts."""
        self._hosts = {inside: f"{host}/" if host else "" for host, inside in folders}
        ordered = sorted(self._hosts, key=lambda inside: -len(inside))
        self._folder = re.compile(rf"(?<![\w./~-])({'|'.join(map(re.escape, ordered))})/") if ordered else None

    def in_text(self, text: str) -> str:
        """The text with each path below one of the folders relative to the checkout; other paths stay."""
        return self._folder.sub(lambda found: self._hosts[found[1]], text) if self._folder else text

    def in_checkout(self, file: str) -> str:
        """The path of one file or folder in the checkout; one that is in none of the folders stays as it is."""
        if file in self._hosts:
            return self._hosts[file].rstrip("/") or "."
        found = self._folder.match(file) if self._folder else None
        return self._hosts[found[1]] + file[found.end() :] if found else file
