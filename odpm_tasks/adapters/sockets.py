"""TCP ports of this machine: whether one is in use, by which process, and which one is free."""

from __future__ import annotations

import errno
import os
import pwd
import socket
import sys
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

LOOPBACK, ALL, ALL_6 = "127.0.0.1", "0.0.0.0", "::"  # noqa: S104 - only to test, no service


def in_use(port: int, address: str = LOOPBACK) -> bool:
    """Whether a port of an address is in use; an empty address means any address of this machine.

    A port of an address that this machine does not have is not in use.
    """
    if address in {"", ALL, ALL_6}:
        return _bind_fails(socket.AF_INET, ALL, port) or _bind_fails(socket.AF_INET6, ALL_6, port)
    return _bind_fails(socket.AF_INET6 if ":" in address else socket.AF_INET, address, port)


def _bind_fails(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM}:  # below 1024: this user may not bind it, Docker may
            return _accepts(family, address, port)
        return error.errno == errno.EADDRINUSE
    except (TypeError, UnicodeError):  # no address of any machine; Compose reports it
        return False
    # elsewhere SO_REUSEADDR allows the bind although another address has a listener
    return sys.platform != "linux" and _accepts(family, address, port)


def _accepts(family: socket.AddressFamily, address: str, port: int) -> bool:
    with suppress(OSError), socket.socket(family) as probe:
        probe.settimeout(1)
        return probe.connect_ex(({ALL: LOOPBACK, ALL_6: "::1"}.get(address, address), port)) == 0
    return False


def free_port(start: int = 0, address: str = LOOPBACK, exclude: Collection[int] = ()) -> int:
    """The first free port of an address from `start` on that is not in `exclude`; any free port if `start` is 0."""
    if start:
        for port in range(start, min(start + 500, 65536)):
            if port not in exclude and not in_use(port, address):
                return port
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port = probe.getsockname()[1]
    return int(port)


def owner(port: int) -> str | None:
    """The process that listens on a port, as `name (process 123)` (Linux only); None if there is none.

    If the process belongs to another user and cannot be read: `a program of the user NAME`.
    """
    owners: dict[str, int] = {}
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with suppress(OSError):
            for line in Path(table).read_text(encoding="ascii").splitlines()[1:]:
                words = line.split()
                if words[3] == "0A" and int(words[1].rsplit(":", 1)[1], 16) == port:
                    owners[f"socket:[{words[9]}]"] = int(words[7])
    if not owners:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            for handle in (process / "fd").iterdir():
                if os.readlink(handle) in owners:  # noqa: PTH115 - no real path
                    return f"{(process / 'comm').read_text(encoding='utf-8').strip()} (process {process.name})"
    return f"a program of the user {_user(min(owners.values()))}"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)
