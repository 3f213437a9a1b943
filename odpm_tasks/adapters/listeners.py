"""The door to this machine's ports: is one taken, by whom, which is free?"""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path


def busy(port: int) -> bool:
    """Whether nobody could listen on that loopback port now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def free_port(start: int = 0) -> int:
    """The first free loopback port from `start` on; any free one where `start` is 0."""
    if start:
        for port in range(start, min(start + 200, 65536)):
            if not busy(port):
                return port
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    return int(port)


def holder(port: int) -> str | None:
    """`name (process 123)` of who listens on a port, as far as this user may know (Linux); else None."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rsplit(":", 1)[1], 16) == port:
                    inodes.add(f"socket:[{words[9]}]")
    if not inodes:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for handle in (process / "fd").iterdir():
                if os.readlink(handle) in inodes:  # noqa: PTH115 - no real path
                    return f"{(process / 'comm').read_text(encoding='utf-8').strip()} (process {process.name})"
    return None
