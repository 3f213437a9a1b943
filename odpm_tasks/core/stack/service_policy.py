"""The service of an untrusted dependency: a container that reaches nothing of this machine.

The rules name what is allowed, not what is forbidden: a key or a value that is not known to be harmless needs trust. The
types of all values have been checked against the Compose Specification before.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from odpm_tasks.core.stack.services import is_volume_name, names_in, volume_sources
from odpm_tasks.core.text import cut

_BUILTIN_VOLUMES = ("db-", "odoo-")  # volumes of the built-in services
ISOLATED, PUBLISHED = "isolated-", "published-"  # networks that odpm adds for untrusted dependencies
_RESERVED_NETWORKS = (ISOLATED, PUBLISHED)
# Docker calls a volume or network PROJECT_NAME: `test_data` of `shop` would be `data` of another project `shop_test`
_OWN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_LOOPBACK = frozenset({"127.0.0.1", "::1"})
_PORT, _LONG_PORT = r"(127\.0\.0\.1|\[::1\]):\d{0,5}:\d{1,5}(/tcp|/udp)?", r"\d{0,5}:\d{1,5}/(tcp|udp)"
# Programs that publish containers on a domain read these variables of a container.
_PROXY = re.compile(r"(VIRTUAL|LETSENCRYPT|ACME)_.*", re.IGNORECASE)

_TEXT = r"[^\x00-\x08\x0b-\x1f\x7f]*"
_BOOL, _NUMBER, _SIZE = "True|False|true|false", r"\d{1,9}(\.\d{1,6})?", r"\d{1,12}[bkmgBKMG]?[bB]?"
_TIME = r"(\d{1,5}ms|\d{1,3}s|\d{1,2}m){1,3}"
_PATH = r"/[^:\x00-\x1f\x7f]*"
_SCALARS = {
    **dict.fromkeys(("attach", "init", "read_only", "stdin_open", "tty"), _BOOL),
    **dict.fromkeys(("cpu_count", "cpu_percent", "cpu_shares", "cpus"), _NUMBER),
    **dict.fromkeys(("mem_limit", "mem_reservation", "shm_size"), _SIZE),
    "image": r"([A-Za-z0-9.-]+(:\d+)?/)?[a-z0-9]+([._/-]+[a-z0-9]+)*(:[\w][\w.-]{0,127})?(@sha256:[0-9a-f]{64})?",
    "memswap_limit": f"-1|{_SIZE}",
    "pids_limit": r"-1|\d{1,9}",
    "platform": r"[a-z0-9_]+(/[a-z0-9_]+){0,2}",
    "pull_policy": r"always|never|missing|if_not_present|daily|weekly",
    "restart": r"no|always|unless-stopped|on-failure(:\d{1,3})?",
    "scale": r"\d",
    "stop_grace_period": r"\d{1,3}s|[1-5]m(\d{1,2}s)?",
    "stop_signal": r"[A-Z0-9+-]{1,12}",
    "user": r"[A-Za-z0-9_.:-]{1,64}",
    "working_dir": _PATH,
}
_LISTS = {
    "cap_drop": r"[A-Za-z_]+",
    "command": _TEXT,
    "entrypoint": _TEXT,
    "expose": r"[1-5]?\d{1,4}(/tcp|/udp)?",
    "profiles": r"[A-Za-z0-9][A-Za-z0-9_.-]*",
    "tmpfs": rf"{_PATH}(:[A-Za-z0-9=,]*)?",
}
_HEALTH = {
    **dict.fromkeys(("interval", "timeout", "start_period", "start_interval"), _TIME),
    "disable": _BOOL,
    "retries": r"\d{1,4}",
    "test": _TEXT,
}
_PLACES = ("volumes", "networks", "ports")
_VOLUME_KEYS = frozenset({"type", "source", "target", "read_only", "volume", "tmpfs"})
_PORT_KEYS = frozenset({"target", "published", "host_ip", "protocol"})
_ULIMITS = frozenset({"nofile", "nproc"})


def needs_trust(service: Mapping[str, Any]) -> str:
    """The first thing for which a service needs the project's trust, in words; empty where it needs none."""
    return next(_trusted_parts(service), "")


def name_needs_trust(name: str) -> str:
    """Why the name of a service needs trust: it could be the name of a host elsewhere, or is no name of a host."""
    return "" if _NAME.fullmatch(name) else f"the name {cut(name, 40)}, which is not letters, digits, `-` and `_`"


def is_local_image(image: str, projects: frozenset[str]) -> bool:
    """Whether an image is one that odpm builds: it contains sources of the project, or of another one."""
    name = re.sub(r"^((index\.)?docker\.io/)?(library/)?", "", image.lower())
    repository = re.split(r"[:@]", name, maxsplit=1)[0]
    own = any(repository == project or repository.startswith((f"{project}-", f"{project}_")) for project in projects)
    return own or name.startswith("odpm/")


def without_extensions(service: Mapping[str, Any]) -> dict[str, Any]:
    """A service without its `x-` keys: Compose ignores them, and other programs may not."""
    return {key: value for key, value in service.items() if not key.startswith("x-")}


def _trusted_parts(service: Mapping[str, Any]) -> Iterator[str]:
    for key in service:
        if key not in _SCALARS and key not in _LISTS and key not in _OTHERS:
            yield f"`{cut(key, 40)}`"
    for key in [key for key in _PLACES if key in service]:
        yield from _OTHERS[key](service[key])
    yield from _variables(service)
    for key, value in service.items():
        if key in _SCALARS:
            yield from _value(key, value, _SCALARS[key])
        elif key in _LISTS:
            for entry in value if isinstance(value, list) else [value]:
                yield from _value(key, "" if entry is None else entry, _LISTS[key])
        elif key not in _PLACES:
            yield from _OTHERS[key](value)


def _value(key: str, value: Any, pattern: str) -> Iterator[str]:
    """The key and its value, unless the value is a string, a number, true or false that the pattern matches."""
    if isinstance(value, list | Mapping) or not re.fullmatch(pattern, str(value), re.ASCII):
        yield f"`{key}: {cut(value if isinstance(value, str) else json.dumps(value), 40)}`"


def _variables(value: Any, key: str = "") -> Iterator[str]:
    """A variable of the environment: it may be a secret, and the dependency's program would get it."""
    if isinstance(value, Mapping):
        for name, below in value.items():
            yield from _variables(name, key)
            yield from _variables(below, name)
    elif isinstance(value, list):
        for below in value:
            yield from _variables(below, key)
    elif isinstance(value, str) and "$" in value.replace("$$", ""):
        yield f"a variable in `{cut(key, 40)}`"


def _environment(environment: Any) -> Iterator[str]:
    pairs = environment if isinstance(environment, Mapping) else dict.fromkeys(environment)
    for entry, value in pairs.items():
        name, equals, text = (entry, "=", value) if isinstance(environment, Mapping) else entry.partition("=")
        if text is None or not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_.-]*", name) or _PROXY.fullmatch(name):
            yield f"the variable {cut(name, 40)}"
        else:
            yield from _value(f"environment.{name}", text, r"[^\x00]*")


def _volumes(volumes: list[Any]) -> Iterator[str]:
    for kind, source in volume_sources({"volumes": volumes}):
        if kind not in {"volume", "tmpfs"} or (source and not is_volume_name(source)):
            yield f"the path {cut(source)}" if source else f"a volume of the type {cut(kind, 40)}"
        elif source.startswith(_BUILTIN_VOLUMES) or (source and not _OWN.fullmatch(source)):
            yield f"the volume {cut(source)}"
    for entry in volumes:
        if isinstance(entry, Mapping):
            options = {**(entry.get("volume") or {}), **(entry.get("tmpfs") or {})}
            for key in [*(entry.keys() - _VOLUME_KEYS), *(options.keys() - {"nocopy", "size", "mode"})]:
                yield f"`volumes.{cut(key, 40)}`"
            yield from _value("volumes.target", entry.get("target", ""), _PATH)
        else:
            yield from _value("volumes", entry, rf"([A-Za-z0-9_.-]+:)?{_PATH}(:(ro|rw|nocopy)(,(ro|rw|nocopy))*)?")


def _ports(ports: list[Any]) -> Iterator[str]:
    for port in ports:
        if isinstance(port, Mapping):
            address = port.get("host_ip", "")
            for key in port.keys() - _PORT_KEYS:
                yield f"`ports.{cut(key, 40)}`"
            written = f"{port.get('published', '')}:{port.get('target', '')}/{port.get('protocol', 'tcp')}"
        else:
            written = str(port)
            address = "127.0.0.1" if written.startswith(("127.0.0.1:", "[::1]:")) else ""
        if address not in _LOOPBACK:
            yield "a port on an address other than 127.0.0.1"
        elif "$" not in written:  # a variable is reported as such
            yield from _value("ports", written, _LONG_PORT if isinstance(port, Mapping) else _PORT)
            if any(int(digits) > 65535 for digits in re.findall(r"[0-9]+", written)):
                yield f"`ports: {cut(written, 40)}`"


def _networks(networks: Any) -> Iterator[str]:
    for name in names_in({"networks": networks}, "networks"):
        if name == "database":
            yield "the network of the database"
        elif name.startswith(_RESERVED_NETWORKS) or not _OWN.fullmatch(name):
            yield f"the network {cut(name, 40)}"
    for name, options in networks.items() if isinstance(networks, Mapping) else ():
        if options:  # an alias could answer for another service
            yield f"`networks.{cut(name, 40)}`"


def _ulimits(ulimits: Mapping[str, Any]) -> Iterator[str]:
    for name, limit in ulimits.items():
        if name not in _ULIMITS:
            yield f"`ulimits.{cut(name, 40)}`"
        for value in limit.values() if isinstance(limit, Mapping) else [limit]:
            yield from _value(f"ulimits.{name}", value, r"\d{1,9}")


def _health(check: Mapping[str, Any]) -> Iterator[str]:
    for key, value in check.items():
        if key not in _HEALTH:
            yield f"`healthcheck.{cut(key, 40)}`"
            continue
        for entry in value if isinstance(value, list) else [value]:
            yield from _value(f"healthcheck.{key}", entry, _HEALTH[key])


def _nothing(value: Any) -> Iterator[str]:
    """`depends_on` depends on the other services: see `dependency_services`."""
    del value
    yield from ()


_OTHERS: Mapping[str, Callable[[Any], Iterator[str]]] = {
    "depends_on": _nothing,
    "environment": _environment,
    "healthcheck": _health,
    "networks": _networks,
    "ports": _ports,
    "ulimits": _ulimits,
    "volumes": _volumes,
}
