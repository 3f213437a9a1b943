"""How programs are run in containers whose output or input is large."""

from __future__ import annotations

_STOPPABLE = (
    'exec 3<&0; "$@" 3<&- </dev/null & program=$!; (cat <&3; kill $program) >/dev/null 2>&1 & exec 3<&-; wait $program'
)
_IN_BLOCKS = '{ "$@" || kill $$; } | dd obs=256k 2>/dev/null'


def stoppable(*words: str) -> list[str]:
    """The command line of a program that ends when its input does: an engine does not stop one whose client was killed."""
    return ["sh", "-c", _STOPPABLE, "sh", *words]


def in_blocks(*words: str) -> list[str]:
    """The command line of a program whose output comes in large blocks; the exit code is 143 (SIGTERM) where it fails.

    PostgreSQL's programs write 4 KB at once, which makes many small packets of the engine's stream.
    """
    return ["sh", "-c", _IN_BLOCKS, "sh", *words]
