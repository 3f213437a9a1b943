"""Which merges of the lock are merged upstream, moved or gone, as the git servers answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from odpm_tasks.adapters.git import merge, merge_base
from odpm_tasks.adapters.git.merge_base import Tip
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import fetch_error, list_refs
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.sources.link import Link
from odpm_tasks.core.sources.merges import Merged
from odpm_tasks.core.sources.status import MergeState
from odpm_tasks.errors import OdpmError
from odpm_tasks.sources.merging import branch_refs
from odpm_tasks.sources.remote import project_remote

Refs = Mapping[str, str]  # full ref -> commit


def states(paths: ProjectPaths, link: Link, merged: Merged, branch: str, *, refresh: bool) -> tuple[MergeState, ...]:
    """The merges of a repository; with `refresh` as the servers answer, each of which is asked once."""
    plain = tuple(MergeState(ref.ref, ref.url, ref.commit) for ref in merged.merges)
    if not refresh:
        return plain
    urls = {request.url: request.link.url for request in link.merges if request.link and request.url}
    source = project_remote(paths, link.url)
    servers = [project_remote(paths, urls.get(state.url, state.url)) if state.url else source for state in plain]
    wanted: dict[str, list[str]] = {source.url: [*branch_refs(branch)]}
    for state, server in zip(plain, servers, strict=True):
        wanted.setdefault(server.url, []).append(state.ref)
    remotes = {remote.url: remote for remote in (source, *servers)}
    refs = {url: _listed(remotes[url], names) for url, names in wanted.items()}
    found = []
    for state, server in zip(plain, servers, strict=True):
        held, upstream = refs[server.url], refs[source.url]
        failed = next((answer for answer in (upstream, held) if isinstance(answer, OdpmError)), None)
        if isinstance(held, OdpmError) or isinstance(upstream, OdpmError):
            found.append(replace(state, state="unknown", reason=failed.what if failed else ""))
            continue
        tip = next((upstream[name] for name in branch_refs(branch) if name in upstream), None)
        tips = (Tip(source, branch_refs(branch), tip), Tip(server, (state.ref,), state.commit))
        found.append(_state(paths.store(link.canonical), state, tips, held.get(state.ref)))
    return tuple(found)


def _listed(remote: Remote, names: Sequence[str]) -> Refs | OdpmError:
    """The commits of refs on a server, or the error."""
    outcome = list_refs(remote, names)
    if not outcome.ok:
        return fetch_error(outcome, remote, "the refs")
    rows = [line.split("\t") for line in outcome.text.splitlines()]
    return {row[1].removesuffix("^{}"): row[0] for row in rows if len(row) == 2}  # of a tag the commit comes last


def _state(store: Path, merge_state: MergeState, tips: tuple[Tip, Tip], now: str | None) -> MergeState:
    """The state of one merge. `tips`: the branch and the merge, `now`: the commit of the ref, None where it does not exist."""
    try:
        word = _upstream(store, tips, merge_state.commit) if tips[0].commit else ""
    except OdpmError as error:
        if now == merge_state.commit:
            return replace(merge_state, state="unknown", reason=error.what)
        word = ""
    word = word or ("gone" if now is None else "moved" if now != merge_state.commit else "open")
    return replace(merge_state, state=word, now=now if word == "moved" else None)


def _upstream(store: Path, tips: tuple[Tip, Tip], commit: str) -> str:
    """`upstream` if the branch contains the commit, `contained` if it contains its changes: a merge changes nothing."""
    met = merge_base.meeting(store, tips)
    tip = met.commits[0]
    if commit in met.bases[0]:
        return "upstream"
    bases = sorted({*met.bases[0], *met.ancestors, *(base for found in met.ancestors.values() for base in found)})
    merge.fetch_commits(store, [(tip, tips[0]), (commit, tips[1]), *((base, tips[0]) for base in bases)])
    with merge.scratch(store, [tip, commit, *bases]) as scratch:
        try:
            tree = scratch.merge(scratch.trees[tip], commit, met.bases[0], met.ancestors)
        except merge.ConflictError:
            return ""
        return "contained" if tree == scratch.trees[tip] else ""
