"""The connections of a container, as the kernel lists them in `/proc/net/tcp` and `/proc/net/tcp6`."""

from __future__ import annotations

_ESTABLISHED = "01"
_LOOPBACK = ("0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F")


def from_outside(text: str, port: int) -> int:
    """How many connections to a port of the container are open, without those from inside of it.

    A line has its number, the local and the remote address as `HEX:PORT`, and the state. Source: proc_net_tcp of the kernel.
    """
    rows = (line.split() for line in text.splitlines() if ":" in line)
    found = (row for row in rows if len(row) > 3 and row[3] == _ESTABLISHED)
    return sum(
        1 for row in found if row[1].rpartition(":")[2] == f"{port:04X}" and row[2].rpartition(":")[0] not in _LOOPBACK
    )
