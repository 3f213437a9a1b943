"""What git says while it fetches, understood: how far it is, and what a failure means. Text in, values out.

The words are those of git, curl and OpenSSH with LC_ALL=C.
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
    """How far git is: `percent`, `size` (so far) and `rate` where it tells. `here`: the server's part is over.

    `trouble`: why the last try failed; the phase tells of the next one.
    """

    phase: str
    percent: int | None = None
    size: str = ""
    rate: str = ""
    local: bool = False
    failure: str = ""


def progress(line: str) -> Progress | None:
    """A line of `--progress`; None for any other."""
    found = _PROGRESS.fullmatch(line)
    if not found:
        return None
    percent, phase = found["percent"], found["phase"]
    local = not found["remote"] and (phase != "Receiving objects" or bool(found["done"]))
    return Progress(phase, int(percent) if percent else None, found["size"] or "", found["rate"] or "", local)


def failure_kind(said: str) -> str | None:
    """What a server that says no means, None where it is something else.

    `login`, `ssh key`, `host key`; `repository`, `host`, `branch`, `commit` (not there); `commit ids` (not given by id,
    may be there all the same), `filter` (not supported), `quiet` (no history since the day asked); `disk` (full, ours).
    """
    return next((kind for kind, words in _FAILURES if re.search(words, said)), None)


def is_transient(said: str) -> bool:
    """Whether a failure may be over in a moment: the connection broke off or was refused, the server is not well."""
    return failure_kind(said) is None and not is_timeout(said) and _TRANSIENT.search(said) is not None


def is_timeout(said: str) -> bool:
    """Whether git, curl or ssh gave up waiting."""
    return _TIMEOUT.search(said) is not None


def error_lines(said: str) -> tuple[str, ...]:
    """The lines that say why, the telling ones first; without progress and advice."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", said)]
    kept = [line for line in lines if line and progress(line) is None and not _NOISE.search(line)]
    kept = [line for line in kept if not re.match(r"remote: Total \d", line)]
    return tuple(sorted(kept, key=lambda line: (not _is_telling(line), "Could not read from remote" in line)))


def _is_telling(line: str) -> bool:
    return failure_kind(line) is not None or is_timeout(line) or _TRANSIENT.search(line) is not None
