"""One `git fetch` with a server: patience for one that stumbles, none for one that says no or nothing.

Where the connection is refused or breaks off, or the server is not well, it is asked three times in all.
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
_RETRY_DELAYS = (0.5, 2.0)  # seconds before the second and the third try, a quarter more or less
_HINTS = {
    "login": "log in where git can ask, a credential helper keeps it: git ls-remote {url}",
    "ssh key": "PATH_TO_SSH_KEY=KEY in .env or ssh-add KEY, then see: git ls-remote {url}",
    "host key": "look at the key that it shows and accept it: git ls-remote {url}",
    "repository": "check the address (a private one wants a login): git ls-remote {url}",
}


def run_fetch(
    repository: Path,
    source: Remote,
    options: Sequence[str],
    refspecs: Sequence[str],
    on_progress: ProgressCallback | None = None,
) -> command.Outcome:
    """Fetch from a server; what came of it, also where it refused. The caller holds the repository."""
    known = process.stops()
    for number, about in enumerate((*_RETRY_DELAYS, 0.0), 1):
        for stale in ("shallow.lock", f"{INCOMING}.lock"):  # of a machine that went down
            (repository / stale).unlink(missing_ok=True)
        outcome = command.run(
            ["git", *git.CONFIG, "-c", "fetch.unpackLimit=1", "-C", str(repository), "fetch", "--progress", "--no-tags",
             "--no-write-fetch-head", *options, source.url, *refspecs],
            env=source.env, check=False, on_line=lambda line: _report(line, on_progress),
            idle_timeout=lambda line: _output_timeout(line, source),
        )  # fmt: skip
        if not about or not _is_transient(outcome):
            break
        rest = about * random.uniform(0.75, 1.25)  # noqa: S311 - so that not all come back at once
        if on_progress:
            on_progress(
                Progress(
                    f"again in {rest:.1f} s, {number + 1} of {len(_RETRY_DELAYS) + 1}",
                    failure=_reasons(outcome, source)[0],
                )
            )
        if not process.pause(rest, known):
            break
    return outcome


def stderr_text(outcome: command.Outcome) -> str:
    return outcome.stderr.decode(errors="replace")


def _report(line: str, on_progress: ProgressCallback | None) -> None:
    if on_progress and (progress := messages.progress(line)):
        on_progress(progress)


def _output_timeout(line: str, source: Remote) -> float | None:
    """How long nothing may come after a line: when all is received, git's work here takes as long as it takes."""
    if not line:
        return source.first_timeout
    progress = messages.progress(line)
    return None if progress and progress.local else source.timeout


def _is_transient(outcome: command.Outcome) -> bool:
    return outcome.code > 0 and not outcome.stalled and messages.is_transient(stderr_text(outcome))


def _reasons(outcome: command.Outcome, source: Remote) -> tuple[str, ...]:
    lines = [command.redact(line) for line in messages.error_lines(stderr_text(outcome))] or ["git said nothing"]
    for secret in source.secrets:
        lines = [line.replace(secret, "***") for line in lines]
    return tuple(lines)


def fetch_error(outcome: command.Outcome, source: Remote, wanted: str) -> OdpmError:
    """The error for a fetch that failed: what the server said, and what to do about that."""
    error = command.failure(outcome, source.secrets)
    if not isinstance(error, ProgramError):
        return error
    url, kind = command.redact(source.url), messages.failure_kind(stderr_text(outcome))
    if outcome.stalled or messages.is_timeout(stderr_text(outcome)):
        return ProgramError(
            f"{url} gave no answer for {source.timeout:.0f} s",
            todo=f"see whether git reaches it: git ls-remote {url}; if it is slow: ODPM_GIT_TIMEOUT=120 in .env",
        )
    if kind == "branch":
        return ProgramError(
            f"{url} has no branch or tag {wanted!r}", todo=f"choose one of its branches: git ls-remote --heads {url}"
        )
    by_id = git.COMMIT.fullmatch(wanted) is not None
    if by_id and kind in {"commit", "commit ids"}:
        return commit_missing_error(source, wanted)
    tried = ", tried 3 times" if _is_transient(outcome) else ""
    return ProgramError(
        f"cannot fetch {wanted[:12] if by_id else wanted} of {url}{tried}",
        details=_reasons(outcome, source),
        todo=_HINTS.get(kind or "", "see whether git reaches it: git ls-remote {url}").format(url=url),
    )


def commit_missing_error(source: Remote, commit: str) -> CommitMissingError:
    url = command.redact(source.url)
    name = url.rstrip("/").removesuffix(".git").rpartition("/")[2]
    return CommitMissingError(
        f"{url} does not give the commit {commit[:12]} (any more); its branch may have been rewritten",
        todo=f"take what is there now: inv lock --update --only {name}",
    )
