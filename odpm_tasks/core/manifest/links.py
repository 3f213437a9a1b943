"""Reads the links of a manifest: expands variables and collects every problem with its path."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from odpm_tasks.core.config.interpolation import Lookup, expand, missing, references
from odpm_tasks.core.manifest.checks import unset_message
from odpm_tasks.core.manifest.fields import Problem
from odpm_tasks.core.manifest.json_document import Path
from odpm_tasks.core.sources.link import Link, masked, parse_link
from odpm_tasks.core.sources.merges import MergeRequest, for_repository, parse_merge
from odpm_tasks.errors import DescriptionError


def texts_at(raw: Any, path: Path) -> Iterator[tuple[str, Path]]:
    """The strings at a path of parsed JSON: one string, or each string of a list. Other values give nothing."""
    value = raw
    for part in path:
        value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str) and value:
        yield value, path
    for index, entry in enumerate(value if isinstance(value, list) else []):
        if isinstance(entry, str) and entry:
            yield entry, (*path, index)


@dataclass
class LinkReader:
    """Converts texts into links. `problems`: errors in the file. `unset`: variables that are not set."""

    lookup: Lookup
    problems: list[Problem] = field(default_factory=list)
    unset: list[Problem] = field(default_factory=list)

    def link(self, text: str, path: Path) -> Link | None:
        absent = missing(text, self.lookup)
        if absent:
            self.unset += [Problem(path, unset_message(name), "unset") for name in absent]
            return None
        try:
            variables = frozenset(found.name for found in references(text) if self.lookup(found.name))
            return replace(parse_link(expand(text, self.lookup, ""), text), variables=variables)
        except DescriptionError as error:
            self.problems.append(Problem(path, error.what))
            return None

    def links(self, texts: Sequence[str], path: Path) -> tuple[Link, ...]:
        found = [self.link(text, (*path, index)) for index, text in enumerate(texts)]
        return tuple(link for link in found if link)

    def with_merges(self, link: Link | None, texts: Sequence[str], path: Path, first: int = 0) -> Link | None:
        """The link with its merges; `path` is that of the list, `first` the index of the first text in it.

        A `file://` source has no branch to merge onto.
        """
        found: dict[int, MergeRequest] = {}
        for index, text in enumerate(texts, start=first):
            here = (*path, index)
            absent = missing(text, self.lookup)
            self.unset += [Problem(here, unset_message(name), "unset") for name in absent]
            try:
                found |= {} if absent else {index: self._merge(text)}
            except DescriptionError as error:
                self.problems.append(Problem(here, error.what))
        if link is None or not texts:
            return link
        if link.is_file:
            self.problems.append(Problem(path, "a file:// source is used as it is; merge in that folder", "refused"))
        merges = for_repository(tuple(found.values()), link)
        for position, (index, merge) in enumerate(zip(found, merges, strict=True)):
            if any(merge.is_same(other) for other in merges[:position]):
                self.problems.append(Problem((*path, index), f"`{merge}` occurs twice"))
        return replace(link, merges=merges)

    def _merge(self, text: str) -> MergeRequest:
        merge = parse_merge(expand(text, self.lookup, ""), text)
        if merge.link is None:
            return merge
        variables = frozenset(found.name for found in references(text) if self.lookup(found.name))
        return replace(merge, link=replace(merge.link, variables=variables))

    def check(self, raw: Any, paths: Iterable[Path]) -> None:
        """Collect the problems of the links at `paths`, for a manifest that has other errors too."""
        for start in paths:
            for text, path in texts_at(raw, start):
                self.link(text, path)
        blocks: list[tuple[Any, Path]] = [(raw.get("platform"), ("platform",))]
        entries = raw.get("dependencies")
        blocks += [(entry, ("dependencies", i)) for i, entry in enumerate(entries if isinstance(entries, list) else [])]
        for block, path in blocks:
            for text, at in texts_at(block, ("git",)) if path[0] == "dependencies" else ():
                self.link(text, (*path, *at))
            for text, at in texts_at(block, ("merges",)):
                self.with_merges(None, [text], (*path, "merges"), int(at[-1]) if len(at) > 1 else 0)

    def pins(self, pins: Mapping[str, str], path: Path) -> dict[str, str]:
        """Canonical URL -> commit. Two addresses of one repository must have the same commit."""
        result: dict[str, str] = {}
        for url, commit in pins.items():
            try:
                link = parse_link(url)
            except DescriptionError as error:
                self.problems.append(Problem((*path, url), error.what))
                continue
            if link.is_file or link.branch:
                self.problems.append(
                    Problem((*path, url), f"`{masked(url)}` must be an address without branch or commit")
                )
            elif result.setdefault(link.canonical, commit.lower()) != commit.lower():
                self.problems.append(
                    Problem((*path, url), "the same repository has another commit under a second address")
                )
        return result
