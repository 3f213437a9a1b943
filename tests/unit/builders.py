"""Literal values that several tests start from: short to write, and legible in a failure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from odpm_tasks.core.locking.lockfile import Pin
from odpm_tasks.core.locking.resolve import Resolution, Source, SourceAnswer, SourceQuery, drive, resolve
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.manifest.reader import read_manifest
from odpm_tasks.core.odoo.addons import Facts, Module
from odpm_tasks.core.sources.link import parse_link

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


def commit(word: str) -> str:
    """Forty hex digits that stand for a word."""
    return hashlib.sha1(word.encode()).hexdigest()


def manifest(*dependencies: str, scenario: str = "developer", **keys: Any) -> Manifest:
    """A nested description of Odoo 19.0 with these dependencies, as a scenario sees it."""
    text = json.dumps({**MINIMAL, "dependencies": list(dependencies), **keys})
    return read_manifest(text, lambda name: None).manifest.for_scenario(scenario)


def module(path: str, **keys: Any) -> Module:
    return Module(path=path, **keys)


def source(link: str, kind: Any = "dependency", at: str = "", facts: Facts | None = None) -> Source:
    """A repository of a stack, at the commit that the word `at` (else its name) stands for."""
    parsed = parse_link(link)
    return Source(parsed.name, kind, parsed, commit(at or parsed.name), facts or Facts(), ("odpm.json",))


def resolution(*sources: Source) -> Resolution:
    return Resolution(sources, (), (), "19.0")


class Servers:
    """The repositories of a small world: what each holds, by canonical URL; it remembers what it was asked.

    A question without a commit is answered with the commit that `URL BRANCH` (or `URL BRANCH DAY`) stands for.
    """

    def __init__(self, **facts: Facts) -> None:
        self.facts = {f"{OCA}/{name}": held for name, held in facts.items()}
        self.levels: list[list[str]] = []
        self.asked: list[SourceQuery] = []

    def put(self, url: str, facts: Facts) -> Servers:
        self.facts[url] = facts
        return self

    def answer(self, asks: tuple[SourceQuery, ...]) -> Sequence[SourceAnswer]:
        self.levels.append([ask.link.name for ask in asks])
        self.asked += asks
        return [SourceAnswer(ask.commit or self.tip(ask), self.facts.get(self.key(ask), Facts())) for ask in asks]

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
