"""What `sources.status` and `sources.prune` tell, as values, as text for people and as data for programs."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from odpm_tasks.core.text import Paint, plural, size

_NARROW = 60


@dataclass(frozen=True)
class SourceState:
    """A source and what lies in its place, as far as that is known without asking a server.

    `checkout`: `absent`, `locked` (ours, at the locked commit), `elsewhere` (ours, at another one), `branch` or `commit` (the
    user's own), `moving` (a move was interrupted), `foreign`, `link`, `gone` (what it borrows is not there). `on_top`: the
    user's commits on what we put there. `history`: `shallow` or `whole`. `behind`, `ahead`: of `upstream`.
    """

    name: str
    kind: str
    url: str
    branch: str
    locked: str
    checkout: str
    commit: str | None = None
    own_branch: str | None = None
    on_top: int | None = None
    changes: int = 0
    untracked: int = 0
    stashes: int = 0
    history: str | None = None
    upstream: str | None = None
    behind: int | None = None
    ahead: int | None = None


@dataclass(frozen=True)
class StoreState:
    """A store of the shared cache that this project uses; bytes, and how many commits it holds for whomever."""

    url: str
    path: str
    bytes: int
    commits: int


@dataclass(frozen=True)
class CacheState:
    """The shared cache: where it is, what of it this project uses, how large all of it is and for how many projects."""

    path: str
    stores: tuple[StoreState, ...]
    bytes: int
    projects: int


def as_json(sources: Sequence[SourceState], cache: CacheState) -> str:
    """`{"sources": [{every field}], "cache": {"path", "stores": [{…}], "bytes", "projects"}}`."""
    data: dict[str, Any] = {"sources": [asdict(source) for source in sources], "cache": asdict(cache)}
    return json.dumps(data, indent=2)


def as_text(sources: Sequence[SourceState], cache: CacheState, width: int, paint: Paint) -> str:
    """A table: name, branch, locked commit, state; the address below each. Lines are folded to `width` where they can be."""
    rows = [(source.name, source.branch or "-", source.locked[:8], _state(source)) for source in sources]
    heads = ("source", "branch", "locked", "checkout")
    wide = [max(len(row[column]) for row in [heads, *rows]) for column in range(3)]
    lines = []
    for row, source in zip([heads, *rows], [None, *sources], strict=True):
        first = "  ".join(f"{word:<{room}}" for word, room in zip(row[:3], wide, strict=True))
        indent = "  " if width < _NARROW or len(first) > width // 2 else " " * (len(first) + 2)
        folded = textwrap.wrap(row[3], max(20, width - len(indent)), break_long_words=False, break_on_hyphens=False)
        if len(indent) > 2:
            lines.append(_styled(f"{first}  {folded[0]}", source, paint))
            folded = folded[1:]
        else:
            lines.append(_styled(first.rstrip(), source, paint))
        lines += [indent + part for part in folded]
        if source is not None:
            lines.append(paint(f"  {source.kind}  {source.url}", "dim"))
    return "\n".join([*(lines if rows else ["no source is known yet: inv lock"]), "", *_cache_lines(cache, paint)])


def _styled(text: str, source: SourceState | None, paint: Paint) -> str:
    if source is None:
        return paint(text, "bold")
    yours = source.checkout not in {"locked", "link", "absent"} or source.changes or source.stashes
    return paint(text, "warn") if yours else text


def _state(source: SourceState) -> str:
    """Everything that is to be said of a checkout, most important first."""
    at = (source.commit or "")[:8]
    top = plural(source.on_top or 0, "commit") + " on top" if source.on_top else ""
    said = [
        {
            "absent": "not checked out",
            "locked": "as locked",
            "elsewhere": f"at {at}, to be moved: inv render",
            "branch": " with ".join(filter(None, (f"your branch {source.own_branch}", top))),
            "commit": ", ".join(filter(None, (f"your commit {at}", top))),
            "moving": "a move was interrupted: inv render",
            "foreign": "something of yours is in its place",
            "link": "a link to your folder",
            "gone": "what it borrows is gone from the cache: inv render",
        }[source.checkout]
    ]
    said += [plural(source.changes, "local change")] if source.changes else []
    said += [f"{source.untracked} untracked"] if source.untracked else []
    said += [plural(source.stashes, "stash", "stashes")] if source.stashes else []
    said += [{"shallow": "shallow", "whole": "with history"}[source.history]] if source.history else []
    if source.upstream and (source.behind or source.ahead):
        ways = [
            f"{number} {word}" for number, word in ((source.behind, "behind"), (source.ahead, "ahead of")) if number
        ]
        said.append(f"{' and '.join(ways)} {source.upstream}")
    return ", ".join(said)


def _cache_lines(cache: CacheState, paint: Paint) -> list[str]:
    lines = [paint("cache", "bold") + f"  {cache.path}"]
    lines += [f"  {size(store.bytes):>8}  {store.url}" for store in cache.stores]
    used = sum(store.bytes for store in cache.stores)
    whose = plural(cache.projects, "project")
    return [*lines, f"  {size(used)} for this project, {size(cache.bytes)} in all for {whose}"]
