"""Fetch single commits from servers into stores, without their history.

Queries that need history fetch commits without trees and files, into a separate history store beside the store.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from odpm_tasks.adapters import command, files, terminal
from odpm_tasks.adapters.git import messages, repair
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import (
    INCOMING,
    ProgressCallback,
    commit_missing_error,
    fetch_error,
    run_fetch,
    stderr_text,
)
from odpm_tasks.errors import DescriptionError, ProgramError

_BRANCH = "refs/odpm/branch"
_DEPTHS = (100, 2_000)


def fetch(
    store: Path,
    source: Remote,
    wanted: str,
    on_progress: ProgressCallback | None = None,
    *,
    branch: str | None = None,
) -> str:
    """Fetch a branch, a tag or a full commit id into the store, without history; returns the id of the commit.

    Usually one request: a name is requested as a branch first, then as a tag; `HEAD` and `refs/…` as they are. From a server
    that refuses commit ids, a commit is fetched as part of `branch` (a name, or a full ref). The store is locked meanwhile.
    """
    with stores.lock(store, source):
        by_id = git.COMMIT.fullmatch(wanted) is not None
        if by_id and git.store_has(store, wanted):
            return wanted
        prepare(store, source)
        if by_id and git.store_has(store, wanted):
            return wanted
        exact = by_id or wanted == "HEAD" or wanted.startswith("refs/")
        for name in (wanted,) if exact else (f"refs/heads/{wanted}", f"refs/tags/{wanted}"):
            outcome = _into_store(store, source, name, 1, on_progress)
            kind = messages.failure_kind(stderr_text(outcome))
            if outcome.ok or kind != "branch":
                break
        if outcome.ok:
            if by_id:
                _require_commit(store, source, wanted)
            return _record_commit(store, annotated=name.startswith("refs/tags/"))
        if by_id and branch and kind == "commit ids":
            return _by_branch(store, source, wanted, branch, on_progress)
        with repair.explained(store, fetching=True):
            raise fetch_error(outcome, source, wanted)


def prepare(store: Path, source: Remote) -> None:
    """Create the store if it does not exist, or repair it, with a warning. The caller has locked it."""
    if not store.is_dir():
        git.create_store(store)
    elif damaged := repair.repair(store):
        terminal.warn(f"the cache of {command.redact(source.url)} is damaged, fetching again: {', '.join(damaged)}")


def _into_store(
    store: Path, source: Remote, name: str, depth: int, on_progress: ProgressCallback | None
) -> command.Outcome:
    return run_fetch(store, source, [f"--depth={depth}"], [f"+{name}:{INCOMING}"], on_progress)


def _require_commit(store: Path, source: Remote, wanted: str) -> None:
    """Errors: DescriptionError if an id that was just fetched is that of an annotated tag, a tree or a file."""
    if wanted in (files.read_text(store / "shallow") or ""):
        return  # a commit with parents, as nearly all: no git process is needed
    if error := no_commit_error(store, source, wanted):
        (store / INCOMING).unlink()
        raise error


def no_commit_error(store: Path, source: Remote, wanted: str) -> DescriptionError | None:
    """The error for the id of an annotated tag, a tree or a file; None for a commit, and where the store does not hold it."""
    kind = git.run(store, "cat-file", "-t", wanted, check=False).text.strip()
    if kind in {"commit", ""}:
        return None
    commit = git.run(store, "rev-parse", "--verify", "-q", f"{wanted}^{{commit}}", check=False).text.strip()
    return DescriptionError(
        f"{wanted} is the id of a {kind}, not of a commit",
        where=command.redact(source.url),
        todo=f"write the commit of the tag: {commit}" if commit else "write the id of a commit",
    )


def _record_commit(store: Path, commit: str = "", *, annotated: bool = False) -> str:
    """Write the ref of the commit that was just fetched; as a file, because a git process takes longer than the fetch."""
    incoming = store / INCOMING
    commit = commit or incoming.read_text(encoding="ascii").strip()
    if annotated:
        commit = git.query(store, "rev-parse", "--verify", f"{commit}^{{commit}}")
    files.write(store / "refs/odpm/commits" / commit, f"{commit}\n".encode(), derived=True)
    incoming.unlink()
    return commit


def _by_branch(store: Path, source: Remote, commit: str, branch: str, on_progress: ProgressCallback | None) -> str:
    """Fetch a commit together with the part of the branch between its tip and the commit.

    The history without files gives the depth. Errors: CommitMissingError if the branch does not contain the commit.
    """
    depth = _depth(store, source, commit, branch, on_progress)
    if depth is None:
        raise commit_missing_error(source, commit)
    outcome = _into_store(store, source, _full_ref(branch), depth, on_progress)
    if not outcome.ok:
        raise fetch_error(outcome, source, branch)
    if not git.has_commit(store, commit):
        url = command.redact(source.url)
        raise ProgramError(f"{branch} of {url} moved during the fetch", todo="run the same command again")
    return _record_commit(store, commit)


def _depth(store: Path, source: Remote, commit: str, branch: str, on_progress: ProgressCallback | None) -> int | None:
    """The depth of a commit in a branch, 1 for the tip; None if the branch does not contain it. Fetches recent history first."""
    with _history_store(store, source) as history:
        for options in (*([f"--depth={depth}"] for depth in _DEPTHS), ["--unshallow"]):
            if options == ["--unshallow"] and not (history / "shallow").exists():
                break
            outcome = fetch_commits_only(history, source, options, [f"+{_full_ref(branch)}:{_BRANCH}"], on_progress)
            if not outcome.ok:
                raise fetch_error(outcome, source, branch)
            if found := _depth_in(history, commit):
                return found
    return None


def _full_ref(branch: str) -> str:
    return branch if branch.startswith("refs/") else f"refs/heads/{branch}"


def _depth_in(history: Path, commit: str) -> int | None:
    """The depth as git counts it: the number of commits on the shortest path from the branch's tip to the commit."""
    if not git.has_commit(history, commit):
        return None
    rows = [line.split() for line in git.query(history, "rev-list", "--parents", _BRANCH).splitlines()]
    parents = {row[0]: row[1:] for row in rows}
    level, seen, depth = {rows[0][0]}, set[str](), 1
    while level:
        if commit in level:
            return depth
        seen |= level
        level = {parent for member in level for parent in parents.get(member, ())} - seen
        depth += 1
    return None


def commit_at(store: Path, source: Remote, branch: str, day: str, on_progress: ProgressCallback | None = None) -> str:
    """The branch's last commit before the end of `day` (YYYY-MM-DD, UTC). Fetches commits only, no files.

    The first request covers one month; if the branch has no commit in it, the second one covers the whole history.
    """
    refspecs = [f"+refs/heads/{branch}:{_BRANCH}"]
    with _history_store(store, source) as history:
        month_before = datetime.date.fromisoformat(day) - datetime.timedelta(days=30)
        since = [f"--shallow-since={month_before}T00:00:00+0000"]
        outcome = fetch_commits_only(history, source, since, refspecs, on_progress)
        found = _last_before(history, day) if outcome.ok else ""
        if not outcome.ok and not _no_recent_commits(outcome):
            raise fetch_error(outcome, source, branch)
        if not found:
            options = ["--unshallow"] if (history / "shallow").exists() else []
            outcome = fetch_commits_only(history, source, options, refspecs, on_progress)
            if not outcome.ok:
                raise fetch_error(outcome, source, branch)
            found = _last_before(history, day)
    if not found:
        raise ProgramError(
            f"{command.redact(source.url)} has no commit on {branch} before the end of {day}",
            todo="choose a later platform.build_date",
        )
    return found


def _no_recent_commits(outcome: command.Outcome) -> bool:
    """Whether the branch has no commit since the requested date; with protocol version 0 the server only hangs up."""
    text = stderr_text(outcome)
    return messages.failure_kind(text) == "quiet" or messages.error_lines(text) == (messages.HUNG_UP,)


def _last_before(history: Path, day: str) -> str:
    return git.run(history, "rev-list", "-1", f"--before={day}T23:59:59+0000", _BRANCH, check=False).text.strip()


def describe(store: Path, source: Remote, commit: str, on_progress: ProgressCallback | None = None) -> tuple[str, int]:
    """The last tag with a digit before a commit, as `git describe --long` prints it ("" without one), and the number of
    commits up to it. Fetches all tags and the whole history, without files.
    """
    with _history_store(store, source) as history:
        options = ["--unshallow"] if (history / "shallow").exists() else []
        refspecs = ["+refs/tags/*:refs/tags/*", f"+{commit}:{_BRANCH}"]
        outcome = fetch_commits_only(history, source, options, refspecs, on_progress)
        if not outcome.ok:
            raise fetch_error(outcome, source, commit)
        words = ["describe", "--tags", "--long", "--match", "*[0-9]*", commit]
        described = git.run(history, *words, env={"GIT_NO_LAZY_FETCH": "1"}, check=False).text.strip()
        return described, int(git.query(history, "rev-list", "--count", commit))


@contextmanager
def _history_store(store: Path, source: Remote) -> Iterator[Path]:
    """The store `NAME.git.dates` for the commits of a branch without trees and files, locked."""
    history = store.with_name(store.name + ".dates")
    with stores.lock(history, source):
        if not (history / "HEAD").exists():
            git.create_store(history)
        yield history


def fetch_commits_only(
    history: Path,
    source: Remote,
    options: Sequence[str],
    refspecs: Sequence[str],
    on_progress: ProgressCallback | None = None,
) -> command.Outcome:
    """Fetch commits without trees and files; from a server without support for filters, with them."""
    outcome = run_fetch(history, source, ["--filter=tree:0", *options], refspecs, on_progress)
    if messages.failure_kind(stderr_text(outcome)) == "filter":
        # --no-filter: git has recorded the filter of the first fetch
        outcome = run_fetch(history, source, ["--no-filter", *options], refspecs, on_progress)
    return outcome
