"""Builders for the values that many tests start from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from odpm_tasks.core.image import dockerfile
from odpm_tasks.core.locking.graph import Resolution, Source, SourceAnswer, SourceQuery
from odpm_tasks.core.locking.lockfile import Pin
from odpm_tasks.core.locking.resolve import drive, resolve
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.core.sources.link import parse_link
from odpm_tasks.core.sources.merges import Merged, MergedRef

MINIMAL: dict[str, Any] = {
    "manifest_schema": 2,
    "requires_odpm": "5.0.0",
    "platform": {"git": "https://github.com/odoo/odoo.git 19.0"},
    "python": "3.12",
    "distro": {"name": "debian", "version": "12"},
    "postgres": "16",
}
ODOO = "https://github.com/odoo/odoo"
OCA = "https://github.com/OCA"
PROGRAMS = {one.template: b"run" for one in dockerfile.PROGRAMS}  # those of the image


def commit(word: str) -> str:
    """A commit id (40 hex digits) derived from a word."""
    return hashlib.sha1(word.encode()).hexdigest()


def manifest(*dependencies: str | dict[str, Any], scenario: str = "developer", **keys: Any) -> Manifest:
    """A description of Odoo 19.0 with these dependencies, resolved for a scenario."""
    text = json.dumps({**MINIMAL, "dependencies": list(dependencies), **keys})
    return read_manifest(text, lambda name: None).manifest.for_scenario(scenario)


def module(path: str, **keys: Any) -> Module:
    return Module(path=path, **keys)


def source(link: str, kind: Any = "dependency", at: str = "", facts: Facts | None = None) -> Source:
    """A source at the commit `commit(at)`, by default `commit(NAME)`."""
    parsed = parse_link(link)
    return Source(parsed.name, kind, parsed, commit(at or parsed.name), facts or Facts(), ("odpm.json",))


def resolution(*sources: Source) -> Resolution:
    return Resolution(sources, (), (), "19.0")


class Servers:
    """Answers the resolver's queries from `facts` (by canonical URL) and records the queries.

    A query without a commit gets `commit("URL BRANCH")`, or `commit("URL BRANCH DAY")`.
    """

    def __init__(self, **facts: Facts) -> None:
        self.facts = {f"{OCA}/{name}": held for name, held in facts.items()}
        self.levels: list[list[str]] = []
        self.queries: list[SourceQuery] = []

    def put(self, url: str, facts: Facts) -> Servers:
        self.facts[url] = facts
        return self

    def answer(self, asks: tuple[SourceQuery, ...]) -> Sequence[SourceAnswer]:
        self.levels.append([ask.link.name for ask in asks])
        self.queries += asks
        return [self.merged(ask) if ask.link.merges else self.plain(ask) for ask in asks]

    def plain(self, ask: SourceQuery) -> SourceAnswer:
        return SourceAnswer(ask.commit or self.tip(ask), self.facts.get(self.key(ask), Facts()))

    def merged(self, ask: SourceQuery) -> SourceAnswer:
        """A merge gets the commit `commit(REF)` of its first ref, and the facts with the key `URL merged`."""
        pin = self.plain(ask)
        refs = tuple(
            known or MergedRef(request.refs(ask.odoo_version)[0], request.commit or commit(str(request)), request.url)
            for request, known in zip(ask.link.merges, ask.pinned, strict=True)
        )
        merged = ask.merged or Merged(pin.commit, refs, commit(" ".join(ref.commit for ref in refs)), "2.39.5")
        facts = self.facts.get(f"{self.key(ask)} merged", pin.facts)
        return SourceAnswer(merged.commit, facts, merged, pin.facts)

    @staticmethod
    def key(ask: SourceQuery) -> str:
        return ask.link.url if ask.link.is_file else ask.link.canonical

    def tip(self, ask: SourceQuery) -> str:
        return commit(" ".join(filter(None, (self.key(ask), ask.branch, ask.day))))

    def resolve(
        self,
        described: Manifest,
        *pins: Pin,
        lookup: Callable[[str], str | None] = lambda name: None,
        strict: bool = False,
        own: str | None = None,
    ) -> Resolution:
        known: Mapping[str, Pin] = {pin.key: pin for pin in pins}
        return drive(resolve(described, known, lookup, strict=strict, own=own), self.answer)


def texts(value: Any) -> Iterator[str]:
    """Every text and key of parsed YAML or JSON, at any depth."""
    if isinstance(value, dict):
        for key, below in value.items():
            yield from (str(key), *texts(below))
    elif isinstance(value, list):
        for below in value:
            yield from texts(below)
    elif value is not None:
        yield str(value)
