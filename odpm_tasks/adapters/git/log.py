"""Questions to git that need history, or a commit's whole tree: what lies between two commits.

The shared stores hold single commits. History is fetched into a store of its own beside them (`NAME.git.history`):
commits only, neither trees nor files, no further back than needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from odpm_tasks.adapters import command
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git import store as stores
from odpm_tasks.adapters.git.fetch import fetch_commits_only
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.adapters.git.transport import ProgressCallback, fetch_error, stderr_text

_SLACK = 14 * 86400  # a branch merged after the old commit often began before it
_NO_LATER = 4_000_000_000  # a commit may say any date
_DEEPER = (2_000, 20_000)


@dataclass(frozen=True)
class Log:
    """Commits that are reachable from one commit and not from another: (id, subject), newest first, maybe cut.

    `count`: of all of them, None where history was not followed far enough to know. `rewritten`: the old commit is known to
    be no ancestor of the new one.
    """

    commits: tuple[tuple[str, str], ...]
    count: int | None
    rewritten: bool


def commit_of(repository: Path, name: str) -> str | None:
    """The commit that a branch, tag or expression names; None where there is none."""
    if name.startswith("-") or not name:
        return None
    outcome = command.run(
        ["git", *git.CONFIG, "-C", str(repository), "rev-parse", "--verify", "--quiet", f"{name}^{{commit}}"],
        check=False,
    )
    return outcome.text.strip() if outcome.ok else None


def entries(repository: Path, commit: str) -> dict[str, str]:
    """Every file and every folder of a commit: name -> id. Needs no file's content."""
    output = command.run(
        ["git", *git.CONFIG, "-C", str(repository), "ls-tree", "-r", "-t", "-z", "--full-tree", commit]
    ).stdout
    rows = (row.partition("\t") for row in output.decode(errors="surrogateescape").split("\0") if row)
    return {name: words.rsplit(" ", 1)[-1] for words, _, name in rows}


def local_log(repository: Path, old: str, new: str, limit: int) -> Log | None:
    """What lies between two commits of a working repository; None where it does not hold both."""
    if not (git.has_commit(repository, old) and git.has_commit(repository, new)):
        return None
    found, exact = _read_log(repository, old, new, limit)
    return found if exact else _unfinished(found)


def log(
    store: Path, source: Remote, old: str, new: str, limit: int, on_progress: ProgressCallback | None = None
) -> Log:
    """What lies between two commits of a remote, asked without fetching any file.

    `store` is the shared one; the old commit's date is looked up there. One fetch in the common case: everything since
    that date. Where this does not reach the point at which the two parted, two deeper ones; then `count` is None.
    Errors: ProgramError where the server gives neither.
    """
    history = store.with_name(store.name + ".history")
    with stores.lock(history, source):
        if not (history / "HEAD").exists():
            git.create_store(history)
        if git.store_has(history, old) and git.store_has(history, new):
            found, exact = _read_log(history, old, new, limit)
            if exact:
                return found
        for words in (_since(store, old, new), *([f"--deepen={depth}"] for depth in _DEEPER)):
            refspecs = [f"+{commit}:refs/odpm/commits/{commit}" for commit in (old, new)]
            outcome = fetch_commits_only(history, source, words, refspecs, on_progress)
            if not outcome.ok:
                if f"not our ref {old}" in stderr_text(outcome):
                    return Log((), None, True)  # the server no longer has the old commit: it is on no branch
                raise fetch_error(outcome, source, "the history")
            found, exact = _read_log(history, old, new, limit)
            if exact:
                return found
        return _unfinished(found)


def _unfinished(found: Log) -> Log:
    return replace(found, count=None, rewritten=False)


def _since(store: Path, old: str, new: str) -> list[str]:
    times = git.query(store, "-c", "log.showSignature=false", "show", "-s", "--format=%ct", old, new).split()
    moment = datetime.fromtimestamp(max(0, min(*map(int, times), _NO_LATER) - _SLACK), UTC)
    return [f"--shallow-since={moment:%Y-%m-%dT%H:%M:%S}+0000"]


def _read_log(repository: Path, old: str, new: str, limit: int) -> tuple[Log, bool]:
    """The commits between, and whether that is all of them.

    It is, where none of them stands at the edge of what was fetched: git shows such a one without parents. (A true
    root is one, too: then only a whole history can tell.)
    """
    lines = git.query(repository, "rev-list", "--parents", new, f"^{old}").splitlines()
    exact = all(" " in line for line in lines) or not _shallow(repository)
    ancestor = command.run(
        ["git", *git.CONFIG, "-C", str(repository), "merge-base", "--is-ancestor", old, new], check=False
    ).ok
    shown = command.run(
        ["git", *git.CONFIG, "-c", "log.showSignature=false", "-C", str(repository), "log", "-z", f"--max-count={limit}", "--no-decorate",
         "--no-color", "--format=%H %s", new, f"^{old}"],
        env={"LC_ALL": "C"},
    )  # fmt: skip
    rows = (row.partition(" ") for row in shown.text.split("\0") if row.strip())
    return Log(tuple((name.strip(), subject) for name, _, subject in rows), len(lines), not ancestor), exact


def _shallow(repository: Path) -> bool:
    return git.query(repository, "rev-parse", "--is-shallow-repository") == "true"
