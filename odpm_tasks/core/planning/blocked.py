"""Checkouts that a run refuses to move, because that would lose work of the user: the action `blocked` of a plan.

The rules are those of `adapters/git/checkout.py`, which refuses; here they are known before anything is done.
"""

from __future__ import annotations

from odpm_tasks.core.locking.graph import Source
from odpm_tasks.core.planning.observed import Checkout

_NAMED = 3  # so many files are named, the rest is counted


def blocked_checkout(source: Source, now: Checkout, *, strict: bool) -> str:
    """Why `git.checkout` would refuse this source; empty where it would not. `strict`: of the scenario."""
    if now.kind == "foreign" and not now.replaceable:
        return "a folder or link that odpm did not create is at this path"
    if source.link.is_file or now.kind in {"absent", "foreign", "moving"} or now.gone:
        return ""
    if now.commit == source.commit:
        return _files("local changes", now.changes)
    if keeps_work(source, now, strict=strict):
        return ""
    if now.branch is not None:
        return f"it is on your branch {now.branch}, and the locked commit is {source.commit[:8]}"
    if now.kind == "commit":
        return f"it is at your commit {str(now.commit)[:8]}, and the locked commit is {source.commit[:8]}"
    return _files("local changes", now.changes) or _files("untracked files are in the way", now.in_the_way)


def keeps_work(source: Source, now: Checkout, *, strict: bool) -> bool:
    """Whether a checkout stays as it is, because the user's work is on top of the locked commit."""
    return now.kind in {"branch", "commit"} and now.base == source.commit and not strict


def _files(what: str, names: tuple[str, ...]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{what}: {', '.join(name.strip() for name in names[:_NAMED])}{more}" if names else ""
