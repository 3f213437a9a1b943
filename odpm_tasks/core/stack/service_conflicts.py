"""What the service of an untrusted dependency must not share with other services: volumes, networks, ports, waiting."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from typing import Any

from odpm_tasks.core.manifest.model import Manifest
from odpm_tasks.core.stack.published_ports import host_port
from odpm_tasks.core.stack.reserved import Reserved, host_names
from odpm_tasks.core.stack.service_policy import is_local_image, name_needs_trust
from odpm_tasks.core.stack.services import names_in, volume_sources
from odpm_tasks.core.text import cut

_Services = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Others:
    """The services and patches of the project, of every scenario, and those of other dependencies, as (name, service)."""

    services: tuple[tuple[str, Mapping[str, Any]], ...]
    patches: tuple[tuple[str, Mapping[str, Any]], ...]
    reserved: Reserved

    def needed_by(self, name: str, service: Mapping[str, Any]) -> str:
        """The first thing of others that a service uses, in words; empty where it uses none."""
        return next(self._shared(name, service), "")

    def _shared(self, name: str, service: Mapping[str, Any]) -> Iterator[str]:
        if what := name_needs_trust(name):
            yield what
        elif self.reserved.is_container(name):
            yield f"the name {name}, which is one of a container"
        if is_local_image(str(service.get("image", "")), self.reserved.projects):
            yield f"the image {cut(str(service['image']), 60)} of this machine"
        # a volume of another scenario is on the same machine; the project may add to this service what it likes
        hosts = {host.lower() for other, each in self.services if other != name for host in host_names(other, each)}
        hosts |= {host.lower() for other, each in self.patches if other != name for host in host_names("", each)}
        if name.lower() in hosts:
            yield f"the name {name} of another service"
        theirs = [each for _, each in self.services] + [each for other, each in self.patches if other != name]
        for key, found in (("volume", _volumes), ("network", _networks)):
            if both := sorted(found([service]) & found(theirs)):
                yield f"the {key} {both[0]} of another service"
        if ports := sorted(_ports([service]) & (_ports(theirs) | self.reserved.ports)):
            yield f"the port {ports[0]} of another service"


def others(manifest: Manifest, fragments: Iterable[tuple[_Services, _Services]], reserved: Reserved) -> Others:
    """The services and patches of the project and of `fragments`, each as its services and its patches."""
    blocks: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
        (manifest.services, manifest.service_patches),
        *((one.get("services", {}), one.get("service_patches", {})) for one in manifest.scenarios.values()),
        *fragments,
    ]
    services = [item for block, _ in blocks for item in block.items() if item[1] is not None]
    patches = [item for _, block in blocks for item in block.items()]
    return Others(tuple(services), tuple(patches), reserved)


def unmet(name: str, kept: _Services, declared: Set[str], available: _Services) -> str:
    """Why a service cannot wait for the services that it depends on; empty where it can.

    `kept`: the services of its dependency that are used; `declared`: the names of all that the dependency has, which the
    project may have replaced; `available`: the services of others.
    """
    service = kept[name]
    needs = service.get("depends_on")
    for other in names_in(service, "depends_on"):
        how = (needs.get(other) or {}) if isinstance(needs, Mapping) else {}
        plain = how.get("condition", "service_started") == "service_started" and not how.get("restart")
        target = kept.get(other) or (available.get(other) if plain and other in declared else None)
        if target is None:
            used = "is not used" if other in declared else "is not its own"
            return f"it depends on the service {cut(other, 40)}, which {used}"
        if (needed := target.get("profiles")) and not set(service.get("profiles") or [""]) <= set(needed):
            return f"it depends on the service {other}, which has other profiles"
    return "it depends on itself" if name in _reached(name, kept) else ""


def _reached(name: str, kept: _Services) -> set[str]:
    """The services that a service depends on, directly or not."""
    found: set[str] = set()
    pending = [name]
    while pending:
        for other in names_in(kept.get(pending.pop(), {}), "depends_on"):
            if other not in found:
                found.add(other)
                pending.append(other)
    return found


def _volumes(services: Iterable[Mapping[str, Any]]) -> set[str]:
    return {source for service in services for _, source in volume_sources(service) if source}


def _networks(services: Iterable[Mapping[str, Any]]) -> set[str]:
    return {name for service in services for name in names_in(service, "networks")} - {"default"}


def _ports(services: Iterable[Mapping[str, Any]]) -> set[int]:
    """The ports of this machine that services publish, with those that are the default of a variable."""
    entries = [entry for service in services for entry in service.get("ports") or []]
    return {int(digits) for entry in entries for digits in re.findall(r"[0-9]{1,5}", host_port(entry)[1])}
