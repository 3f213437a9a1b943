"""The sources of a project from pins and cache, and the state of their checkouts.

Nothing in this module uses the network or writes into the project.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from odpm_tasks.adapters.git import alternates
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.cat_file import Reader
from odpm_tasks.adapters.git.checkout import MOVING
from odpm_tasks.core.config.paths import ProjectPaths
from odpm_tasks.core.locking.graph import Resolution, Source, SourceAnswer, SourceQuery
from odpm_tasks.core.locking.lockfile import Lock
from odpm_tasks.core.locking.pins import effective_pins
from odpm_tasks.core.locking.resolve import drive, resolve
from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.planning.observed import Checkout
from odpm_tasks.errors import OdpmError
from odpm_tasks.project_state import read_state
from odpm_tasks.sources.facts import commit_facts
from odpm_tasks.sources.folders import file_answer


class _UnansweredError(OdpmError):
    def __init__(self, queries: Sequence[SourceQuery]) -> None:
        self.queries = tuple(queries)
        super().__init__("the cache does not answer all queries")


def _offline(paths: ProjectPaths, reader: Reader) -> Callable[[Sequence[SourceQuery]], list[SourceAnswer]]:
    """A function that answers queries from the cache and from folders. Errors: _UnansweredError."""

    def answer(queries: Sequence[SourceQuery]) -> list[SourceAnswer]:
        found: list[SourceAnswer] = []
        missing: list[SourceQuery] = []
        for query in queries:
            if query.link.is_file:
                found.append(file_answer(paths, query.link))
                continue
            wanted = query.content
            known = commit_facts(paths, reader, query.link, wanted, query.kind) if wanted else None
            pin = commit_facts(paths, reader, query.link, query.merged.pin, query.kind) if query.merged else None
            if known is None or wanted is None or (query.merged and pin is None):
                missing.append(query)
            else:
                found.append(SourceAnswer(wanted, known, query.merged, pin))
        if missing:
            raise _UnansweredError(missing)
        return found

    return answer


def resolution(
    paths: ProjectPaths, manifest: Manifest, known: Lock | None, own: str | None
) -> Resolution | tuple[SourceQuery, ...]:
    """The graph from pins and cache, or the queries that only a server can answer.

    `own`: the canonical URL of the developing checkout.
    """
    pins = effective_pins(known, manifest.locks_git, manifest.odoo_version)
    walk = resolve(
        manifest,
        pins,
        paths.settings.get,
        strict=paths.settings.scenario.strict,
        own=own,
    )
    try:
        with Reader() as reader:
            return drive(walk, _offline(paths, reader))
    except _UnansweredError as error:
        return error.queries


def checkout(paths: ProjectPaths, source: Source) -> Checkout:
    """The state of the checkout of a source."""
    path = paths.source(source.name)
    if path.is_symlink():
        expected = source.link.is_file and path.readlink() == Path(source.link.path)
        ours = source.link.is_file or read_state(paths).get("links", {}).get(source.name) == str(path.readlink())
        return Checkout("link") if expected else Checkout("foreign", replaceable=ours)
    if not path.exists():
        return Checkout("absent")
    head = git.head(path)
    if head is None or source.link.is_file:
        return Checkout("foreign")
    gone = alternates.missing_commits(path) if head.base else ()
    if head.branch is not None:
        return Checkout("branch", head.commit, head.branch, head.base, gone=gone)
    moving = (path / ".git" / MOVING).exists()
    return Checkout(
        "moving" if moving else "ours" if head.commit == head.base else "commit",
        head.commit,
        None,
        head.base,
        gone=gone,
    )


def checkouts(paths: ProjectPaths, resolved: Resolution) -> dict[str, Checkout]:
    """The state of each checkout; with the changes of tracked files where the scenario is strict or the checkout has to be
    moved, and then with the files that are in the way."""
    found = {source.name: checkout(paths, source) for source in resolved.sources}
    scenario = paths.settings.scenario
    if not scenario.mounts:
        return found
    target = {source.name: source.commit for source in resolved.sources}
    ours = [
        name
        for name, state in found.items()
        if state.kind == "ours" and not state.gone and (scenario.strict or state.commit != target[name])
    ]

    def with_work(name: str) -> Checkout:
        state, path = found[name], paths.source(name)
        moves = state.commit != target[name]
        in_the_way = git.in_the_way(path, str(state.commit), target[name]) if moves else ()
        return replace(state, changes=git.changes(path), in_the_way=in_the_way)

    with ThreadPoolExecutor(4) as pool:
        return found | dict(zip(ours, pool.map(with_work, ours), strict=True))


def uncached(paths: ProjectPaths, resolved: Resolution) -> tuple[str, ...]:
    """The canonical URLs of sources whose commit is neither checked out completely nor in the cache."""

    def checked_out(source: Source) -> bool:
        state = checkout(paths, source)
        return state.commit == source.commit and source.commit not in state.gone

    return tuple(
        source.key
        for source in resolved.sources
        if not source.link.is_file
        and not git.store_has(paths.store(source.key), source.commit)
        and not (paths.settings.scenario.mounts and checked_out(source))
    )
