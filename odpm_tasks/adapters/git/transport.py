"""One `git fetch` from a server, with retries, an output timeout and errors that say what to do.

A transient failure (connection refused or broken, server overloaded) is retried: three attempts in all. A server that
refuses the request or does not respond is not asked again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path

from odpm_tasks.adapters import command, process
from odpm_tasks.adapters.git import messages
from odpm_tasks.adapters.git import repository as git
from odpm_tasks.adapters.git.messages import Progress
from odpm_tasks.adapters.git.remote import Remote
from odpm_tasks.errors import CommitMissingError, OdpmError, ProgramError

ProgressCallback = Callable[[Progress], None]
INCOMING = "refs/odpm/incoming"
_RETRY_DELAYS = (0.5, 2.0)  # seconds before the second and the third attempt, ±25 %
_ATTEMPTS = len(_RETRY_DELAYS) + 1
_HINTS = {
    "login": "log in once where git can prompt; a credential helper stores the password: git ls-remote {url}",
    "ssh key": "set PATH_TO_SSH_KEY=KEY in .env or run ssh-add KEY, then test it: git ls-remote {url}",
    "host key": "verify the key that ssh shows and accept it: git ls-remote {url}",
    "repository": "check the URL (a private repository requires a login): git ls-remote {url}",
}
_HINT = "test whether git can reach it: git ls-remote {url}"


def run_fetch(
    repository: Path,
    source: Remote,
    options: Sequence[str],
    refspecs: Sequence[str],
    on_progress: ProgressCallback | None = None,
) -> command.Outcome:
    """Fetch from a server; returns the outcome of the last attempt, failed or not. The caller has locked the repository."""
    words = ["-c", "fetch.unpackLimit=1", "-C", str(repository), "fetch", "--progress", "--no-tags"]
    words += ["--no-write-fetch-head", *options, source.url, *refspecs]
    stale = [repository / name for name in ("shallow.lock", f"{INCOMING}.lock")]  # left by a machine that crashed
    return _run(words, source, on_progress, stale)


def list_refs(source: Remote, refs: Sequence[str]) -> command.Outcome:
    """Ask a server for the commits of refs; the outcome has lines `COMMIT TAB REF`, of a tag also of `REF^{}`."""
    return _run(["ls-remote", "--quiet", source.url, *refs], source, None, ())


def _run(
    words: Sequence[str], source: Remote, on_progress: ProgressCallback | None, stale: Sequence[Path]
) -> command.Outcome:
    """Run `git WORDS`, which sends requests to a server; the outcome of the last attempt. The files `stale` are removed before each."""
    known = process.stops()
    for number, delay in enumerate((*_RETRY_DELAYS, 0.0), 1):
        for path in stale:
            path.unlink(missing_ok=True)
        outcome = command.run(
            ["git", *git.CONFIG, *words], env=source.env, check=False,
            on_line=lambda line: _report(line, on_progress), idle_timeout=lambda line: _output_timeout(line, source),
        )  # fmt: skip
        if not delay or not _is_transient(outcome):
            break
        seconds = delay * random.uniform(0.75, 1.25)  # noqa: S311 - so that clients do not retry at the same moment
        if on_progress:
            phase = f"retry in {seconds:.1f} s, attempt {number + 1} of {_ATTEMPTS}"
            on_progress(Progress(phase, failure=_reasons(outcome, source)[0]))
        if not process.pause(seconds, known):
            break
    return outcome


def stderr_text(outcome: command.Outcome) -> str:
    return outcome.stderr.decode(errors="replace")


def _report(line: str, on_progress: ProgressCallback | None) -> None:
    if on_progress and (progress := messages.progress(line)):
        on_progress(progress)


def _output_timeout(line: str, source: Remote) -> float | None:
    """Seconds to wait for output after a line; None, no limit, once everything is received and git works locally."""
    if not line:
        return source.first_timeout
    progress = messages.progress(line)
    return None if progress and progress.local else source.timeout


def _is_transient(outcome: command.Outcome) -> bool:
    return outcome.code > 0 and not outcome.stalled and messages.is_transient(stderr_text(outcome))


def _reasons(outcome: command.Outcome, source: Remote) -> tuple[str, ...]:
    lines = [command.redact(line) for line in messages.error_lines(stderr_text(outcome))] or ["git printed no message"]
    for secret in source.secrets:
        lines = [line.replace(secret, "***") for line in lines]
    return tuple(lines)


def fetch_error(outcome: command.Outcome, source: Remote, wanted: str) -> OdpmError:
    """The error for a failed fetch: the messages of git and the server, and a command to type next."""
    error = command.failure(outcome, source.secrets)
    if not isinstance(error, ProgramError):
        return error
    url, kind = command.redact(source.url), messages.failure_kind(stderr_text(outcome))
    if outcome.stalled or messages.is_timeout(stderr_text(outcome)):
        return ProgramError(
            f"{url} did not respond for {source.timeout:.0f} s",
            todo=f"{_HINT.format(url=url)}; for a slow server: ODPM_GIT_TIMEOUT=120 in .env",
        )
    if kind == "branch":
        return ProgramError(
            f"{url} has no branch or tag {wanted!r}", todo=f"choose one of its branches: git ls-remote --heads {url}"
        )
    by_id = git.COMMIT.fullmatch(wanted) is not None
    if by_id and kind in {"commit", "commit ids"}:
        return commit_missing_error(source, wanted)
    attempts = f", tried {_ATTEMPTS} times" if _is_transient(outcome) else ""
    return ProgramError(
        f"cannot fetch {wanted[:12] if by_id else wanted} of {url}{attempts}",
        details=_reasons(outcome, source),
        todo=_HINTS.get(kind or "", _HINT).format(url=url),
    )


def commit_missing_error(source: Remote, commit: str) -> CommitMissingError:
    url = command.redact(source.url)
    name = url.rstrip("/").removesuffix(".git").rpartition("/")[2]
    error = CommitMissingError(f"{url} does not provide the commit {commit[:12]}; its branch may have been rewritten")
    error.commit = commit
    error.suggest_lock(name)
    return error
