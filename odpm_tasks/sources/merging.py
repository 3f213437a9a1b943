"""Merge pull requests and branches onto the pin of a repository: fetch what is merged, make or verify the merge commit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from odpm_tasks.adapters.git import fetch as git_fetch
from odpm_tasks.adapters.git import merge, merge_base
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.merge_base import Bases, Tip
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import ProgressCallback
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.graph import SourceQuery
from odpm_tasks.core.sources.link import Link
from odpm_tasks.core.sources.merges import Merged, MergedRef
from odpm_tasks.errors import DescriptionError, ProgramError
from odpm_tasks.sources.remote import project_remote


def provide(paths: ProjectPaths, query: SourceQuery, on_progress: ProgressCallback) -> Merged:
    """The merges of a query; afterwards the store holds their merge commit.

    Errors: those of a fetch; ProgramError for a conflict and for another tree than the locked one.
    """
    if query.merged:
        urls = {request.url: request.link.url for request in query.link.merges if request.link and request.url}
        restore(paths, query.link, query.merged, query.branch, on_progress, urls)
        return query.merged
    store, source = paths.store(query.link.canonical), project_remote(paths, query.link.url)
    tips = _tips(paths, query, source, on_progress)
    met = merge_base.meeting(store, tips, on_progress)
    if query.link.commit not in {None, met.commits[0]}:
        raise DescriptionError(
            f"{query.link.commit} is not the id of a commit",
            where=str(query.link),
            todo=f"write the commit of the tag: {met.commits[0]}",
        )
    requests = zip(query.link.merges, query.pinned, met.refs[1:], met.commits[1:], met.bases, strict=True)
    refs = tuple(
        MergedRef(pin.ref if pin else ref, commit, request.url, bases[0] if len(bases) == 1 else None)
        for request, pin, ref, commit, bases in requests
    )
    return _merge(store, query.link, met.commits[0], refs, tips, met.bases, met.ancestors, None, on_progress)


def restore(
    paths: ProjectPaths,
    link: Link,
    merged: Merged,
    branch: str,
    on_progress: ProgressCallback,
    urls: Mapping[str, str] | None = None,
) -> None:
    """Make a merge commit again where the store lacks it, or its pin. It must have the locked tree.

    `urls`: canonical URL -> the address to fetch from. Errors: as `provide`.
    """
    store, source = paths.store(link.canonical), project_remote(paths, link.url)
    if git.store_has(store, merged.commit) and git.store_has(store, merged.pin):
        return
    tips = [Tip(source, branch_refs(branch), merged.pin)]
    for ref in merged.merges:
        remote = project_remote(paths, (urls or {}).get(ref.url, ref.url)) if ref.url else source
        tips.append(Tip(remote, (ref.ref,), ref.commit))
    bases: Sequence[tuple[str, ...]] = [(ref.base,) for ref in merged.merges if ref.base]
    ancestors: Bases = {}
    if len(bases) < len(merged.merges):  # else no history is needed
        met = merge_base.meeting(store, tips, on_progress)
        bases, ancestors = met.bases, met.ancestors
    _merge(store, link, merged.pin, merged.merges, tips, bases, ancestors, merged, on_progress)


def _tips(paths: ProjectPaths, query: SourceQuery, source: Remote, on_progress: ProgressCallback) -> list[Tip]:
    """The pin and the merges as commits to fetch."""
    commit = query.commit
    if query.day:
        store = paths.store(query.link.canonical)
        commit = git_fetch.commit_at(store, source, query.branch, query.day, on_progress)
    tips = [Tip(source, branch_refs(query.branch), commit)]
    for request, pin in zip(query.link.merges, query.pinned, strict=True):
        remote = project_remote(paths, request.link.url) if request.link else source
        refs = (pin.ref,) if pin else request.refs(query.odoo_version)
        tips.append(Tip(remote, refs, pin.commit if pin else request.commit))
    return tips


def branch_refs(branch: str) -> tuple[str, str]:
    """The full refs that the branch of a link can mean."""
    return f"refs/heads/{branch}", f"refs/tags/{branch}"


def _merge(
    store: Path,
    link: Link,
    pin: str,
    refs: tuple[MergedRef, ...],
    tips: Sequence[Tip],
    bases: Sequence[tuple[str, ...]],
    ancestors: Bases,
    known: Merged | None,
    on_progress: ProgressCallback,
) -> Merged:
    needed = [(commit, tips[0]) for commit in ancestors]
    needed += [(commit, tip) for commit, tip in zip((pin, *(ref.commit for ref in refs)), tips, strict=True)]
    needed += [(base, tips[0]) for found in (*bases, *ancestors.values()) for base in found]
    merge.fetch_commits(store, needed, on_progress)
    with merge.scratch(store, [commit for commit, _ in needed]) as scratch:
        tree = scratch.trees[pin]
        for ref, found in zip(refs, bases, strict=True):
            try:
                tree = scratch.merge(tree, ref.commit, found, ancestors)
            except merge.ConflictError as conflict:
                raise _conflict(link, pin, ref, conflict, known) from None
        result = Merged(pin, refs, tree, merge.version())
        if known and known.tree != tree:
            raise ProgramError(
                f"git {result.git} merges {_names(refs)} into {link.name} differently from "
                f"git {known.git or '(unknown version)'}, which wrote the lock",
                details=[f"tree of the lock {known.tree[:12]}, tree of this git {tree[:12]}"],
                todo=f"use that version of git, or merge again: inv lock --update --only {link.name}",
            )
        scratch.keep(tree, result.text)
    return known or result


def _names(refs: Sequence[MergedRef]) -> str:
    return ", ".join(map(str, refs[:3])) + (f" and {len(refs) - 3} more" if len(refs) > 3 else "")


def _conflict(
    link: Link, pin: str, ref: MergedRef, conflict: merge.ConflictError, known: Merged | None
) -> ProgramError:
    names = [*conflict.names[:5], *([f"and {len(conflict.names) - 5} more"] if len(conflict.names) > 5 else [])]
    details = [f"files: {', '.join(names)} ({', '.join(conflict.kinds)})"]
    if known and known.git not in {"", merge.version()}:
        details.append(f"git {known.git} wrote the lock, this is git {merge.version()}")
    return ProgramError(
        f"{ref} ({ref.commit[:8]}) conflicts with what is merged before it into {link.name} ({pin[:8]})",
        details=details,
        todo="remove that merge from odpm.json, change the order, or name a branch in which the conflict is resolved",
    )
