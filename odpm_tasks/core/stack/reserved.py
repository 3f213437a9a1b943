"""The names and ports of the built-in services, which no dependency may use; the names of the project's images."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.config.settings import PORTS, WEB_PORTS
from odpm_tasks.core.manifest.model import BUILTIN_SERVICES, WEB


@dataclass(frozen=True)
class Reserved:
    """`projects`: the names of the project for Compose, as described and as set on this machine. `hosts`: names of hosts,
    in lower case. `ports`: the ports that the built-in services publish."""

    projects: frozenset[str] = frozenset()
    hosts: frozenset[str] = frozenset(BUILTIN_SERVICES)
    ports: frozenset[int] = frozenset(PORTS.values())

    def refusal(self, name: str, service: Mapping[str, Any]) -> str:
        """Why no dependency may have a service, also with trust: it would answer for a built-in one; empty if it would not."""
        for host in host_names(name, service):
            if host.lower().strip(".") in self.hosts:
                return "the name is built in" if host == name else f"the name {host} is built in"
        return ""

    def is_container(self, name: str) -> bool:
        """Whether a name is that of a container of the project, `PREFIX-SERVICE-1`."""
        return any(re.fullmatch(rf"{re.escape(project)}[-_].+[-_]\d+", name.lower()) for project in self.projects)


def host_names(name: str, service: Mapping[str, Any]) -> Iterator[str]:
    """The names by which other containers reach a service."""
    yield name
    for key in ("container_name", "hostname"):
        if value := service.get(key):
            yield str(value)
    networks = service.get("networks")
    for options in networks.values() if isinstance(networks, Mapping) else ():
        yield from ((options or {}).get("aliases") or ())


def reserved(project: str, lookup: Callable[[str], str | None], services: Sequence[str] = BUILTIN_SERVICES) -> Reserved:
    """The reserved names of a project; `lookup` returns the settings of this machine. `services`: the built-in ones."""
    projects = {name.lower() for name in (project, lookup("ODPM_COMPOSE_PREFIX")) if name}
    hosts = {*services, "localhost", (lookup("POSTGRES_SERVICE_NAME") or "").lower().strip(".")} - {""}
    hosts |= {f"{name}{joint}{service}" for name in projects for joint in "-_" for service in services}
    ports = PORTS | (WEB_PORTS if WEB in services else {})
    set_ports = {int(text) for name in ports if (text := lookup(name) or "").isascii() and text.isdigit()}
    return Reserved(frozenset(projects), frozenset(hosts), frozenset({*ports.values(), *set_ports}))
