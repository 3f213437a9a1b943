"""The ports that a compose file publishes on this machine, and the variable that sets each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from odpm_tasks.core.config.interpolation import expand, references
from odpm_tasks.core.stack import services as compose_services
from odpm_tasks.core.stack.services import active

WEB = 8069  # Odoo's port in its container


@dataclass(frozen=True)
class Published:
    """A port that a service publishes on this machine, on one `address` or (empty) on all.

    `variable`: the variable that sets the port, if any. `inside`: the port of the container; 0 where it is a variable.
    """

    service: str
    port: int
    variable: str | None
    address: str = ""
    inside: int = field(default=0, compare=False)


def published_ports(text: str, lookup: Callable[[str], str | None]) -> tuple[Published, ...]:
    """The TCP ports that a compose file publishes on this machine (short and long syntax).

    Omitted: ranges, ports that Docker chooses, services of inactive profiles.
    """
    found: list[Published] = []
    services = compose_services.load(text)["services"]
    for name in active(services, lookup("COMPOSE_PROFILES")):
        for entry in services[name].get("ports", []):
            address, written = host_port(entry)
            where = f"services.{name}.ports"
            port = expand(written, lookup, where)
            if port.isascii() and port.isdigit() and len(port) <= 5 and 0 < int(port) < 65536:
                names = [reference.name for reference in references(written)]
                where_to = expand(address, lookup, where).strip("[]")
                found.append(Published(name, int(port), names[0] if names else None, where_to, *inside_ports([entry])))
    return tuple(found)


def host_port(entry: object) -> tuple[str, str]:
    """Address and host port of an entry as written; no port for UDP or where none is given."""
    if isinstance(entry, Mapping):
        tcp = entry.get("protocol", "tcp") == "tcp"
        return str(entry.get("host_ip", "")), str(entry.get("published", "")) if tcp else ""
    parts = _parts(str(entry))
    if len(parts) < 2 or str(entry).endswith("/udp"):
        return "", ""
    return ":".join(parts[:-2]), parts[-2]


def inside_ports(entries: object) -> set[int]:
    """The ports of the container in `ports` or `expose`; ranges and variables are omitted."""
    found = set()
    for entry in entries if isinstance(entries, list) else []:
        text = str(entry.get("target", "")) if isinstance(entry, Mapping) else _parts(str(entry).partition("/")[0])[-1]
        if text.isascii() and text.isdigit():
            found.add(int(text))
    return found


def _parts(entry: str) -> list[str]:
    """An entry split at its colons, except those in `${NAME:-default}` and `[::1]`."""
    parts, depth = [""], 0
    for letter in entry:
        depth += (letter in "{[") - (letter in "}]")
        if letter == ":" and not depth:
            parts.append("")
        else:
            parts[-1] += letter
    return parts


def published_port(ports: Sequence[str], inside: int = 0) -> str:
    """The port of this machine that leads to a TCP port of a container, by default to the lowest one; empty without one."""
    found = []
    for text in ports:
        address, _, target = text.partition("->")
        number, _, protocol = target.partition("/")
        if protocol == "tcp" and number.isdigit():
            found.append((int(number), address.rpartition(":")[2]))
    return next((port for number, port in sorted(found) if inside in {0, number}), "")
