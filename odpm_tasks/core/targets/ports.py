"""The ports of a machine that containers publish, from the list of `docker ps`, and which of them a release cannot have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from odpm_tasks.core.stack.published_ports import Published

_ALL = ("", "0.0.0.0", "::")  # noqa: S104 - of Docker's list, no service


@dataclass(frozen=True)
class Holder:
    """The container that publishes the ports from `first` to `last` of an address; `project`: of Compose."""

    container: str
    project: str
    address: str
    first: int
    last: int

    def __str__(self) -> str:
        return f"container {self.container}" + (f" of the project {self.project}" if self.project else "")


def holders(rows: str) -> Iterator[Holder]:
    """The TCP ports that containers publish. `rows`: `NAME TAB PROJECT TAB PORTS`, as `docker ps` writes `.Ports`."""
    for row in rows.splitlines():
        name, project, ports = row.split("\t")
        for entry in ports.split(", "):
            place, arrow, inside = entry.partition("->")
            address, _, numbers = place.rpartition(":")
            first, _, last = numbers.partition("-")
            if arrow and inside.endswith("/tcp") and first.isdigit():
                yield Holder(name, project, address.strip("[]"), int(first), int(last or first))


def holder_of(port: Published, found: Sequence[Holder]) -> Holder | None:
    """The container that publishes this port of the same address, or of all; None without one."""
    return next(
        (
            one
            for one in found
            if one.first <= port.port <= one.last
            and (one.address == port.address or one.address in _ALL or port.address in _ALL)
        ),
        None,
    )
