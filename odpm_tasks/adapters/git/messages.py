"""Parse the output of `git fetch`: progress lines and the kind of a failure. Text in, values out.

The patterns match messages of git, curl and OpenSSH with LC_ALL=C.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_PROGRESS = re.compile(
    r"(?P<remote>remote: )?(?P<phase>[A-Z][a-z]+ [a-z]+):\s+"
    r"(?:(?P<percent>\d+)% \(\d+/\d+\)|\d+)"
    r"(?:, (?P<size>[\d.]+ (?:bytes|[KMGT]iB))(?: \| (?P<rate>[\d.]+ (?:bytes|[KMGT]iB)/s))?)?"
    r"(?P<done>, done\.)?\s*"
)
_FAILURES = (
    ("host key", r"Host key verification failed|host key is known|REMOTE HOST IDENTIFICATION"),
    ("login", r"Authentication failed|could not read (?:Username|Password)|returned error: 40[13]\b"),
    ("ssh key", r": Permission denied \(|Too many authentication failures"),
    ("branch", r"couldn't find remote ref"),
    ("commit", r"not our ref|[Nn]o such remote ref"),
    ("commit ids", r"request for unadvertised object|want [0-9a-f]{40} not valid"),
    ("filter", r"filter '[^']*' not supported|filter-spec|does not support filter"),
    ("quiet", r"no commits selected for shallow|error processing shallow info|not support --shallow-since"),
    ("repository", r"[Rr]epository .*not found|does not appear to be a git repository|returned error: 4(?!29|08)\d\d"),
    ("host", r"Could not resolve host|unable to look up"),
    ("disk", r"No space left on device|Disk quota exceeded"),
)
_TRANSIENT = re.compile(
    r"Connection (?:refused|reset|closed|aborted)|Connection to \S+ closed|Couldn't connect to server|Broken pipe"
    r"|returned error: (?:5\d\d|429|408)|RPC failed|early EOF|unexpected disconnect|hung up unexpectedly"
    r"|Empty reply from server|Recv failure|Send failure|bytes of body are still expected|transfer closed"
    r"|Network is unreachable|No route to host|TLS connection was non-properly terminated|SSL_ERROR_SYSCALL"
    r"|HTTP/2 stream|invalid index-pack output|bad line length|expected flush"
)
HUNG_UP = "fatal: the remote end hung up unexpectedly"
_TIMEOUT = re.compile(r"Operation too slow|[Tt]imed out|Timeout, server .* not responding")
_NOISE = re.compile(r"Please make sure you have the correct|and the repository exists\.|warning: filtering not recog")


@dataclass(frozen=True)
class Progress:
    """Progress of a fetch: `percent`, `size` (received so far) and `rate` where git prints them.

    `local`: everything is received, git works on this machine. `failure`: why the last attempt failed; `phase` then
    announces the next one.
    """

    phase: str
    percent: int | None = None
    size: str = ""
    rate: str = ""
    local: bool = False
    failure: str = ""


def progress(line: str) -> Progress | None:
    """Parse a line that `--progress` prints; None for any other line."""
    found = _PROGRESS.fullmatch(line)
    if not found:
        return None
    percent, phase = found["percent"], found["phase"]
    local = not found["remote"] and (phase != "Receiving objects" or bool(found["done"]))
    return Progress(phase, int(percent) if percent else None, found["size"] or "", found["rate"] or "", local)


def failure_kind(text: str) -> str | None:
    """The kind of a permanent failure; None for any other text.

    `login`, `ssh key`, `host key`: access denied. `repository`, `host`, `branch`, `commit`: does not exist. `commit ids`:
    the server does not allow requests by id, the commit may exist. `filter`: not supported. `quiet`: no commit since the
    requested date. `disk`: this machine's disk is full.
    """
    return next((kind for kind, words in _FAILURES if re.search(words, text)), None)


def is_transient(text: str) -> bool:
    """Whether a retry may succeed: the connection was refused or broke, or the server reported an internal error."""
    return failure_kind(text) is None and not is_timeout(text) and _TRANSIENT.search(text) is not None


def is_timeout(text: str) -> bool:
    """Whether git, curl or ssh reported a timeout."""
    return _TIMEOUT.search(text) is not None


def error_lines(text: str) -> tuple[str, ...]:
    """The lines of a failure without progress and advice; lines with a known cause first."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", text)]
    kept = [line for line in lines if line and progress(line) is None and not _NOISE.search(line)]
    kept = [line for line in kept if not re.match(r"remote: Total \d", line)]
    return tuple(sorted(kept, key=lambda line: (not _has_cause(line), "Could not read from remote" in line)))


def _has_cause(line: str) -> bool:
    return failure_kind(line) is not None or is_timeout(line) or _TRANSIENT.search(line) is not None
