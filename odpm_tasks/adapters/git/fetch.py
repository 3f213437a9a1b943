"""Fetching: what a server gives into the shared stores, one commit at a time and whole.

What needs history asks for commits without trees and files, into a store of its own beside the shared one.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from odpm_tasks.adapters import command, files
from odpm_tasks.adapters.git import messages
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import (
    INCOMING,
    ProgressCallback,
    commit_missing_error,
    fetch_error,
    run_fetch,
    stderr_text,
)
from odpm_tasks.errors import ProgramError

WAIT = 600.0  # seconds for another run that fetches the same repository
_BRANCH = "refs/odpm/branch"
_WALK = (100, 2_000)


def fetch(
    store: Path, source: Remote, wanted: str, on_progress: ProgressCallback | None = None, *, branch: str | None = None
) -> str:
    """Bring a branch, a tag or a full commit id into the store without its history; return the commit's id.

    One request in the common case: a name is asked as a branch first, then as a tag. From a server that gives nothing
    by its id a commit comes by way of `branch`. One writer per store at a time.
    """
    with files.exclusive(store.with_name(store.name + ".lock"), f"the cache of {source.url}", wait=WAIT):
        by_id = git.COMMIT.fullmatch(wanted) is not None
        if by_id and git.store_has(store, wanted):
            return wanted
        if not (store / "HEAD").exists():
            git.create_store(store)
        for name in (wanted,) if by_id else (f"refs/heads/{wanted}", f"refs/tags/{wanted}"):
            outcome = _into_store(store, source, name, 1, on_progress)
            kind = messages.failure_kind(stderr_text(outcome))
            if outcome.ok or kind != "branch":
                break
        if outcome.ok:
            return _record_commit(store, annotated=name.startswith("refs/tags/"))
        if by_id and branch and kind == "commit ids":
            return _by_branch(store, source, wanted, branch, on_progress)
        raise fetch_error(outcome, source, wanted)


def _into_store(
    store: Path, source: Remote, name: str, depth: int, on_progress: ProgressCallback | None
) -> command.Outcome:
    return run_fetch(store, source, [f"--depth={depth}"], [f"+{name}:{INCOMING}"], on_progress)


def _record_commit(store: Path, commit: str = "", *, annotated: bool = False) -> str:
    """Name what has just come by its commit. Refs are files here: a process for each would cost more than the fetch."""
    incoming = store / INCOMING
    commit = commit or incoming.read_text(encoding="ascii").strip()
    if annotated:
        commit = git.query(store, "rev-parse", "--verify", f"{commit}^{{commit}}")
    files.write(store / "refs/odpm/commits" / commit, f"{commit}\n".encode(), derived=True)
    incoming.unlink()
    return commit


def _by_branch(store: Path, source: Remote, commit: str, branch: str, on_progress: ProgressCallback | None) -> str:
    """Bring a commit with so much of the branch as lies between its tip and the commit.

    How much that is tells the history without files. Errors: CommitGoneError where the commit is not on the branch.
    """
    depth = _depth(store, source, commit, branch, on_progress)
    if depth is None:
        raise commit_missing_error(source, commit)
    outcome = _into_store(store, source, f"refs/heads/{branch}", depth, on_progress)
    if not outcome.ok:
        raise fetch_error(outcome, source, branch)
    if not git.has_commit(store, commit):
        url = command.redact(source.url)
        raise ProgramError(f"{branch} of {url} moved while it was fetched", todo="run the same command again")
    return _record_commit(store, commit)


def _depth(store: Path, source: Remote, commit: str, branch: str, on_progress: ProgressCallback | None) -> int | None:
    """How deep in a branch a commit is, the tip at 1; None where it is not on it. Recent ones are found cheaply."""
    with _history_store(store, source) as history:
        for options in (*([f"--depth={depth}"] for depth in _WALK), ["--unshallow"]):
            if options == ["--unshallow"] and not (history / "shallow").exists():
                break
            outcome = fetch_commits_only(history, source, options, [f"+refs/heads/{branch}:{_BRANCH}"], on_progress)
            if not outcome.ok:
                raise fetch_error(outcome, source, branch)
            if found := _generation(history, commit):
                return found
    return None


def _generation(history: Path, commit: str) -> int | None:
    """The length of the shortest way from the branch's tip to a commit, both counted: what git calls its depth."""
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
    """The branch's last commit before the end of `day` (YYYY-MM-DD, UTC), asked without fetching any file.

    A month of history is asked first; only where the branch was quiet for that long, all of it.
    """
    refspecs = [f"+refs/heads/{branch}:{_BRANCH}"]
    with _history_store(store, source) as history:
        month_before = datetime.date.fromisoformat(day) - datetime.timedelta(days=30)
        since = [f"--shallow-since={month_before}T00:00:00+0000"]
        outcome = fetch_commits_only(history, source, since, refspecs, on_progress)
        found = _last_before(history, day) if outcome.ok else ""
        if not outcome.ok and not _nothing_since(outcome):
            raise fetch_error(outcome, source, branch)
        if not found:
            whole = ["--unshallow"] if (history / "shallow").exists() else []
            outcome = fetch_commits_only(history, source, whole, refspecs, on_progress)
            if not outcome.ok:
                raise fetch_error(outcome, source, branch)
            found = _last_before(history, day)
    if not found:
        raise ProgramError(
            f"{command.redact(source.url)} has no commit on {branch} before the end of {day}",
            todo="choose a later platform.build_date",
        )
    return found


def _nothing_since(outcome: command.Outcome) -> bool:
    """Whether a branch has no commit since the day; a server of the older protocol just hangs up then."""
    return messages.failure_kind(stderr_text(outcome)) == "quiet" or messages.error_lines(stderr_text(outcome)) == (
        messages.HUNG_UP,
    )


def _last_before(history: Path, day: str) -> str:
    words = ["rev-list", "-1", f"--before={day}T23:59:59+0000", _BRANCH]
    return command.run(["git", *git.CONFIG, "-C", str(history), *words], check=False).text.strip()


@contextmanager
def _history_store(store: Path, source: Remote) -> Iterator[Path]:
    """The store beside the shared one that holds the commits of a branch, without trees and files; ours for now."""
    history = store.with_name(store.name + ".dates")
    with files.exclusive(history.with_name(history.name + ".lock"), f"the cache of {source.url}", wait=WAIT):
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
    """Fetch commits without trees and files; a server that refuses to leave them out is asked for everything."""
    outcome = run_fetch(history, source, ["--filter=tree:0", *options], refspecs, on_progress)
    if messages.failure_kind(stderr_text(outcome)) == "filter":
        outcome = run_fetch(
            history, source, ["--no-filter", *options], refspecs, on_progress
        )  # git remembers the other
    return outcome
