"""The service of an untrusted dependency: a container that reaches nothing of this machine.

The list names allowed keys, not forbidden ones: a key that a later Compose adds needs trust.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from odpm_tasks.core.stack.services import is_volume_name, names_in, volume_sources

_KEYS = """
    annotations attach cap_drop command cpu_count cpu_percent cpu_shares cpus depends_on dns dns_opt dns_search domainname
    entrypoint environment expose extra_hosts healthcheck hostname image init labels links mem_limit mem_reservation
    memswap_limit networks pids_limit platform ports profiles pull_policy read_only restart scale shm_size stdin_open
    stop_grace_period stop_signal tmpfs tty ulimits user volumes working_dir"""
_ALLOWED = frozenset(_KEYS.split())
_BUILTIN_VOLUMES = ("db-", "odoo-")  # volumes of the built-in services
_LOOPBACK = ("127.0.0.1:", "[::1]:")


def needs_trust(service: Mapping[str, Any]) -> str:
    """The first thing for which a service needs the project's trust, in words; empty where it needs none."""
    return next(_trusted_parts(service), "")


def _trusted_parts(service: Mapping[str, Any]) -> Iterator[str]:
    for key in service:
        if key not in _ALLOWED and not key.startswith("x-"):
            yield f"`{key}`"
    for kind, source in volume_sources(service):
        if kind not in {"volume", "tmpfs"} or (source and not is_volume_name(source)):
            yield f"the path {source}"
        elif source.startswith(_BUILTIN_VOLUMES):
            yield f"the volume {source}"
    yield from _networks(service)
    for port in service.get("ports") or []:
        address = f"{port.get('host_ip', '')}:" if isinstance(port, Mapping) else str(port)
        if not address.startswith(_LOOPBACK):
            yield "a port on an address other than 127.0.0.1"
    yield from _variables({key: value for key, value in service.items() if key != "ports"})


def _networks(service: Mapping[str, Any]) -> Iterator[str]:
    if "database" in names_in(service, "networks"):
        yield "the network of the database"
    networks = service.get("networks")
    for name, how in networks.items() if isinstance(networks, Mapping) else ():
        if how:  # an alias could answer for another service
            yield f"`networks.{name}`"


def _variables(value: Any, key: str = "") -> Iterator[str]:
    """A variable of the environment: it may be a secret, and the dependency's program would get it."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            if key == "environment" and below is None:
                yield f"the variable {name}"
            yield from _variables(below, str(name))
    elif isinstance(value, list):
        for below in value:
            if key == "environment" and "=" not in str(below):
                yield f"the variable {below}"
            yield from _variables(below)
    elif isinstance(value, str) and "$" in value.replace("$$", ""):
        yield f"a variable in `{key}`" if key else "a variable"
