"""The output of `sources.status`: values, text and JSON."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from odpm_tasks.core.reports import report
from odpm_tasks.core.text import Paint, plural, size

_NARROW = 60


@dataclass(frozen=True)
class MergeState:
    """A merge of the lock. `state` None: the server was not asked.

    `upstream`: the branch of the repository contains the commit; `contained`: it contains the changes; `moved`: the ref has
    another commit (`now`); `gone`: the ref does not exist; `open`: none of these; `unknown`: the server does not answer, with
    the `reason`.
    """

    ref: str
    url: str | None
    commit: str
    state: str | None = None
    now: str | None = None
    reason: str = ""


@dataclass(frozen=True)
class SourceState:
    """A source and the state of its checkout, without network access.

    `checkout`: `absent`; `locked` (at the locked commit); `elsewhere` (at another commit that odpm checked out); `branch` or
    `commit` (of the user); `moving` (a checkout was interrupted); `foreign` (not created by odpm); `link` (to a folder);
    `gone` (commits are missing in the cache). `on_top`: the number of the user's commits above that of odpm. `history`:
    `shallow` or `whole`. `behind`, `ahead`: numbers of commits compared with `upstream`. With `merges`, `locked` is the merge
    commit and `pin` the commit onto which they are merged.
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
    pin: str | None = None
    merges: tuple[MergeState, ...] = ()


@dataclass(frozen=True)
class StoreState:
    """A store that this project uses: its size in bytes and the number of commits that it holds for all projects."""

    url: str
    path: str
    bytes: int
    commits: int


@dataclass(frozen=True)
class CacheState:
    """The shared cache: its path, the stores that this project uses, its size in bytes, the number of projects."""

    path: str
    stores: tuple[StoreState, ...]
    bytes: int
    projects: int


def as_json(sources: Sequence[SourceState], cache: CacheState) -> str:
    """`{"sources": [{every field}], "cache": {"path", "stores": [{…}], "bytes", "projects"}}`."""
    data: dict[str, Any] = {"sources": [asdict(source) for source in sources], "cache": asdict(cache)}
    return report(data)


def as_text(sources: Sequence[SourceState], cache: CacheState, width: int, paint: Paint) -> str:
    """A table with name, branch, locked commit and state, and the URL below each row. Lines are wrapped to `width`."""
    rows = [(source.name, source.branch or "-", source.locked[:8], _state(source)) for source in sources]
    heads = ("source", "branch", "locked", "checkout")
    wide = [max(len(row[column]) for row in [heads, *rows]) for column in range(3)]
    lines = []
    for row, source in zip([heads, *rows], [None, *sources], strict=True):
        first = "  ".join(f"{word:<{column}}" for word, column in zip(row[:3], wide, strict=True))
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
            lines += [paint(f"  + {_merge(merge, source.name)}", "dim") for merge in source.merges]
    return "\n".join([*(lines if rows else ["no sources are known yet: inv lock"]), "", *_cache_lines(cache, paint)])


def _merge(merge: MergeState, source: str) -> str:
    words = " ".join(filter(None, (merge.url, merge.ref, merge.commit[:8])))
    text = {
        "upstream": "merged upstream: remove it from odpm.json",
        "contained": "its changes are upstream: remove it from odpm.json",
        "moved": f"moved to {(merge.now or '')[:8]}: inv lock --update --only {source}",
        "gone": "the ref does not exist any more",
        "open": "open",
        "unknown": f"not known: {merge.reason}",
    }.get(merge.state or "")
    return f"{words}  {text}" if text else words


def _styled(text: str, source: SourceState | None, paint: Paint) -> str:
    if source is None:
        return paint(text, "bold")
    changed = source.checkout not in {"locked", "link", "absent"} or source.changes or source.stashes
    return paint(text, "warn") if changed else text


def _state(source: SourceState) -> str:
    """The state of a checkout as phrases, the most important first."""
    at = (source.commit or "")[:8]
    top = plural(source.on_top or 0, "commit") + " on top" if source.on_top else ""
    phrases = [
        {
            "absent": "not checked out",
            "locked": "as locked",
            "elsewhere": f"at {at}, not at the locked commit: inv render",
            "branch": " with ".join(filter(None, (f"your branch {source.own_branch}", top))),
            "commit": ", ".join(filter(None, (f"your commit {at}", top))),
            "moving": "a checkout was interrupted: inv render",
            "foreign": "not a checkout of odpm",
            "link": "a link to your folder",
            "gone": "commits are missing in the cache: inv render",
        }[source.checkout]
    ]
    phrases += [plural(source.changes, "local change")] if source.changes else []
    phrases += [f"{source.untracked} untracked"] if source.untracked else []
    phrases += [plural(source.stashes, "stash", "stashes")] if source.stashes else []
    phrases += [{"shallow": "shallow", "whole": "with history"}[source.history]] if source.history else []
    if source.upstream and (source.behind or source.ahead):
        ways = [
            f"{number} {word}" for number, word in ((source.behind, "behind"), (source.ahead, "ahead of")) if number
        ]
        phrases.append(f"{' and '.join(ways)} {source.upstream}")
    return ", ".join(phrases)


def _cache_lines(cache: CacheState, paint: Paint) -> list[str]:
    lines = [paint("cache", "bold") + f"  {cache.path}"]
    lines += [f"  {size(store.bytes):>8}  {store.url}" for store in cache.stores]
    used = sum(store.bytes for store in cache.stores)
    projects = plural(cache.projects, "project")
    return [*lines, f"  {size(used)} for this project, {size(cache.bytes)} in all for {projects}"]
