"""Read Compose services: the names that they use, which of them are started; apply patches to them."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from odpm_tasks.core.config.interpolation import expand

# keys that Compose takes as a map and as a list; an entry of the list is `NAME=value` or a name alone
_PAIRS = frozenset({"environment", "labels", "annotations", "sysctls", "extra_hosts", "args"})
_NAMES = {"networks": None, "depends_on": {"condition": "service_started"}}


def apply_patch(base: Any, patch: Any, key: str = "") -> Any:
    """A service with a patch applied: maps merge, lists append, anything else replaces.

    Where Compose takes a map and a list for the same key (`environment`, `networks`, …), lists are converted to maps.
    """
    if isinstance(base, Mapping) != isinstance(patch, Mapping):
        base, patch = _as_map(key, base), _as_map(key, patch)
    if isinstance(base, Mapping) and isinstance(patch, Mapping):
        merged = dict(base)
        for name, value in patch.items():
            merged[name] = apply_patch(merged[name], value, name) if name in merged else copy.deepcopy(value)
        return merged
    if isinstance(base, list) and isinstance(patch, list):
        return [*base, *copy.deepcopy(patch)]
    return copy.deepcopy(patch)


def _as_map(key: str, value: Any) -> Any:
    if not isinstance(value, list):
        return value
    if key in _NAMES:
        return {str(name): copy.deepcopy(_NAMES[key]) for name in value}
    if key in _PAIRS:
        pairs = [re.split(r"[=:]" if key == "extra_hosts" else "=", str(entry), maxsplit=1) for entry in value]
        return {pair[0]: pair[1] if len(pair) > 1 else None for pair in pairs}
    return value


def names_in(service: Mapping[str, Any], key: str) -> list[str]:
    """The names that `networks`, `depends_on`, `secrets` or `configs` list, in any form."""
    value = service.get(key) or []
    entries = value if isinstance(value, list | Mapping) else []
    return [str(entry.get("source", "")) if isinstance(entry, Mapping) else str(entry) for entry in entries]


def volume_sources(service: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Type and source of each volume. In short form the type is `bind` unless the source is a name; anonymous ones have none."""
    volumes = service.get("volumes")
    for entry in volumes if isinstance(volumes, list) else []:
        if isinstance(entry, Mapping):
            yield str(entry.get("type", "")), str(entry.get("source", ""))
        else:
            source = short_source(str(entry))
            yield ("bind" if source and not is_volume_name(source) else "volume"), source


def short_source(entry: str) -> str:
    """`./a` of `./a:/b:ro`, empty for `/b` alone. A colon inside `${NAME:-default}` does not separate."""
    source, colon, _ = re.sub(r"\$\{[^{}]*(\{[^{}]*\}[^{}]*)*\}", lambda m: "\0" * len(m[0]), entry).partition(":")
    return entry[: len(source)] if colon else ""


def is_volume_name(text: str) -> bool:
    return bool(re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", text))


def named_volumes(services: Mapping[str, Any]) -> list[str]:
    """Named volumes that services use, in their order; Compose requires a declaration of each."""
    found = [
        source
        for service in services.values()
        for kind, source in volume_sources(service)
        if kind == "volume" and is_volume_name(source)
    ]
    return list(dict.fromkeys(found))


def named_networks(services: Mapping[str, Any]) -> list[str]:
    """Networks that services name, in their order; Compose requires a declaration of each."""
    found = (name for service in services.values() for name in names_in(service, "networks"))
    return list(dict.fromkeys(name for name in found if name))


def active(services: Mapping[str, Any], profiles: str | None) -> list[str]:
    """The services that `up` starts: those without a profile and those of the profiles in COMPOSE_PROFILES (`*`: all)."""
    chosen = {name.strip() for name in (profiles or "").split(",")} - {""}
    return [
        name
        for name, service in services.items()
        if not (profiles_of := service.get("profiles")) or "*" in chosen or chosen & {str(name) for name in profiles_of}
    ]


def one_shots(services: Mapping[str, Any]) -> set[str]:
    """Services that exit after their work: others wait for their completion, or they are not restarted."""
    awaited = {
        str(name)
        for service in services.values()
        if isinstance(needs := service.get("depends_on"), Mapping)
        for name, how in needs.items()
        if isinstance(how, Mapping) and how.get("condition") == "service_completed_successfully"
    }
    ending = {
        name for name, service in services.items() if str(service.get("restart", "")).partition(":")[0] in _ENDING
    }
    return (awaited & services.keys()) | ending


_ENDING = frozenset({"no", "False", "on-failure"})


def build_folders(services: Mapping[str, Any]) -> dict[str, str]:
    """The build context of each service as written, if it is a folder."""
    found = {}
    for name, service in services.items():
        build = service.get("build")
        context = build.get("context", ".") if isinstance(build, Mapping) else build
        if isinstance(context, str) and is_local(context):
            found[name] = context
    return found


def is_local(context: str) -> bool:
    """Whether a build context is a folder rather than an address."""
    return not re.match(r"[a-z-]+://|[a-z]+@|github\.com/|(service|target):", context)


@dataclass(frozen=True)
class ServicesSummary:
    """Services that `up` starts, services that exit after their work, build contexts by service; whether any is built."""

    active: tuple[str, ...]
    ending: frozenset[str]
    folders: Mapping[str, str]
    builds: bool


def summarize(text: str, lookup: Callable[[str], str | None]) -> ServicesSummary:
    """Summarize a compose file; variables in paths of folders are expanded."""
    services: dict[str, Any] = load(text)["services"]
    starting = active(services, lookup("COMPOSE_PROFILES"))
    folders = {name: expand(path, lookup, f"services.{name}.build") for name, path in build_folders(services).items()}
    return ServicesSummary(
        tuple(starting),
        frozenset(one_shots(services)),
        {name: path for name, path in folders.items() if name in starting and is_local(path)},
        any("build" in services[name] for name in starting),
    )


_LOADER = getattr(
    yaml, "CSafeLoader", yaml.SafeLoader
)  # by libyaml, where PyYAML was built with it: five times as fast


def load(text: str) -> dict[str, Any]:
    """Parse a generated compose file."""
    found: dict[str, Any] = yaml.load(text, Loader=_LOADER)  # noqa: S506 - both are safe loaders
    return found
