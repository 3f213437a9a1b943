"""Commits, their history and their whole tree, read with `git log`, `git ls-tree` and `git rev-parse`.

The shared stores hold single commits without history. History is fetched into a separate store beside each of them
(`NAME.git.history`): commits only, neither trees nor files, and only as far back as needed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.fetch import fetch_commits_only
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import ProgressCallback, fetch_error, stderr_text

_SLACK = 14 * 86400  # a branch merged after the old commit often began before it
_LATEST_TIME = 4_000_000_000  # a commit may carry any date
_DEEPER = (2_000, 20_000)
# Reading never writes and never uses the network: a partial clone would fetch the objects that it lacks.
_LOCAL_ONLY = {"GIT_OPTIONAL_LOCKS": "0", "GIT_NO_LAZY_FETCH": "1", "GIT_ALLOW_PROTOCOL": "none", "LC_ALL": "C"}
_ROW = "--format=%H%x00%ct%x00%P%x00%s"
_FIELDS = 4

LogEntry = tuple[str, str, str]  # id, date (YYYY-MM-DD, UTC; empty where it is no date), subject


@dataclass(frozen=True)
class Log:
    """All commits that are reachable from a new commit and not from an old one, newest first.

    `rewritten`: the old commit is known not to be an ancestor of the new one. `complete`: False where the history of the
    repository ends before the point at which both meet; `commits` are then only those that it holds.
    """

    commits: tuple[LogEntry, ...]
    rewritten: bool
    complete: bool = True


def commit_of(repository: Path, name: str) -> str | None:
    """The commit that a branch, tag or expression names; None where there is none."""
    if name.startswith("-") or not name:
        return None
    outcome = git.run(repository, "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", check=False)
    return outcome.text.strip() if outcome.ok else None


def entries(repository: Path, commit: str) -> dict[str, str]:
    """Every file and every folder of a commit: name -> id. Reads no file content."""
    output = git.run(repository, "ls-tree", "-r", "-t", "-z", "--full-tree", commit).stdout
    rows = (row.partition("\t") for row in output.decode(errors="surrogateescape").split("\0") if row)
    return {name: words.rsplit(" ", 1)[-1] for words, _, name in rows}


def read_commit(repositories: Iterable[Path], commit: str) -> LogEntry | None:
    """Date and subject of a commit, from the first repository that holds it; None where none does."""
    for repository in repositories:
        rows = _rows(repository, "--max-count=1", commit)
        if rows:
            return rows[0][0]
    return None


def read_log(repository: Path, old: str, new: str) -> Log | None:
    """The commits between two commits of a local repository; None where it does not hold both.

    At the edge of a shallow history git shows a commit without parents. A root commit has none either, so in a shallow
    repository a range with such a commit counts as incomplete.
    """
    rows = _rows(repository, new, f"^{old}")
    if rows is None:
        return None
    complete = all(parents for _, parents in rows) or not _shallow(repository)
    rewritten = complete and not _git(repository, "merge-base", "--is-ancestor", old, new).ok
    return Log(tuple(entry for entry, _ in rows), rewritten, complete)


def fetch_log(store: Path, source: Remote, old: str, new: str, on_progress: ProgressCallback | None = None) -> Log:
    """The commits between two commits of a remote. Fetches commits only.

    `store` is the shared one, which supplies the dates of both commits. The first fetch asks for everything since the older
    date; where this does not reach the point at which both meet, two deeper fetches follow, and then the log is incomplete.
    A server that no longer has the old commit gives an empty, incomplete, rewritten log: the commit is on no branch.
    Errors: ProgramError where the server gives neither.
    """
    history = store.with_name(store.name + ".history")
    with stores.lock(history, source):
        if not (history / "HEAD").exists():
            git.create_store(history)
        found: Log | None = None
        if git.store_has(history, old) and git.store_has(history, new):
            found = read_log(history, old, new)
            if found and found.complete:
                return found
        for words in (_since(store, old, new), *([f"--deepen={depth}"] for depth in _DEEPER)):
            refspecs = [f"+{commit}:refs/odpm/commits/{commit}" for commit in (old, new)]
            outcome = fetch_commits_only(history, source, words, refspecs, on_progress)
            if not outcome.ok:
                if f"not our ref {old}" in stderr_text(outcome):
                    return Log((), rewritten=True, complete=False)
                raise fetch_error(outcome, source, "the history")
            found = read_log(history, old, new)
            if found and found.complete:
                return found
        return found or Log((), rewritten=False, complete=False)


def _since(store: Path, old: str, new: str) -> list[str]:
    times = git.query(store, "-c", "log.showSignature=false", "show", "-s", "--format=%ct", old, new).split()
    moment = datetime.fromtimestamp(max(0, min(*map(int, times), _LATEST_TIME) - _SLACK), UTC)
    return [f"--shallow-since={moment:%Y-%m-%dT%H:%M:%S}+0000"]


def _rows(repository: Path, *words: str) -> list[tuple[LogEntry, str]] | None:
    """Each commit with its parents; None where the repository does not hold a named commit."""
    outcome = _git(repository, "log", "-z", "--no-color", "--no-decorate", _ROW, *words, "--")
    if not outcome.ok:
        return None
    fields = outcome.text.removesuffix("\0").split("\0")
    return [_row(fields[start : start + _FIELDS]) for start in range(0, len(fields) - _FIELDS + 1, _FIELDS)]


def _row(fields: Sequence[str]) -> tuple[LogEntry, str]:
    name, seconds, parents, subject = fields
    try:
        date = f"{datetime.fromtimestamp(int(seconds), UTC):%Y-%m-%d}"
    except (ValueError, OverflowError, OSError):
        date = ""  # a commit may carry any date
    return (name.strip(), date, subject), parents


def _shallow(repository: Path) -> bool:
    return _git(repository, "rev-parse", "--is-shallow-repository").text.strip() == "true"


def _git(repository: Path, *words: str) -> command.Outcome:
    return git.run(repository, "-c", "log.showSignature=false", *words, env=_LOCAL_ONLY, check=False)
