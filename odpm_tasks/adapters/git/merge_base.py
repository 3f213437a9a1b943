"""Where branches meet: fetch commits to be merged with as much of their history as is needed.

One request fetches the last commits of all branches into the store. Where the branches do not meet in them for certain, the
history is fetched without trees and files into a separate store beside the store (`NAME.git.merges`).
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import messages
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.fetch import fetch_commits_only, no_commit_error, prepare
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import (
    ProgressCallback,
    commit_missing_error,
    fetch_error,
    run_fetch,
    stderr_text,
)
from odpm_tasks.errors import OdpmError, ProgramError

_TIPS = "refs/odpm/tips"
_DEPTH = (
    200  # commits: a pull request with its beginning, and some weeks of a branch; a small part of one commit's files
)
_FIRST = timedelta(days=365)  # of the separate history; a branch that began earlier needs the whole
_REQUEST = re.compile(r"refs/[\w-]+/\d+/head")  # of a pull or merge request
_NO_REF = re.compile(r"couldn't find remote ref (\S+)")

Bases = Mapping[str, tuple[str, ...]]  # commit -> those of the other commits that are its nearest ancestors


@dataclass(frozen=True)
class Tip:
    """A commit to be merged, or onto which is merged: its server, its full refs (the first that exists counts), and its id
    where it is known."""

    source: Remote
    refs: tuple[str, ...]
    commit: str | None = None


@dataclass(frozen=True)
class Meeting:
    """The resolved tips. `refs`: the ref of each that exists. `bases`: for each tip after the first the commits at which it
    meets all tips before it. `ancestors`: the ancestry of these commits, where there is more than one."""

    commits: tuple[str, ...]
    refs: tuple[str, ...]
    bases: tuple[tuple[str, ...], ...]
    ancestors: Bases


def meeting(store: Path, tips: Sequence[Tip], on_progress: ProgressCallback | None = None) -> Meeting:
    """Resolve the tips, fetch them into the store and find where each meets those before it.

    Errors: ProgramError where a ref does not exist or two branches have no common history.
    """
    history = store.with_name(store.name + ".merges")
    if all(tip.commit for tip in tips) and (known := _known(history, tips)):
        return known
    with stores.lock(store, tips[0].source):
        prepare(store, tips[0].source)
        fetched = _Fetch(store, tips, [f"--depth={_DEPTH}"], on_progress, complete=True).fetch()
        found = _meeting(_read(store, fetched[0]), *fetched) if fetched else None
        if fetched:
            _keep_alone(store, {*fetched[0], *(_all_bases(found) if found else ())})
    return found or _by_history(history, tips, on_progress)


def _all_bases(found: Meeting) -> set[str]:
    """The merge bases, and the ancestry of these."""
    several = {*found.ancestors, *(base for bases in found.ancestors.values() for base in bases)}
    return several | {base for bases in found.bases for base in bases}


def _keep_alone(store: Path, commits: Collection[str]) -> None:
    """Keep some commits of a fetch without their history, as every commit of a store."""
    for commit in commits:
        files.write(store / "refs/odpm/commits" / commit, f"{commit}\n".encode(), derived=True)
    edge = "".join(f"{commit}\n" for commit in sorted(stores.commits(store)))
    files.write(store / "shallow", edge.encode(), derived=True)
    shutil.rmtree(store / _TIPS, ignore_errors=True)


def _by_history(history: Path, tips: Sequence[Tip], on_progress: ProgressCallback | None) -> Meeting:
    """Where the tips meet, from commits without files: of one year, and if that is not enough, of all years."""
    with stores.lock(history, tips[0].source):
        if not (history / "HEAD").exists():
            git.create_store(history)
        since = f"--shallow-since={datetime.now(UTC) - _FIRST:%Y-%m-%dT%H:%M:%S}+0000"
        fetched = _Fetch(history, tips, [since], on_progress).fetch()
        found = _meeting(_read(history, fetched[0]), *fetched) if fetched else None
        is_whole = not (history / "shallow").exists()
        if found is None and not (fetched and is_whole):
            fetched = _Fetch(history, tips, [] if is_whole else ["--unshallow"], on_progress).fetch()
            found = _meeting(_read(history, fetched[0]), *fetched) if fetched else None
        if found is None:
            raise _no_base(history, tips, *fetched or ((), ()))
        return found


def _known(history: Path, tips: Sequence[Tip]) -> Meeting | None:
    """Where the tips meet, from what an earlier run fetched; None where that is not enough."""
    if not (history / "HEAD").exists():
        return None
    commits = tuple(str(tip.commit) for tip in tips)
    graph = _read(history, commits)
    if not graph or not graph.parents.keys() >= {*commits}:
        return None  # an id that is not one of a commit, too
    return _meeting(graph, commits, tuple(tip.refs[0] for tip in tips))


class _Fetch:
    """Fetch all tips and a part of their history, with one request for each server. `complete`: with trees and files."""

    def __init__(
        self,
        history: Path,
        tips: Sequence[Tip],
        options: Sequence[str],
        on_progress: ProgressCallback | None,
        *,
        complete: bool = False,
    ) -> None:
        self._history, self._tips, self._options, self._on_progress = history, tips, options, on_progress
        self._complete = complete
        self._by_id = {number: tip.commit is not None for number, tip in enumerate(tips)}
        self._choice = dict.fromkeys(range(len(tips)), 0)  # index of the ref that is requested explicitly

    def fetch(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        """Commits and refs of the tips; None where the requested part of the history lacks one. Errors: as in `meeting`."""
        shutil.rmtree(self._history / _TIPS, ignore_errors=True)
        for source in dict.fromkeys(tip.source.url for tip in self._tips):
            numbers = [number for number, tip in enumerate(self._tips) if tip.source.url == source]
            if not self._fetch_from(self._tips[numbers[0]].source, numbers):
                return None
        return self._resolved()

    def _fetch_from(self, source: Remote, numbers: Sequence[int]) -> bool:
        options = self._options
        while True:
            refspecs = [spec for number in numbers for spec in self._refspecs(number)]
            request = run_fetch if self._complete else fetch_commits_only
            outcome = request(self._history, source, options, refspecs, self._on_progress)
            text = stderr_text(outcome)
            kind = messages.failure_kind(text)
            if outcome.ok:
                return True
            if kind == "branch" and self._next_choice(numbers, text):
                continue
            if kind in {"commit", "commit ids"} and any(self._by_id[number] for number in numbers):
                # a server that does not provide commits by id, or no longer this one: its branch may contain it
                self._by_id |= dict.fromkeys(numbers, False)
                if not self._complete:
                    options = ["--unshallow"] if (self._history / "shallow").exists() else []
                continue
            if self._options and (kind == "quiet" or messages.error_lines(text) == (messages.HUNG_UP,)):
                return False
            raise self._error(outcome, source, numbers)

    def _refspecs(self, number: int) -> list[str]:
        """What is requested of a tip. A pattern matches nothing where a ref does not exist; a full name is an error then."""
        tip = self._tips[number]
        if self._by_id[number]:
            return [f"+{tip.commit}:{_TIPS}/{number}/id"]
        if _REQUEST.fullmatch(tip.refs[0]):
            return [f"+{ref[:-1]}*:{_TIPS}/{number}/{index}/hea*" for index, ref in enumerate(tip.refs)]
        index = self._choice[number]
        return [f"+{tip.refs[index]}:{_TIPS}/{number}/{index}/head"]

    def _next_choice(self, numbers: Sequence[int], text: str) -> bool:
        """Request the next ref of the tips whose ref does not exist; False where there is none."""
        found = _NO_REF.search(text)
        missing = [n for n in numbers if found and not self._by_id[n] and self._requested(n) == found[1]]
        for number in missing:
            self._choice[number] += 1
        return bool(missing) and all(self._choice[n] < len(self._tips[n].refs) for n in missing)

    def _requested(self, number: int) -> str:
        refs = self._tips[number].refs
        return refs[min(self._choice[number], len(refs) - 1)]

    def _error(self, outcome: command.Outcome, source: Remote, numbers: Sequence[int]) -> OdpmError:
        if messages.failure_kind(stderr_text(outcome)) == "branch":
            return _missing([self._tips[n] for n in numbers if self._choice[n] >= len(self._tips[n].refs)])
        return fetch_error(outcome, source, "the history")

    def _resolved(self) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
        names, refs = [], []
        for number, tip in enumerate(self._tips):
            folder = self._history / _TIPS / str(number)
            if self._by_id[number]:
                names.append(f"{tip.commit}")
                refs.append(tip.refs[0])
                continue
            held = [index for index in range(len(tip.refs)) if (folder / str(index) / "head").exists()]
            if not held:
                missing = [t for n, t in enumerate(self._tips) if not self._by_id[n] and not self._holds(n)]
                raise _missing(missing)
            refs.append(tip.refs[held[0]])
            names.append(tip.commit or f"{_TIPS}/{number}/{held[0]}/head")
        output = git.run(self._history, "rev-parse", *(f"{name}^{{commit}}" for name in names), check=False)
        commits = tuple(output.text.split()) if output.ok else ()
        if any(tip.commit not in {None, commit} for tip, commit in zip_longest(self._tips, commits)):
            for tip in self._tips:
                if tip.commit and (error := no_commit_error(self._history, tip.source, tip.commit)):
                    raise error
        if not output.ok and self._complete:
            return None
        if not output.ok:
            absent = next(tip for tip in self._tips if tip.commit and not git.has_commit(self._history, tip.commit))
            raise commit_missing_error(absent.source, str(absent.commit))
        return commits, tuple(refs)

    def _holds(self, number: int) -> bool:
        return any((self._history / _TIPS / str(number)).glob("*/head"))


def _missing(tips: Sequence[Tip]) -> ProgramError:
    """The error for tips whose refs do not exist on the server."""
    names = [f"{command.redact(tip.source.url)} has no ref {' or '.join(tip.refs)}" for tip in tips]
    url = command.redact(tips[0].source.url)
    kinds = dict.fromkeys("/".join(ref.split("/")[:2]) for ref in tips[0].refs)
    patterns = " ".join(f"'{kind}/*'" for kind in kinds)
    return ProgramError(
        names[0],
        details=names[1:3],
        todo=f"correct it in odpm.json; list the refs of the server: git ls-remote {url} {patterns}",
    )


@dataclass(frozen=True)
class _Graph:
    """The commits of a repository: parents and time (seconds) of each; `edge`: those whose parents are not held."""

    parents: Mapping[str, tuple[str, ...]]
    times: Mapping[str, int]
    edge: Collection[str]
    _known: dict[str, set[str]] = field(default_factory=dict)

    def ancestors(self, commit: str) -> set[str]:
        """A commit and all its ancestors."""
        if commit not in self._known:
            found, pending = {commit}, [commit]
            while pending:
                new = [parent for parent in self.parents[pending.pop()] if parent not in found]
                found.update(new)
                pending += new
            self._known[commit] = found
        return self._known[commit]

    def bases(self, one: set[str], other: set[str]) -> tuple[str, ...]:
        """The nearest common commits of two sets of ancestors: no other common commit has them as its parent."""
        common = one & other
        return tuple(sorted(common.difference(*(self.parents[commit] for commit in common))))


def _read(repository: Path, commits: Sequence[str]) -> _Graph | None:
    """The history of commits as far as a repository holds it; None where it lacks one of them."""
    outcome = git.run(repository, "rev-list", "--format=%H %ct %P", *dict.fromkeys(commits), check=False)
    if not outcome.ok:
        return None
    rows = [line.split() for line in outcome.text.splitlines() if not line.startswith("commit ")]
    parents = {commit: tuple(above) for commit, _, *above in rows}
    return _Graph(parents, {row[0]: int(row[1]) for row in rows}, stores.shallow_commits(repository) & parents.keys())


def _meeting(graph: _Graph | None, commits: tuple[str, ...], refs: tuple[str, ...]) -> Meeting | None:
    """Where the commits meet; None if the fetched part of the history does not show it for certain.

    It does if no commit of a branch that is not in those before is at the edge of the fetched part, and if all of them are
    younger than the edge of those before: else one of these may contain it beyond the edge.
    """
    if graph is None:
        return None
    bases: list[tuple[str, ...]] = []
    nearest: dict[str, tuple[str, ...]] = {}
    before = set(graph.ancestors(commits[0]))
    for commit in commits[1:]:
        found = graph.ancestors(commit)
        own, hidden = found - before, (before - found).intersection(graph.edge)
        met = graph.bases(found, before)
        if not met or not own.isdisjoint(graph.edge):
            return None
        if own and hidden and min(map(graph.times.__getitem__, own)) < max(map(graph.times.__getitem__, hidden)):
            return None
        bases.append(met)
        nearest |= _nearest(graph, met)
        before |= found
    return Meeting(commits, refs, tuple(bases), nearest)


def _nearest(graph: _Graph, bases: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """The nearest common ancestors of several merge bases, and of these in turn: git merges the bases first."""
    found: dict[str, tuple[str, ...]] = {}
    level = bases
    while len(level) > 1:
        for one in level:
            others = [graph.ancestors(other) for other in level if other != one]
            met = {base for other in others for base in graph.bases(graph.ancestors(one), other)}
            found[one] = tuple(sorted(met - {one}))
        level = tuple(sorted({base for one in level for base in found[one]} - found.keys()))
    return found


def _no_base(history: Path, tips: Sequence[Tip], commits: tuple[str, ...], refs: tuple[str, ...]) -> ProgramError:
    graph = _read(history, commits)
    for number, commit in enumerate(commits[1:], 1):
        if graph and not any(
            graph.bases(graph.ancestors(commit), graph.ancestors(other)) for other in commits[:number]
        ):
            url = command.redact(tips[number].source.url)
            return ProgramError(
                f"{refs[number]} of {url} and {refs[0]} have no common history",
                todo="merge a branch that was made from the same repository",
            )
    return ProgramError(
        f"the history on {command.redact(tips[0].source.url)} ends before the branches meet",
        todo="use a server that has the whole history",
    )
